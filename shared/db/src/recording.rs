//! Records a failed use of the database in the request that made it.

use futures_util::TryFutureExt;

use super::{error::DbError, failure::Failure, holder::CallSite, request::Request};

/// Awaits a use of the database. If it fails, the error is recorded in the current request.
pub(super) fn recording_failure<T>(
    at: CallSite,
    statement: Option<&str>,
    work: impl Future<Output = Result<T, DbError>>,
) -> impl Future<Output = Result<T, DbError>> {
    // An async function would have room for `work` twice.
    work.inspect_err(move |error| record_failure(at, statement, error))
}

/// Records a failure in the current request.
pub(super) fn record_failure(at: CallSite, statement: Option<&str>, error: &DbError) {
    if let Some(request) = Request::current() {
        request.record_failure(Failure::new(at, statement, error));
    }
}
