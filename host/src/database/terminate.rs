//! Ends a backend of the database at a user's request.

use shared::{
    BoxError,
    db::{DatabaseUrl, describe},
    env::Env,
};

use super::on_connection;

/// Only backends of this database.
const TERMINATE: &str = "\
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid = $1 AND datname = current_database() AND backend_type = 'client backend'";

/// Ends a backend of the database. Uses its own connection, since the shared one may be the blocked one. `false`: there
/// is no backend with this PID.
pub(crate) async fn terminate(url: &DatabaseUrl, env: &Env, pid: i32) -> Result<bool, BoxError> {
    on_connection(url, env, async |client| {
        let ended = client.query(TERMINATE, &[&pid]).await;
        Ok(!ended.map_err(|error| describe(&error))?.is_empty())
    })
    .await
}
