//! The SQL console: a form, and what the statement has returned.

use maud::{Markup, html};
use serde::Deserialize;

use super::rows::cell;
use crate::{
    devtools::{
        buttons::Token,
        pages::marked,
        sql::{MOST_ROWS, Outcome, Ran, Refused, Rows},
    },
    server::counted,
};

/// Of one value; the rest can be asked for.
const MOST_OF_A_VALUE: usize = 1000;

/// The form.
#[derive(Deserialize)]
pub(super) struct Asked {
    pub(super) token: Option<String>,
    pub(super) sql: String,
    /// For this run alone.
    #[serde(default)]
    pub(super) writes: bool,
}

/// `sent` is what has come of the form: why it was not run, or its result.
pub(super) fn page(token: &Token, sent: Option<(&Asked, Result<&Ran, &str>)>) -> Markup {
    let text = sent.map_or("", |(asked, _)| &asked.sql);
    html! {
        h1 { "SQL" }
        form.console method="post" {
            input type="hidden" name="token" value=(token.as_str());
            label for="sql" { "Statement" }
            textarea #sql name="sql" rows="8" spellcheck="false" autocapitalize="off" aria-describedby="how" { "\n" (text) }
            p {
                button { "Run" }
                label { input type="checkbox" name="writes" value="true"; " Allow writes in this run" }
            }
            p #how.quiet {
                "Ctrl-Enter runs it, over the app's one connection: alone, for seconds at most, and with the first "
                (MOST_ROWS) " rows of its result. Unless writes are allowed, it is one statement that can only read."
            }
        }
        details #statements hidden { summary { "History, kept in this browser" } ul {} }
        @if let Some((asked, ran)) = sent {
            section #result aria-labelledby="h-result" {
                h2 #h-result { "Result" }
                @match ran {
                    Ok(ran) => (result(asked, ran)),
                    Err(why) => p.bad { (why) },
                }
            }
        }
    }
}

fn result(asked: &Asked, ran: &Ran) -> Markup {
    match &ran.outcomes {
        Ok(outcomes) => html! {
            @for outcome in outcomes { (shown(outcome)) }
            p.quiet {
                (ran.ms) " ms"
                @if asked.writes { "; writes were allowed" }
            }
        },
        Err(refused) => error(&asked.sql, refused),
    }
}

fn shown(outcome: &Outcome) -> Markup {
    match outcome {
        Outcome::Done(affected) => html! { p { "Done, " (counted(*affected, "row")) } },
        Outcome::Rows(rows) => table(rows),
    }
}

fn table(rows: &Rows) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Rows" {
            table.list.rows {
                thead { tr { @for name in &rows.columns { th scope="col" { (name) } } } }
                tbody { @for row in &rows.rows { tr { @for value in row { (cell(value.as_deref(), MOST_OF_A_VALUE)) } } } }
            }
        }
        p {
            @if rows.more { "The first " }
            (counted(rows.rows.len() as u64, "row"))
            @if rows.more { "; there are more" }
        }
    }
}

fn error(text: &str, refused: &Refused) -> Markup {
    html! {
        p.bad { @if let Some(code) = &refused.sqlstate { (code) ": " } (refused.message) }
        @if let Some(detail) = &refused.detail { p { "Detail: " (detail) } }
        @if let Some(hint) = &refused.hint { p { "Hint: " (hint) } }
        @if refused.needs_writes { p { "To run it, allow writes." } }
        @if let Some(position) = refused.position {
            @let (line, column) = place(text, position);
            p { "At line " (line) ", column " (column) ":" }
            pre.source.said tabindex="0" role="region" aria-label="Where" { (marked(text, Some(position))) }
        }
    }
}

/// Of a position of PostgreSQL, which counts characters from 1.
fn place(text: &str, position: usize) -> (usize, usize) {
    let before: String = text.chars().take(position.saturating_sub(1)).collect();
    let last = before.lines().last().filter(|_| !before.ends_with('\n'));
    (
        before.matches('\n').count() + 1,
        last.map_or(0, |line| line.chars().count()) + 1,
    )
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn a_place_is_a_line_and_a_column_of_characters() {
        for (text, position, found) in [
            ("SELECT", 1, (1, 1)),
            ("SELECT 'ä', x", 13, (1, 13)),
            ("SELECT\n  nam", 10, (2, 3)),
            ("SELECT\nx", 8, (2, 1)),
        ] {
            assert_eq!(place(text, position), found, "{text}");
        }
    }
}
