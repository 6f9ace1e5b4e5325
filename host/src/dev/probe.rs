//! Checks whether the database answers, from the first sign of failure until it does.
//!
//! Uses its own connection, so that no request has to find out. While nothing has failed it does nothing. After a lost
//! connection it waits before it reports: a server that restarts is usually back before anyone needs to know.

use std::{sync::Arc, time::Duration};

use shared::{
    BoxError, Db,
    db::{DatabaseUrl, DbConfig, Reach, connect},
    env::Env,
};
use tokio::{sync::watch, time::Instant};

use super::{
    access::{Access, Server},
    schema::Schema,
};

/// Pause between attempts while the server is down.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// How long a server may be gone after a lost connection before it is reported as down.
const GRACE: Duration = Duration::from_secs(1);

/// Runs until the host ends and aborts it.
pub(super) async fn probe(db: Db, schema: Arc<Schema>, access: Arc<Access>) {
    let mut reach = db.reach();
    loop {
        let lost = reach.wait_for(|reach| matches!(reach, Reach::Lost | Reach::Failed { .. }));
        let patience = tokio::select! {
            // A request or a migration has already failed.
            () = access.suspected.notified() => Duration::ZERO,
            reach = lost => match reach.as_deref() {
                Ok(Reach::Failed { .. }) => Duration::ZERO,
                Ok(_) => GRACE,
                Err(_) => return, // the pool is gone
            }
        };
        access.suspect();
        wait_until_reachable(&schema, &access, patience, &mut reach).await;
        db.note_server_is_up();
        access.set_server(Server::Up);
    }
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
                access.set_server(Server::Down(error.to_string()));
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
async fn try_connect(url: &DatabaseUrl, env: &Env) -> Result<(), BoxError> {
    let name = format!("host-probe:{}", std::process::id());
    let (client, connection) = connect(&DbConfig::new(env, url.clone(), name)).await?;
    drop(client);
    drop(connection.await); // it did answer
    Ok(())
}
