//! A database of a test's own.

use std::thread;

use shared::{BoxError, db::DatabaseUrl};

use crate::{copies, server::Server, template::template};

/// A database with all migrations, which nobody else uses. Dropped with this value, together with its connections.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let database = shared_test::TestDatabase::new().await;
/// // Any driver: `PgPool::connect(database.url()).await`.
/// assert!(database.url().starts_with("postgres://"));
/// # }
/// ```
pub struct TestDatabase {
    server: &'static Server,
    name: String,
    url: String,
}

impl TestDatabase {
    /// A copy of the template.
    ///
    /// # Panics
    /// There is no server, or a migration fails. The message says which, and what to do.
    pub async fn new() -> Self {
        let server = Server::get().await;
        let name = copies::name();
        let made = async {
            let template = template(server).await?;
            let strategy = server.strategy;
            let copy = format!("CREATE DATABASE {name} TEMPLATE {template} {strategy}");
            copies::run(server.parsed(None), &copy).await
        };
        if let Err(error) = made.await {
            panic!("the database for this test cannot be made: {error}");
        }
        Self {
            url: server.url(Some(&name)),
            server,
            name,
        }
    }

    /// Where it is, for any driver.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn parsed(&self) -> DatabaseUrl {
        self.server.parsed(Some(&self.name))
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // In a thread with a runtime of its own: that of the test may be the one that waits here.
        let (server, sql) = (self.server.parsed(None), copies::dropping(&self.name));
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = runtime.map_err(BoxError::from);
            let dropped = runtime.and_then(|runtime| runtime.block_on(copies::run(server, &sql)));
            if let Err(error) = dropped {
                eprintln!("tests: {error}; a later run tries again: {sql}");
            }
        });
        drop(dropping.join()); // it has said what went wrong
    }
}
