//! A project of a user's, as a git repository.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;
use toml_edit::DocumentMut;

/// A library that serves an axum router.
pub(crate) const LIBRARY: &str = "\
use axum::{Router, routing::get};

pub fn router() -> Router {
    Router::new().route(\"/\", get(async || \"hello\"))
}
";

pub(crate) struct Repository {
    folder: TempDir,
}

/// What a command wrote, and whether it succeeded.
pub(crate) struct Ran {
    pub(crate) ok: bool,
    pub(crate) text: String,
}

impl Ran {
    /// It failed, and said this.
    #[track_caller]
    pub(crate) fn refused(&self, because: &str) {
        assert!(!self.ok && self.text.contains(because), "{}", self.text);
    }
}

impl Repository {
    /// Commits these files.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let repository = Self {
            folder: TempDir::new().unwrap(),
        };
        for (file, text) in files {
            repository.write(file, text);
        }
        repository.git(&["init", "--quiet"]);
        repository.git(&["add", "--all"]);
        repository.git(&["commit", "--quiet", "--message", "As it was"]);
        repository
    }

    /// One package with a library, as `cargo new --lib` makes it.
    pub(crate) fn of_one_package(name: &str) -> Self {
        Self::new(&[
            ("Cargo.toml", &manifest(name)),
            ("src/lib.rs", LIBRARY),
            (".gitignore", "/target\n"),
        ])
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(file)
    }

    pub(crate) fn read(&self, file: &str) -> String {
        let path = self.path(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn toml(&self, file: &str) -> DocumentMut {
        self.read(file).parse().unwrap()
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs `hot` in the root, without a terminal.
    pub(crate) fn hot(&self, arguments: &[&str]) -> Ran {
        self.hot_in("", arguments)
    }

    pub(crate) fn hot_in(&self, folder: &str, arguments: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_hot"))
            .current_dir(self.path(folder))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        Ran {
            ok: output.status.success(),
            text: String::from_utf8(text).unwrap(),
        }
    }

    /// Runs `hot init --yes`, which must succeed.
    pub(crate) fn init(&self, flags: &[&str]) -> String {
        let ran = self.hot(&[&["init", "--yes"], flags].concat());
        assert!(ran.ok, "{}", ran.text);
        ran.text
    }

    /// What git sees as changed.
    pub(crate) fn status(&self) -> String {
        self.git(&["status", "--porcelain"])
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(self.folder.path())
            .args(["-c", "user.name=Test", "-c", "user.email=test@example.org"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Lets cargo resolve the workspace in `folder`, and keep the versions in its lock file. Downloads nothing.
    pub(crate) fn resolves(&self, folder: &str) {
        let output = Command::new("cargo")
            .current_dir(self.path(folder))
            .args(["update", "--workspace", "--offline"])
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        assert!(!error.contains("warning"), "{error}");
    }
}

/// A package that depends on axum.
pub(crate) fn manifest(name: &str) -> String {
    format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\naxum = \"0.8\"\n"
    )
}

/// Our own checkout.
pub(crate) fn checkout() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    folder.canonicalize().unwrap()
}
