//! The template: an empty database with all migrations, of which each test gets a copy. Named by the migrations, so that
//! a changed one gets another.

use std::collections::BTreeSet;

use shared::{BoxError, db::describe};
use shared_migrate::{RunControl, load, run};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{copies, project, server::Server};

/// Only one process at a time makes a template: any number that no other program locks.
const LOCK: i64 = 0x7465_6d70_6c61_7465;

/// All but the newest few: those of other branches are still of use.
const OLD: &str =
    "SELECT datname FROM pg_database WHERE datname ~ '^shared_test_template_[0-9a-f]{16}$'
    ORDER BY oid DESC OFFSET 8";

/// The fingerprints of the templates that this process has found or made.
static READY: Mutex<BTreeSet<u64>> = Mutex::const_new(BTreeSet::new());

/// The name of the template for the migrations as they are now. Makes it, if there is none.
///
/// # Errors
/// A migration fails, or the server does not do what it takes.
pub(crate) async fn template(server: &Server) -> Result<String, BoxError> {
    let files = load(&project::migrations())?;
    let fingerprint = files.fingerprint();
    let name = format!("shared_test_template_{fingerprint:016x}");
    let mut ready = READY.lock().await;
    if ready.contains(&fingerprint) {
        return Ok(name);
    }
    let half_made = format!("{name}_unfinished");
    let create = async |client: &mut tokio_postgres::Client| {
        let said = |error| describe(&error);
        client
            .execute("SELECT pg_advisory_lock($1)", &[&LOCK])
            .await
            .map_err(said)?;
        let exists = "SELECT FROM pg_database WHERE datname = $1";
        if client
            .query_opt(exists, &[&name])
            .await
            .map_err(said)?
            .is_some()
        {
            return Ok(());
        }
        // Each needs a message of its own: neither runs in a transaction.
        for sql in [
            copies::dropping(&half_made),
            format!("CREATE DATABASE {half_made}"),
        ] {
            client.batch_execute(&sql).await.map_err(said)?;
        }
        copies::on_connection(server.parsed(Some(&half_made)), async |client| {
            let control = RunControl {
                before_file: &|_| {},
                stop: &CancellationToken::new(),
            };
            let outcome = run(client, &files, true, &control).await;
            outcome
                .failure
                .map_or(Ok(()), |failure| Err(failure.into()))
        })
        .await?;
        let rename = format!("ALTER DATABASE {half_made} RENAME TO {name}");
        client.batch_execute(&rename).await.map_err(said)?;
        for row in client.query(OLD, &[]).await.map_err(said)? {
            let old: String = row.get(0);
            let sql = format!("DROP DATABASE IF EXISTS {old}");
            drop(client.batch_execute(&sql).await); // it may just be copied
        }
        Ok(())
    };
    copies::on_connection(server.parsed(None), create).await?;
    ready.insert(fingerprint);
    Ok(name)
}
