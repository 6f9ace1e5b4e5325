//! Statements built with sea-query. Not compiled without the feature `sea-query`.

use std::panic::Location;

use futures_util::{FutureExt, future::BoxFuture};
use sea_query::PostgresQueryBuilder;
use sea_query_postgres::{PostgresBinder, PostgresValues};
use tokio_postgres::{Row, types::ToSql};

use super::{
    error::DbError,
    lane::Db,
    row_count::{at_most_one, one},
    transaction::Transaction,
};

/// A statement built with sea-query: text and values.
pub struct Query {
    text: String,
    values: PostgresValues,
}

impl Query {
    /// Renders for PostgreSQL.
    #[must_use]
    pub fn new(statement: &impl PostgresBinder) -> Self {
        let (text, values) = statement.build_postgres(PostgresQueryBuilder);
        Self { text, values }
    }

    fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.values.as_params()
    }
}

impl Db {
    /// [`query`](Self::query) for a statement built with sea-query.
    ///
    /// # Errors
    ///
    /// As `query`.
    #[track_caller]
    pub fn fetch(&self, query: Query) -> BoxFuture<'_, Result<Vec<Row>, DbError>> {
        let line = Location::caller();
        async move {
            self.query_from(line, &query.text, &query.values.as_params())
                .await
        }
        .boxed()
    }

    /// [`query_opt`](Self::query_opt) for a statement built with sea-query.
    ///
    /// # Errors
    ///
    /// As `query_opt`.
    #[track_caller]
    pub fn fetch_opt(&self, query: Query) -> BoxFuture<'_, Result<Option<Row>, DbError>> {
        let line = Location::caller();
        async move {
            let params = query.params();
            let rows = self.query_from(line, &query.text, &params);
            at_most_one(line, &query.text, rows.await?)
        }
        .boxed()
    }

    /// [`query_one`](Self::query_one) for a statement built with sea-query.
    ///
    /// # Errors
    ///
    /// As `query_one`.
    #[track_caller]
    pub fn fetch_one(&self, query: Query) -> BoxFuture<'_, Result<Row, DbError>> {
        let line = Location::caller();
        async move {
            let params = query.params();
            let rows = self.query_from(line, &query.text, &params);
            one(line, &query.text, rows.await?)
        }
        .boxed()
    }
}

impl Transaction {
    /// [`query_opt`](Self::query_opt) for a statement built with sea-query.
    ///
    /// # Errors
    ///
    /// As `query_opt`.
    #[track_caller]
    pub fn fetch_opt(&self, query: Query) -> BoxFuture<'_, Result<Option<Row>, DbError>> {
        let line = Location::caller();
        async move {
            let params = query.params();
            let rows = self.query_from(line, &query.text, &params);
            at_most_one(line, &query.text, rows.await?)
        }
        .boxed()
    }

    /// [`query_one`](Self::query_one) for a statement built with sea-query.
    ///
    /// # Errors
    ///
    /// As `query_one`.
    #[track_caller]
    pub fn fetch_one(&self, query: Query) -> BoxFuture<'_, Result<Row, DbError>> {
        let line = Location::caller();
        async move {
            let params = query.params();
            let rows = self.query_from(line, &query.text, &params);
            one(line, &query.text, rows.await?)
        }
        .boxed()
    }
}
