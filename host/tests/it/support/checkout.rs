//! A copy of the workspace with its build, for one test at a time.
//!
//! rustc's incremental data is bound to a path, so that a fresh copy costs a full compile of the app. Hence a checkout
//! is put back in order and handed to the next test.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use host_demo::copy::{self, SOURCES};

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
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let copied = Command::new("cp").arg("-a").args([from, to]).status();
        assert!(copied.unwrap().success());
    }

    /// For a test that built something else in it: no other test gets it after this one.
    pub(crate) fn remove(mut self) {
        fs::remove_dir_all(std::mem::take(&mut self.root)).unwrap();
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
        let head = "#![allow(unused_imports)]\n\
             use axum::{Router, extract::*, response::*, routing::*, http::*, body::*};\n\
             use shared::AppState;\n\
             /// Waits for a file in the checkout: how a test lets a handler go on.\n\
             #[allow(dead_code)]\n\
             async fn gate(name: &str) { while !std::path::Path::new(name).exists() { tokio::time::sleep(std::time::Duration::from_millis(2)).await } }\n";
        self.write(
            "app_lib/src/lab.rs",
            &format!("{head}pub(crate) fn routes() -> Router<AppState> {{ {routes} }}\n"),
        );
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
        } else if put_in_order(&self.root) {
            IDLE.lock().unwrap().push(std::mem::take(&mut self.root));
        } else {
            fs::remove_dir_all(&self.root).unwrap();
        }
    }
}

/// Undoes what a test did. `false` if it touched more than the app: then too much would have to be built again.
fn put_in_order(root: &Path) -> bool {
    for entry in fs::read_dir(root).unwrap() {
        let (name, path) = (entry.as_ref().unwrap().file_name(), entry.unwrap().path());
        if name == "target" || SOURCES.iter().any(|source| name == *source) {
        } else if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }
    restore(&seed().join("app_lib"), &root.join("app_lib"));
    SOURCES
        .iter()
        .all(|source| is_same(&seed().join(source), &root.join(source)))
}

/// Leaves alone what is right, so that cargo finds it fresh.
fn restore(from: &Path, to: &Path) {
    for entry in fs::read_dir(to).unwrap() {
        let path = entry.unwrap().path();
        if !from.join(path.file_name().unwrap()).exists() {
            match path.is_dir() && !path.is_symlink() {
                true => fs::remove_dir_all(path).unwrap(),
                false => fs::remove_file(path).unwrap(),
            }
        }
    }
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (
            entry.as_ref().unwrap().path(),
            to.join(entry.unwrap().file_name()),
        );
        if from.is_dir() {
            restore(&from, &to);
        } else if !is_same(&from, &to) {
            fs::write(to, fs::read(from).unwrap()).unwrap();
        }
    }
}

fn is_same(left: &Path, right: &Path) -> bool {
    if !left.is_dir() {
        return right.is_file() && fs::read(left).unwrap() == fs::read(right).unwrap();
    }
    let names = |folder: &Path| -> BTreeSet<OsString> {
        let Ok(entries) = fs::read_dir(folder) else {
            return BTreeSet::new();
        };
        entries.map(|entry| entry.unwrap().file_name()).collect()
    };
    let in_left = names(left);
    in_left == names(right)
        && in_left
            .iter()
            .all(|name| is_same(&left.join(name), &right.join(name)))
}

/// The workspace as it was when this run began, built.
fn seed() -> &'static Path {
    static SEED: OnceLock<PathBuf> = OnceLock::new();
    SEED.get_or_init(|| {
        remove_finished_runs();
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let built = clean_command(Path::new("cargo"), workspace)
            .args(["build", "--profile", "hot"])
            .output()
            .unwrap();
        assert!(
            built.status.success(),
            "{}",
            String::from_utf8_lossy(&built.stderr)
        );
        let seed = runs().join(format!("{}/seed", std::process::id()));
        copy::workspace(workspace, &seed).unwrap();
        // Starts the cluster, and stops it again: what is left is an empty one, as initdb makes it.
        let made = clean_command(&seed.join("target/hot/host"), &seed)
            .args(["psql", "-c", "SELECT 1"])
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        seed
    })
}

/// On the file system of `target`, which links cannot leave.
fn runs() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("it")
}

/// Checkouts of failed tests stay for a look until the next run.
fn remove_finished_runs() {
    let Ok(entries) = fs::read_dir(runs()) else {
        return;
    };
    for entry in entries.flatten() {
        let pid = entry.file_name().into_string().unwrap();
        if !Path::new("/proc").join(pid).exists() {
            // A host of a run that was killed may be ending and still write: its folder goes with the next run.
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

fn clean_command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    for (name, _) in env::vars_os() {
        let name = name.into_string().unwrap();
        let person_s = matches!(
            name.as_str(),
            "CARGO_HOME" | "CARGO_TERM_COLOR" | "CARGO_NET_OFFLINE"
        );
        let ours = name.starts_with("CARGO") && !person_s;
        let settings = ["DATABASE_", "PG", "RUST_LOG"]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        if ours
            || settings
            || matches!(
                name.as_str(),
                "LD_LIBRARY_PATH" | "OUT_DIR" | "PORT" | "HOST" | "APP_ENV"
            )
        {
            command.env_remove(name);
        }
    }
    command
}
