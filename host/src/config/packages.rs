//! The path packages of a workspace according to its manifests. Needed before the first build, and when builds fail.
//!
//! Follows `path = "…"` from package to package, also where a package inherits the dependency from its workspace, but
//! not to what no build of the app compiles: dev-dependencies, and optional ones that the lock file leaves out.
//! Ignores manifests that it cannot read; cargo reports what is wrong with them.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    path::{Component, Path, PathBuf},
};

use toml::{Table, Value};

use super::locked::Locked;

/// The folders of all path packages reachable from the workspace in this folder. Absolute; they need not exist.
pub(crate) fn declared(workspace: &Path) -> BTreeSet<PathBuf> {
    let locked = Locked::of(workspace);
    reachable(named_in(workspace, &locked), &[workspace], &locked)
}

/// The manifests that decide what the packages of a project link, and its lock file, with their texts. A package comes
/// in only by a change of one of them.
pub(crate) fn manifests(root: &Path, workspace: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut folders = declared(workspace);
    folders.extend([root, workspace].map(Path::to_owned));
    let files = folders.iter().map(|folder| folder.join("Cargo.toml"));
    files
        .chain([workspace.join("Cargo.lock")])
        .map(|file| {
            let text = fs::read(&file).unwrap_or_default();
            (file, text)
        })
        .collect()
}

/// Those that only the package in `app` is built from, itself included: the host does not contain them.
pub(crate) fn only_of(app: &Path, workspace: &Path) -> BTreeSet<PathBuf> {
    let locked = Locked::of(workspace);
    let of_the_app = reachable(vec![app.to_owned()], &[workspace], &locked);
    let of_the_host = reachable(named_in(workspace, &locked), &[workspace, app], &locked);
    &of_the_app - &of_the_host
}

/// Follows `unread` from package to package, but not through those in `without`.
fn reachable(mut unread: Vec<PathBuf>, without: &[&Path], locked: &Locked) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    while let Some(folder) = unread.pop() {
        if !without.contains(&&*folder) && found.insert(folder.clone()) {
            unread.extend(named_in(&folder, locked));
        }
    }
    found
}

/// Whether a tool keeps its own files in a folder of this name, and not the user their sources. Hidden folders are
/// tools' too.
pub(crate) fn is_tool_folder(folder: &OsStr) -> bool {
    folder
        .to_str()
        .is_some_and(|name| matches!(name, "target" | "node_modules") || name.starts_with('.'))
}

/// Removes `..` without touching the file system, so that paths that do not exist can be compared.
pub(crate) fn normalize(path: &Path) -> PathBuf {
    let mut normalized = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(normalized.pop()),
            Component::CurDir => {}
            part => normalized.push(part),
        }
    }
    normalized
}

/// The packages that the manifest in `folder` names: workspace members, patches, and path dependencies that are built.
fn named_in(folder: &Path, locked: &Locked) -> Vec<PathBuf> {
    let manifest = manifest(folder);
    let mut found = Vec::new();
    let mut dependencies = Vec::new();
    let mut tables = vec![&manifest];
    let of_targets = manifest.get("target").and_then(Value::as_table);
    tables.extend(
        of_targets
            .into_iter()
            .flatten()
            .filter_map(|(_, it)| it.as_table()),
    );
    for table in tables {
        for kind in ["dependencies", "build-dependencies"] {
            dependencies.extend(
                table
                    .get(kind)
                    .and_then(Value::as_table)
                    .into_iter()
                    .flatten(),
            );
        }
    }
    for source in manifest
        .get("patch")
        .and_then(Value::as_table)
        .into_iter()
        .flatten()
    {
        dependencies.extend(source.1.as_table().into_iter().flatten());
    }
    dependencies.retain(|(name, it)| locked.brings(name, it));
    let inherits = |value: &Value| value.get("workspace").and_then(Value::as_bool) == Some(true);
    let inherited: Vec<&String> = dependencies
        .iter()
        .filter(|(_, it)| inherits(it))
        .map(|(name, _)| *name)
        .collect();
    if !inherited.is_empty()
        && let Some((above, shared)) = workspace_of(folder)
    {
        let paths = inherited
            .iter()
            .filter_map(|name| path_of(shared.get(name.as_str())?));
        found.extend(paths.map(|path| above.join(path)));
    }
    let members = manifest
        .get("workspace")
        .and_then(|it| it.get("members")?.as_array());
    let is_literal = |member: &&str| !member.contains(['*', '?', '[']);
    let members = members
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter(is_literal);
    let direct = dependencies.iter().filter_map(|(_, it)| path_of(it));
    found.extend(direct.chain(members).map(|path| folder.join(path)));
    found.iter().map(|package| normalize(package)).collect()
}

/// The nearest workspace at or above `folder`, and the dependencies that its packages may inherit.
fn workspace_of(folder: &Path) -> Option<(&Path, Table)> {
    folder.ancestors().find_map(|above| {
        let mut manifest = manifest(above);
        let workspace = manifest.get_mut("workspace")?.as_table_mut()?;
        match workspace.remove("dependencies") {
            Some(Value::Table(shared)) => Some((above, shared)),
            _ => Some((above, Table::new())),
        }
    })
}

fn path_of(dependency: &Value) -> Option<&str> {
    dependency.get("path")?.as_str()
}

/// The manifest in `folder`; empty if it cannot be read.
pub(super) fn manifest(folder: &Path) -> Table {
    let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    text.parse().unwrap_or_default()
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
            unused = { path = "crates/unused" }
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

        let texts = || manifests(root, root);
        let before = texts();
        assert_eq!(texts(), before);
        // A feature that brings a crate in, which the lock file knows already.
        write("made", "[features]\ndefault = [\"dep:more\"]");
        assert_ne!(texts(), before);
    }

    #[test]
    fn what_the_host_is_built_from_too_is_not_only_the_apps() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        for (package, dependencies) in [
            (
                "app",
                "domain = { path = \"../domain\" }\nshared = { path = \"../shared\" }",
            ),
            (
                "host",
                "app = { path = \"../app\", optional = true }\nshared = { path = \"../shared\" }",
            ),
        ] {
            fs::create_dir_all(root.join(package)).expect("a folder");
            fs::write(
                root.join(package).join("Cargo.toml"),
                format!("[dependencies]\n{dependencies}"),
            )
            .expect("a file");
        }
        fs::write(
            root.join("Cargo.toml"),
            "[workspace]\nmembers = [\"app\", \"host\"]",
        )
        .expect("a file");
        let expected: BTreeSet<PathBuf> = ["app", "domain"]
            .iter()
            .map(|name| root.join(name))
            .collect();
        assert_eq!(only_of(&root.join("app"), root), expected);
    }

    #[test]
    fn what_no_build_compiles_is_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let write = |file: &str, text: &str| {
            let path = root.join(file);
            fs::create_dir_all(path.parent().expect("inside")).expect("a folder");
            fs::write(path, text).expect("a file");
        };
        write("Cargo.toml", "[workspace]\nmembers = [\"host\"]");
        let host = r#"
            [dependencies]
            wire = { path = "../wire" }
            sample = { path = "../sample", optional = true }
            alias = { path = "../other", optional = true, package = "other" }
            [dev-dependencies]
            cli = { path = "../cli" }
            [target.'cfg(unix)'.dev-dependencies]
            demo = { path = "../demo" }
            "#;
        write("host/Cargo.toml", host);
        let found = |names: &[&str]| names.iter().map(|name| root.join(name)).collect();
        // Without a lock file it is not known which are left out.
        let all: BTreeSet<PathBuf> = found(&["host", "wire", "sample", "other"]);
        assert_eq!(declared(root), all);
        let lock =
            ["host", "wire", "other"].map(|name| format!("[[package]]\nname = \"{name}\"\n"));
        write("Cargo.lock", &lock.concat());
        assert_eq!(declared(root), found(&["host", "wire", "other"]));
    }

    proptest::proptest! {
        #[test]
        fn a_normal_path_has_no_steps_back(parts in proptest::collection::vec("[a-z]{1,3}|\\.|\\.\\.", 1..10)) {
            let path = normalize(Path::new(&format!("/project/{}", parts.join("/"))));
            let is_normal = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
            proptest::prop_assert!(path.components().all(is_normal), "{}", path.display());
        }
    }
}
