//! Single-key commands in an interactive terminal, without Enter.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use nix::sys::signal::Signal;
use tokio::{
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
    tty::Tty,
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
    /// `None` if no user can type.
    pub(crate) fn read(
        address: SocketAddr,
        actions: mpsc::UnboundedSender<Action>,
        end: Arc<Notify>,
    ) -> Option<Self> {
        let tty = Arc::new(Tty::of_a_user()?);
        screen::set_ours(tty.acquire());
        let handler = KeyHandler {
            address,
            actions,
            end,
        };
        let reading = tokio::spawn(handler.serve(tty.clone()));
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
    /// Runs until the terminal is gone.
    async fn serve(self, tty: Arc<Tty>) {
        let Ok(mut continued) = signal(SignalKind::from_raw(Signal::SIGCONT as i32)) else {
            return; // tokio allows this signal
        };
        let mut look = tokio::time::interval(FOREGROUND_CHECK);
        look.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut held = tty.in_foreground();
        loop {
            tokio::select! {
                _ = continued.recv() => {
                    held = tty.acquire();
                    screen::set_ours(held);
                }
                _ = look.tick(), if !held => {
                    held = tty.acquire();
                    if held {
                        screen::set_ours(true);
                    }
                }
                typed = tty.typed(), if held => match typed {
                    Ok(typed) if !typed.is_empty() => {
                        keys_in(&typed).for_each(|key| self.key(key));
                    }
                    Err(_) if !tty.in_foreground() => held = false,
                    Ok(_) | Err(_) => return,
                }
            }
        }
    }

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
