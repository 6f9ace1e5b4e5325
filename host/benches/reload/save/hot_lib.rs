//! hot-lib-reloader as its documentation has it: render functions in a library, axum in a binary that stays.
//!
//! The macro takes synchronous functions of a fixed signature only, so that handlers, routes and queries are in the
//! binary; a route cannot be added. Its library has as many functions as the large app has handlers. The watcher that
//! would run `cargo build -p lib` is an ideal one; the library is looked at again after half a second of quiet, which
//! is the default. Everything else (versions, profile) is as in this workspace.

use std::{
    collections::BTreeMap, fmt::Write as _, fs, net::SocketAddr, path::PathBuf, time::Instant,
};

use futures_util::{FutureExt, future::BoxFuture};
use shared::BoxError;

use super::{Taken, Way, ms};
use crate::{
    app::{
        App, Edit, Kind,
        large::{RESOURCES, change, renamed},
    },
    client::{Connection, until_answered},
    command::{Server, cargo, clean, free_address},
    scratch::Scratch,
};

/// A workspace of its own, and the binary that runs there.
pub(crate) struct HotLib {
    root: PathBuf,
    app: App,
    database: String,
    address: SocketAddr,
    server: Option<Server>,
    connection: Option<Connection>,
}

impl HotLib {
    pub(crate) fn new(scratch: &Scratch, database: &str) -> Result<Self, BoxError> {
        let root = scratch.path("hot-lib");
        let app = App {
            name: "hot-lib",
            query: "/api/invoices",
            files: files(),
            change,
            rounds: [0; 3],
        };
        app.install(&root)?;
        fs::copy(
            scratch.workspace.join("Cargo.lock"),
            root.join("Cargo.lock"),
        )?;
        Ok(Self {
            root,
            app,
            database: database.to_owned(),
            address: free_address()?,
            server: None,
            connection: None,
        })
    }

    async fn start(&mut self) -> Result<(), BoxError> {
        cargo(&self.root, "build").await?;
        // What the watcher does in the other terminal; else the first save would build more than an edit.
        cargo(&self.root, "build --package lib").await?;
        let mut command = clean(self.root.join("target/debug/bin"), &self.root);
        command
            .arg(self.address.to_string())
            .env("DATABASE_URL", &self.database);
        self.server = Some(Server::start(command, &self.root.join("bin.log"))?);
        until_answered(self.address, &mut self.connection, self.app.query, "").await
    }

    async fn measured(&mut self, kind: Kind, round: usize) -> Result<Taken, BoxError> {
        let edit = self.app.edit(kind, round)?;
        let since = Instant::now();
        edit.write(&self.root)?;
        let build = cargo(&self.root, "build --package lib").await?;
        let loading = Instant::now();
        until_answered(self.address, &mut self.connection, &edit.path, &edit.marker).await?;
        Ok(Taken {
            total: ms(since.elapsed()),
            steps: vec![
                ("build", ms(build)),
                ("load to first answer", ms(loading.elapsed())),
            ],
            compiler: None,
        })
    }
}

impl Way for HotLib {
    fn name(&self) -> &'static str {
        "hot-lib-reloader"
    }

    fn install<'a>(&'a mut self, _: &'a App) -> BoxFuture<'a, Result<(), BoxError>> {
        self.start().boxed()
    }

    fn save<'a>(&'a mut self, edit: &'a Edit) -> BoxFuture<'a, Result<Option<Taken>, BoxError>> {
        async {
            match edit.kind {
                Kind::Route => Ok(None),
                kind => self.measured(kind, edit.round).await.map(Some),
            }
        }
        .boxed()
    }
}

fn files() -> BTreeMap<PathBuf, String> {
    let mut lib = include_str!("hot_lib/lib.rs").to_owned();
    let mut hot_functions = String::new();
    let mut routes = String::new();
    let mut files = BTreeMap::new();
    for name in RESOURCES {
        lib += &format!("pub mod {name};\n");
        let text = renamed(include_str!("hot_lib/invoice.rs"), name);
        files.insert(format!("lib/src/{name}.rs").into(), text);
        writeln!(
            hot_functions,
            "    hot_functions_from_file!(\"lib/src/{name}.rs\");"
        )
        .expect("a String takes everything");
        routes += &renamed(include_str!("hot_lib/routes.rs"), name);
    }
    let main = include_str!("hot_lib/main.rs")
        .replace("    // every resource\n", &hot_functions)
        .replace("        // every route\n", &routes);
    files.extend([
        ("Cargo.toml".into(), include_str!("hot_lib/bin.toml").into()),
        (
            "lib/Cargo.toml".into(),
            include_str!("hot_lib/lib.toml").into(),
        ),
        ("lib/src/lib.rs".into(), lib),
        ("src/main.rs".into(), main),
    ]);
    files
}
