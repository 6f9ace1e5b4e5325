//! The one place that writes to the terminal: lines, a line that is redrawn in place, or JSON instead of both.
//!
//! Owns the cursor. tracing's lines pass through here too, so that a line is only ever replaced while it is the last
//! one, and only while the terminal is ours: nobody's output is erased. A line is replaced in two steps. When a build
//! begins the cursor goes back behind the line, if no request has run app code since it was printed. When the build
//! has ended the line is written anew from there; whatever an app printed meanwhile has moved the cursor on.
//!
//! Nothing here logs: the log comes here.

use std::{
    fmt::Arguments,
    fs::File,
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
    sync::{Mutex, MutexGuard, PoisonError},
};

use nix::unistd::dup2_stdout;
use serde::Serialize;

use super::{
    DIM, json,
    measure::{columns, width},
};
use crate::settings;

static SCREEN: Mutex<Screen> = Mutex::new(Screen {
    json: None,
    ours: false,
    drawn: false,
    last: None,
});

struct Screen {
    /// Where stdout went when this process started. Lines of the app, and of whatever it calls, go to stderr then.
    json: Option<File>,
    /// Nobody else writes to the terminal but this process, and keys are not echoed.
    ours: bool,
    /// The cursor is on a line that is redrawn in place.
    drawn: bool,
    /// The line above the cursor, if it may be replaced.
    last: Option<Last>,
}

struct Last {
    outcome: Outcome,
    times: usize,
    /// Of the terminal when it was printed, and its own.
    columns: usize,
    width: usize,
    /// See [`crate::generation::Generations::at_rest`].
    at_rest: Option<u64>,
    /// The cursor is behind it.
    lifted: bool,
}

/// What a build came to, in words. Those of the same are one line and a number.
pub(super) struct Outcome {
    /// The same for the same outcome of the same files.
    pub(super) of: String,
    /// Printed above the line, once.
    pub(super) details: String,
}

/// The screen is restored when this is dropped.
pub(in crate::dev) struct Opened(());

/// From here on it is known whether a person or a program reads.
pub(in crate::dev) fn open(json: bool) -> io::Result<Opened> {
    if settings::wants_plain_output() {
        anstream::ColorChoice::Never.write_global();
    }
    if json {
        let stdout = io::stdout().as_fd().try_clone_to_owned()?;
        // An app that prints must not break what a program reads.
        dup2_stdout(io::stderr())?;
        screen().json = Some(stdout.into());
    }
    Ok(Opened(()))
}

impl Drop for Opened {
    fn drop(&mut self) {
        let mut screen = screen();
        screen.interrupt();
        // The next image of this process finds stdout where it was.
        if let Some(stdout) = screen.json.take() {
            match dup2_stdout(&stdout) {
                Ok(()) | Err(_) => {} // cannot fail: both are open
            }
        }
    }
}

/// Whether stdout is a terminal that a person looks at.
pub(super) fn is_interactive() -> bool {
    io::stdout().is_terminal()
        && !settings::wants_plain_output()
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
        && screen().json.is_none()
}

/// Whether programs are told instead of a person.
pub(super) fn is_json() -> bool {
    screen().json.is_some()
}

/// Who else may have written meanwhile: from here on the terminal is ours, or another's.
pub(super) fn belongs_to_us(ours: bool) {
    let mut screen = screen();
    screen.ours = ours;
    (screen.drawn, screen.last) = (false, None);
}

/// Whether the cursor may be moved.
pub(in crate::dev) fn is_ours() -> bool {
    screen().ours
}

/// One line with the time before it. A program gets a note.
pub(crate) fn line(text: Arguments<'_>) {
    if is_json() {
        json::note(&text.to_string());
    } else {
        print(format_args!("{}\n", stamped(text)));
    }
}

/// Text as it is, for a person.
pub(super) fn print(text: Arguments<'_>) {
    let mut screen = screen();
    screen.interrupt();
    write(text);
}

/// One line for what a build came to: instead of the line before, if that says the same and nothing is in between.
pub(super) fn outcome(outcome: Outcome, text: Arguments<'_>, at_rest: Option<u64>) {
    let mut screen = screen();
    screen.erase();
    let text = stamped(text);
    let times = match &screen.last {
        Some(last) if last.lifted && last.outcome.of == outcome.of => last.times + 1,
        _ => 1,
    };
    let text = if times == 1 {
        screen.interrupt();
        write(format_args!("{}", outcome.details));
        text
    } else {
        control("\r\x1b[K");
        format!("{text} {DIM}(x{times}){DIM:#}")
    };
    write(format_args!("{text}\n"));
    screen.last = None;
    if let (true, Some(columns), Some(width)) = (screen.ours, columns(), width(&text)) {
        screen.last = Some(Last {
            outcome,
            times,
            columns,
            width,
            at_rest,
            lifted: false,
        });
    }
}

/// A build begins, which may come to the same as the one before: the line of that one may be replaced if nothing has
/// happened since.
pub(super) fn lift(at_rest: Option<u64>) {
    let mut screen = screen();
    let Some(last) = &mut screen.last else { return };
    // Room for a number, and for a gap if an app prints meanwhile: the line must not wrap.
    let fits = columns() == Some(last.columns) && last.width + 10 < last.columns;
    if last.lifted {
    } else if fits && at_rest.is_some() && last.at_rest == at_rest {
        control(&format!("\x1b[A\x1b[{}C", last.width + 2));
        last.lifted = true;
    } else {
        screen.last = None;
    }
}

/// Shows this in a line that the next one replaces. Nothing where the cursor is not ours.
pub(super) fn redraw(text: &str) {
    let mut screen = screen();
    let (true, Some(columns)) = (screen.ours, columns()) else {
        return;
    };
    // Behind a line that this build may come to again, so that it can still be replaced.
    match screen.lifted_at() {
        Some(_) => screen.erase(),
        None => screen.interrupt(),
    }
    let room = columns.saturating_sub(screen.lifted_at().unwrap_or(0) + 1);
    let text: String = text.chars().take(room).collect();
    write(format_args!("{DIM}{text}{DIM:#}"));
    screen.drawn = true;
}

/// Leaves what [`redraw`] has shown where it is: somebody else may have written behind it.
pub(super) fn leave() {
    let mut screen = screen();
    if std::mem::take(&mut screen.drawn) {
        screen.last = None;
        control("\n");
    }
}

/// Takes away what [`redraw`] has shown.
pub(super) fn undraw() {
    screen().erase();
}

/// Empties the terminal.
pub(super) fn clear() {
    let mut screen = screen();
    control("\x1b[H\x1b[2J\x1b[3J");
    (screen.drawn, screen.last) = (false, None);
}

/// Tells programs, if it is they who read.
pub(super) fn event(event: impl Serialize) {
    #[derive(Serialize)]
    struct Timed<T> {
        time: String,
        #[serde(flatten)]
        event: T,
    }
    if let Some(out) = &mut screen().json {
        let time = chrono::Local::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, false);
        let mut line =
            serde_json::to_vec(&Timed { time, event }).expect("events have names for keys");
        line.push(b'\n');
        drop(out.write_all(&line)); // whoever read has gone, and that is no reason to end
    }
}

/// tracing's way to stderr.
pub(crate) struct Log;

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        // Held while it is written, so that nothing gets in between.
        let mut screen = screen();
        screen.interrupt();
        io::stderr().write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl Screen {
    /// Something else is printed next.
    fn interrupt(&mut self) {
        self.erase();
        if self.last.take().is_some_and(|last| last.lifted) {
            control("\n");
        }
    }

    fn erase(&mut self) {
        if std::mem::take(&mut self.drawn) {
            match self.lifted_at() {
                Some(column) => control(&format!("\r\x1b[{column}C\x1b[K")),
                None => control("\r\x1b[K"),
            }
        }
    }

    /// The column behind the line that may be replaced.
    fn lifted_at(&self) -> Option<usize> {
        let last = self.last.as_ref().filter(|last| last.lifted)?;
        Some(last.width + 2)
    }
}

fn stamped(text: Arguments<'_>) -> String {
    let now = chrono::Local::now().format("%H:%M:%S");
    format!("{DIM}{now}{DIM:#}  {text}")
}

fn write(text: Arguments<'_>) {
    // Colours are stripped where they are not wanted. A closed terminal is no reason to end.
    let mut out = anstream::stdout().lock();
    drop(out.write_fmt(text).and_then(|()| out.flush()));
}

/// Past the stripping of colours, which would take cursor movements along.
fn control(codes: &str) {
    let mut out = io::stdout().lock();
    drop(out.write_all(codes.as_bytes()).and_then(|()| out.flush()));
}

fn screen() -> MutexGuard<'static, Screen> {
    // Nothing under this lock can leave it half-way.
    SCREEN.lock().unwrap_or_else(PoisonError::into_inner)
}
