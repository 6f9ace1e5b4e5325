//! SQL for a user's eyes: a query, a plan, the tables. Nothing that runs here stays in the database.
//!
//! Owns the limits: of time, of rows, of bytes. Knows neither pages nor protocols: who asks shows the answer.

mod explain;
mod query;
mod rolled_back;
mod tables;

pub(super) use self::{
    explain::{Plan, explain, explain_text},
    query::query,
    tables::tables,
};
