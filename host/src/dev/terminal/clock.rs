//! The one clock of the output: local time, of day for people and in full for programs. tracing's lines have it too.

use std::fmt;

use chrono::{Local, SecondsFormat};
use tracing_subscriber::fmt::{format::Writer, time::FormatTime};

use super::screen::is_json;

pub(super) fn for_programs() -> String {
    Local::now().to_rfc3339_opts(SecondsFormat::Millis, false)
}

pub(super) fn for_people() -> impl fmt::Display {
    Local::now().format("%H:%M:%S")
}

/// For tracing.
pub(crate) struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, line: &mut Writer<'_>) -> fmt::Result {
        match is_json() {
            true => line.write_str(&for_programs()),
            false => write!(line, "{}", for_people()),
        }
    }
}
