//! The server that holds the databases of tests: the one in `TEST_DATABASE_URL`, or a private one.

use std::env;

use shared::{BoxError, db::DatabaseUrl};
use shared_cluster::{Cluster, Life, Place, PostgresError, USER};
use tokio::sync::OnceCell;

use crate::{copies, project::target, users::Starting};

const VARIABLE: &str = "TEST_DATABASE_URL";

/// What loses data in a crash, and takes time to prevent that.
const FAST: [(&str, &str); 4] = [
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("max_connections", "200"),
];

/// A server with a database from which others are made and dropped.
pub(crate) struct Server {
    url: String,
    /// Only tests of this project on this machine use it.
    is_private: bool,
    /// How it copies a database, as CREATE DATABASE takes it.
    pub(crate) strategy: &'static str,
}

impl Server {
    /// The server, which the first call of the process starts.
    pub(crate) async fn get() -> &'static Self {
        static SERVER: OnceCell<Server> = OnceCell::const_new();
        SERVER.get_or_init(Self::find).await
    }

    async fn find() -> Self {
        let named = env::var(VARIABLE).ok().filter(|url| !url.is_empty());
        let found = match named {
            Some(url) => Ok(Self {
                url,
                is_private: false,
                strategy: "",
            }),
            None => private().await,
        };
        let server = found.unwrap_or_else(|error| {
            panic!("no database for this test: {error}\nor name a server for tests: {VARIABLE}=postgres://user:password@host/database")
        });
        copies::drop_forgotten(server.parsed(None), server.is_private).await;
        server
    }

    /// One of its databases, for any driver. `None`: that in which others are made.
    pub(crate) fn url(&self, database: Option<&str>) -> String {
        database.map_or_else(|| self.url.clone(), |name| with_database(&self.url, name))
    }

    /// The same, parsed.
    ///
    /// # Panics
    /// For what `TEST_DATABASE_URL` says, if that is no URL.
    pub(crate) fn parsed(&self, database: Option<&str>) -> DatabaseUrl {
        DatabaseUrl::parse(&self.url(database))
            .unwrap_or_else(|error| panic!("{VARIABLE}: {error}"))
    }
}

/// Starts the private server, unless another process has.
async fn private() -> Result<Server, BoxError> {
    let folder = target().join("test-postgres");
    let place = Place {
        settings: FAST.map(|(name, value)| (name, value.to_owned())).to_vec(),
        life: Life::OfItsOwn,
        ..Place::new(&folder, "cluster")
    };
    let mut cluster = Cluster::of(place).map_err(explained)?;
    let starting = Starting::begin(&folder, &cluster).await?;
    let started = cluster.start(&mut |what| eprintln!("tests: {what}")).await;
    started.map_err(|error| {
        format!("{error}\nif it was damaged, for example by a power failure, remove {} and run the tests again", folder.display())
    })?;
    let server = Server {
        url: cluster.url_text(USER),
        is_private: true,
        // Twice as fast without fsync; on a server that others use, it makes a checkpoint each time.
        strategy: match cluster.major() {
            ..15 => "", // knows no other
            _ => "STRATEGY FILE_COPY",
        },
    };
    cluster.keep_running();
    starting.end()?;
    Ok(server)
}

/// What to do, for tests.
fn explained(error: PostgresError) -> BoxError {
    match error {
        PostgresError::NotFound => "there is no initdb and postgres in PGBIN, PATH or the usual places: install PostgreSQL, for example by apt-get install postgresql, or let `cargo dev --download on` fetch it once".into(),
        other => other.into(),
    }
}

/// The URL with another database in its path.
fn with_database(url: &str, name: &str) -> String {
    let (before, parameters) = url
        .split_once('?')
        .map_or((url, None), |(before, after)| (before, Some(after)));
    let authority = before.find("://").map_or(0, |at| at + "://".len());
    let end = before[authority..]
        .find('/')
        .map_or(before.len(), |at| authority + at);
    let parameters = parameters.map(|it| format!("?{it}")).unwrap_or_default();
    format!("{}/{name}{parameters}", &before[..end])
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn the_database_is_replaced_and_the_rest_is_kept() {
        for (url, expected) in [
            (
                "postgres://a:b@c:5/d?sslmode=require",
                "postgres://a:b@c:5/x?sslmode=require",
            ),
            (
                "postgres://a@%2Ftmp%2Fs:5432/postgres",
                "postgres://a@%2Ftmp%2Fs:5432/x",
            ),
            ("postgresql://c", "postgresql://c/x"),
            ("postgres://c?host=/tmp/s", "postgres://c/x?host=/tmp/s"),
        ] {
            assert_eq!(with_database(url, "x"), expected);
        }
    }
}
