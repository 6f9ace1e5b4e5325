//! The socket on which the host speaks PostgreSQL's protocol to the app's own drivers.
//!
//! Behind it stands the connection of the app's `db`, which outlives every generation and so every pool that the app
//! makes. There is none in the leak modes, which show what happens without it; behind a pooler that has no session to
//! share; and for a project without a database.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use futures_util::{FutureExt, future::BoxFuture};
pub(crate) use host_wire::ClientStatus;
use host_wire::{Config, Exchange, Identity, Open, Report};
use shared::{
    BoxError, Db,
    db::{DatabaseUrl, DbConfig, Established, establish, trace},
};
use shared_cluster::socket;
use tokio::{runtime::Handle, sync::watch};
use tokio_postgres::config::Host;

use crate::logs::driver;

/// Clones are the same endpoint.
#[derive(Clone)]
pub(crate) struct Endpoint {
    exchange: Exchange,
    folder: PathBuf,
    /// How the `Db` is configured now, without the exchange itself.
    config: watch::Sender<DbConfig>,
    db: Arc<OnceLock<Db>>,
}

/// The socket cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("the socket for database drivers cannot be made: {}: {source}", path.display())]
pub(crate) struct EndpointError {
    path: PathBuf,
    source: io::Error,
}

struct Opener {
    config: watch::Receiver<DbConfig>,
    db: Arc<OnceLock<Db>>,
}

impl Open for Opener {
    fn open_shared(&self) -> BoxFuture<'_, Result<(), String>> {
        async {
            let db = self.db.get().expect("set before the socket is made");
            db.open().await.map_err(|error| error.to_string())
        }
        .boxed()
    }

    fn open_own(&self) -> BoxFuture<'_, Result<Established, String>> {
        async {
            let config = self.config.borrow().clone();
            establish(&config).await.map_err(|error| error.to_string())
        }
        .boxed()
    }
}

impl Endpoint {
    /// An endpoint that nobody can reach yet. `config` becomes that of a `Db` whose connection it shares.
    pub(crate) fn new(root: &Path, config: &mut DbConfig) -> Self {
        let folder = folder(root);
        let (db, watched) = (Arc::default(), watch::Sender::new(config.clone()));
        let exchange = Exchange::new(Config {
            open: Box::new(Opener {
                config: watched.subscribe(),
                db: Arc::clone(&db),
            }),
            runtime: Handle::current(),
            identity: identity(&config.url),
            executed: trace::is_enabled().then(|| Box::new(driver::answered) as Report),
        });
        config.relay = Some(Arc::new(exchange.clone()));
        Self {
            exchange,
            folder,
            config: watched,
            db,
        }
    }

    /// Lets clients in. `db` was made with the configuration that [`new`](Self::new) has completed.
    pub(crate) fn open(&self, db: &Db) -> Result<(), EndpointError> {
        self.db.get_or_init(|| db.clone());
        self.listen().map_err(|source| EndpointError {
            path: self.path(),
            source,
        })
    }

    fn listen(&self) -> io::Result<()> {
        socket::make_private(&self.folder)?;
        let path = self.path();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {} // that of an earlier host, if any: the project is locked for this one
        }
        self.exchange.listen(&path)
    }

    /// Makes the socket again if somebody has deleted it.
    pub(crate) fn restore(&self) {
        if !self.path().exists()
            && let Err(error) = self.listen()
        {
            tracing::warn!(
                "database drivers cannot connect: {}: {error}",
                self.path().display()
            );
        }
    }

    /// The `Db` has moved to another database, or to another configuration.
    pub(crate) fn follow(&self, config: &DbConfig) {
        self.config.send_replace(DbConfig {
            relay: None,
            ..config.clone()
        });
        self.exchange.replace(identity(&config.url));
    }

    /// For the app's `AppState`.
    pub(crate) fn url(&self) -> DatabaseUrl {
        let Identity { user, database } = identity(&self.config.borrow().url);
        DatabaseUrl::socket(&self.folder, socket::PORT, &user, &database)
    }

    /// For `DATABASE_URL`.
    pub(crate) fn url_text(&self) -> String {
        address(&self.folder, &self.config.borrow().url)
    }

    /// Who is connected.
    pub(crate) fn clients(&self) -> Vec<ClientStatus> {
        self.exchange.clients()
    }

    /// The tables have changed: clients that are idle connect again, since what they have prepared may be outdated.
    pub(crate) fn refresh(&self) {
        self.exchange.refresh();
    }

    /// Ends all clients, and waits until their tasks have ended.
    pub(crate) async fn close(&self) {
        self.exchange.close().await;
        // The next host makes it again. Without the file, a client is told that nothing is there.
        drop(fs::remove_file(self.path()));
    }

    fn path(&self) -> PathBuf {
        socket_in(&self.folder)
    }
}

/// Where the running host of the project at `root` offers the database with this URL. `None`: it does not.
pub(crate) fn offered(root: &Path, url: &DatabaseUrl) -> Option<String> {
    let folder = folder(root);
    socket_in(&folder).exists().then(|| address(&folder, url))
}

/// Fails for a URL that leads to the endpoint of the project at `root`: nothing would stand behind it.
pub(super) fn refuse_own(url: &DatabaseUrl, root: &Path) -> Result<(), BoxError> {
    let folder = folder(root);
    let leads_here = |host: &Host| matches!(host, Host::Unix(path) if *path == folder);
    if url.config().get_hosts().iter().any(leads_here) {
        return Err("DATABASE_URL is the address at which the dev server itself offers the database to the app: \
            take it out to use the private cluster, or set the URL of a server"
            .into());
    }
    Ok(())
}

fn address(folder: &Path, url: &DatabaseUrl) -> String {
    let Identity { user, database } = identity(url);
    socket::url(folder, &user, &database)
}

fn socket_in(folder: &Path) -> PathBuf {
    folder.join(format!(".s.PGSQL.{}", socket::PORT))
}

fn folder(root: &Path) -> PathBuf {
    socket::folder(&root.join(".dev"), "wire", root)
}

/// As the server takes them: the database is named like the user, unless it is named.
fn identity(url: &DatabaseUrl) -> Identity {
    let settings = url.config();
    let user = settings.get_user().map_or_else(system_user, str::to_owned);
    let database = settings
        .get_dbname()
        .map_or_else(|| user.clone(), str::to_owned);
    Identity { user, database }
}

/// What tokio-postgres takes if the URL names nobody.
fn system_user() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective());
    user.ok()
        .flatten()
        .map(|user| user.name)
        .unwrap_or_default()
}
