//! SQL for a user's eyes: a query, a plan, the tables, what a user types. Nothing that runs here stays in the database,
//! but for what the user allows to write.
//!
//! Owns the limits: of time, of rows, of bytes. Knows neither pages nor protocols: who asks shows the answer.

mod explain;
mod query;
mod rolled_back;
mod table;
mod tables;
mod typed;

pub(super) use self::{
    explain::{Plan, explain, explain_text},
    query::{MOST_ROWS, Rows, page, query},
    table::{Table, counts, found_tables},
    tables::tables,
    typed::{Outcome, Ran, Refused, run},
};
