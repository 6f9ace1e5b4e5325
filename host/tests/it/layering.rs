//! The shape of the source: two one-way streets and one junction, checked by reading the `use` lines.

use std::{
    fs,
    path::{Path, PathBuf},
};

#[test]
fn serve_and_reload_do_not_know_each_other() {
    for (street, other) in [("serve", "reload"), ("reload", "serve")] {
        for (file, text) in sources(&source(street)) {
            for forbidden in [
                format!("crate::{other}"),
                format!("{other}::"),
                "crate::dev".to_owned(),
            ] {
                let found = code(&text).find(|line| {
                    line.contains(&forbidden)
                        && (line.contains("crate::") || line.trim_start().starts_with("use "))
                });
                assert_eq!(
                    found,
                    None,
                    "{} must not know `{forbidden}`",
                    file.display()
                );
            }
        }
    }
    let junction = fs::read_to_string(source("generation.rs")).unwrap();
    assert!(
        !code(&junction).any(|line| line.contains("crate::")),
        "the junction knows neither street"
    );
}

#[test]
fn within_a_street_a_file_uses_only_files_later_in_the_flow() {
    for street in ["serve", "reload"] {
        let order: Vec<String> = code(&fs::read_to_string(source(street).join("mod.rs")).unwrap())
            .filter_map(|line| {
                line.trim_start_matches("pub(crate) ")
                    .strip_prefix("mod ")?
                    .strip_suffix(';')
                    .map(str::to_owned)
            })
            .collect();
        assert!(order.len() >= 3, "the modules of {street}: {order:?}");
        for (place, module) in order.iter().enumerate() {
            let text = fs::read_to_string(source(street).join(format!("{module}.rs"))).unwrap();
            for earlier in &order[..place] {
                let found = code(&text).find(|line| {
                    line.contains(&format!("super::{earlier}"))
                        || line.contains(&format!("super::{{{earlier}"))
                });
                assert!(
                    found.is_none(),
                    "{street}/{module}.rs uses {earlier}, which comes before it: {found:?}"
                );
            }
        }
    }
}

#[test]
fn every_file_says_what_it_owns_and_none_is_a_novel() {
    for (file, text) in sources_of(&[
        "host/src",
        "host/accept",
        "host/debounce",
        "host/tests",
        "shared",
        "app_lib/src",
    ]) {
        let (name, lines) = (file.display(), text.lines().count());
        assert!(text.starts_with("//!"), "{name} opens with what it is for");
        let novel = lines > 300 && !file.components().any(|part| part.as_os_str() == "tests");
        assert!(
            !novel,
            "{name} has {lines} lines: would a reader find two rooms in one?"
        );
    }
}

#[test]
fn unsafe_stays_where_it_is_expected() {
    for (file, text) in sources_of(&[
        "host/src",
        "host/accept",
        "host/debounce",
        "host/demo",
        "shared",
        "app_lib/src",
    ]) {
        let here = code(&text).any(|line| line.contains("unsafe {"));
        let expected = [
            "reload/load.rs",
            "postgres/run_as.rs",
            "environment/replace.rs",
        ]
        .iter()
        .any(|expected| file.ends_with(expected));
        assert!(
            !here || expected,
            "{} holds an unsafe block",
            file.display()
        );
    }
}

fn sources_of(folders: &[&str]) -> Vec<(PathBuf, String)> {
    folders
        .iter()
        .flat_map(|folder| sources(&workspace().join(folder)))
        .collect()
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn source(path: &str) -> PathBuf {
    workspace().join("host/src").join(path)
}

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.clone(), fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

/// Without comments, which may name anything.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
}
