//! An event of the log as text: level, target, message with its fields, and the line of source.

use std::fmt::{Debug, Write};

use shared::db::trace::Line;
use tracing::{
    Event,
    field::{Field, Visit},
};

/// As the terminal shows it, without spans.
pub(super) fn line_of(event: &Event<'_>) -> Line {
    let metadata = event.metadata();
    let mut text = Text::default();
    event.record(&mut text);
    Line::new(
        metadata.level().as_str(),
        text.target.as_deref().unwrap_or(metadata.target()),
        &(text.message + &text.fields),
        text.file
            .as_deref()
            .or(metadata.file())
            .zip(text.line.or(metadata.line())),
    )
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
    /// Of a record of the crate `log`.
    target: Option<String>,
    file: Option<String>,
    line: Option<u32>,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "log.target" => self.target = Some(value.to_owned()),
            "log.file" => self.file = Some(value.to_owned()),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "log.line" => self.line = u32::try_from(value).ok(),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let written = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            // Where a record of the crate `log` comes from.
            name if name.starts_with("log.") => Ok(()),
            name => write!(self.fields, " {name}={value:?}"),
        };
        written.unwrap_or(()); // fails if the value cannot be shown; so does the terminal's line
    }
}
