//! A watcher that restarts: the same app linked into one binary, built, stopped, started, asked.
//!
//! An ideal one: it notices a save in no time at all, and starts the next process as soon as the one before has ended.

use std::{net::SocketAddr, path::PathBuf, time::Instant};

use futures_util::{FutureExt, future::BoxFuture};
use shared::BoxError;

use super::{Taken, Way, ms};
use crate::{
    app::{App, Edit},
    client::until_answered,
    command::{Server, cargo, clean, free_address},
    scratch::Scratch,
};

const BUILD: &str =
    "build --profile hot --package host --no-default-features --features bundled-app";

/// A watcher that only restarts has no use for a faster host and would compile it again at every save, so it is left
/// out.
const UNOPTIMIZED_HOST: &str = " --config profile.hot.package.host.opt-level=0";

/// A copy of the workspace with a target folder of its own, and the process built there.
pub(crate) struct Watcher {
    root: PathBuf,
    database: String,
    pub(crate) address: SocketAddr,
    server: Option<Server>,
}

impl Watcher {
    pub(crate) fn new(scratch: &Scratch, database: &str) -> Result<Self, BoxError> {
        Ok(Self {
            root: scratch.copy("watcher")?,
            database: database.to_owned(),
            address: free_address()?,
            server: None,
        })
    }

    /// Builds `app` as the host in development is built and starts it, and waits for an answer that needs the database.
    pub(crate) async fn start(&mut self, app: &App) -> Result<(), BoxError> {
        self.start_built(app, BUILD).await
    }

    async fn start_built(&mut self, app: &App, build: &str) -> Result<(), BoxError> {
        self.server = None;
        app.install(&self.root)?;
        cargo(&self.root, build).await?;
        self.serve()?;
        until_answered(self.address, &mut None, app.query, "").await
    }

    fn serve(&mut self) -> Result<(), BoxError> {
        let mut command = clean(self.root.join("target/hot/host"), &self.root);
        command
            .args(["serve", "--port", &self.address.port().to_string()])
            .env("DATABASE_URL", &self.database);
        self.server = Some(Server::start(command, &self.root.join("serve.log"))?);
        Ok(())
    }

    async fn measured(&mut self, edit: &Edit) -> Result<Taken, BoxError> {
        let since = Instant::now();
        edit.write(&self.root)?;
        let build = cargo(&self.root, &at_each_save()).await?;
        let stopping = Instant::now();
        if let Some(server) = &mut self.server {
            server.stop()?;
        }
        let stop = stopping.elapsed();
        let starting = Instant::now();
        self.serve()?;
        until_answered(self.address, &mut None, &edit.path, &edit.marker).await?;
        Ok(Taken {
            total: ms(since.elapsed()),
            steps: vec![
                ("build", ms(build)),
                ("stop", ms(stop)),
                ("start to first answer", ms(starting.elapsed())),
            ],
            compiler: None,
        })
    }
}

fn at_each_save() -> String {
    format!("{BUILD}{UNOPTIMIZED_HOST}")
}

impl Way for Watcher {
    fn name(&self) -> &'static str {
        "restarting watcher"
    }

    fn install<'a>(&'a mut self, app: &'a App) -> BoxFuture<'a, Result<(), BoxError>> {
        async { self.start_built(app, &at_each_save()).await }.boxed()
    }

    fn save<'a>(&'a mut self, edit: &'a Edit) -> BoxFuture<'a, Result<Option<Taken>, BoxError>> {
        async { self.measured(edit).await.map(Some) }.boxed()
    }
}
