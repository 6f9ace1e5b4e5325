//! Prints a line when the database is in trouble, and one when it has recovered. Problems of a save are printed with
//! the save.

use super::{BAD, GOOD, NOTE, line};
use crate::dev::health::{Cause, Trouble};

/// Prints a change. Takes and returns the cause that was printed last.
pub(super) fn show(now: Option<&Trouble>, before: Option<Cause>) -> Option<Cause> {
    let now = now.filter(|trouble| trouble.cause.is_outage());
    match (before, now) {
        (before, Some(trouble)) if before != Some(trouble.cause) => {
            let Trouble { what, remedy, .. } = trouble;
            let (tone, sign) = match trouble.cause {
                Cause::Database => (BAD, "✗"),
                _ => (NOTE, "…"),
            };
            line(format_args!(
                "{tone}{sign} {what}{tone:#}\n          {remedy}"
            ));
        }
        (Some(Cause::Database), None) => {
            line(format_args!("{GOOD}✓{GOOD:#} the database answers"));
        }
        _ => {}
    }
    now.map(|trouble| trouble.cause)
}
