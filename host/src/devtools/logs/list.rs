//! The list of lines, as a page and for programs.

use std::sync::Arc;

use chrono::{DateTime, Local, SecondsFormat};
use maud::{Markup, html};
use serde::Serialize;

use super::filter::{Author, Filter, Level, Order};
use crate::{
    devtools::pages::Editor,
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
    let option = |value: &str, text: &str, selected: bool| {
        html! { option value=(value) selected[selected] { (text) } }
    };
    let level = |level: Level, value, text| option(value, text, filter.level == level);
    let from = |from: Author, value, text| option(value, text, filter.from == from);
    let order = |order: Order, value, text| option(value, text, filter.order == order);
    html! {
        h1 { "Logs" }
        form.filter method="get" {
            label {
                "Level " select name="level" {
                    (level(Level::All, "all", "all"))
                    (level(Level::Debug, "debug", "debug and up"))
                    (level(Level::Info, "info", "info and up"))
                    (level(Level::Warn, "warn", "warnings and errors"))
                    (level(Level::Error, "error", "errors"))
                }
            }
            label {
                "From " select name="from" {
                    (from(Author::All, "all", "all"))
                    (from(Author::App, "app", "app"))
                    (from(Author::Browser, "browser", "browser"))
                    (from(Author::Host, "host", "dev server"))
                }
            }
            label { "Text or target " input name="text" value=(filter.text) placeholder="shop::orders"; }
            label { "Generation " input.number name="generation" inputmode="numeric" value=[filter.generation]; }
            label { "Request " input.number name="request" inputmode="numeric" value=[filter.request]; }
            label {
                "Order " select name="order" {
                    (order(Order::Newest, "newest", "newest first"))
                    (order(Order::Errors, "errors", "errors first"))
                }
            }
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
