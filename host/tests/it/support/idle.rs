//! A project that does nothing, with the dependencies that others have: its build is what theirs begin with.
//!
//! It stays from run to run, at a path of its own: cargo compiles the dev server again where its project, or the age of
//! its lock file, is another one.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
};

use host_demo::copy;

use super::{
    foreign::{Foreign, build_in, manifest, workspace},
    seed::{runs, seed},
};

/// Compiles it as far as anything has changed since the last run, and copies the build to `to`.
pub(super) fn build(to: &Path) {
    let target = runs().with_file_name("foreign");
    fs::create_dir_all(&target).unwrap();
    // Another run of this checkout waits. Released at the end.
    let lock = File::create(target.join("lock")).unwrap();
    lock.lock().unwrap();
    let hot = target.join("hot");
    if !hot.is_dir() {
        copy::tree(&seed().join("target/hot"), &hot).unwrap();
    }
    build_in(&standing(), &target, &[]);
    copy::tree(&hot, to).unwrap();
}

/// The project of the last run, if a new one would come out the same.
fn standing() -> PathBuf {
    let name = workspace().display().to_string().replace('/', "-");
    let standing = env::temp_dir().join("host-it-idle").join(name);
    let made = Foreign::new(&[
        ("Cargo.toml", &manifest("idle")),
        (
            "src/lib.rs",
            "pub fn router() -> axum::Router { axum::Router::new() }\n",
        ),
    ]);
    made.adopt();
    if is_like(&made.checkout.path(""), &standing) {
        made.checkout.remove();
        return standing;
    }
    if standing.exists() {
        fs::remove_dir_all(&standing).unwrap();
    }
    fs::create_dir_all(standing.parent().unwrap()).unwrap();
    fs::rename(made.checkout.path(""), &standing).unwrap();
    made.checkout.leave();
    standing
}

/// Whether all files of `made` are the same in `standing`, but for what cargo and git write.
fn is_like(made: &Path, standing: &Path) -> bool {
    let mut entries = fs::read_dir(made).unwrap();
    entries.all(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if name == ".git" || name == "Cargo.lock" {
            return true;
        }
        let there = standing.join(name);
        match path.is_dir() {
            true => is_like(&path, &there),
            false => fs::read(&path).ok() == fs::read(&there).ok(),
        }
    })
}
