//! The HTTP client: blocking, since what sends telemetry has threads of its own.
//!
//! Says once that a collector does not take what it is sent, and why, and once that it does again: a batch fails every few
//! seconds for as long as a collector is down.

use std::{
    fmt, fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::http::{Request, Response};
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use rustls::crypto::ring;
use ureq::{
    Agent,
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};

/// Of an answer, which says little.
const MAX_ANSWER: u64 = 4 << 20;

/// Sends one signal to one collector.
#[derive(Clone)]
pub(super) struct Client {
    agent: Agent,
    /// What is sent.
    what: &'static str,
    /// The address, without a user.
    shown: Arc<str>,
    fails: Arc<AtomicBool>,
}

impl Client {
    /// `roots` is for https: the file with the certificates that are trusted; `Some(None)` are the system's.
    pub(super) fn new(
        what: &'static str,
        shown: String,
        timeout: Duration,
        roots: Option<Option<String>>,
    ) -> Result<Self, String> {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(timeout));
        if let Some(file) = roots {
            let roots = match file {
                Some(file) => in_file(&file)?,
                None => of_the_system()?,
            };
            let tls = TlsConfig::builder()
                .root_certs(RootCerts::from(roots))
                .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()));
            config = config.tls_config(tls.build());
        }
        Ok(Self {
            agent: Agent::new_with_config(config.build()),
            what,
            shown: shown.into(),
            fails: Arc::default(),
        })
    }

    /// Blocks until the answer is there, at most for the timeout.
    pub(super) fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let answered = self.agent.run(request.map(|body| body.to_vec()));
        let answered = answered.and_then(|answer| {
            let (parts, mut body) = answer.into_parts();
            let body = body.with_config().limit(MAX_ANSWER).read_to_vec()?;
            Ok(Response::from_parts(parts, Bytes::from(body)))
        });
        match &answered {
            Ok(answer) if answer.status().is_success() => self.works(),
            Ok(answer) => self.fails(&format!("it answers {}", answer.status())),
            Err(error) => self.fails(&in_words(error)),
        }
        answered
    }

    fn fails(&self, why: &dyn fmt::Display) {
        if !self.fails.swap(true, Relaxed) {
            let (what, shown) = (self.what, &self.shown);
            tracing::warn!(
                "the collector at {shown} does not take {what}: {why}; they are sent on, and this is said once"
            );
        }
    }

    fn works(&self) {
        if self.fails.swap(false, Relaxed) {
            tracing::info!("the collector at {} takes {} again", self.shown, self.what);
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.what, self.shown)
    }
}

#[async_trait]
impl HttpClient for Client {
    /// Blocks: the exporter of traces calls it on a thread of its own.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        Ok(self.send(request)?)
    }
}

fn in_words(error: &ureq::Error) -> String {
    let error = match error {
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    };
    match error.contains("UnknownIssuer") {
        true => format!(
            "its certificate is not signed by a root that is trusted: name its root with OTEL_EXPORTER_OTLP_CERTIFICATE=/path/root.pem ({error})"
        ),
        false => error,
    }
}

fn in_file(file: &str) -> Result<Vec<Certificate<'static>>, String> {
    let fail = |error: &dyn fmt::Display| {
        format!(
            "OTEL_EXPORTER_OTLP_CERTIFICATE names {file}, a PEM file with root certificates: {error}"
        )
    };
    let text = fs::read(file).map_err(|error| fail(&error))?;
    let mut found = Vec::new();
    for item in parse_pem(&text) {
        if let PemItem::Certificate(root) = item.map_err(|error| fail(&error))? {
            found.push(root);
        }
    }
    match found.is_empty() {
        true => Err(fail(&"no certificate in it")),
        false => Ok(found),
    }
}

fn of_the_system() -> Result<Vec<Certificate<'static>>, String> {
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() {
        return Err("this system has no root certificates: install ca-certificates, or name the collector's root with OTEL_EXPORTER_OTLP_CERTIFICATE=/path/root.pem".to_owned());
    }
    let owned = |root: &[u8]| Certificate::from_der(root).to_owned();
    Ok(found.iter().map(|root| owned(root)).collect())
}
