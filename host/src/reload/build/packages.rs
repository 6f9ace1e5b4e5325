//! The path packages of the workspace according to its manifests. Needed before the first build, and when builds fail.
//!
//! Only looks for `path = "…"`, and follows each package it finds. Ignores manifests that it cannot read; cargo reports
//! what is wrong with them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use super::inputs::normalize;

/// The folders of all path packages reachable from the manifest at `root`. Absolute; they need not exist.
pub(super) fn declared(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut unread = vec![root.to_owned()];
    while let Some(folder) = unread.pop() {
        let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        let manifest: Table = text.parse().unwrap_or_default();
        for path in paths(&manifest) {
            let package = normalize(&folder.join(path));
            if package != root && found.insert(package.clone()) {
                unread.push(package);
            }
        }
    }
    found
}

/// Workspace members, and the paths of dependencies in every section that may have them.
fn paths(manifest: &Table) -> Vec<&str> {
    let mut paths = Vec::new();
    for (name, value) in manifest {
        match name.as_str() {
            "dependencies" | "dev-dependencies" | "build-dependencies" => {
                paths.extend(paths_of(value));
            }
            "workspace" => {
                let members = value.get("members").and_then(Value::as_array);
                let is_literal = |member: &&str| !member.contains(['*', '?', '[']);
                let members = members.into_iter().flatten().filter_map(Value::as_str);
                paths.extend(members.filter(is_literal));
                paths.extend(value.get("dependencies").into_iter().flat_map(paths_of));
            }
            "patch" => {
                let sources = value.as_table().into_iter().flatten();
                paths.extend(sources.flat_map(|(_, crates)| paths_of(crates)));
            }
            "target" => {
                let targets = value.as_table().into_iter().flatten();
                let tables = targets.filter_map(|(_, of_target)| of_target.as_table());
                paths.extend(tables.flat_map(self::paths));
            }
            _ => {}
        }
    }
    paths
}

fn paths_of(dependencies: &Value) -> Vec<&str> {
    let table = dependencies.as_table().into_iter().flatten();
    table
        .filter_map(|(_, dependency)| dependency.get("path")?.as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_found_through_each_other_wherever_they_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let write = |package: &str, text: &str| {
            fs::create_dir_all(root.join(package)).expect("a folder");
            fs::write(root.join(package).join("Cargo.toml"), text).expect("a file");
        };
        write(
            "",
            r#"
            [workspace]
            members = ["app", "crates/*"]
            [workspace.dependencies]
            domain = { path = "crates/domain" }
            [patch.crates-io]
            other = { path = "patched" }
            "#,
        );
        write(
            "app",
            r#"
            [dependencies]
            domain.workspace = true
            [target.'cfg(unix)'.build-dependencies]
            made = { path = "../made" }
            "#,
        );
        write(
            "crates/domain",
            "[dependencies]\nwords = { path = \"../words\" }",
        );
        write("crates/words", "[dependencies");
        let names = ["app", "crates/domain", "crates/words", "made", "patched"];
        let expected: BTreeSet<PathBuf> = names.iter().map(|name| root.join(name)).collect();
        assert_eq!(declared(root), expected);
    }
}
