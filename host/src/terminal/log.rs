//! tracing's lines: they pass through the screen, which must finish its last line first, and have its clock.

use std::{
    fmt,
    io::{self, Write},
};

use tracing_subscriber::fmt::{format::Writer, time::FormatTime};

use super::{
    clock,
    screen::{self, is_json},
};

/// The writer, to stderr.
pub(crate) struct Log;

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
