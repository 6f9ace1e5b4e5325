//! Keys, while a person sits at the terminal: one key, one thing done, no Enter.
//!
//! Owns the terminal's settings, and gives them back on every way out. Line editing and echo are switched off and
//! nothing else: Ctrl-C stays a signal. The terminal is taken only while this process is in its foreground: settings
//! changed, or input read, from the background would stop the process.

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
    screen::{self, print},
};
use crate::dev::actions::Action;

/// How often it is looked whether the terminal is ours again: `fg` does not tell a process that runs already.
const LOOK: Duration = Duration::from_secs(1);

const HELP: [(char, &str); 8] = [
    ('h', "this list"),
    ('o', "open the app in the browser"),
    ('d', "open the dashboard"),
    ('r', "rebuild"),
    ('m', "apply pending migrations"),
    ('p', "replace the connection pool"),
    ('c', "clear the terminal"),
    ('q', "quit"),
];

/// Keys are read until this is dropped; then the terminal is as it was.
pub(in crate::dev) struct Keys {
    tty: Arc<Tty>,
    reading: JoinHandle<()>,
}

impl Keys {
    /// None where no person types: pipes, CI, `NO_COLOR`, no terminal of our own.
    pub(in crate::dev) fn read(
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
        screen::belongs_to_us(tty.hold());
        let press = Press {
            address,
            actions,
            end,
        };
        let reading = tokio::spawn(tty.clone().serve(press));
        Some(Self { tty, reading })
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.reading.abort();
        screen::belongs_to_us(false);
        self.tty.give_back();
    }
}

/// The terminal this process was started from.
struct Tty {
    /// Opened anew: what is switched to non-blocking is this descriptor, and not the stdin that others share.
    file: AsyncFd<File>,
    settings: Mutex<Settings>,
}

enum Settings {
    Untouched,
    /// What they were.
    Ours(Termios),
    /// Given back, for good.
    Returned,
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
            settings: Mutex::new(Settings::Untouched),
        })
    }

    /// Takes the terminal if this process is in its foreground. Again after every stop: the shell has changed it.
    fn hold(&self) -> bool {
        let mut settings = self.settings();
        if matches!(*settings, Settings::Returned) || !self.in_foreground() {
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
            *settings = Settings::Ours(before);
        }
        true
    }

    fn give_back(&self) {
        let before = std::mem::replace(&mut *self.settings(), Settings::Returned);
        // In the background it is the shell's, which has put it right already.
        if let (Settings::Ours(before), true) = (before, self.in_foreground())
            && let Err(error) = tcsetattr(self.file.get_ref(), SetArg::TCSANOW, &before)
        {
            tracing::debug!("the terminal's settings: {error}"); // it is gone
        }
    }

    fn in_foreground(&self) -> bool {
        tcgetpgrp(self.file.get_ref()) == Ok(getpgrp())
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until the terminal is gone.
    async fn serve(self: Arc<Self>, press: Press) {
        let Ok(mut continued) = signal(SignalKind::from_raw(Signal::SIGCONT as i32)) else {
            return; // tokio allows this signal
        };
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut held = self.in_foreground();
        loop {
            tokio::select! {
                _ = continued.recv() => {
                    held = self.hold();
                    screen::belongs_to_us(held);
                }
                _ = look.tick(), if !held => {
                    held = self.hold();
                    if held {
                        screen::belongs_to_us(true);
                    }
                }
                typed = self.typed(), if held => match typed {
                    Ok(typed) if !typed.is_empty() => {
                        keys_in(&typed).for_each(|key| press.key(key));
                    }
                    Err(_) if !self.in_foreground() => held = false,
                    Ok(_) | Err(_) => return,
                }
            }
        }
    }

    /// What was typed; nothing at the end of the terminal.
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

/// Should the terminal be another's by now, this is an error: without the mask it would stop the process.
fn read_without_stop(mut tty: &File, keys: &mut [u8]) -> io::Result<usize> {
    let mut stop = SigSet::empty();
    stop.add(Signal::SIGTTIN);
    let before = stop.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let read = tty.read(keys);
    before.thread_set_mask()?;
    read
}

/// Without the sequences that arrows and function keys send, whose letters mean nothing.
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

/// What a key does.
struct Press {
    address: SocketAddr,
    actions: mpsc::UnboundedSender<Action>,
    /// Rung as Ctrl-C would.
    end: Arc<Notify>,
}

impl Press {
    fn key(&self, key: u8) {
        let Self { address, .. } = self;
        match key {
            b'h' => help(),
            b'o' => drop(tokio::spawn(browse(format!("http://{address}/")))),
            b'd' => drop(tokio::spawn(browse(format!("http://{address}/__dev")))),
            b'r' => self.ask(Action::Rebuild),
            b'm' => self.ask(Action::Migrate),
            b'p' => self.ask(Action::NewPool),
            b'c' => screen::clear(),
            b'q' => self.end.notify_one(),
            _ => {}
        }
    }

    fn ask(&self, action: Action) {
        drop(self.actions.send(action)); // nobody listens once the host is ending
    }
}

fn help() {
    let list: String = HELP
        .iter()
        .map(|(key, does)| format!("  {BOLD}{key}{BOLD:#}  {does}\n"))
        .collect();
    print(format_args!("\n{list}\n"));
}
