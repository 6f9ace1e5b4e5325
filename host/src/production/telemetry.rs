//! The figures and traces of the process, for Prometheus, which reads them, and for a collector, which is sent them.
//!
//! Owns both from the first setting to the last batch.

use std::sync::Arc;

use host_accept::Places;
use shared::{BoxError, Db, env::Env};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::{exporter, health::Health, metrics::Metrics, watch::Watch};
use crate::logs::More;
#[cfg(feature = "otlp")]
use {super::span, super::translated::translated, crate::otlp, std::time::SystemTime};

/// See the [module](self).
pub(super) struct Telemetry {
    /// Served until it is dropped.
    exporting: Option<AbortOnDropHandle<usize>>,
    #[cfg(feature = "otlp")]
    traces: Option<otlp::Traces>,
    #[cfg(feature = "otlp")]
    metrics: Option<otlp::Metrics>,
    #[cfg(feature = "otlp")]
    sending: Option<otlp::Sending>,
}

#[cfg(not(feature = "otlp"))]
impl Telemetry {
    pub(super) fn new(_: &Env) -> Result<Self, BoxError> {
        Ok(Self { exporting: None })
    }

    /// What hears the log besides.
    pub(super) fn layer(&self) -> More {
        None
    }

    /// Why a collector gets less than was asked for, if so. `is_ours` is whether the log is the host's.
    pub(super) fn missing(&self, env: &Env, _is_ours: bool) -> Option<&'static str> {
        env.otlp_endpoint.as_ref()?;
        Some(
            "nothing is sent there: build the package host with its feature `otlp`, or unset the variable",
        )
    }

    fn are_traced(&self) -> bool {
        false
    }

    fn are_sent(&self) -> bool {
        false
    }

    #[expect(clippy::unnecessary_wraps, reason = "as with the feature")]
    fn send(&mut self, _: Arc<Metrics>) -> Result<(), BoxError> {
        Ok(())
    }

    pub(super) async fn end(self) {}
}

#[cfg(feature = "otlp")]
impl Telemetry {
    /// Connects to nobody yet.
    pub(super) fn new(env: &Env) -> Result<Self, BoxError> {
        let endpoint = env.otlp_endpoint.as_deref();
        Ok(Self {
            exporting: None,
            traces: otlp::Traces::of(endpoint)?,
            metrics: otlp::Metrics::of(endpoint)?,
            sending: None,
        })
    }

    /// What hears the log besides.
    pub(super) fn layer(&self) -> More {
        let traces = self.traces.as_ref();
        traces.map(|traces| traces.layer(span::TARGET))
    }

    /// Why a collector gets less than was asked for, if so. `is_ours` is whether the log is the host's.
    pub(super) fn missing(&self, _: &Env, is_ours: bool) -> Option<&'static str> {
        (self.are_traced() && !is_ours).then_some(
            "no traces are sent: the app has set up its own log, which has to export them itself",
        )
    }

    fn are_traced(&self) -> bool {
        self.traces.is_some()
    }

    fn are_sent(&self) -> bool {
        self.metrics.is_some()
    }

    fn send(&mut self, metrics: Arc<Metrics>) -> Result<(), BoxError> {
        let since = SystemTime::now();
        if let Some(to) = self.metrics.take() {
            self.sending = Some(to.send(move || translated(&metrics.read(), since))?);
        }
        Ok(())
    }

    /// Sends what is left to the collector, within a limit.
    pub(super) async fn end(self) {
        tokio::join!(
            otlp::Traces::end_of(self.traces),
            otlp::Sending::end_of(self.sending)
        );
    }
}

impl Telemetry {
    /// Who wants to know of requests. The metrics are served and sent from here on.
    pub(super) fn watch(
        &mut self,
        env: &Env,
        db: &Db,
        places: &Places,
        health: &Health,
        listener: Option<TcpListener>,
    ) -> Result<Watch, BoxError> {
        let metrics = match listener.is_some() || self.are_sent() {
            true => Some(Arc::new(Metrics::new(db.clone(), places.clone())?)),
            false => None,
        };
        if let Some(metrics) = &metrics {
            self.send(metrics.clone())?;
            if let Some(listener) = listener {
                let serving = exporter::serve(listener, metrics.clone(), health.clone())?;
                self.exporting = Some(serving);
            }
        }
        Ok(Watch {
            metrics,
            access_log: env.http_access_log,
            traced: self.are_traced(),
        })
    }
}
