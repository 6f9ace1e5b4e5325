//! Checks whether the database answers, from the first sign of failure until it does.
//!
//! Uses its own connection, so that no request has to find out. While nothing has failed it does nothing. After a lost
//! connection it waits before it reports: a server that restarts is usually back before anyone needs to know.

use std::{sync::Arc, time::Duration};

use shared::{
    Db,
    db::{ConnectError, DatabaseUrl, Reach, connect, unreached_because},
    env::Env,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::{
    access::{Access, ServerState},
    schema::Schema,
};

/// Pause between attempts while the server is down.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// How long a server may be gone after a lost connection before it is reported as down.
const GRACE: Duration = Duration::from_secs(1);

/// How long a statement may run before it is asked whether there still is a server, and how long that may take.
const SILENCE: Duration = Duration::from_secs(2);

/// How often that is asked while a statement runs on.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Runs until the host ends and aborts it.
pub(crate) async fn probe(db: Db, schema: Arc<Schema>, access: Arc<Access>) {
    let mut reach = db.reach();
    loop {
        let lost = reach.wait_for(|reach| matches!(reach, Reach::Lost | Reach::Failed { .. }));
        let patience = tokio::select! {
            // A request or a migration has already failed.
            () = access.suspected.notified() => Some(Duration::ZERO),
            reach = lost => match reach.as_deref() {
                Ok(Reach::Failed { .. }) => Some(Duration::ZERO),
                Ok(_) => Some(GRACE),
                Err(_) => return, // the pool is gone
            },
            () = until_silent(&db, &schema) => None,
        };
        let Some(patience) = patience else {
            access.set_server(ServerState::Silent);
            while is_silent(&schema).await {}
            access.set_server(ServerState::Up);
            continue;
        };
        access.suspect();
        wait_until_reachable(&schema, &access, patience, &mut reach).await;
        db.note_server_is_up();
        access.set_server(ServerState::Up);
    }
}

/// Until a statement waits for a server that has become silent. Nothing is refused then, and no limit that the
/// server keeps ends the wait.
async fn until_silent(db: &Db, schema: &Schema) {
    let mut pause = SILENCE / 2;
    loop {
        sleep(pause).await;
        let long = |ms: u64| Duration::from_millis(ms) >= SILENCE;
        let waits = (db.status().holders.iter()).any(|holder| long(holder.for_ms));
        if waits && is_silent(schema).await {
            return;
        }
        pause = if waits { ASK_AGAIN } else { SILENCE / 2 };
    }
}

/// Whether nothing comes back. A refusal is an answer: who asks for a connection will be told.
async fn is_silent(schema: &Schema) -> bool {
    let (url, env) = schema.place();
    let limit = SILENCE.min(env.database_connect_timeout / 2);
    timeout(limit, try_connect(&url, &env)).await.is_err()
}

async fn wait_until_reachable(
    schema: &Schema,
    access: &Access,
    patience: Duration,
    reach: &mut watch::Receiver<Reach>,
) {
    let since = Instant::now();
    let mut place = schema.place_updates();
    loop {
        let (url, env) = place.borrow_and_update().clone();
        let connected = tokio::select! {
            connected = try_connect(&url, &env) => connected,
            // The pool has connected first.
            _ = reach.wait_for(|reach| matches!(reach, Reach::Open)) => return,
            Ok(()) = place.changed() => continue,
        };
        match connected {
            Ok(()) => return,
            Err(error) if since.elapsed() >= patience => {
                access.set_server(ServerState::Down(unreached_because(&error)));
            }
            Err(_) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY_PAUSE) => {}
            Ok(()) = place.changed() => {}
        }
    }
}

/// Opens a connection and closes it again.
async fn try_connect(url: &DatabaseUrl, env: &Env) -> Result<(), ConnectError> {
    let name = format!("host-probe:{}", std::process::id());
    let (client, connection) = connect(&env.db_config(url.clone(), name)).await?;
    drop(client);
    drop(connection.await); // it did answer
    Ok(())
}
