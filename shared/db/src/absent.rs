//! A process without a database: each use of [`Db`] is refused, and says why.

use std::sync::PoisonError;

use super::{error::DbError, lane::Db, slot::Inner};

impl Db {
    /// Whether the process runs without a database: see [`DatabaseUrl::absent`](crate::DatabaseUrl::absent).
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.inner().refuse_absent().is_err()
    }
}

impl Inner {
    /// Fails if there is no server that a connection could be opened to.
    pub(super) fn refuse_absent(&self) -> Result<(), DbError> {
        let source = self.source.read().unwrap_or_else(PoisonError::into_inner);
        match source.absent {
            Some(why) => Err(DbError::Absent { why }),
            None => Ok(()),
        }
    }
}
