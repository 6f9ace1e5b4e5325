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

    let mut files = vec![
        PathBuf::from("Cargo.toml"),
        PathBuf::from("../Cargo.lock"),
        PathBuf::from("build.rs"),
    ];
    files.push(PathBuf::from("db/Cargo.toml"));
    sources(Path::new("src"), &mut files);
    sources(Path::new("db/src"), &mut files);
    sources(Path::new("dylib/src"), &mut files);
    files.sort();
    for file in files {
        file.hash(&mut hasher);
        fs::read(&file)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
            .hash(&mut hasher);
        println!("cargo::rerun-if-changed={}", file.display());
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
