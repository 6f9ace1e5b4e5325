//! The rows of a table, a page at a time. They can be ordered and read, never changed.

use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use shared::Db;

use super::tables::{path, rows as number_of_rows};
use crate::{
    database::quoted,
    devtools::sql::{self, Rows, Table},
};

const ON_A_PAGE: usize = 50;

/// A longer value is cut: its table is for an overview.
const MOST_OF_A_VALUE: usize = 120;

/// A value of so many characters does not wrap.
const SHORT: usize = 40;

/// In the query of the URL, so that it can be shared.
#[derive(Debug, Default, Deserialize)]
pub(super) struct View {
    /// From 1 on.
    page: Option<usize>,
    /// A column; `-` before it: from the end.
    order: Option<String>,
}

impl View {
    fn page(&self) -> usize {
        self.page.unwrap_or(1).clamp(1, 1_000_000)
    }

    /// The column, and whether from its end. `None`: the primary key decides, or nothing.
    fn order<'a>(&self, table: &'a Table) -> Option<(&'a str, bool)> {
        let order = self.order.as_deref()?;
        let find = |name: &str| table.columns.iter().find(|column| column.name == name);
        match find(order) {
            Some(column) => Some((&column.name, false)),
            None => Some((&find(order.strip_prefix('-')?)?.name, true)),
        }
    }
}

pub(super) async fn rows(db: &Db, table: &Table, view: &View) -> Result<Rows, String> {
    sql::page(db, &text(table, view), ON_A_PAGE).await
}

/// Shortened by the server: a document of a megabyte need not come here.
fn text(table: &Table, view: &View) -> String {
    let columns = table.columns.iter().map(|column| {
        let name = quoted(&column.name);
        format!("left(t.{name}::text, {}) AS {name}", MOST_OF_A_VALUE + 1)
    });
    let columns = columns.collect::<Vec<_>>().join(", ");
    let chosen = view.order(table).map(|(name, is_descending)| {
        let direction = if is_descending {
            "DESC NULLS LAST"
        } else {
            "ASC"
        };
        format!("t.{} {direction}", quoted(name))
    });
    // A page is the same each time only in an order without ties.
    let key = table
        .primary_key
        .iter()
        .map(|name| format!("t.{}", quoted(name)));
    let order: Vec<String> = chosen.into_iter().chain(key).collect();
    let order = match order.is_empty() {
        true => String::new(),
        false => format!(" ORDER BY {}", order.join(", ")),
    };
    let offset = (view.page() - 1) * ON_A_PAGE;
    format!(
        "SELECT {columns} FROM {} AS t{order} OFFSET {offset}",
        table.quoted_name()
    )
}

pub(super) fn shown(
    table: &Table,
    view: &View,
    count: Option<i64>,
    found: &Result<Rows, String>,
) -> Markup {
    let rows = match found {
        Ok(rows) => rows,
        Err(why) => {
            return html! {
                p.bad { (why) }
                @if view.order.is_some() { p { a href=(address(table, None, 1)) { "Without this order" } } }
            };
        }
    };
    let page = view.page();
    let first = (page - 1) * ON_A_PAGE + 1;
    html! {
        h2 #rows { "Rows" }
        @if rows.rows.is_empty() { p { @if page == 1 { "It is empty." } @else { "There are no more." } } }
        @else {
            p { (first) "–" (first + rows.rows.len() - 1) " of " (number_of_rows(table, count)) }
            div.scroll tabindex="0" role="region" aria-labelledby="rows" {
                table.list.rows {
                    thead { tr { @for column in &table.columns { (head(&column.name, table, view)) } } }
                    tbody { @for row in &rows.rows { tr { @for value in row { (cell(value.as_deref(), MOST_OF_A_VALUE)) } } } }
                }
            }
        }
        nav.pages aria-label="Pages" {
            @if page > 1 { a rel="prev" href=(address(table, view.order.as_deref(), page - 1)) { "Previous" } }
            @if rows.more { a rel="next" href=(address(table, view.order.as_deref(), page + 1)) { "Next" } }
        }
    }
}

/// A link that orders by it, or turns the order round.
fn head(name: &str, table: &Table, view: &View) -> Markup {
    let now = view.order(table).filter(|(column, _)| *column == name);
    let (sort, next) = match now {
        None => (None, name.to_owned()),
        Some((_, false)) => (Some("ascending"), format!("-{name}")),
        Some((_, true)) => (Some("descending"), name.to_owned()),
    };
    html! {
        th scope="col" aria-sort=[sort] {
            a href=(address(table, Some(&next), 1)) {
                (name)
                @match sort { Some("ascending") => " ↑", Some(_) => " ↓", None => "" }
            }
        }
    }
}

fn address(table: &Table, order: Option<&str>, page: usize) -> String {
    let order =
        order.map(|order| format!("&order={}", utf8_percent_encode(order, NON_ALPHANUMERIC)));
    format!("{}?page={page}{}", path(table), order.unwrap_or_default())
}

/// At most so many characters of a value. A short one keeps its lines on a phone too.
pub(super) fn cell(value: Option<&str>, most: usize) -> Markup {
    let Some(value) = value else {
        return html! { td { i.quiet { "null" } } };
    };
    let long = value.chars().nth(SHORT).is_some();
    let end = value.char_indices().nth(most).map(|(end, _)| end);
    html! {
        td class=[long.then_some("long")] { (&value[..end.unwrap_or(value.len())]) @if end.is_some() { "…" } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_column_of_the_table_and_names_are_quoted() {
        let table: Table = serde_json::from_str(
            r#"{"schema": "public", "name": "a\"b", "kind": "table", "primary_key": ["id"],
                "columns": [{"name": "id", "type": "bigint", "nullable": false}, {"name": "-x", "type": "text", "nullable": true}]}"#,
        )
        .expect("a table");
        let text = |order: Option<&str>, page| {
            let order = order.map(str::to_owned);
            super::text(&table, &View { page, order })
        };
        let select = r#"SELECT left(t."id"::text, 121) AS "id", left(t."-x"::text, 121) AS "-x" FROM "public"."a""b" AS t"#;
        for (order, page, rest) in [
            (None, None, r#" ORDER BY t."id" OFFSET 0"#),
            (
                Some("-x"),
                Some(3),
                r#" ORDER BY t."-x" ASC, t."id" OFFSET 100"#,
            ),
            (
                Some("--x"),
                Some(0),
                r#" ORDER BY t."-x" DESC NULLS LAST, t."id" OFFSET 0"#,
            ),
            (Some("id; DROP"), None, r#" ORDER BY t."id" OFFSET 0"#),
        ] {
            assert_eq!(text(order, page), format!("{select}{rest}"));
        }
    }
}
