//! Single-key commands in an interactive terminal, without Enter.
//!
//! Owns the terminal's settings, and restores them on every way out. Only line editing and echo are switched off:
//! Ctrl-C still sends a signal. The terminal is used only while this process is in the foreground: changing settings or
//! reading input from the background would stop the process.

use std::{
    fs::{File, OpenOptions},
    io::{self, IsTerminal, Read},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
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
use tokio::{
    io::{Interest, unix::AsyncFd},
    signal::unix::{SignalKind, signal},
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::MissedTickBehavior,
};

use super::{
    BOLD,
    browse::browse,
    log,
    screen::{self, print},
};
use crate::actions::{ACTIONS, Action, ActionInfo};

/// How often to check whether we are in the foreground again: `fg` sends no signal to a process that is already
/// running.
const FOREGROUND_CHECK: Duration = Duration::from_secs(1);

/// Keys that only concern the terminal: before the actions in the list of keys, and after them.
const BEFORE: [(char, &str); 3] = [
    ('h', "this list"),
    ('o', "open the app in the browser"),
    ('d', "open the dashboard"),
];
const AFTER: [(char, &str); 3] = [
    ('l', "hide or show the app's log"),
    ('c', "clear the terminal"),
    ('q', "quit"),
];

/// Keys are read until this is dropped; then the terminal is restored.
pub(crate) struct Keys {
    tty: Arc<Tty>,
    reading: JoinHandle<()>,
}

impl Keys {
    /// `None` if no user can type: in pipes, in CI, with `NO_COLOR`, without a terminal.
    pub(crate) fn read(
        address: SocketAddr,
        actions: mpsc::UnboundedSender<Action>,
        end: Arc<Notify>,
    ) -> Option<Self> {
        if !io::stdin().is_terminal() || !screen::is_interactive() {
            return None;
        }
        let tty = match Tty::open() {
            Ok(tty) => Arc::new(tty),
            Err(error) => {
                tracing::debug!("no keys: {error}");
                return None;
            }
        };
        screen::set_ours(tty.acquire());
        let handler = KeyHandler {
            address,
            actions,
            end,
        };
        let reading = tokio::spawn(tty.clone().serve(handler));
        Some(Self { tty, reading })
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.reading.abort();
        screen::set_ours(false);
        self.tty.restore();
    }
}

/// The terminal this process was started from.
struct Tty {
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
    fn acquire(&self) -> bool {
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

    fn restore(&self) {
        let before = std::mem::replace(&mut *self.settings(), TtySettings::Restored);
        // In the background the terminal belongs to the shell, which has restored it already.
        if let (TtySettings::Changed(before), true) = (before, self.in_foreground())
            && let Err(error) = tcsetattr(self.file.get_ref(), SetArg::TCSANOW, &before)
        {
            tracing::debug!("the terminal's settings: {error}"); // it is gone
        }
    }

    fn in_foreground(&self) -> bool {
        tcgetpgrp(self.file.get_ref()) == Ok(getpgrp())
    }

    fn settings(&self) -> MutexGuard<'_, TtySettings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs until the terminal is gone.
    async fn serve(self: Arc<Self>, handler: KeyHandler) {
        let Ok(mut continued) = signal(SignalKind::from_raw(Signal::SIGCONT as i32)) else {
            return; // tokio allows this signal
        };
        let mut look = tokio::time::interval(FOREGROUND_CHECK);
        look.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut held = self.in_foreground();
        loop {
            tokio::select! {
                _ = continued.recv() => {
                    held = self.acquire();
                    screen::set_ours(held);
                }
                _ = look.tick(), if !held => {
                    held = self.acquire();
                    if held {
                        screen::set_ours(true);
                    }
                }
                typed = self.typed(), if held => match typed {
                    Ok(typed) if !typed.is_empty() => {
                        keys_in(&typed).for_each(|key| handler.key(key));
                    }
                    Err(_) if !self.in_foreground() => held = false,
                    Ok(_) | Err(_) => return,
                }
            }
        }
    }

    /// The bytes typed; empty once the terminal is closed.
    async fn typed(&self) -> io::Result<Vec<u8>> {
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

/// Skips the escape sequences of arrow and function keys, whose letters are not commands.
fn keys_in(mut typed: &[u8]) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        loop {
            let (key, rest) = typed.split_first()?;
            typed = match (key, rest) {
                (0x1b, [b'[', sequence @ ..]) => {
                    let end = sequence
                        .iter()
                        .position(|byte| (0x40..0x7f).contains(byte))?;
                    &sequence[end + 1..]
                }
                (0x1b, [b'O', _, rest @ ..] | [_, rest @ ..]) => rest,
                _ => {
                    typed = rest;
                    return Some(*key);
                }
            };
        }
    })
}

/// Carries out keys.
struct KeyHandler {
    address: SocketAddr,
    actions: mpsc::UnboundedSender<Action>,
    /// Notified to quit, like Ctrl-C.
    end: Arc<Notify>,
}

impl KeyHandler {
    fn key(&self, key: u8) {
        let Self { address, .. } = self;
        match key {
            b'h' => help(),
            b'o' => drop(tokio::spawn(browse(format!("http://{address}/")))),
            b'd' => drop(tokio::spawn(browse(format!("http://{address}/__dev")))),
            b'l' => log::switch(),
            b'c' => screen::clear(),
            b'q' => self.end.notify_one(),
            key => {
                let pressed = |entry: &&ActionInfo| entry.key == Some(char::from(key));
                let entry = ACTIONS.iter().find(pressed);
                if let Some(action) = entry.and_then(|entry| entry.kind.action()) {
                    drop(self.actions.send(action)); // not received once the host is ending
                }
            }
        }
    }
}

fn help() {
    let actions = ACTIONS
        .iter()
        .filter_map(|entry| Some((entry.key?, entry.help)));
    let list: String = BEFORE
        .into_iter()
        .chain(actions)
        .chain(AFTER)
        .map(|(key, does)| format!("  {BOLD}{key}{BOLD:#}  {does}\n"))
        .collect();
    print(format_args!("\n{list}\n"));
}
