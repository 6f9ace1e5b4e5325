//! A user's project in a git repository of its own, which adopts the dev server and gives it back.
//!
//! The first one to be served compiles the host for a workspace like theirs; the others get a copy of that build, as
//! checkouts do.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Mutex,
};

use host_cli::Console;
use host_demo::copy;

use super::{
    Checkout, Host,
    seed::{run, seed},
};

/// The build of the project that was served first.
static BUILT: Mutex<Option<PathBuf>> = Mutex::new(None);

pub(crate) struct Foreign {
    pub(crate) checkout: Checkout,
}

impl Foreign {
    /// A project with these files, committed.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap().keep().canonicalize().unwrap();
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
        // One at a time: the others wait for the build that they copy.
        let mut built = BUILT.lock().unwrap();
        let from = match &*built {
            Some(built) => built.clone(),
            None => seed().join("target/hot"),
        };
        copy::tree(&from, &self.checkout.path("dev/target/hot")).unwrap();
        let mut build = self.checkout.command("cargo");
        build.args([
            "build",
            "--quiet",
            "--manifest-path",
            "dev/Cargo.toml",
            "--profile",
            "hot",
        ]);
        run(&mut build);
        if built.is_none() {
            let kept = seed().with_file_name("foreign");
            copy::tree(&self.checkout.path("dev/target/hot"), &kept).unwrap();
            *built = Some(kept);
        }
    }
}

/// This repository.
fn workspace() -> &'static Path {
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
