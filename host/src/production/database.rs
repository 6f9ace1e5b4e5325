//! Asks the database for a sign of life, within a limit.
//!
//! Asks on the app's own connection, so that no second one is kept. While that is in use, by a transaction or a long
//! statement, its silence says nothing about the server: then a connection that is opened for this alone decides.

use std::{fmt, time::Duration};

use shared::{
    Db,
    db::{DbConfig, DbError, connect},
};

/// How long the server may take to answer.
const LIMIT: Duration = Duration::from_secs(1);

/// How long the app's connection is waited for before another one is opened.
const BUSY: Duration = Duration::from_millis(300);

/// Why the database does not answer, without anything that a stranger should not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Silent,
    Unreachable,
    Refuses,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => write!(
                f,
                "the database did not answer within {} ms",
                LIMIT.as_millis()
            ),
            Self::Unreachable => f.write_str("the database cannot be reached"),
            Self::Refuses => f.write_str("the database answered with an error"),
        }
    }
}

/// `SELECT 1`. A failure comes with what the log should say.
pub(super) async fn ask(db: &Db, config: &DbConfig) -> Result<(), (Trouble, String)> {
    let mut failed_apart = None;
    let either = async {
        let apart = async {
            tokio::time::sleep(BUSY).await;
            if let Err(failure) = answers_apart(config).await {
                // Such as a server without a free connection, which may still answer on the app's own.
                failed_apart = Some(failure);
                std::future::pending::<()>().await;
            }
        };
        let shared = async {
            match db.query_one("SELECT 1", &[]).await {
                Ok(_) => Ok(()),
                // Others use the connection, for longer than the app is willing to wait.
                Err(DbError::Wait { .. }) => std::future::pending().await,
                Err(error) => Err(judged(&error)),
            }
        };
        tokio::select! {
            answered = shared => answered,
            () = apart => Ok(()),
        }
    };
    match tokio::time::timeout(LIMIT, either).await {
        Ok(answered) => answered,
        Err(_) => Err(failed_apart.unwrap_or_else(|| {
            let detail = "neither the app's connection nor a new one".to_owned();
            (Trouble::Silent, detail)
        })),
    }
}

/// On a connection that is closed again.
async fn answers_apart(config: &DbConfig) -> Result<(), (Trouble, String)> {
    let (client, connection) = connect(config)
        .await
        .map_err(|error| (Trouble::Unreachable, error.to_string()))?;
    let asking = async {
        let answered = client.batch_execute("SELECT 1").await;
        drop(client); // ends the connection
        answered
    };
    let (answered, ended) = tokio::join!(asking, connection);
    if let Err(error) = ended {
        tracing::debug!("the connection that asked for readiness: {error}");
    }
    answered.map_err(|error| judged(&DbError::from(error)))
}

fn judged(error: &DbError) -> (Trouble, String) {
    let trouble = match error {
        DbError::Unreachable { .. } | DbError::Connect(_) => Trouble::Unreachable,
        DbError::Silent { .. } | DbError::Wait { .. } => Trouble::Silent,
        _ => Trouble::Refuses,
    };
    (trouble, error.to_string())
}
