//! The page of one request: a timeline of what it did, and what was sent both ways.

use std::time::Duration;

use maud::{Markup, html};
use shared::db::trace::{Event, Outcome, Statement, What};

use super::shown;
use crate::{
    devtools::{
        buttons::Token,
        pages::{self, Editor},
    },
    server::{Answered, Excerpt, Parameters, SLOW_STATEMENT, masked, ms, repeated},
};

pub(super) fn page(request: &Answered, editor: &Editor, token: &Token) -> Markup {
    let info = &request.info;
    let recorded = request.recorded();
    let timing = request.timing;
    let failed = request.status.is_client_error() || request.status.is_server_error();
    html! {
        p { a href="/__dev/requests" { "Requests" } " / " (request.id) }
        h1 { (info.method) " " (info.uri.path()) }
        p {
            span.bad[failed] { (request.status) } " in " (ms(timing.held + request.took)) " ms, generation " (request.generation)
            @if let Some(handler) = request.request.as_ref().and_then(|it| it.handler()) { ", " code { (handler) } }
        }
        @if let Some(panic) = &request.panic { p.bad { "panicked: " (panic) } }
        @if let Some(error) = &request.database { p.bad { (error) } }
        dl.parts {
            @for (name, part) in [("held for a build", timing.held), ("wait for the connection", timing.wait), ("database", timing.db), ("app", timing.app)] {
                div { dt { (name) } dd { (ms(part)) " ms" } }
            }
        }
        @for it in repeated(&recorded.events) {
            p.finding {
                @match it.parameters {
                    Parameters::Differ => { span.mark { "N+1" } " One statement ran " (it.times) " times with different parameters: " }
                    Parameters::Same => { "One statement ran " (it.times) " times with the same parameters: " }
                    Parameters::Unknown => { "One statement ran " (it.times) " times; its driver does not say with which parameters: " }
                }
                code { (it.text) }
            }
        }
        h2 { "What it did" }
        p { a href={ "/__dev/logs?request=" (request.id) } { "Its lines in the log" } ", and the errors on its page" }
        (timeline(request, &recorded.events, editor, token))
        @if recorded.left_out > 0 { p { (recorded.left_out) " more, for which there was no room" } }
        h2 { "Request" }
        p { a href={ "/__dev/requests/" (request.id) "/curl" } { "As a command for curl" } ", with its secrets" }
        form method="post" action={ "/__dev/requests/" (request.id) "/again" } {
            input type="hidden" name="token" value=(token.as_str());
            button { "Send it again" } " and compare the answers"
            @if !info.method.is_safe() { "; what it writes is written again" }
        }
        @if let Some(query) = shown::query(request) { p { "Query: " code { (query) } } }
        (pages::request(info))
        (body("Body of the request", &request.bodies.request))
        h2 { "Response" }
        (pages::headers("Headers of the response", masked(&request.headers)))
        (body("Body of the response", &request.bodies.response))
    }
}

fn timeline(request: &Answered, events: &[Event], editor: &Editor, token: &Token) -> Markup {
    let mut ordered: Vec<_> = events.iter().enumerate().collect();
    ordered.sort_by_key(|(_, event)| event.from);
    let ends = events.iter().map(|event| event.from + event.took);
    let whole = ends.max().unwrap_or_default().max(request.took);
    html! {
        @if events.is_empty() { p { "No statement, no wait, no line of the log." } }
        @else {
            ol.timeline {
                @for (number, event) in ordered {
                    li {
                        span.at { (ms(event.from)) " ms" }
                        div.what {
                            (what(number, event, editor))
                            @if !matches!(event.what, What::Log(_)) { (bar(event, whole)) }
                            @if let What::Statement(statement) = &event.what { (explain(request, number, statement, token)) }
                        }
                    }
                }
            }
        }
    }
}

/// Where in the whole time, and how long.
fn bar(event: &Event, whole: Duration) -> Markup {
    let share = |part: Duration| part.as_secs_f64() / whole.as_secs_f64().max(f64::EPSILON) * 100.;
    let percent = |share: f64| format!("{share:.2}%");
    let (x, width) = (
        percent(share(event.from).min(99.5)),
        percent(share(event.took).clamp(0.5, 100.)),
    );
    html! { svg.bar aria-hidden="true" { rect x=(x) width=(width) height="100%" {} } }
}

fn what(number: usize, event: &Event, editor: &Editor) -> Markup {
    let took = html! { span.mark[event.took >= SLOW_STATEMENT] { (ms(event.took)) " ms" } };
    match &event.what {
        What::Wait(behind) => html! {
            p { "waited " (took) " for the connection" @if let Some(behind) = behind { ": " (behind) } }
        },
        What::Connect => html! { p { "waited " (took) " for a connection to be opened" } },
        What::Log(line) => html! {
            p.bad[matches!(line.level, "ERROR" | "WARN")] { (line.level) " " (line.message) }
            p.quiet {
                (line.target)
                @if let Some((file, line)) = &line.at { " at " (editor.link(file, *line, 1)) }
            }
        },
        What::Statement(statement) => html! {
            pre tabindex="0" role="region" aria-label={ "Statement " (number) } { (statement.text) @if !statement.whole { "…" } }
            @if !statement.params.is_empty() {
                p.quiet { @for (number, param) in (1..).zip(&statement.params) { "$" (number) " = " code { (param.shown) } " " } }
            }
            p {
                (took) ", "
                @match &statement.outcome {
                    Outcome::Rows(None) if statement.at.is_none() => "no row, or it failed",
                    Outcome::Rows(rows) => (shown::rows(*rows)),
                    Outcome::Abandoned => "its answer was no longer wanted",
                    Outcome::Failed(code, message) => span.bad { @if let Some(code) = code { (code) ": " } (message) },
                }
                @if let Some(at) = statement.at { " at " (editor.link(at.file(), at.line(), at.column())) }
            }
        },
    }
}

/// The button; what controls the transaction has no plan.
fn explain(request: &Answered, number: usize, statement: &Statement, token: &Token) -> Markup {
    html! {
        @if super::explain::can(statement) {
            form method="post" action={ "/__dev/requests/" (request.id) "/explain/" (number) } {
                input type="hidden" name="token" value=(token.as_str());
                button { "EXPLAIN" }
            }
        }
    }
}

fn body(label: &str, excerpt: &Excerpt) -> Markup {
    let (_, is_whole) = excerpt.so_far();
    html! {
        @if let Some(text) = shown::body(excerpt) {
            pre.source.said tabindex="0" role="region" aria-label=(label) { (text) @if !is_whole { "…" } }
        }
    }
}
