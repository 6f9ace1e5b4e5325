//! The workspace that all checkouts are copies of, and commands without what `cargo test` has put into our environment.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use host_demo::copy;

use super::foreign::elsewhere;

/// The workspace as it was when this run began, built.
pub(super) fn seed() -> &'static Path {
    static SEED: OnceLock<PathBuf> = OnceLock::new();
    SEED.get_or_init(|| {
        remove_finished_runs();
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        run(clean_command(Path::new("cargo"), workspace).args(["build", "--profile", "hot"]));
        let seed = runs().join(format!("{}/seed", std::process::id()));
        copy::workspace(workspace, &seed).unwrap();
        // Starts the cluster, and stops it again: what is left is an empty one, as initdb makes it.
        let host = seed.join("target/hot/host");
        run(clean_command(&host, &seed).args(["psql", "-c", "SELECT 1"]));
        seed
    })
}

/// Runs a command to its end, and returns what it printed. Shows its errors if it fails.
pub(super) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// On the file system of `target`, which links cannot leave.
pub(super) fn runs() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("it")
}

/// Checkouts of failed tests stay for a look until the next run.
fn remove_finished_runs() {
    let folders = [runs(), elsewhere()].map(fs::read_dir);
    for entry in folders.into_iter().flatten().flatten().flatten() {
        let pid = entry.file_name().into_string().unwrap();
        if !Path::new("/proc").join(pid).exists() {
            // A host of a run that was killed may be ending and still write: its folder goes with the next run.
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

pub(super) fn clean_command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    for (name, _) in env::vars_os() {
        let name = name.into_string().unwrap();
        let of_the_user = matches!(
            name.as_str(),
            "CARGO_HOME" | "CARGO_TERM_COLOR" | "CARGO_NET_OFFLINE"
        );
        let ours = name.starts_with("CARGO") && !of_the_user;
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
