//! The list of lines, as a page and for programs.

use std::sync::Arc;

use chrono::{DateTime, Local, SecondsFormat};
use maud::{Markup, html};
use serde::Serialize;

use super::filter::{Author, Filter, Level, Order};
use crate::{
    devtools::pages::{Editor, choose},
    logs::{Kept, Origin, Source},
};

/// The page shows no more: it is long enough.
const MOST: usize = 500;

/// A line, for programs.
#[derive(Serialize)]
pub(in crate::devtools) struct Entry<'a> {
    id: u64,
    at: String,
    level: &'a str,
    from: Source,
    target: &'a str,
    message: &'a str,
    #[serde(flatten)]
    origin: Origin,
    place: Option<String>,
}

pub(in crate::devtools) fn entry(kept: &Kept) -> Entry<'_> {
    let line = &kept.line;
    Entry {
        id: kept.id,
        at: time(kept).to_rfc3339_opts(SecondsFormat::Millis, false),
        level: line.level,
        from: kept.from,
        target: &line.target,
        message: &line.message,
        origin: kept.origin,
        place: place(kept),
    }
}

fn time(kept: &Kept) -> DateTime<Local> {
    kept.at.into()
}

fn place(kept: &Kept) -> Option<String> {
    let (file, line) = kept.line.at.as_ref()?;
    let column = kept.column.map(|column| format!(":{column}"));
    Some(format!("{file}:{line}{}", column.unwrap_or_default()))
}

/// `newest` is the number of the newest line of all, and `query` the filter as it was sent.
pub(super) fn page(
    all: &[Arc<Kept>],
    filter: &Filter,
    newest: u64,
    query: &str,
    editor: &Editor,
) -> Markup {
    let wanted = filter.select(all);
    let levels = [
        ("all", "all", Level::All),
        ("debug", "debug and up", Level::Debug),
        ("info", "info and up", Level::Info),
        ("warn", "warnings and errors", Level::Warn),
        ("error", "errors", Level::Error),
    ];
    let levels = levels.map(|(value, text, level)| (value, text, filter.level == level));
    let authors = [
        ("all", "all", Author::All),
        ("app", "app", Author::App),
        ("browser", "browser", Author::Browser),
        ("host", "dev server", Author::Host),
    ];
    let authors = authors.map(|(value, text, author)| (value, text, filter.from == author));
    let orders = [
        ("newest", "newest first", Order::Newest),
        ("errors", "errors first", Order::Errors),
    ];
    let orders = orders.map(|(value, text, order)| (value, text, filter.order == order));
    html! {
        h1 { "Logs" }
        form.filter method="get" {
            (choose("Level", "level", &levels))
            (choose("From", "from", &authors))
            label { "Text or target " input name="text" value=(filter.text) placeholder="shop::orders"; }
            label { "Generation " input.number name="generation" inputmode="numeric" value=[filter.generation]; }
            label { "Request " input.number name="request" inputmode="numeric" value=[filter.request]; }
            (choose("Order", "order", &orders))
            button { "Filter" }
        }
        p.quiet #count {
            @match (all.len(), wanted.len()) {
                (0, _) => { "No line yet. " code { "RUST_LOG" } " decides what is logged." }
                (all, 0) => { "None of the last " (all) " lines matches." }
                (all, wanted) => {
                    (wanted) " of the last " (all) " lines"
                    @if wanted > MOST { ", of which " (MOST) " are shown here; " a href={ "/__dev/logs.json?" (query) } { "all as JSON" } }
                }
            }
        }
        ol.log #lines data-newest=(newest) { @for kept in wanted.iter().take(MOST) { (row(kept, editor)) } }
    }
}

fn row(kept: &Kept, editor: &Editor) -> Markup {
    let line = &kept.line;
    let (first, rest) = line.message.split_once('\n').unwrap_or((&line.message, ""));
    html! {
        li data-key=(kept.id) {
            p.quiet {
                (time(kept).format("%H:%M:%S%.3f")) " "
                b.bad[line.level == "ERROR"].mark[line.level == "WARN"] { (line.level) }
                " " (line.target)
                @if let Some(id) = kept.origin.generation { " · " a href={ "/__dev/logs?generation=" (id) } { "gen " (id) } }
                @if let Some(id) = kept.origin.request { " · " a href={ "/__dev/requests/" (id) } { "req " (id) } }
            }
            @if rest.is_empty() { p.message { (first) } }
            @else { details { summary.message { (first) } pre { (rest) } } }
            @if let Some(place) = place(kept) {
                p.quiet {
                    "at "
                    @match (&line.at, kept.from) {
                        (Some((file, number)), Source::App | Source::Host) => (editor.link(file, *number, 1)),
                        _ => code { (place) },
                    }
                }
            }
        }
    }
}
