//! What README and `host/docs` promise: the README is short, and the links, files, recipes, flags, variables and
//! messages that they name exist.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A newcomer reads this in three minutes.
const README_LIMIT: usize = 9_000;

/// Where the program's sources are.
const SOURCES: [&str; 10] = [
    "host/src",
    "host/accept/src",
    "host/cli/src",
    "host/wire/src",
    "shared/src",
    "shared/db/src",
    "shared/db/cluster/src",
    "shared/db/migrate/src",
    "shared/test/src",
    "app_lib/src",
];

#[test]
fn the_readme_is_short() {
    let length = read("README.md").len();
    assert!(length <= README_LIMIT, "README.md has {length} bytes");
}

#[test]
fn links_lead_to_files_and_headings() {
    for (file, text) in documents() {
        for link in links(&text) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => file.clone(),
                path => file.parent().unwrap().join(path),
            };
            assert!(target.exists(), "{} links to {link}", file.display());
            if anchor.is_empty() {
                continue;
            }
            let text = fs::read_to_string(target).unwrap();
            let found = prose(&text).any(|line| line.starts_with('#') && slug(line) == anchor);
            assert!(found, "{}: no heading for {link}", file.display());
        }
    }
}

#[test]
fn named_files_exist() {
    let known: Vec<PathBuf> = SOURCES.iter().flat_map(|folder| files(folder)).collect();
    for (file, text) in documents() {
        for code in code_spans(&text) {
            let (first, is_path) = (code.split('/').next().unwrap(), !code.contains(' '));
            let is_made = [".dev", "dev", "target"].contains(&first); // by the host, and by `hot`
            let is_rooted =
                is_path && !is_made && code.contains('/') && workspace().join(first).is_dir();
            let exists = match is_rooted && !first.is_empty() {
                true => workspace().join(code).exists(),
                // A file in the folder that the text has named.
                false if is_path && !is_made && code.ends_with(".rs") => {
                    known.iter().any(|file| file.ends_with(code))
                }
                false => true,
            };
            assert!(exists, "{} names {code}", file.display());
        }
    }
}

#[test]
fn commands_and_their_flags_exist() {
    let recipes = recipes();
    let of_dev = flags_of("dev");
    for (file, text) in documents() {
        let name = file.display();
        for code in code_spans(&text).into_iter().chain(commands(&text)) {
            let words: Vec<&str> = code.split_whitespace().collect();
            let flags = match words[..] {
                ["just", recipe, ..] => {
                    assert!(recipes.contains(recipe), "{name}: no recipe for `{code}`");
                    flags_of_recipe(recipe)
                }
                ["cargo", "dev", ..] => Some(of_dev.clone()),
                ["hot", "init" | "new", ..] => Some(flags_of_hot()),
                ["cargo", "host", command, ..] | ["host", command, ..] => Some(flags_of(command)),
                [flag, ..] if flag.starts_with("--") && flag.len() > 2 => Some(of_dev.clone()),
                _ => continue,
            };
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                let flag = flag.split('=').next().unwrap();
                let known = flags.as_ref().is_none_or(|flags| flags.contains(flag));
                assert!(known, "{name}: `{code}` has no flag {flag}");
            }
        }
    }
}

#[test]
fn variables_are_read_somewhere() {
    let sources = sources();
    let prefixes = [
        "DATABASE_",
        "HTTP_",
        "HOST_",
        "APP_",
        "DRAIN_",
        "EDITOR_",
        "PG",
    ];
    for (file, text) in documents() {
        for code in code_spans(&text) {
            let name = code.split('=').next().unwrap();
            let is_variable = prefixes.iter().any(|prefix| name.starts_with(prefix))
                && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
            if is_variable {
                let read = sources.contains(&format!("\"{name}\""));
                assert!(read, "{} names {name}", file.display());
            }
        }
    }
}

#[test]
fn messages_are_those_that_the_program_prints() {
    let readme = read("README.md");
    let (_, section) = readme.split_once("## Troubleshooting").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let sources = sources();
    let mut messages = 0;
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cell = row.trim_start_matches("| ").split(" | ").next().unwrap();
        for message in code_spans(cell) {
            messages += 1;
            for part in message.split('…') {
                let part = part.trim();
                assert!(sources.contains(part), "nothing prints {part:?}");
            }
        }
    }
    assert!(messages >= 10, "{messages} messages were found");
}

/// README and all of `host/docs`.
fn documents() -> Vec<(PathBuf, String)> {
    let docs = fs::read_dir(workspace().join("host/docs")).unwrap();
    let files = docs
        .map(|entry| entry.unwrap().path())
        .chain([workspace().join("README.md")]);
    let documents: Vec<_> = files
        .map(|file| (file.clone(), fs::read_to_string(file).unwrap()))
        .collect();
    assert!(documents.len() > 5, "the documents were found");
    documents
}

/// The lines outside of code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

/// The lines of shell blocks, without comments.
fn commands(text: &str) -> Vec<&str> {
    let blocks = text.split("```sh\n").skip(1);
    blocks
        .flat_map(|block| block.split("```").next().unwrap().lines())
        .map(|line| line.split(" #").next().unwrap().trim())
        .collect()
}

/// The targets of relative links and images.
fn links(text: &str) -> Vec<&str> {
    let targets = prose(text).flat_map(|line| line.split("](").skip(1));
    let targets = targets.filter_map(|rest| rest.split(')').next());
    targets.filter(|link| !link.contains("://")).collect()
}

/// What stands between backticks, in as many as it was opened with.
fn code_spans(text: &str) -> Vec<&str> {
    let mut spans = Vec::new();
    for mut rest in prose(text) {
        while let Some(start) = rest.find('`') {
            let ticks = rest[start..].chars().take_while(|c| *c == '`').count();
            let (fence, after) = rest[start..].split_at(ticks);
            let Some(end) = after.find(fence) else {
                break;
            };
            spans.push(after[..end].trim());
            rest = &after[end + ticks..];
        }
    }
    spans
}

/// The anchor of a heading.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let kept: String = text.chars().filter(kept).collect();
    kept.replace(' ', "-")
}

fn recipes() -> BTreeSet<String> {
    let justfile = read("justfile");
    let heads = justfile
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()) && line.contains(':'));
    heads
        .map(|line| line.split([' ', ':']).next().unwrap().to_owned())
        .collect()
}

/// The flags that a recipe passes on; `None` if it passes on those of another program.
fn flags_of_recipe(recipe: &str) -> Option<BTreeSet<String>> {
    match recipe {
        "dev" | "leak" => Some(flags_of("dev")),
        "demo" => Some(flags_in(&read("host/demo/src/lib.rs"))),
        "bench-reload" => Some(flags_in(&read("host/benches/reload/main.rs"))),
        "db-reset" => Some(flags_of("db-reset")),
        "connections" | "migrate" | "migration" => Some(flags_of(recipe)),
        _ => None,
    }
}

/// The flags of the program that sets up a project.
fn flags_of_hot() -> BTreeSet<String> {
    let sources = ["host/cli/src/flags.rs", "host/cli/src/source.rs"].map(read);
    flags_in(&sources.concat())
}

/// The flags in a command's help. Empty for a command of the other binary, `serve`.
fn flags_of(command: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_host"))
        .args([command, "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    help.lines()
        .filter_map(|line| Some(line.trim_start().split_once("--")?).filter(is_flag))
        .map(|(_, rest)| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-');
            format!("--{}", &rest[..end.unwrap_or(rest.len())])
        })
        .collect()
}

/// Whether nothing but a short form, such as `-p, `, comes before the flag.
fn is_flag((before, _): &(&str, &str)) -> bool {
    before.is_empty() || (before.starts_with('-') && before.ends_with(", "))
}

/// The flags that a file declares for clap: a field after `#[arg(long …)]`.
fn flags_in(source: &str) -> BTreeSet<String> {
    let mut flags = BTreeSet::from(["--help".to_owned()]);
    for declared in source.split("#[arg(long").skip(1) {
        let field = declared.lines().skip(1).find_map(|line| {
            let (name, _) = line.trim().split_once(": ")?;
            Some(name.trim_start_matches("pub(crate) "))
        });
        flags.extend(field.map(|name| format!("--{}", name.replace('_', "-"))));
    }
    flags
}

/// All of the program's sources, with string literals that continue on the next line joined.
fn sources() -> String {
    let texts = SOURCES.iter().flat_map(|folder| files(folder));
    let all: String = texts
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let mut lines = all.split("\\\n");
    let first = lines.next().unwrap().to_owned();
    lines.fold(first, |text, line| text + line.trim_start())
}

/// All files in a folder of the workspace, and in its folders.
fn files(folder: &str) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![workspace().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found
}

fn read(file: &str) -> String {
    fs::read_to_string(workspace().join(file)).unwrap()
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}
