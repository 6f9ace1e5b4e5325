//! The user's environment, without the additions of `cargo run` and rustup.
//!
//! cargo's fingerprints include parts of the environment: with the additions, everything would be built again, into
//! libraries that do not fit the running host. And an edit of `rust-toolchain.toml` would have no effect.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use serde::Deserialize;

/// Set by the user, or by rustup, from the project's toolchain file, for the cargo that ran this process.
const TOOLCHAIN: &str = "RUSTUP_TOOLCHAIN";

/// The toolchain files of a project, in the order in which rustup looks for them.
pub(crate) const TOOLCHAIN_FILES: [&str; 2] = ["rust-toolchain", "rust-toolchain.toml"];

/// Gives `command`, which runs in the project at `root`, the user's environment. The variables of `.env`, which the
/// host has added to its own environment, are left out too.
pub(crate) fn restore_user_environment(command: &mut Command, root: &Path) {
    command.env_clear();
    for (name, value) in super::for_children() {
        let key = name.to_str().unwrap_or_default();
        let added = matches!(key, "CARGO" | "OUT_DIR" | "RUST_RECURSION_COUNT")
            || [
                "CARGO_PKG_",
                "CARGO_MANIFEST_",
                "CARGO_BIN_",
                "CARGO_CRATE_",
                "CARGO_PRIMARY_",
            ]
            .iter()
            .any(|prefix| key.starts_with(prefix))
            || (key.starts_with(TOOLCHAIN) && toolchain_is_the_files(root));
        if added {
            continue;
        }
        if !matches!(key, "LD_LIBRARY_PATH" | "DYLD_FALLBACK_LIBRARY_PATH") {
            command.env(name, value);
            continue;
        }
        // `cargo run` prepends folders of the target and the toolchain; the rest is the user's.
        let own: Vec<PathBuf> = env::split_paths(value)
            .filter(|path| {
                !path.starts_with(root)
                    && !path.components().any(|part| part.as_os_str() == "rustlib")
            })
            .collect();
        if let Ok(own) = env::join_paths(&own)
            && !own.is_empty()
        {
            command.env(name, own);
        }
    }
}

/// Whether `RUSTUP_TOOLCHAIN` came from the project's file. Decided once: the file may change, the variable stays.
fn toolchain_is_the_files(root: &Path) -> bool {
    static DECIDED: OnceLock<bool> = OnceLock::new();
    *DECIDED.get_or_init(|| {
        let file = TOOLCHAIN_FILES
            .iter()
            .find_map(|name| fs::read_to_string(root.join(name)).ok());
        match (env::var(TOOLCHAIN), file) {
            (Ok(value), Some(file)) => names(&file, &value),
            _ => false,
        }
    })
}

#[derive(Deserialize)]
struct ToolchainFile {
    toolchain: Toolchain,
}

#[derive(Deserialize)]
struct Toolchain {
    channel: Option<String>,
    path: Option<String>,
}

/// Whether a toolchain file with this text results in this value, with or without the target triple at its end.
fn names(file: &str, value: &str) -> bool {
    let channel = match toml::from_str::<ToolchainFile>(file) {
        Ok(ToolchainFile { toolchain }) => toolchain.channel.or(toolchain.path),
        // The legacy format is just the name.
        Err(_) => Some(file.trim().to_owned()),
    };
    // The name may be followed by the triple. A date would mean another nightly.
    let is_triple = |rest: &str| {
        rest.is_empty()
            || rest
                .strip_prefix('-')
                .is_some_and(|triple| triple.starts_with(char::is_alphabetic))
    };
    channel.is_some_and(|channel| value.strip_prefix(&channel).is_some_and(is_triple))
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_toolchain_of_the_file_is_told_from_a_users() {
        let file = "[toolchain]\nchannel = \"1.95\"\ncomponents = []\n";
        assert!(names(file, "1.95-x86_64-unknown-linux-gnu"));
        assert!(names(file, "1.95"));
        assert!(!names(file, "1.95.1-x86_64-unknown-linux-gnu"));
        assert!(!names(file, "nightly-x86_64-unknown-linux-gnu"));
        assert!(names("stable\n", "stable-x86_64-unknown-linux-gnu"));
        assert!(names("[toolchain]\npath = \"/opt/rust\"", "/opt/rust"));
        assert!(!names("nightly", "nightly-2026-01-01"));
        assert!(!names("", "stable"));
    }
}
