//! A panic as a record of the log, for programs that read it: what std writes is several lines of text.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    panic::{set_hook, take_hook},
};

use tracing::{dispatcher, field::display, subscriber::NoSubscriber};

/// From here on, in place of the hook that is set, which still gets what no subscriber would hear.
pub(crate) fn log_panics() {
    let before = take_hook();
    set_hook(Box::new(move |panic| {
        if dispatcher::get_default(|set| set.is::<NoSubscriber>()) {
            return before(panic);
        }
        let backtrace = Backtrace::capture(); // if RUST_BACKTRACE asks for it
        let captured = backtrace.status() == BacktraceStatus::Captured;
        let backtrace = captured.then(|| display(&backtrace));
        tracing::error!(target: "panic", backtrace, "{panic}");
    }));
}
