//! The line for a generation that has ended, if there is something to say.

use std::time::Duration;

use super::{DIM, NOTE, line};
use crate::events::Retired;

/// Names requests that were cut off and threads that did not end.
pub(super) fn show(retired: &Retired) {
    let Retired {
        id,
        served,
        took,
        late,
        stuck_threads,
        cpu_percent,
    } = retired;
    for request in late {
        line(format_args!(
            "{NOTE}gen {id}: cut off at the drain limit: {request}{NOTE:#}"
        ));
    }
    if *stuck_threads > 0 {
        line(format_args!(
            "{NOTE}gen {id}: {stuck_threads} threads still run app code that does not await ({cpu_percent} % CPU); they end when it returns, or with the host{NOTE:#}"
        ));
    }
    // A normal retirement takes milliseconds and is not printed.
    if *took > Duration::from_millis(500) {
        line(format_args!(
            "{DIM}gen {id} retired after {:.1} s ({served} requests){DIM:#}",
            took.as_secs_f32()
        ));
    }
}
