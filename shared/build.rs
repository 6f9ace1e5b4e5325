//! Computes the fingerprint that is compared before any app code runs.
//!
//! Rust types cross the boundary between them, and Rust promises no layout: both sides must come from the same
//! compiler, flags, dependencies and sources of `shared`. All of that goes into one number.

use std::{
    collections::BTreeSet,
    env, fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::Command,
};

fn main() {
    // `DefaultHasher` may change between compilers, but then `rustc -vV` differs too.
    let mut hasher = DefaultHasher::new();

    let rustc = env::var("RUSTC").expect("cargo sets RUSTC for build scripts");
    let version = Command::new(rustc)
        .arg("-vV")
        .output()
        .expect("cargo has just run this rustc");
    version.stdout.hash(&mut hasher);

    for name in [
        "TARGET",
        "OPT_LEVEL",
        "DEBUG",
        "PROFILE",
        "CARGO_ENCODED_RUSTFLAGS",
    ] {
        env::var(name).unwrap_or_default().hash(&mut hasher);
    }
    let features: BTreeSet<String> = env::vars()
        .map(|(name, _)| name)
        .filter(|n| n.starts_with("CARGO_FEATURE_"))
        .collect();
    features.hash(&mut hasher);

    let mut files = vec![PathBuf::from("Cargo.toml"), PathBuf::from("build.rs")];
    sources(Path::new("src"), &mut files);
    // In a checkout, but not in a published package.
    for beside in ["db", "dylib"]
        .map(Path::new)
        .into_iter()
        .filter(|it| it.is_dir())
    {
        files.push(beside.join("Cargo.toml"));
        sources(&beside.join("src"), &mut files);
    }
    files.sort();
    for file in files {
        file.hash(&mut hasher);
        fs::read(&file)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
            .hash(&mut hasher);
        println!("cargo::rerun-if-changed={}", file.display());
    }
    if let Some(lock) = lock_file() {
        dependencies(&lock).hash(&mut hasher);
        println!("cargo::rerun-if-changed={}", lock.display());
    }
    // Not the folders: a new file matters only once a `mod` line in one of these names it, and editors touch folders.
    println!(
        "cargo::rustc-env=SHARED_FINGERPRINT={:016x}",
        hasher.finish()
    );
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is part of the package") {
        let path = entry.expect("listed a moment ago").path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The lock file of the workspace that is built, which need not be the one this package lies in: beside the target
/// folder that cargo has chosen, or else above this package.
fn lock_file() -> Option<PathBuf> {
    let out_dir = PathBuf::from(env::var_os("OUT_DIR")?);
    let here = env::current_dir().ok()?;
    let mut folders = out_dir
        .ancestors()
        .chain(here.ancestors())
        .map(|folder| folder.join("Cargo.lock"));
    folders.find(|lock| lock.is_file())
}

/// What the lock file says of the packages that this one is built from. Others may come and go: only the app has them.
fn dependencies(lock: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(lock).unwrap_or_default();
    let entries: Vec<&str> = text.split("[[package]]\n").skip(1).collect();
    let value = |entry: &str, key: &str| {
        let line = entry
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{key} = ")))?;
        Some(line.trim_matches('"').to_owned())
    };
    let mut found = BTreeSet::new();
    let mut unread = vec![env::var("CARGO_PKG_NAME").expect("cargo sets it for build scripts")];
    while let Some(wanted) = unread.pop() {
        // "name", or "name version" where there are several versions of it.
        let (name, version) = wanted
            .split_once(' ')
            .map_or((&*wanted, None), |(name, version)| (name, Some(version)));
        for entry in &entries {
            let fits = value(entry, "name").as_deref() == Some(name)
                && version.is_none_or(|version| {
                    value(entry, "version").as_deref() == version.split(' ').next()
                });
            if fits && found.insert((*entry).trim().to_owned()) {
                let lines = entry.lines().filter_map(|line| line.strip_prefix(" \""));
                unread.extend(lines.map(|line| line.trim_end_matches(['"', ',']).to_owned()));
            }
        }
    }
    found
}
