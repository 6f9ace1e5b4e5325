//! The list of tables, and what one of them consists of.

use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::devtools::sql::Table;

/// `counts` are in the order of the tables.
pub(super) fn list(tables: &[Table], counts: &[Option<i64>]) -> Markup {
    html! {
        h1 { "Tables" }
        @if tables.is_empty() { p { "There is none yet." } }
        @else {
            div.scroll tabindex="0" role="region" aria-label="Tables" {
                table.list {
                    thead { tr {
                        th scope="col" { "name" } th scope="col" { "kind" } th.n scope="col" { "rows" }
                        th.n scope="col" { "columns" } th.n scope="col" { "indexes" } th scope="col" { "comment" }
                    } }
                    tbody {
                        @for (table, count) in tables.iter().zip(counts) {
                            tr {
                                td.path { a href=(path(table)) { (table.full_name()) } }
                                td { (table.kind) }
                                td.n { (rows(table, *count)) }
                                td.n { (table.columns.len()) }
                                td.n { (table.indexes.len()) }
                                td { (table.comment.as_deref().unwrap_or_default()) }
                            }
                        }
                    }
                }
            }
            @if counts.contains(&None) { p.quiet { "~: estimated by PostgreSQL; ?: not even that." } }
        }
    }
}

pub(super) fn path(table: &Table) -> String {
    let name = table.full_name();
    format!(
        "/__dev/database/tables/{}",
        utf8_percent_encode(&name, NON_ALPHANUMERIC)
    )
}

/// How many there are, as far as it is known.
pub(super) fn rows(table: &Table, count: Option<i64>) -> String {
    match (count, table.estimated_rows) {
        (Some(count), _) => count.to_string(),
        (None, Some(estimate)) => format!("~{estimate}"),
        (None, None) => "?".to_owned(),
    }
}

/// All but its rows.
pub(super) fn one(table: &Table) -> Markup {
    html! {
        p { a href="/__dev/database/tables" { "Tables" } " / " (table.full_name()) }
        h1 { (table.full_name()) }
        @if let Some(comment) = &table.comment { p { (comment) } }
        details {
            summary { "Columns, indexes and keys of this " (table.kind) }
            div.scroll tabindex="0" role="region" aria-label="Columns" {
                table.list {
                    thead { tr { th scope="col" { "column" } th scope="col" { "type" } th scope="col" { "null" } th scope="col" { "default" } } }
                    tbody {
                        @for column in &table.columns {
                            tr {
                                td { (column.name) } td { (column.ty) } td { @if column.nullable { "null" } @else { "not null" } }
                                td { (column.default.as_deref().unwrap_or_default()) }
                            }
                        }
                    }
                }
            }
            ul.definitions {
                @for index in &table.indexes { li { code { (index) } } }
                @for key in &table.foreign_keys { li { code { (key.name) " " (key.definition) } } }
                @for check in &table.checks { li { code { (check) } } }
            }
        }
    }
}
