//! Finds out whether the database answers, once there is a doubt, and until it does.
//!
//! Knocks on a connection of its own, so that nobody's request has to be the one that finds out. While all is well
//! nothing is asked. Refuses to be hasty: a server that restarts is back before anybody needs to hear of it.

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

/// How often it knocks at a server that is down.
const PAUSE: Duration = Duration::from_millis(500);

/// How long a server that did answer may be silent before it is called down.
const GRACE: Duration = Duration::from_secs(1);

/// Until the host ends; aborted with it.
pub(super) async fn probe(db: Db, schema: Arc<Schema>, access: Arc<Access>) {
    let mut reach = db.reach();
    loop {
        let lost = reach.wait_for(|reach| matches!(reach, Reach::Lost | Reach::Failed { .. }));
        let patience = tokio::select! {
            // A request or a migration was told already.
            () = access.doubted.notified() => Duration::ZERO,
            reach = lost => match reach.as_deref() {
                Ok(Reach::Failed { .. }) => Duration::ZERO,
                Ok(_) => GRACE,
                Err(_) => return, // the pool is gone
            }
        };
        access.begin_doubt();
        until_it_answers(&schema, &access, patience, &mut reach).await;
        db.note_server_is_up();
        access.server_is(Server::Fine);
    }
}

async fn until_it_answers(
    schema: &Schema,
    access: &Access,
    patience: Duration,
    reach: &mut watch::Receiver<Reach>,
) {
    let since = Instant::now();
    let mut place = schema.places();
    loop {
        let (url, env) = place.borrow_and_update().clone();
        let knocked = tokio::select! {
            knocked = knock(&url, &env) => knocked,
            // Somebody was faster.
            _ = reach.wait_for(|reach| matches!(reach, Reach::Open)) => return,
            Ok(()) = place.changed() => continue,
        };
        match knocked {
            Ok(()) => return,
            Err(error) if since.elapsed() >= patience => {
                access.server_is(Server::Down(error.to_string()));
            }
            Err(_) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            Ok(()) = place.changed() => {}
        }
    }
}

/// Opens a connection and closes it again.
async fn knock(url: &DatabaseUrl, env: &Env) -> Result<(), BoxError> {
    let name = format!("host-probe:{}", std::process::id());
    let (client, connection) = connect(&DbConfig::new(env, url.clone(), name)).await?;
    drop(client);
    drop(connection.await); // it did answer
    Ok(())
}
