//! The shape of the source: two one-way streets and one junction, checked by reading the `use` lines.

mod modules;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use modules::{Module, Modules};

/// The rooms, in the order in which they may use each other: only those in a later row. Rooms in one row do not know
/// each other.
const ROOMS: [&[&str]; 16] = [
    &["cli"],
    // The commands: they build every part, and know who shows what.
    &["dev", "commands", "production"],
    // The process; and the renderers, which no service knows.
    &["lifecycle", "terminal", "devtools"],
    // What follows a save.
    &["testing"],
    // The two streets.
    &["server", "reload"],
    // All that runs below, as one value.
    &["services"],
    &["health"],
    &["database"],
    // What outlives generations.
    &["keep"],
    // Where the streets meet.
    &["generation"],
    &["actions"],
    &["events"],
    &["panics"],
    &["config"],
    &["otlp"],
    &["failure", "logs", "routes", "body_end"],
];

#[test]
fn rooms_use_only_rooms_below_them() {
    let row = |module: &Module| {
        let room = module.first().expect("not the root");
        ROOMS.iter().position(|row| row.contains(&room.as_str()))
    };
    let modules = Modules::read(&source(""));
    let uses = modules.uses();
    assert!(uses.len() > 100, "the sources were read");
    for (user, used) in uses {
        if user.first() == used.first() {
            continue;
        }
        let (Some(above), Some(below)) = (row(user), row(used)) else {
            panic!("{} or {} is in no row", shown(user), shown(used));
        };
        assert!(
            above < below,
            "{} must not know {}",
            shown(user),
            shown(used)
        );
    }
}

#[test]
fn no_modules_use_each_other_in_a_circle() {
    for folder in [
        "app_lib/src",
        "host/accept/src",
        "host/cli/src",
        "host/demo/src",
        "host/src",
        "host/wire/src",
        "shared/db/cluster/src",
        "shared/db/migrate/src",
        "shared/db/src",
        "shared/src",
        "shared/test/src",
    ] {
        has_no_circle(folder);
    }
}

fn has_no_circle(folder: &str) {
    let modules = Modules::read(&workspace().join(folder));
    let uses = modules.uses();
    let all = uses
        .iter()
        .flat_map(|(user, used)| [*user, *used])
        .collect();
    // Without what uses nothing that is left, and then without what nothing uses, a circle remains.
    let left = without_ends(all, &uses, |(user, used)| (user, used));
    let left = without_ends(left, &uses, |(user, used)| (used, user));
    let circle: Vec<String> = left.iter().map(|module| shown(module)).collect();
    assert!(circle.is_empty(), "in a circle in {folder}: {circle:#?}");
}

type Use<'a> = (&'a Module, &'a Module);

/// Takes away, until there is none, a module that no use leads from to another that is left. `directed` says which of a
/// use is the one it leads from.
fn without_ends<'a>(
    mut left: BTreeSet<&'a Module>,
    uses: &BTreeSet<Use<'a>>,
    directed: fn(Use<'a>) -> Use<'a>,
) -> BTreeSet<&'a Module> {
    loop {
        let leads_on = |module: &Module| {
            let mut uses = uses.iter().map(|one| directed(*one));
            uses.any(|(from, to)| from == module && left.contains(to))
        };
        let Some(end) = left.iter().copied().find(|module| !leads_on(module)) else {
            return left;
        };
        left.remove(end);
    }
}

#[test]
fn the_junction_knows_neither_street() {
    let modules = Modules::read(&source(""));
    let outside = modules.uses().into_iter().find(|(user, used)| {
        user.first().is_some_and(|room| room == "generation") && user.first() != used.first()
    });
    assert_eq!(outside, None);
}

#[test]
fn within_a_street_a_file_uses_only_files_later_in_the_flow() {
    let modules = Modules::read(&source(""));
    let uses = modules.uses();
    for street in ["server", "reload"] {
        let order: Vec<String> = code(&fs::read_to_string(source(street).join("mod.rs")).unwrap())
            .filter_map(|line| {
                line.trim_start_matches("pub(crate) ")
                    .strip_prefix("mod ")?
                    .strip_suffix(';')
                    .map(str::to_owned)
            })
            .collect();
        assert!(order.len() >= 3, "the modules of {street}: {order:?}");
        let place = |module: &Module| {
            let [room, file, ..] = &module[..] else {
                return None;
            };
            (room == street).then(|| order.iter().position(|name| name == file))?
        };
        for (user, used) in &uses {
            if let (Some(from), Some(to)) = (place(user), place(used)) {
                assert!(
                    from <= to,
                    "{} uses {}, which comes before it",
                    shown(user),
                    shown(used)
                );
            }
        }
    }
}

fn shown(module: &Module) -> String {
    module.join("::")
}

#[test]
fn every_file_says_what_it_owns_and_none_is_a_novel() {
    for (file, text) in sources_of(&[
        "host/src",
        "host/accept",
        "host/cli",
        "host/wire",
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
        "host/wire",
        "shared",
        "app_lib/src",
    ]) {
        let here = code(&text).any(|line| line.contains("unsafe {"));
        let expected = [
            "reload/load.rs",
            "reload/once.rs",
            "cluster/src/run_as.rs",
            "test/src/keeper.rs",
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
