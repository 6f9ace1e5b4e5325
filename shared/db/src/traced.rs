//! Records what a statement did, and what it waited for, in the request that it is part of.
//!
//! Where no request is traced, this only awaits.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
    time::Instant,
};

use futures_util::poll;
use tokio_postgres::Row;

use super::{
    captured::Captured,
    error::DbError,
    holder::CallSite,
    request::Request,
    trace::{self, Outcome, Statement, What, cut, names_a_secret},
};

/// What a statement answers.
pub(super) trait Answer {
    fn rows(&self) -> Option<u64>;
}

impl Answer for Vec<Row> {
    fn rows(&self) -> Option<u64> {
        Some(self.len() as u64)
    }
}

impl Answer for u64 {
    fn rows(&self) -> Option<u64> {
        Some(*self)
    }
}

impl Answer for () {
    fn rows(&self) -> Option<u64> {
        None
    }
}

/// Awaits the statement, and records it in the current request, however it ends.
pub(super) async fn traced<T: Answer>(
    at: CallSite,
    sql: &str,
    params: &Captured<'_>,
    statement: impl Future<Output = Result<T, DbError>>,
) -> Result<T, DbError> {
    let Some(request) = &params.request else {
        return statement.await;
    };
    let mut running = Running {
        request,
        since: Instant::now(),
        at,
        sql,
        params,
        outcome: Outcome::Abandoned,
    };
    let mut statement = pin!(statement);
    let result = poll_fn(|context| {
        let _polls = trace::Polls::begin();
        Pin::as_mut(&mut statement).poll(context)
    })
    .await;
    running.outcome = match &result {
        Ok(answer) => Outcome::Rows(answer.rows()),
        Err(error) => {
            let code = error.code().map(|code| code.code().to_owned());
            Outcome::Failed(code, message(sql, error))
        }
    };
    result
}

/// Awaits something for which the request waits before it can send a statement. Records it, if it was not there at once.
pub(super) async fn waited<T>(wait: impl Future<Output = T>, what: impl FnOnce() -> What) -> T {
    let mut wait = pin!(wait);
    if let Poll::Ready(at_once) = poll!(&mut wait) {
        return at_once;
    }
    let Some(request) = Request::current().filter(|request| request.is_traced()) else {
        return wait.await;
    };
    let (since, what) = (Instant::now(), what());
    let waited = wait.await;
    request.record(since, what);
    waited
}

/// A statement that was sent. Recorded when it is dropped.
struct Running<'a> {
    request: &'a Request,
    since: Instant,
    at: CallSite,
    sql: &'a str,
    params: &'a Captured<'a>,
    outcome: Outcome,
}

/// PostgreSQL's detail may quote a parameter.
fn message(sql: &str, error: &DbError) -> String {
    let brief = match error {
        DbError::Statement(error) if names_a_secret(sql) => error.as_db_error(),
        _ => None,
    };
    let whole = brief.map_or_else(|| error.to_string(), |brief| brief.message().to_owned());
    cut(&whole).to_owned()
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // The app's code, which shows the parameters, must not panic again.
        if std::thread::panicking() {
            return;
        }
        let statement = Statement::new(
            self.sql,
            self.params.kept(self.sql),
            self.at,
            std::mem::replace(&mut self.outcome, Outcome::Abandoned),
        );
        self.request
            .record(self.since, What::Statement(Box::new(statement)));
    }
}
