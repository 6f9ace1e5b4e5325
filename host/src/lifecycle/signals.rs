//! The signals that end the process: Ctrl-C, SIGTERM, a closed terminal. A second one ends it at once.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask the process to end.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Starts listening; from here on the signals no longer kill.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next of them. Cancel-safe.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }

    /// The next signal, or a notification of `end`. Cancel-safe.
    #[cfg(feature = "dev")]
    pub(crate) async fn or(&mut self, end: &tokio::sync::Notify) -> &'static str {
        tokio::select! {
            signal = self.next() => signal,
            () = end.notified() => "q",
        }
    }
}
