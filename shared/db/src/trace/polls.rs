//! Whether the calling code is part of a statement that is recorded.

use std::cell::Cell;

thread_local! {
    static POLLS: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling code is part of a statement of [`Db`](crate::Db) that is recorded: what the driver logs in it says
/// nothing new.
#[must_use]
pub fn in_statement() -> bool {
    POLLS.get()
}

/// A statement is being polled until this is dropped.
pub(crate) struct Polls;

impl Polls {
    pub(crate) fn begin() -> Self {
        POLLS.set(true);
        Self
    }
}

impl Drop for Polls {
    fn drop(&mut self) {
        POLLS.set(false);
    }
}
