//! The terminal that this process was started from: its settings, and what is typed.
//!
//! Only line editing and echo are switched off, and restored on every way out: Ctrl-C still sends a signal. The terminal
//! is used only while this process is in the foreground: changing settings or reading input from the background would
//! stop the process.

use std::{
    fs::{File, OpenOptions},
    io::{self, IsTerminal, Read},
    os::unix::fs::OpenOptionsExt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use nix::{
    fcntl::OFlag,
    sys::{
        signal::{SigSet, SigmaskHow, Signal},
        termios::{
            LocalFlags, SetArg, SpecialCharacterIndices as Special, Termios, tcgetattr, tcsetattr,
        },
    },
    unistd::{getpgrp, tcgetpgrp},
};
use tokio::io::{Interest, unix::AsyncFd};

use super::screen;

/// The terminal this process was started from.
pub(super) struct Tty {
    /// Opened separately, so that only this descriptor becomes non-blocking and not the stdin shared with other
    /// processes.
    file: AsyncFd<File>,
    settings: Mutex<TtySettings>,
}

enum TtySettings {
    Untouched,
    /// Changed by us. Holds the original settings.
    Changed(Termios),
    /// Restored, and not to be changed again.
    Restored,
}

impl Tty {
    /// `None` if no user can type: in pipes, in CI, with `NO_COLOR`, without a terminal.
    pub(super) fn of_a_user() -> Option<Self> {
        if !io::stdin().is_terminal() || !screen::is_interactive() {
            return None;
        }
        Self::open()
            .inspect_err(|error| tracing::debug!("no terminal to read from: {error}"))
            .ok()
    }

    fn open() -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
            .open("/dev/tty")?;
        #[expect(
            deprecated,
            reason = "the new constructor asks, as unsafe, that the descriptor stays open: a File's does"
        )]
        let file = AsyncFd::with_interest(file, Interest::READABLE)?;
        Ok(Self {
            file,
            settings: Mutex::new(TtySettings::Untouched),
        })
    }

    /// Takes the terminal if this process is in the foreground. Also called after every stop, since the shell changes
    /// the settings then.
    pub(super) fn acquire(&self) -> bool {
        let mut settings = self.settings();
        if matches!(*settings, TtySettings::Restored) || !self.in_foreground() {
            return false;
        }
        let Ok(before) = tcgetattr(self.file.get_ref()) else {
            return false;
        };
        let mut keys = before.clone();
        keys.local_flags
            .remove(LocalFlags::ICANON | LocalFlags::ECHO);
        keys.control_chars[Special::VMIN as usize] = 1;
        keys.control_chars[Special::VTIME as usize] = 0;
        if before != keys {
            if tcsetattr(self.file.get_ref(), SetArg::TCSANOW, &keys).is_err() {
                return false;
            }
            *settings = TtySettings::Changed(before);
        }
        true
    }

    pub(super) fn restore(&self) {
        let before = std::mem::replace(&mut *self.settings(), TtySettings::Restored);
        // In the background the terminal belongs to the shell, which has restored it already.
        if let (TtySettings::Changed(before), true) = (before, self.in_foreground())
            && let Err(error) = tcsetattr(self.file.get_ref(), SetArg::TCSANOW, &before)
        {
            tracing::debug!("the terminal's settings: {error}"); // it is gone
        }
    }

    pub(super) fn in_foreground(&self) -> bool {
        tcgetpgrp(self.file.get_ref()) == Ok(getpgrp())
    }

    fn settings(&self) -> MutexGuard<'_, TtySettings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes typed; empty once the terminal is closed.
    pub(super) async fn typed(&self) -> io::Result<Vec<u8>> {
        let mut keys = [0; 64];
        loop {
            let mut ready = self.file.readable().await?;
            if let Ok(read) = ready.try_io(|tty| read_without_stop(tty.get_ref(), &mut keys)) {
                return read.map(|length| keys[..length].to_vec());
            }
        }
    }
}

/// Returns an error if another process has the terminal by now. Without the mask, SIGTTIN would stop this process.
fn read_without_stop(mut tty: &File, keys: &mut [u8]) -> io::Result<usize> {
    let mut stop = SigSet::empty();
    stop.add(Signal::SIGTTIN);
    let before = stop.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let read = tty.read(keys);
    before.thread_set_mask()?;
    read
}
