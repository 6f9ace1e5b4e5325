//! The one clock of the output: local time, of day for people and in full for programs. tracing's lines have it too.

use std::fmt;

use chrono::{Local, SecondsFormat};

pub(super) fn for_programs() -> String {
    Local::now().to_rfc3339_opts(SecondsFormat::Millis, false)
}

pub(super) fn for_people() -> impl fmt::Display {
    Local::now().format("%H:%M:%S")
}
