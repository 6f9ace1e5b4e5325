//! What the log shows, and how: the subscriber for the records of the host and of the app, by tracing or by `log`.
//!
//! `RUST_LOG` decides what is shown. `.env` may set it too, so it is read again whenever that file is.
//!
//! A process has one subscriber, for good. In production it may be the app's, set up in `main` or in `app()`; so there the
//! host's is installed only once the app has started without one. Until then it hears what is polled in `heard`.

#[cfg(feature = "dev")]
mod of_request;

use std::{fmt, sync::OnceLock};
#[cfg(feature = "production")]
use std::{
    future::poll_fn,
    pin::{Pin, pin},
};

use tracing::{Dispatch, Event, Subscriber};
#[cfg(feature = "production")]
use tracing::{dispatcher, subscriber::NoSubscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::{Format, Full, Writer},
        time::FormatTime,
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt,
};

const VARIABLE: &str = "RUST_LOG";

/// What is shown without `RUST_LOG`: everything that is worth a line, without the routine of these crates. SeaORM has
/// sqlx say each statement.
const DEFAULT: &str =
    "info,tokio_postgres=warn,hot_lib_reloader=warn,notify=error,rmcp=warn,sqlx::query=warn";

type SetFilters = Box<dyn Fn(&str) -> Result<(), reload::Error> + Send + Sync>;

/// Sets what this process's subscriber shows.
static FILTERS: OnceLock<SetFilters> = OnceLock::new();

/// The host's subscriber.
pub(crate) fn subscriber<W, T>(writer: W, clock: T, coloured: bool) -> Dispatch
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    T: FormatTime + Clone + Send + Sync + 'static,
{
    let (filter, shown) = reload::Layer::new(EnvFilter::new(DEFAULT));
    let format = Format::default().with_timer(clock);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(coloured)
        .event_format(Lines {
            own: format.clone().with_target(false),
            others: format,
        })
        .with_filter(filter);
    let log = tracing_subscriber::registry().with(lines);
    #[cfg(feature = "dev")]
    let (log, traced) = {
        let (filter, traced) = reload::Layer::new(of_request::filter(DEFAULT));
        (log.with(of_request::RequestLog.with_filter(filter)), traced)
    };
    FILTERS.get_or_init(|| {
        Box::new(move |wanted| {
            #[cfg(feature = "dev")]
            traced.reload(of_request::filter(wanted))?;
            shown.reload(EnvFilter::new(wanted))
        })
    });
    log.into()
}

/// Lets `log` show all records from here on, unless there is a subscriber already.
pub(crate) fn install(log: Dispatch) {
    drop(log.try_init()); // fails if there is one, or one for records of `log`
}

/// Lets `log` hear `future` for as long as there is no other subscriber.
#[cfg(feature = "production")]
pub(crate) async fn heard<F: Future>(log: Dispatch, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        let mut poll = || Pin::as_mut(&mut future).poll(context);
        match dispatcher::get_default(|set| set.is::<NoSubscriber>()) {
            true => dispatcher::with_default(&log, poll),
            false => poll(),
        }
    })
    .await
}

/// Reads `RUST_LOG`, which may have changed.
pub(crate) fn read_filter() {
    let Some(set) = FILTERS.get() else {
        return; // a command that logs nothing
    };
    // An empty variable counts as unset.
    let wanted = std::env::var(VARIABLE).unwrap_or_default();
    let fault = EnvFilter::try_new(&wanted).err();
    let is_usable = fault.is_none() && !wanted.trim().is_empty();
    if let Err(gone) = set(if is_usable { &wanted } else { DEFAULT }) {
        tracing::debug!("{VARIABLE}: {gone}");
    }
    if let Some(fault) = fault {
        tracing::warn!("{VARIABLE}: {fault}; example: {VARIABLE}=info,my_crate=debug");
    }
}

/// The format of a line. The host's own lines say enough without the module that they are from.
struct Lines<T> {
    own: Format<Full, T>,
    others: Format<Full, T>,
}

impl<S, N, T> FormatEvent<S, N> for Lines<T>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    T: FormatTime,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let of = event.metadata().target().split("::").next();
        let format = match of == Some(env!("CARGO_CRATE_NAME")) {
            true => &self.own,
            false => &self.others,
        };
        format.format_event(context, line, event)
    }
}
