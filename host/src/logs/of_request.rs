//! Notes each line of the log in the request that it is about, for its trace.
//!
//! sqlx, and so SeaORM, says there which statements it runs: those are noted as such. What tokio-postgres says is for
//! [`driver`](super::driver). What a task logs that a handler has spawned belongs to no request.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use shared::{
    db::trace::{self, Outcome, Statement, What},
    request::Request,
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{EnvFilter, Layer, layer::Context};

use super::text::line_of;

/// The target of sqlx's lines, which are of the level `DEBUG` unless the app sets another.
const SQLX: &str = "sqlx::query";

/// What is noted where the terminal shows `shown`.
pub(super) fn filter(shown: &str) -> EnvFilter {
    if !trace::is_enabled() {
        return EnvFilter::new("off");
    }
    EnvFilter::new(format!("{shown},{SQLX}=debug"))
}

/// See the [module](self).
pub(super) struct RequestLog;

impl<S: Subscriber> Layer<S> for RequestLog {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(request) = Request::current().filter(|request| request.is_traced()) else {
            return;
        };
        let metadata = event.metadata();
        if metadata.target() == SQLX {
            let mut ran = Ran::default();
            event.record(&mut ran);
            let since = Instant::now().checked_sub(ran.took);
            let what = What::Statement(Box::new(ran.statement()));
            request.record(since.unwrap_or_else(Instant::now), what);
            return;
        }
        request.record(Instant::now(), What::Log(Box::new(line_of(event))));
    }
}

/// What sqlx says of a statement. Its `summary` is all of a short one.
#[derive(Default)]
struct Ran {
    summary: String,
    text: String,
    rows: u64,
    took: Duration,
}

impl Ran {
    fn statement(&self) -> Statement {
        let text = match self.text.trim() {
            "" => &self.summary,
            text => text,
        };
        // Of one that has failed it says that it has no rows, too.
        let outcome = Outcome::Rows((self.rows > 0).then_some(self.rows));
        Statement::of_a_driver(text, outcome)
    }
}

impl Visit for Ran {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => self.summary = value.to_owned(),
            "db.statement" => self.text = value.to_owned(),
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if matches!(field.name(), "rows_affected" | "rows_returned") {
            self.rows = self.rows.max(value);
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "elapsed_secs" {
            self.took = Duration::try_from_secs_f64(value).unwrap_or_default();
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}
