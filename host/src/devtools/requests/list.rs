//! The list of requests, and its filter.

use std::sync::Arc;

use maud::{Markup, html};
use rmcp::schemars;
use serde::{Deserialize, Serialize};

use crate::{
    devtools::pages::choose,
    server::{Answered, ServedRequest, counted, ms},
};

/// In the query of the URL, so that a list can be bookmarked and shared.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
pub(in crate::devtools) struct Filter {
    /// Part of the path.
    #[serde(default)]
    path: String,
    /// Of the answer.
    status: Option<u16>,
    #[serde(default)]
    only: Only,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Only {
    #[default]
    All,
    /// Answered with 4xx or 5xx.
    Failed,
    /// Half a second and more.
    Slow,
    /// One query for each row of another.
    Repeated,
}

/// A request, with what the list says beyond [`ServedRequest`].
#[derive(Serialize)]
pub(in crate::devtools) struct Entry {
    #[serde(flatten)]
    served: ServedRequest,
    db_ms: f64,
    wait_ms: f64,
}

pub(in crate::devtools) fn entry(request: &Answered) -> Entry {
    let timing = request.timing;
    Entry {
        served: ServedRequest::of(request),
        db_ms: ms(timing.db),
        wait_ms: ms(timing.wait),
    }
}

impl Filter {
    pub(in crate::devtools) fn wants(&self, request: &Answered) -> bool {
        request.info.uri.path().contains(&self.path)
            && self.status.is_none_or(|status| request.status == status)
            && match self.only {
                Only::All => true,
                Only::Failed => request.status.as_u16() >= 400,
                Only::Slow => request.is_slow(),
                Only::Repeated => request.is_n_plus_1,
            }
    }
}

pub(super) fn page(all: &[Arc<Answered>], filter: &Filter, traced: bool) -> Markup {
    let wanted = all.iter().filter(|request| filter.wants(request));
    let entries: Vec<Entry> = wanted.map(|request| entry(request)).collect();
    let shown = [
        ("all", "all", Only::All),
        ("failed", "failed", Only::Failed),
        ("slow", "slow", Only::Slow),
        ("repeated", "N+1", Only::Repeated),
    ];
    let shown = shown.map(|(value, text, only)| (value, text, filter.only == only));
    html! {
        h1 { "Requests" }
        form.filter method="get" {
            label { "Path " input name="path" value=(filter.path) placeholder="/api"; }
            (choose("Show", "only", &shown))
            button { "Filter" }
        }
        @if !traced { p { "Nothing is recorded of them: " code { "HOST_TRACES" } " is 0." } }
        div #requests data-newest=(all.first().map_or(0, |newest| newest.id)) {
            @if entries.is_empty() {
                p { @if all.is_empty() { "None yet: open a page of the app." } @else { "None of the last " (all.len()) " matches." } }
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Requests" {
                    table.list {
                        thead { tr {
                            th scope="col" { "at" } th scope="col" { "status" } th scope="col" { "request" }
                            th scope="col" { "ms" } th scope="col" { "database" } th scope="col" { "gen" }
                        } }
                        tbody { @for entry in &entries { (row(entry)) } }
                    }
                }
            }
        }
    }
}

fn row(entry: &Entry) -> Markup {
    let served = &entry.served;
    html! {
        tr data-key=(served.id) {
            td { (served.at) }
            td class=[(served.status >= 400).then_some("bad")] { (served.status) }
            td.path { a href={ "/__dev/requests/" (served.id) } { (served.method) " " (served.path) } }
            td.n { (served.ms) }
            td {
                (counted(served.statements, "statement")) ", " (entry.db_ms) " ms"
                @if served.n_plus_1 { " " span.mark { "N+1" } }
            }
            td.n { (served.generation) }
        }
    }
}
