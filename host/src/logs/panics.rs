//! A panic as a record of the log, for programs that read it: what std writes is several lines of text.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    panic::{set_hook, take_hook},
};

use tracing::{Level, field::display};

/// What a filter must say to show them. It is added to what the user wants: std shows each panic too.
pub(super) const SHOWN: &str = "panic=error";

/// From here on, in place of std's hook, which still gets what no subscriber would hear. A hook that the app's `main` has
/// set, such as one that reports to a service, is called besides.
pub(crate) fn log_panics() {
    let before = take_hook();
    let of_std = take_hook(); // since none is set now
    // If one hook had two vtables, std's text would be in the log too, and nothing lost.
    let is_of_std = std::ptr::eq(&*before, &*of_std);
    set_hook(Box::new(move |panic| {
        if !tracing::enabled!(target: "panic", Level::ERROR) {
            return before(panic);
        }
        let backtrace = Backtrace::capture(); // if RUST_BACKTRACE asks for it
        let captured = backtrace.status() == BacktraceStatus::Captured;
        let backtrace = captured.then(|| display(&backtrace));
        tracing::error!(target: "panic", backtrace, "{panic}");
        if !is_of_std {
            before(panic);
        }
    }));
}
