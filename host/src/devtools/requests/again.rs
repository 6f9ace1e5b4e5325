//! Sends a request again, to the code of now, and compares the two answers.

use std::net::SocketAddr;

use axum::http::{self, StatusCode, header};
use maud::{Markup, html};
use shared::db::trace::{Outcome, What};
use similar::{ChangeTag, TextDiff};

use super::{curl::LEFT_OUT, shown};
use crate::{
    devtools::client,
    server::{Answered, Excerpt, masked, ms, request_number},
};

/// They differ from answer to answer, whatever the code.
const ALWAYS_NEW: [&str; 3] = ["date", "server-timing", "x-request-id"];

/// Here they do not come from curl.
const KEPT: [header::HeaderName; 2] = [header::HOST, header::ACCEPT_ENCODING];

/// Of the answer's body: what the trace keeps passes on the way here.
const READ: usize = 1 << 20;

/// Lines around a difference.
const CONTEXT: usize = 3;

/// Sends it again, and returns the number of the new request.
pub(super) async fn send(request: &Answered, address: SocketAddr) -> Result<u64, String> {
    let info = &request.info;
    let (body, is_whole) = request.bodies.request.so_far();
    if !is_whole {
        return Err("its body is too long to be kept, or was not read to its end".to_owned());
    }
    let mut again = http::Request::builder()
        .method(info.method.clone())
        .uri(info.target());
    for (name, value) in info.unmasked() {
        if KEPT.contains(name) || !LEFT_OUT.contains(name) {
            again = again.header(name, value);
        }
    }
    let again = again.body(body).map_err(|error| error.to_string())?;
    let answer = client::send(address, again, READ).await?;
    let number = request_number(&answer.headers);
    number.ok_or_else(|| format!("{} without a number: nothing is recorded", answer.status))
}

/// The page for a request that cannot be sent again.
pub(super) fn refused(id: u64, why: &str) -> (StatusCode, Markup) {
    let content = html! {
        p { a href="/__dev/requests" { "Requests" } " / " a href={ "/__dev/requests/" (id) } { (id) } " / again" }
        h1 { "Not sent again" }
        p.bad { (why) }
    };
    (StatusCode::UNPROCESSABLE_ENTITY, content)
}

pub(super) fn comparison(before: &Answered, after: &Answered) -> Markup {
    let link = |it: &Answered| html! { a href={ "/__dev/requests/" (it.id) } { (it.id) } };
    let both = [before, after];
    html! {
        p { a href="/__dev/requests" { "Requests" } " / " (link(before)) " / again: " (link(after)) }
        h1 { (before.info.method) " " (before.info.uri.path()) ", again" }
        div.scroll tabindex="0" role="region" aria-label="The two answers" {
            table {
                thead { tr { th scope="col" { "Request" } @for it in both { th scope="col" { (link(it)) } } } }
                tbody {
                    tr { th scope="row" { "Generation" } @for it in both { td { (it.generation) } } }
                    tr { th scope="row" { "Status" } @for it in both { td { (it.status) } } }
                    tr { th scope="row" { "Time" } @for it in both { td { (ms(it.took)) " ms" } } }
                    tr { th scope="row" { "In the database" } @for it in both { td { (ms(it.timing.db)) " ms" } } }
                    tr { th scope="row" { "Statements" } @for it in both { td { (it.statements()) } } }
                }
            }
        }
        (difference("Headers of the response", both.map(headers)))
        (bodies(both.map(|it| &it.bodies.response)))
        (difference("Statements", both.map(statements)))
    }
}

/// Not all of a body is shown, or kept.
fn bodies(both: [&Excerpt; 2]) -> Markup {
    let what = "Body of the response";
    let [before, after] = both.map(Excerpt::so_far);
    let shown = both.map(|it| shown::body(it).unwrap_or_default());
    let why = match (before.0 == after.0, shown[0] == shown[1]) {
        (true, _) if before.1 && after.1 => "The same.",
        (true, _) => "The same, as far as it is kept.",
        (false, true) => "They differ in what is not shown.",
        (false, false) => return difference(what, shown),
    };
    html! { h2 { (what) } p { (why) } }
}

fn difference(what: &str, [before, after]: [String; 2]) -> Markup {
    let diff = TextDiff::from_lines(&before, &after);
    let groups = diff.grouped_ops(CONTEXT);
    html! {
        h2 { (what) }
        @if groups.is_empty() { p { "The same." } }
        @else {
            pre.source.said tabindex="0" role="region" aria-label={ (what) ": what differs" } {
                @for (number, group) in groups.iter().enumerate() {
                    @if number > 0 { "⋯\n" }
                    @for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
                        @let line = change.value().trim_end_matches('\n');
                        @match change.tag() {
                            ChangeTag::Equal => { "  " (line) }
                            ChangeTag::Delete => del { "- " (line) },
                            ChangeTag::Insert => ins { "+ " (line) },
                        }
                        "\n"
                    }
                }
            }
        }
    }
}

fn headers(request: &Answered) -> String {
    let all = masked(&request.headers).filter(|(name, _)| !ALWAYS_NEW.contains(name));
    let mut lines: Vec<String> = all
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect();
    lines.sort();
    lines.concat()
}

fn statements(request: &Answered) -> String {
    let events = request.recorded().events.into_iter();
    let lines = events.filter_map(|event| match event.what {
        What::Statement(statement) => {
            let result = match &statement.outcome {
                Outcome::Rows(rows) => shown::rows(*rows),
                Outcome::Failed(_, message) => message.clone(),
                Outcome::Abandoned => "abandoned".to_owned(),
            };
            Some(format!("{}  → {result}\n", statement.text.trim_end()))
        }
        _ => None,
    });
    lines.collect()
}
