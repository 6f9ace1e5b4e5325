//! One kind of telemetry: whether it is wanted, and where it goes.

use std::time::Duration;

use axum::http::Uri;
use shared::{BoxError, env::without_user};

use super::client::Client;

/// OpenTelemetry's variable for all signals.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// What OpenTelemetry waits for a collector.
const TIMEOUT: Duration = Duration::from_secs(10);

/// In the words of the variables and of the paths.
#[derive(Clone, Copy)]
pub(super) struct Signal {
    pub(super) name: &'static str,
    pub(super) upper: &'static str,
}

/// Where a signal goes.
pub(super) struct Destination {
    /// As it is requested.
    pub(super) address: String,
    pub(super) client: Client,
}

impl Signal {
    /// Whether `OTEL_…_EXPORTER` leaves it to OTLP; `none` and the names of other exporters do not.
    fn is_wanted(self) -> bool {
        let exporter = variable(&format!("OTEL_{}_EXPORTER", self.upper));
        exporter.is_none_or(|named| named.split(',').any(|one| one.trim() == "otlp"))
    }

    /// The variable of this signal, or else the one of all; with its name.
    pub(super) fn setting(self, what: &str) -> Option<(String, String)> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{what}", self.upper);
        let of_all = format!("OTEL_EXPORTER_OTLP_{what}");
        [own, of_all]
            .into_iter()
            .find_map(|name| Some((name.clone(), variable(&name)?)))
    }

    /// The way to the collector at `endpoint`; `None` if the signal is not wanted. Connects with the first request.
    pub(super) fn destination(self, endpoint: &str) -> Result<Option<Destination>, BoxError> {
        if !self.is_wanted() {
            return Ok(None);
        }
        // More exact than `endpoint`, and the whole address.
        let own = self
            .setting("ENDPOINT")
            .filter(|(name, _)| name != ENDPOINT);
        let (name, address) = own.unwrap_or_else(|| {
            let address = format!("{}/v1/{}", endpoint.trim_end_matches('/'), self.name);
            (ENDPOINT.to_owned(), address)
        });
        let shown = without_user(&address);
        let refused = |why: String| {
            let why = why.replace(&address, &shown);
            format!("cannot send {} to {shown} ({name}): {why}", self.name)
        };
        let tls = address.starts_with("https://");
        if !tls && !address.starts_with("http://") {
            let wanted = "this needs an http:// or https:// address of OTLP over HTTP, such as http://127.0.0.1:4318";
            return Err(refused(wanted.to_owned()).into());
        }
        if let Err(error) = address.parse::<Uri>() {
            return Err(refused(error.to_string()).into());
        }
        let roots = match (tls, self.setting("CERTIFICATE")) {
            (false, _) => None,
            (true, named) => Some(named.map(|(_, file)| file)),
        };
        let client = Client::new(self.name, shown.clone(), self.timeout(), roots);
        Ok(Some(Destination {
            client: client.map_err(refused)?,
            address,
        }))
    }

    fn timeout(self) -> Duration {
        let milliseconds = self
            .setting("TIMEOUT")
            .and_then(|(_, set)| set.parse().ok());
        milliseconds.map_or(TIMEOUT, Duration::from_millis)
    }
}

/// An empty variable counts as unset.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
