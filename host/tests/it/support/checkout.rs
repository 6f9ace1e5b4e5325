//! A copy of the workspace with its build, for one test at a time.
//!
//! rustc's incremental data is bound to a path, so that a fresh copy costs a full compile of what a test changes. Hence
//! a checkout is put back in order, whatever was built in it, and handed to the next test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use host_demo::copy::{self, SOURCES};

use super::{
    mirror::{mirror, remove},
    seed::{clean_command, runs, seed},
};

/// Where a private cluster lies, but for users who may not enter there.
const CLUSTER: &str = ".dev/postgres";

/// Free checkouts in good order.
static IDLE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Put back in order when dropped; kept for a look if its test failed.
pub(crate) struct Checkout {
    root: PathBuf,
}

impl Checkout {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let idle = IDLE.lock().unwrap().pop();
        let root = idle.unwrap_or_else(|| {
            let number = COUNT.fetch_add(1, Relaxed);
            let root = runs().join(format!("{}/{number}", std::process::id()));
            copy::workspace(seed(), &root).unwrap();
            root
        });
        Self { root }
    }

    /// An empty folder for another project, removed with it.
    pub(crate) fn of_others(folder: &Path) -> Self {
        Self {
            root: folder.to_owned(),
        }
    }

    /// Removes it: it is none of this repository.
    pub(crate) fn remove(mut self) {
        fs::remove_dir_all(std::mem::take(&mut self.root)).unwrap();
    }

    /// Leaves it to the next run, which removes it.
    pub(crate) fn leave(mut self) {
        self.root = PathBuf::new();
    }

    /// None: what is left when a checkout has been handed on.
    pub(crate) fn nowhere() -> Self {
        Self {
            root: PathBuf::new(),
        }
    }

    /// An empty cluster, unless there is one or none is wanted: initdb takes a second of each processor.
    pub(crate) fn lend_cluster(&self) {
        let (from, to) = (seed().join(CLUSTER), self.path(CLUSTER));
        if !from.is_dir() || to.exists() || self.path(".env").exists() {
            return;
        }
        let used = used_cluster(&self.root);
        mirror(&from, &used);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::rename(used, to).unwrap();
    }

    pub(crate) fn is_nowhere(&self) -> bool {
        self.root.as_os_str().is_empty()
    }

    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    pub(crate) fn write(&self, relative: &str, text: &str) {
        fs::write(self.path(relative), text).unwrap();
    }

    /// Replaces `from`, which must be there, by `to`.
    pub(crate) fn edit(&self, relative: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(relative)).unwrap();
        assert!(text.contains(from), "{relative} holds {from:?}");
        self.write(relative, &text.replace(from, to));
    }

    /// Adds a module `lab` to the app: `routes` is the body of a function that returns `Router<AppState>`.
    pub(crate) fn add_lab(&self, routes: &str) {
        self.edit("app_lib/src/lib.rs", "mod page;", "mod page;\nmod lab;");
        self.edit(
            "app_lib/src/lib.rs",
            ".merge(page::routes())",
            ".merge(page::routes()).merge(lab::routes())",
        );
        self.write_lab(routes);
    }

    /// A save of the lab.
    pub(crate) fn write_lab(&self, routes: &str) {
        self.write("app_lib/src/lab.rs", &module(routes));
    }

    /// A command in this checkout, without what `cargo test` has put into our environment.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        clean_command(program.as_ref(), &self.root)
    }

    /// The host's binary of this checkout.
    pub(crate) fn host(&self) -> Command {
        self.command(self.path("target/hot/host"))
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        if self.is_nowhere() {
        } else if std::thread::panicking() {
            eprintln!("the checkout is kept: {}", self.root.display());
        } else {
            put_in_order(&self.root);
            IDLE.lock().unwrap().push(std::mem::take(&mut self.root));
        }
    }
}

/// The code of a lab.
pub(super) fn module(routes: &str) -> String {
    format!(
        "#![allow(unused_imports)]\n\
         use axum::{{Router, extract::*, response::*, routing::*, http::*, body::*}};\n\
         use shared::AppState;\n\
         /// Waits for a file in the checkout: how a test lets a handler go on.\n\
         #[allow(dead_code)]\n\
         async fn gate(name: &str) {{ while !std::path::Path::new(name).exists() {{ tokio::time::sleep(std::time::Duration::from_millis(2)).await }} }}\n\
         pub(crate) fn routes() -> Router<AppState> {{ {routes} }}\n"
    )
}

/// Undoes what a test did and built. Only rustc's incremental data stays, and a cluster to lend again.
fn put_in_order(root: &Path) {
    let (cluster, used) = (root.join(CLUSTER), used_cluster(root));
    // With this file it may still be running.
    if cluster.is_dir() && !cluster.join("data/postmaster.pid").exists() {
        remove(&used);
        fs::rename(cluster, used).unwrap();
    }
    let is_built = |name: &str| name == "target" || SOURCES.contains(&name);
    for entry in fs::read_dir(root).unwrap() {
        let entry = entry.unwrap();
        if !entry.file_name().to_str().is_some_and(is_built) {
            remove(&entry.path());
        }
    }
    for part in SOURCES.into_iter().chain(["target/hot"]) {
        mirror(&seed().join(part), &root.join(part));
    }
}

/// Where a checkout's cluster is kept for its next test: creating its thousand files again takes longer than most tests.
fn used_cluster(root: &Path) -> PathBuf {
    root.with_extension("cluster")
}
