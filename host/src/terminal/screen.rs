//! The only place that writes to the terminal: lines, a line that is redrawn in place, or JSON instead.
//!
//! Owns the cursor. tracing's lines pass through here too. A line is replaced only while it is the last one and the
//! terminal is ours, so that no other output is erased. Replacing takes two steps. When a build begins, the cursor
//! moves back to the end of the line, if no code of the app can have run since it was printed. When the build has ended,
//! the line is rewritten from there; if the app has printed something meanwhile, the cursor has moved past it.
//!
//! Nothing here may log, since the log is written here.

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
    DIM, clock,
    measure::{columns, width},
};
use crate::config::settings;

static SCREEN: Mutex<Screen> = Mutex::new(Screen {
    json: None,
    ours: false,
    drawn: false,
    last: None,
});

struct Screen {
    /// With `--json`, the original stdout. The app's own stdout goes to stderr then.
    json: Option<File>,
    /// Only this process writes to the terminal, and keys are not echoed.
    ours: bool,
    /// The cursor is on a line that is redrawn in place.
    drawn: bool,
    /// The last line, if it may be replaced.
    last: Option<Last>,
}

struct Last {
    outcome: ResultLine,
    times: usize,
    /// Width of the terminal when it was printed; `width` is the width of the line itself.
    columns: usize,
    width: usize,
    /// See [`crate::generation::Generations::at_rest`].
    at_rest: Option<u64>,
    /// The cursor has moved back to the end of the line.
    moved_back: bool,
}

/// The result of a build. Equal results in a row are shown as one line with a count.
pub(super) struct ResultLine {
    /// Identifies the outcome and the files.
    pub(super) key: String,
    /// Printed above the line, once.
    pub(super) details: String,
}

/// The screen is restored when this is dropped.
pub(crate) struct Opened(());

/// Sets up output for a human reader or, with `json`, for a program.
pub(crate) fn open(json: bool) -> io::Result<Opened> {
    if settings::wants_plain_output() {
        anstream::ColorChoice::Never.write_global();
    }
    if json {
        let stdout = io::stdout().as_fd().try_clone_to_owned()?;
        // Output of the app must not mix with the JSON.
        dup2_stdout(io::stderr())?;
        screen().json = Some(stdout.into());
    }
    Ok(Opened(()))
}

impl Drop for Opened {
    fn drop(&mut self) {
        let mut screen = screen();
        screen.interrupt();
        // Restore stdout for the next image of this process.
        if let Some(stdout) = screen.json.take() {
            match dup2_stdout(&stdout) {
                Ok(()) | Err(_) => {} // cannot fail: both are open
            }
        }
    }
}

/// Whether stdout is an interactive terminal.
pub(super) fn is_interactive() -> bool {
    io::stdout().is_terminal()
        && !settings::wants_plain_output()
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
        && screen().json.is_none()
}

/// Whether the output is JSON.
pub(super) fn is_json() -> bool {
    screen().json.is_some()
}

/// From here on the terminal is ours, or no longer. Others may have written to it meanwhile, so no line may be
/// replaced.
pub(super) fn set_ours(ours: bool) {
    let mut screen = screen();
    screen.ours = ours;
    (screen.drawn, screen.last) = (false, None);
}

/// Whether the cursor may be moved.
pub(crate) fn is_ours() -> bool {
    screen().ours
}

/// Prints a line with a time stamp.
pub(crate) fn line(text: Arguments<'_>) {
    print(format_args!("{}\n", stamped(text)));
}

/// Prints text as it is.
pub(super) fn print(text: Arguments<'_>) {
    let mut screen = screen();
    screen.interrupt();
    write(text);
}

/// Prints the result of a build. Replaces the previous line if that has the same outcome and nothing was printed in
/// between.
pub(super) fn outcome(outcome: ResultLine, text: Arguments<'_>, at_rest: Option<u64>) {
    let mut screen = screen();
    screen.erase();
    let text = stamped(text);
    let times = match &screen.last {
        Some(last) if last.moved_back && last.outcome.key == outcome.key => last.times + 1,
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
            moved_back: false,
        });
    }
}

/// Called when a build begins: if nothing has happened since the last result, its line may be replaced by an equal one.
pub(super) fn move_back(at_rest: Option<u64>) {
    let mut screen = screen();
    let Some(last) = &mut screen.last else { return };
    // Leave room for the count, and for a gap if the app prints meanwhile: the line must not wrap.
    let fits = columns() == Some(last.columns) && last.width + 10 < last.columns;
    if last.moved_back {
    } else if fits && at_rest.is_some() && last.at_rest == at_rest {
        control(&format!("\x1b[A\x1b[{}C", last.width + 2));
        last.moved_back = true;
    } else {
        screen.last = None;
    }
}

/// Shows a temporary line that the next output replaces. Does nothing if the terminal is not ours.
pub(super) fn redraw(text: &str) {
    let mut screen = screen();
    let (true, Some(columns)) = (screen.ours, columns()) else {
        return;
    };
    // After the last result's line, so that this can still be replaced by an equal one.
    match screen.moved_back_column() {
        Some(_) => screen.erase(),
        None => screen.interrupt(),
    }
    let room = columns.saturating_sub(screen.moved_back_column().unwrap_or(0) + 1);
    let text: String = text.chars().take(room).collect();
    write(format_args!("{DIM}{text}{DIM:#}"));
    screen.drawn = true;
}

/// Keeps what [`redraw`] has shown: other output may follow it.
pub(super) fn keep_drawn() {
    let mut screen = screen();
    if std::mem::take(&mut screen.drawn) {
        screen.last = None;
        control("\n");
    }
}

/// Removes what [`redraw`] has shown.
pub(super) fn undraw() {
    screen().erase();
}

/// Clears the terminal.
pub(super) fn clear() {
    let mut screen = screen();
    control("\x1b[H\x1b[2J\x1b[3J");
    (screen.drawn, screen.last) = (false, None);
}

/// Prints an event, if the output is JSON.
pub(super) fn event(event: impl Serialize) {
    #[derive(Serialize)]
    struct Timed<T> {
        time: String,
        #[serde(flatten)]
        event: T,
    }
    if let Some(out) = &mut screen().json {
        let time = clock::for_programs();
        let mut line =
            serde_json::to_vec(&Timed { time, event }).expect("events have names for keys");
        line.push(b'\n');
        drop(out.write_all(&line)); // the reader is gone, which is no reason to end
    }
}

/// Writes text of the log to stderr. Keeps the lock while writing, so that nothing gets in between.
pub(super) fn log(text: &[u8]) -> io::Result<usize> {
    let mut screen = screen();
    screen.interrupt();
    io::stderr().write(text)
}

impl Screen {
    /// Prepares for other output: ends the lines that may be redrawn or replaced.
    fn interrupt(&mut self) {
        self.erase();
        if self.last.take().is_some_and(|last| last.moved_back) {
            control("\n");
        }
    }

    fn erase(&mut self) {
        if std::mem::take(&mut self.drawn) {
            match self.moved_back_column() {
                Some(column) => control(&format!("\r\x1b[{column}C\x1b[K")),
                None => control("\r\x1b[K"),
            }
        }
    }

    /// The column after the line that may be replaced.
    fn moved_back_column(&self) -> Option<usize> {
        let last = self.last.as_ref().filter(|last| last.moved_back)?;
        Some(last.width + 2)
    }
}

fn stamped(text: Arguments<'_>) -> String {
    let now = clock::for_people();
    format!("{DIM}{now}{DIM:#}  {text}")
}

fn write(text: Arguments<'_>) {
    // anstream strips colours where they are not wanted. A closed terminal is no reason to end.
    let mut out = anstream::stdout().lock();
    drop(out.write_fmt(text).and_then(|()| out.flush()));
}

/// Bypasses anstream, which would strip cursor movements together with colours.
fn control(codes: &str) {
    let mut out = io::stdout().lock();
    drop(out.write_all(codes.as_bytes()).and_then(|()| out.flush()));
}

fn screen() -> MutexGuard<'static, Screen> {
    // A panic cannot leave the state inconsistent, so a poisoned lock is usable.
    SCREEN.lock().unwrap_or_else(PoisonError::into_inner)
}
