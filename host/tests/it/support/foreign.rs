//! A user's project in a git repository of its own, which adopts the dev server and gives it back.
//!
//! The dev server is compiled once for a workspace like theirs, see `idle`; each gets a copy of that build, as checkouts
//! do.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use host_cli::Console;
use host_demo::copy;

use super::{
    Checkout, Host, idle,
    seed::{clean_command, run, seed},
};

/// The same for every project with dependencies, so that they share one build: what any of them needs.
pub(crate) const DEPENDENCIES: &str = r#"
askama = { version = "0.15", default-features = false, features = ["derive", "std"] }
axum = "0.8"
diesel = { version = "2.3", default-features = false, features = ["postgres_backend"] }
diesel-async = { version = "0.9", features = ["deadpool", "postgres"] }
reqwest = { version = "0.13", default-features = false }
sea-orm = { version = "2", features = ["runtime-tokio", "sqlx-postgres"] }
sqlx = { version = "0.9", default-features = false, features = ["macros", "migrate", "postgres", "runtime-tokio"] }
tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }
tower-http = { version = "0.6", features = ["fs"] }
"#;

/// Of a package with these dependencies.
pub(crate) fn manifest(name: &str) -> String {
    format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]{DEPENDENCIES}"
    )
}

pub(crate) struct Foreign {
    pub(crate) checkout: Checkout,
}

impl Foreign {
    /// A project with these files, committed.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let (run, number) = (std::process::id(), COUNT.fetch_add(1, Relaxed));
        let folder = elsewhere().join(format!("{run}/{number}"));
        fs::create_dir_all(&folder).unwrap();
        let folder = folder.canonicalize().unwrap();
        let checkout = Checkout::of_others(&folder);
        let foreign = Self { checkout };
        for (file, text) in files {
            foreign.write(file, text);
        }
        foreign.write(".gitignore", "target\nhost.log\n");
        foreign.git(&["init", "--quiet"]);
        foreign.commit();
        foreign
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.checkout.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&[
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b",
            "commit",
            "--quiet",
            "--message",
            "a",
        ]);
    }

    /// `git status`, or what another command of git says.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        run(self.checkout.command("git").args(arguments))
    }

    /// `hot init` with these arguments, taking the dev server from this repository: whether it succeeded, and what it
    /// said.
    pub(crate) fn init(&self, arguments: &[&str]) -> (bool, String) {
        let mut said = Vec::new();
        let arguments = [&["hot", "init"], arguments].concat();
        let done = host_cli::run(
            &self.checkout.path(""),
            arguments,
            &mut Console::new(&mut said, None),
        );
        let mut said = String::from_utf8(said).unwrap();
        let succeeded = match done {
            Ok(code) => code == ExitCode::SUCCESS,
            Err(failure) => {
                said.push_str(&failure.to_string());
                false
            }
        };
        (succeeded, said)
    }

    /// Takes the dev server on.
    pub(crate) fn adopt(&self) {
        let ours = workspace();
        let (succeeded, said) = self.init(&["--yes", "--path", ours.to_str().unwrap()]);
        assert!(succeeded, "{said}");
    }

    /// `cargo dev`, with its first generation.
    pub(crate) async fn serve(self) -> Host {
        self.build();
        let mut dev = self.checkout.command("cargo");
        dev.args(["dev", "--port", "0"]);
        Host::start_by(self.checkout, dev).await
    }

    fn build(&self) {
        let target = self.checkout.path("dev/target");
        copy::tree(built(), &target.join("hot")).unwrap();
        // Not the app, whose macros may need the database: `cargo dev` builds no more than this either.
        build_in(&self.checkout.path(""), &target, &["--bin", "dev"]);
    }
}

/// The build of a project that does nothing, for this run alone.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let kept = seed().with_file_name("foreign");
        idle::build(&kept);
        kept
    })
}

/// Compiles the dev server of the project at `root`: all of it, or what is `selected`.
pub(super) fn build_in(root: &Path, target: &Path, selected: &[&str]) {
    let mut build = clean_command(Path::new("cargo"), root);
    build
        .args(["build", "--quiet", "--profile", "hot"])
        .args(selected);
    build.args(["--manifest-path", "dev/Cargo.toml", "--target-dir"]);
    run(build.arg(target));
}

/// Where projects of others lie: outside of this repository, since cargo would merge the configuration of both.
pub(super) fn elsewhere() -> PathBuf {
    env::temp_dir().join("host-it")
}

/// This repository.
pub(super) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// What was served is the project that it was, without the dev server, but for the files that were `edited`.
pub(crate) async fn give_back(host: Host, edited: &[&str]) {
    let (status, checkout) = host.stop().await;
    assert!(status.success(), "{status}");
    let foreign = Foreign { checkout };
    assert_ne!(foreign.git(&["status", "--porcelain"]), "");
    let (succeeded, said) = foreign.init(&["--undo", "--yes"]);
    assert!(succeeded, "{said}");
    foreign.git(&[&["restore"], edited].concat());
    assert_eq!(foreign.git(&["status", "--porcelain"]), "");
    assert!(!foreign.checkout.path("dev").exists() && !foreign.checkout.path(".dev").exists());
    foreign.checkout.remove();
}
