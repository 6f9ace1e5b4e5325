//! The inputs of the last build, as cargo and rustc list them: sources of every path package, files that they include,
//! and what their build scripts declare that they read.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::config::Project;

/// Empty before the first build. Relative to the project's root if inside it, absolute otherwise.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Inputs {
    pub(crate) files: BTreeSet<PathBuf>,
    /// Files and folders that build scripts read: a change of one makes its script run again, which only cargo does.
    pub(crate) script_reads: Vec<PathBuf>,
}

impl Inputs {
    pub(crate) fn contains(&self, file: &Path) -> bool {
        self.files.contains(file) || self.is_read_by_script(file)
    }

    /// Whether a build script reads this file, or a folder that contains it.
    pub(super) fn is_read_by_script(&self, file: &Path) -> bool {
        self.script_reads.iter().any(|read| file.starts_with(read))
    }
}

/// The files that a dep-info of cargo or rustc lists, whose relative paths are from `folder`; `None` if unreadable. A
/// file that is reached through a link is listed under both names.
///
/// Its first line is `app_lib.d: app_lib/src/lib.rs app_lib/src/../../README.md`, with spaces in names escaped.
pub(super) fn files_in(
    dep_info: &Path,
    folder: &Path,
    project: &Project,
) -> Option<BTreeSet<PathBuf>> {
    let text = fs::read_to_string(dep_info).ok()?;
    let (_, files) = text.lines().next()?.split_once(": ")?;
    let files = files.replace("\\ ", "\0");
    let canonical = fs::canonicalize(project.root()).ok()?;
    let names = |file: &str| {
        let file = folder.join(file.replace('\0', " "));
        let real = fs::canonicalize(&file).unwrap_or_else(|_| file.clone());
        let real = real.strip_prefix(&canonical).unwrap_or(&real).to_owned();
        [project.named_by_rustc(&file), real]
    };
    Some(files.split_ascii_whitespace().flat_map(names).collect())
}

/// What a build script of the package in `folder` declares that it reads. `None` if it declares nothing: then it may
/// read anything in there.
pub(super) fn script_reads(
    out_dir: &Path,
    folder: &Path,
    project: &Project,
) -> Option<Vec<PathBuf>> {
    let said = fs::read_to_string(out_dir.with_file_name("output")).ok()?;
    let reads: Vec<PathBuf> = said
        .lines()
        .filter_map(|line| {
            line.strip_prefix("cargo::rerun-if-changed=")
                .or_else(|| line.strip_prefix("cargo:rerun-if-changed="))
        })
        .map(|path| project.named_by_rustc(folder.join(path)))
        .collect();
    (!reads.is_empty()).then_some(reads)
}

#[cfg(test)]
mod tests {
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
            let project = Project::in_folder(root.path());
            let info = root.path().join("app_lib.d");
            fs::write(&info, dep_info_of(&files)).expect("it can be written");
            let found = files_in(&info, root.path(), &project).expect("it can be read");
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
            drop(files_in(&info, root.path(), &Project::in_folder(root.path())));
        }
    }
}
