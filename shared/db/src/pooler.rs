//! Behind a pooler that lends a session for one transaction at a time: each statement is a transaction of its own.

use tokio_postgres::Row;

use super::{
    captured::Params,
    error::{DbError, is_stale},
    holder::CallSite,
    lane::Db,
    mark::refuse_marks,
};

impl Db {
    pub(super) async fn query_behind_a_pooler(
        &self,
        line: CallSite,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, DbError> {
        refuse_marks(sql, line)?;
        match self.query_once(line, sql, params).await {
            Err(error) if met_unknown_type(&error) => self.query_once(line, sql, params).await,
            result => result,
        }
    }

    async fn query_once(
        &self,
        line: CallSite,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, DbError> {
        let tx = self.begin(line).await?;
        let rows = tx.query(sql, params).await?;
        tx.commit().await?;
        Ok(rows)
    }

    pub(super) async fn execute_behind_a_pooler(
        &self,
        line: CallSite,
        sql: &str,
        params: Params<'_>,
    ) -> Result<u64, DbError> {
        refuse_marks(sql, line)?;
        match self.execute_once(line, sql, params).await {
            Err(error) if met_unknown_type(&error) => self.execute_once(line, sql, params).await,
            result => result,
        }
    }

    async fn execute_once(
        &self,
        line: CallSite,
        sql: &str,
        params: Params<'_>,
    ) -> Result<u64, DbError> {
        let tx = self.begin(line).await?;
        let changed = tx.execute(sql, params).await?;
        tx.commit().await?;
        Ok(changed)
    }
}

/// The statement failed while it was prepared, so nothing has run and a retry is safe. Its connection is not used
/// again, and the next one loads the type.
fn met_unknown_type(error: &DbError) -> bool {
    matches!(error, DbError::Statement(error) if is_stale(error))
}
