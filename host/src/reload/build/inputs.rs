//! The inputs of the app's last build: what rustc read, and what the build script declares that it reads.

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
};

use super::APP;

/// Empty before the first build.
#[derive(Clone, Default)]
pub(crate) struct Inputs {
    /// Relative to the root if inside it, absolute otherwise.
    pub(crate) sources: BTreeSet<PathBuf>,
    /// Files and folders, absolute.
    pub(crate) script_reads: Vec<PathBuf>,
}

impl Inputs {
    /// Whether `file`, relative to `root`, is among them.
    pub(crate) fn contains(&self, root: &Path, file: &Path) -> bool {
        self.sources.contains(file) || self.is_read_by_script(&root.join(file))
    }

    /// Whether the build script reads this path, or a folder that contains it.
    pub(super) fn is_read_by_script(&self, path: &Path) -> bool {
        self.script_reads.iter().any(|read| path.starts_with(read))
    }
}

/// The dep-info file of rustc, which lists the app's sources.
pub(super) fn dep_info(out_dir: &Path) -> PathBuf {
    out_dir.join(format!("{APP}.d"))
}

/// The sources in rustc's dep-info, relative to `root` if inside it; `None` if unreadable. A source that is
/// reached through a link is listed under both names.
///
/// Its first line is `app_lib.d: app_lib/src/lib.rs app_lib/src/../../README.md`, with spaces in names escaped.
pub(super) fn sources_in(dep_info: &Path, root: &Path) -> Option<BTreeSet<PathBuf>> {
    let text = fs::read_to_string(dep_info).ok()?;
    let (_, files) = text.lines().next()?.split_once(": ")?;
    let files = files.replace("\\ ", "\0");
    let canonical = fs::canonicalize(root).ok()?;
    let names = |file: &str| {
        let file = root.join(file.replace('\0', " "));
        let real = fs::canonicalize(&file).unwrap_or_else(|_| file.clone());
        let named = normalize(&file);
        [
            named.strip_prefix(root).unwrap_or(&named).to_owned(),
            real.strip_prefix(&canonical).unwrap_or(&real).to_owned(),
        ]
    };
    Some(files.split_ascii_whitespace().flat_map(names).collect())
}

/// What the app's build script declares that it reads. `None` if it declares nothing: cargo then runs it on every save.
pub(super) fn script_reads(out_dir: &Path, root: &Path) -> Option<Vec<PathBuf>> {
    let said = fs::read_to_string(out_dir.with_file_name("output")).ok()?;
    let package = root.join(APP);
    let reads: Vec<PathBuf> = said
        .lines()
        .filter_map(|line| {
            line.strip_prefix("cargo::rerun-if-changed=")
                .or_else(|| line.strip_prefix("cargo:rerun-if-changed="))
        })
        .map(|path| normalize(&package.join(path)))
        .collect();
    (!reads.is_empty()).then_some(reads)
}

/// Removes `..` without touching the file system, so that paths that do not exist can be compared.
pub(super) fn normalize(path: &Path) -> PathBuf {
    let mut normalized = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(normalized.pop()),
            part => normalized.push(part),
        }
    }
    normalized
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::{collection::btree_set, prelude::*};

    use super::*;

    /// As rustc writes it.
    fn dep_info_of(files: &BTreeSet<String>) -> String {
        let escaped: Vec<String> = files.iter().map(|file| file.replace(' ', "\\ ")).collect();
        let files = escaped.join(" ");
        format!("app_lib.d: {files}\n\napp_lib/src/lib.rs:\n")
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn each_source_is_found_again(files in btree_set("[a-zäé_]{1,8}( [a-z]{1,5}){0,2}/[a-z]{1,5}\\.rs", 1..8)) {
            let root = tempfile::tempdir().expect("a temporary folder");
            let info = root.path().join("app_lib.d");
            fs::write(&info, dep_info_of(&files)).expect("it can be written");
            let found = sources_in(&info, root.path()).expect("it can be read");
            let wanted: BTreeSet<PathBuf> = files.iter().map(PathBuf::from).collect();
            let inside: BTreeSet<PathBuf> =
                found.into_iter().filter(|file| file.is_relative()).collect();
            prop_assert_eq!(inside, wanted);
        }

        #[test]
        fn no_dep_info_makes_it_panic(text in "\\PC{0,80}") {
            let root = tempfile::tempdir().expect("a temporary folder");
            let info = root.path().join("app_lib.d");
            fs::write(&info, text).expect("it can be written");
            drop(sources_in(&info, root.path()));
        }

        #[test]
        fn a_normal_path_has_no_steps_back(parts in proptest::collection::vec("[a-z]{1,3}|\\.|\\.\\.", 1..10)) {
            let path = normalize(Path::new(&format!("/project/{}", parts.join("/"))));
            let is_normal = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
            prop_assert!(path.components().all(is_normal), "{}", path.display());
        }
    }
}
