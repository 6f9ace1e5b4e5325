//! The format of a line: time, level, module, message; in the dev server also for whom it was written, and where.
//!
//! The host's own lines say enough without the module that they are from.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Full, Writer},
        time::FormatTime,
    },
    registry::LookupSpan,
};

use super::is_of_the_host;
#[cfg(feature = "dev")]
use super::{
    origin::{self, Origin},
    text::line_of,
};

pub(super) struct Lines<T> {
    own: Format<Full, T>,
    others: Format<Full, T>,
    #[cfg(feature = "dev")]
    coloured: bool,
    /// Whether the terminal knows links.
    #[cfg(feature = "dev")]
    linked: bool,
}

impl<T: Clone> Lines<T> {
    pub(super) fn new(clock: T, coloured: bool) -> Self {
        let format = Format::default().with_timer(clock).with_ansi(coloured);
        Self {
            own: format.clone().with_target(false),
            others: format,
            #[cfg(feature = "dev")]
            coloured,
            #[cfg(feature = "dev")]
            linked: coloured && supports_hyperlinks::on(supports_hyperlinks::Stream::Stderr),
        }
    }
}

impl<S, N, T> FormatEvent<S, N> for Lines<T>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    T: FormatTime,
{
    #[cfg(feature = "dev")]
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = String::new();
        self.format(event)
            .format_event(context, Writer::new(&mut text), event)?;
        line.write_str(text.trim_end_matches('\n'))?;
        let parts = [Some(Origin::here().shown()), self.place(event)];
        for part in parts.into_iter().flatten().filter(|part| !part.is_empty()) {
            match self.coloured {
                true => write!(line, "  \x1b[2m{part}\x1b[0m")?,
                false => write!(line, "  {part}")?,
            }
        }
        line.write_char('\n')
    }

    #[cfg(not(feature = "dev"))]
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        self.format(event).format_event(context, line, event)
    }
}

impl<T> Lines<T> {
    fn format(&self, event: &Event<'_>) -> &Format<Full, T> {
        match is_of_the_host(event.metadata().target()) {
            true => &self.own,
            false => &self.others,
        }
    }

    /// The line of the app's source, as a link into the user's editor. Nothing where it could not be one: the line is
    /// long enough.
    #[cfg(feature = "dev")]
    fn place(&self, event: &Event<'_>) -> Option<String> {
        if !self.linked || is_of_the_host(event.metadata().target()) {
            return None;
        }
        let (file, number) = line_of(event).at?;
        // A library's is of no use here: rustc writes that in full.
        if file.starts_with('/') {
            return None;
        }
        let url = origin::url(&file, number)?;
        Some(format!("\x1b]8;;{url}\x1b\\{file}:{number}\x1b]8;;\x1b\\"))
    }
}
