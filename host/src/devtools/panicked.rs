//! The page for a handler that panicked: the place, the lines around it, and the backtrace.

use axum::http::StatusCode;
use maud::{Markup, html};
use serde_json::json;

use super::pages::{Editor, Page, long, request};
use crate::{
    panics::{Frame, PanicReport},
    server::RequestInfo,
};

/// The 500 page.
pub(super) fn page(
    report: &PanicReport,
    info: &RequestInfo,
    generation: u64,
    editor: &Editor,
) -> Page {
    let frames = report.frames();
    let place = report
        .place
        .as_ref()
        .map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let asking = format!("{} {}", info.method, info.target());
    let html = html! {
        p.kind { "The handler panicked" }
        (long(&report.message))
        p { "at " (located(report, editor)) " in generation " (generation) ", answering " code { (asking) } }
        @if let Some(place) = &report.place { (editor.source(&place.file, place.line)) }
        h2 { "Backtrace" }
        (backtrace(&frames, editor))
        h2 { "Request" }
        (request(info))
    };
    let calls: Vec<String> = frames.iter().map(line).collect();
    let text = format!(
        "the handler panicked at {place}\n\n{}\n\nanswering {asking} in generation {generation}\n\n{}\n",
        report.message,
        calls.join("\n")
    );
    Page {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        title: format!("Panic: {}", report.message),
        html,
        json: json!({ "error": {
            "code": "panic",
            "message": report.message,
            "location": place,
            "request": asking,
            "generation": generation,
            "backtrace": calls,
        }}),
        text,
    }
}

fn located(report: &PanicReport, editor: &Editor) -> Markup {
    match &report.place {
        Some(place) => editor.link(&place.file, place.line, place.column),
        None => html! { "an unknown place" },
    }
}

fn backtrace(frames: &[Frame], editor: &Editor) -> Markup {
    html! {
        ol.calls {
            @for frame in frames {
                @match frame {
                    Frame::Own { function, place } => li {
                        code { (function) } br;
                        (place_of(place, editor))
                    },
                    Frame::Others(count) => li.others { (count) @if *count == 1 { " library frame" } @else { " library frames" } },
                }
            }
            @if frames.is_empty() { li.others { "none: this build has no debug information" } }
        }
    }
}

fn place_of(place: &str, editor: &Editor) -> Markup {
    let mut parts = place.rsplitn(3, ':');
    let (column, line, file) = (parts.next(), parts.next(), parts.next());
    match (
        file,
        line.and_then(|line| line.parse().ok()),
        column.and_then(|column| column.parse().ok()),
    ) {
        (Some(file), Some(line), Some(column)) => editor.link(file, line, column),
        _ => html! { code { (place) } },
    }
}

fn line(frame: &Frame) -> String {
    match frame {
        Frame::Own { function, place } => format!("{function} at {place}"),
        Frame::Others(count) => format!("({count} library frames)"),
    }
}
