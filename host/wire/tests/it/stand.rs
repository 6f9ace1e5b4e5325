//! An exchange with a PostgreSQL of its own behind it, and a socket for clients.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures_util::future::BoxFuture;
use host_wire::{Config, Exchange, Identity, Open};
use shared_db::{Db, DbConfig, Established, establish};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio_postgres::{Client, NoTls};

use test_postgres::{Server, eventually};

/// The backends of the exchange go by this name.
const NAME: &str = "exchange";

pub(crate) struct Stand {
    pub(crate) db: Db,
    pub(crate) exchange: Exchange,
    folder: TempDir,
    pub(crate) server: Server,
    /// A connection of its own.
    pub(crate) observer: Client,
}

struct Opener {
    db: Arc<OnceLock<Db>>,
    config: DbConfig,
}

impl Open for Opener {
    fn open_shared(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async {
            let db = self
                .db
                .get()
                .expect("it is set right after the exchange is made");
            db.open().await.map_err(|error| error.to_string())
        })
    }

    fn open_own(&self) -> BoxFuture<'_, Result<Established, String>> {
        Box::pin(async {
            establish(&self.config)
                .await
                .map_err(|error| error.to_string())
        })
    }
}

impl Stand {
    pub(crate) async fn new() -> Self {
        let server = Server::start().await;
        let observer = server.client().await;
        let db = Arc::<OnceLock<Db>>::default();
        let config = DbConfig {
            application_name: NAME.to_owned(),
            statement_timeout: Duration::ZERO,
            ..server.config()
        };
        let exchange = Exchange::new(Config {
            open: Box::new(Opener {
                db: db.clone(),
                config: config.clone(),
            }),
            runtime: Handle::current(),
            executed: None,
            identity: Identity {
                user: "postgres".to_owned(),
                database: "postgres".to_owned(),
            },
        });
        let made = Db::new(&DbConfig {
            relay: Some(Arc::new(exchange.clone())),
            ..config
        });
        assert!(db.set(made.clone()).is_ok());
        let folder = TempDir::new().unwrap();
        exchange
            .listen(&folder.path().join(".s.PGSQL.5432"))
            .unwrap();
        Self {
            db: made,
            exchange,
            folder,
            server,
            observer,
        }
    }

    pub(crate) fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join(".s.PGSQL.5432")
    }

    /// As the host gives it to the app.
    pub(crate) fn url(&self) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{folder}:5432/postgres")
    }

    pub(crate) fn settings(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config
            .host_path(self.folder.path())
            .user("postgres")
            .dbname("postgres");
        config
    }

    /// A client of the exchange.
    pub(crate) async fn client(&self) -> Client {
        let (client, connection) = self.settings().connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Waits until the exchange has this one backend.
    pub(crate) async fn has_only(&self, backend: i32) {
        eventually("one backend", async || {
            (self.backends().await == [backend]).then_some(())
        })
        .await;
    }

    /// The backend of the `Db`.
    pub(crate) async fn db_pid(&self) -> i32 {
        let row = self.db.query_one("SELECT pg_backend_pid()", &[]).await;
        row.unwrap().get(0)
    }

    /// The backends that the exchange has, by PID.
    pub(crate) async fn backends(&self) -> Vec<i32> {
        let sql =
            "SELECT pid FROM pg_stat_activity WHERE application_name = $1 ORDER BY backend_start";
        let rows = self.observer.query(sql, &[&NAME]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

pub(crate) async fn pid(client: &Client) -> i32 {
    client
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .unwrap()
        .get(0)
}
