//! What the log shows, and how: the subscriber for the records of the host and of the app, by tracing or by `log`.
//!
//! `RUST_LOG` decides what is shown. `.env` may set it too, so it is read again whenever that file is.
//!
//! A process has one subscriber, for good. In production it may be the app's, set up in `main` or in `app()`; so there the
//! host's is installed only once the app has started without one. Until then it hears what is polled in `heard`.

// The subscriber's parts: lines in the terminal, the trace of each request, the last lines.
#[cfg(feature = "dev")]
mod kept;
mod lines;
#[cfg(feature = "dev")]
mod of_request;
#[cfg(feature = "production")]
mod panics;

// What is left out of them.
#[cfg(feature = "otlp")]
mod batches;

// The statements of a driver that says in the log what it sends.
#[cfg(feature = "dev")]
pub(crate) mod driver;

// What they are made of.
#[cfg(feature = "dev")]
mod origin;
#[cfg(feature = "dev")]
mod text;

#[cfg(feature = "dev")]
pub(crate) use self::{
    kept::{Kept, Source, all, keep, newest},
    origin::{Origin, know},
};

#[cfg(feature = "production")]
pub(crate) use self::panics::log_panics;

use std::sync::OnceLock;
#[cfg(feature = "production")]
use std::{
    future::poll_fn,
    pin::{Pin, pin},
};

use tracing::{Dispatch, dispatcher, subscriber::NoSubscriber};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::{MakeWriter, time::FormatTime},
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

use lines::Lines;

const VARIABLE: &str = "RUST_LOG";

/// What is shown without `RUST_LOG`: everything that is worth a line, without the routine of these crates. SeaORM has
/// sqlx say each statement.
const DEFAULT: &str =
    "info,tokio_postgres=warn,hot_lib_reloader=warn,notify=error,rmcp=warn,sqlx::query=warn";

/// What hears records besides, with a filter of its own.
pub(crate) type More = Option<Box<dyn Layer<Registry> + Send + Sync>>;

type SetFilters = Box<dyn Fn(&str) -> Result<(), reload::Error> + Send + Sync>;

/// Sets what this process's subscriber shows.
static FILTERS: OnceLock<SetFilters> = OnceLock::new();

/// The host's subscriber, for people.
pub(crate) fn subscriber<W, T>(writer: W, clock: T, coloured: bool, more: More) -> Dispatch
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    T: FormatTime + Clone + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(coloured)
        .event_format(Lines::new(clock, coloured));
    filtered(lines, more, None)
}

/// The host's subscriber, for programs: an object on each line, with the fields of the record in it.
#[cfg(feature = "production")]
pub(crate) fn json<W>(writer: W, more: More) -> Dispatch
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_span_list(false) // the innermost is enough
        .with_writer(writer);
    filtered(lines, more, Some(panics::SHOWN))
}

/// Call it once: the filter that it makes is the one that [`read_filter`] sets. `always` is shown whatever the user wants.
fn filtered(
    lines: impl Layer<Registry> + Send + Sync,
    more: More,
    always: Option<&'static str>,
) -> Dispatch {
    let (filter, shown) = reload::Layer::new(EnvFilter::new(DEFAULT));
    #[cfg(feature = "otlp")]
    let filter = batches::without(filter);
    let mut heard = vec![lines.with_filter(filter).boxed()];
    heard.extend(more);
    let log = tracing_subscriber::registry().with(heard);
    #[cfg(feature = "dev")]
    let (log, traced, listed) = {
        let (filter, traced) = reload::Layer::new(of_request::filter(DEFAULT));
        let log = log.with(of_request::RequestLog.with_filter(filter));
        let (filter, listed) = reload::Layer::new(EnvFilter::new(DEFAULT));
        #[cfg(feature = "otlp")]
        let filter = batches::without(filter);
        (
            log.with(kept::KeepLines.with_filter(filter)),
            traced,
            listed,
        )
    };
    FILTERS.get_or_init(|| {
        Box::new(move |wanted| {
            #[cfg(feature = "dev")]
            {
                traced.reload(of_request::filter(wanted))?;
                listed.reload(EnvFilter::new(wanted))?;
            }
            shown.reload(match always {
                Some(always) => EnvFilter::new(format!("{always},{wanted}")),
                None => EnvFilter::new(wanted),
            })?;
            #[cfg(feature = "dev")]
            driver::Records::follow(wanted);
            Ok(())
        })
    });
    log.into()
}

/// Lets `log` show all records from here on, unless there is a subscriber already. Returns whether it does.
pub(crate) fn install(log: Dispatch) -> bool {
    let is_first = dispatcher::get_default(|set| set.is::<NoSubscriber>());
    #[cfg(feature = "dev")]
    driver::Records::install();
    drop(log.try_init()); // fails if there is one, or one for records of `log`
    is_first
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

/// Whether a line is the host's own, by its target.
pub(crate) fn is_of_the_host(target: &str) -> bool {
    target.split("::").next() == Some(env!("CARGO_CRATE_NAME"))
}
