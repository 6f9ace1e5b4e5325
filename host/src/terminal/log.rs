//! tracing's lines: they pass through the screen, which must finish its last line first, and have its clock. A key hides
//! those of the app.

use std::{
    fmt,
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use tracing::Metadata;
use tracing_subscriber::fmt::{
    MakeWriter, format::Writer, time::FormatTime, writer::OptionalWriter,
};

use super::{
    clock, line,
    screen::{self, is_json},
};
use crate::logs::is_of_the_host;

/// Whether only the host's own lines are printed.
static HIDDEN: AtomicBool = AtomicBool::new(false);

/// Hides the lines of the app and its libraries, or shows them again, and says so.
pub(super) fn switch() {
    let hidden = !HIDDEN.fetch_xor(true, Relaxed);
    line(format_args!(
        "{}",
        match hidden {
            true => "log of the app: hidden; l shows it again, /__dev/logs has it",
            false => "log of the app: shown",
        }
    ));
}

/// The writer, to stderr.
#[derive(Clone, Copy)]
pub(crate) struct Log;

impl MakeWriter<'_> for Log {
    type Writer = OptionalWriter<Self>;

    fn make_writer(&self) -> Self::Writer {
        OptionalWriter::some(*self)
    }

    fn make_writer_for(&self, metadata: &Metadata<'_>) -> Self::Writer {
        match HIDDEN.load(Relaxed) && !is_of_the_host(metadata.target()) {
            true => OptionalWriter::none(),
            false => OptionalWriter::some(*self),
        }
    }
}

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        screen::log(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The clock.
#[derive(Clone)]
pub(crate) struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, line: &mut Writer<'_>) -> fmt::Result {
        match is_json() {
            true => line.write_str(&clock::for_programs()),
            false => write!(line, "{}", clock::for_people()),
        }
    }
}
