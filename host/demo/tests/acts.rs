//! The demo itself: three acts on the real host, and their output.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{env, fs, path::Path, process::Command};

#[test]
fn the_demo_shows_three_curves_and_the_refusal() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = workspace.ancestors().nth(2).unwrap();
    let built = outside_cargo("cargo")
        .args(["build", "--quiet", "--profile", "hot"])
        .current_dir(workspace)
        .status();
    assert!(built.unwrap().success());

    let out = tempfile::tempdir().unwrap();
    let ended = outside_cargo(env!("CARGO_BIN_EXE_demo"))
        .args(["--reloads", "3", "--max-connections", "7", "--out"])
        .arg(out.path())
        .current_dir(workspace.join("host")) // from a folder below the root, too
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}\n{errors}");

    let csv = fs::read_to_string(out.path().join("demo.csv")).unwrap();
    let rows: Vec<Vec<&str>> = csv
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect())
        .collect();
    // act, backends, HTTP status, SQLSTATE of each row
    let told: Vec<[&str; 4]> = rows
        .iter()
        .map(|row| [row[0], row[3], row[8], row[9]])
        .collect();
    let leak = [
        ["1", "1", "200", ""],
        ["1", "2", "200", ""],
        ["1", "3", "200", ""],
        ["1", "3", "503", "53300"],
    ];
    let flat = |act| vec![[act, "1", "200", ""]; 4];
    assert_eq!(
        told,
        [leak.to_vec(), flat("2"), flat("3")].concat(),
        "{csv}"
    );
    assert!(
        rows.iter()
            .filter(|row| row[0] == "2")
            .all(|row| row[4] == "1"),
        "the same PID throughout: {csv}"
    );
    let svg = fs::read_to_string(out.path().join("demo.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("refused: 53300"));
    assert!(!workspace.join(".dev/demo").exists(), "the copy is removed");
}

/// Without what `cargo test` has put into the environment, which the host's own builds would inherit.
fn outside_cargo(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let name = name.into_string().unwrap();
        let set_by_cargo = name.starts_with("CARGO") && name != "CARGO_HOME";
        if set_by_cargo || matches!(name.as_str(), "LD_LIBRARY_PATH" | "OUT_DIR") {
            command.env_remove(name);
        }
    }
    command
}
