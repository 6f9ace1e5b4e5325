//! The lines that the user's own files get: aliases, ignored folders, and an exception to the workspace's members.

use std::path::Path;

use glob::{MatchOptions, Pattern};
use toml_edit::{Array, Item, value};

use crate::{
    failure::{Failure, refuse},
    files::{parse_text, read},
};

/// What git must not see: the dev server's data, and what it builds.
const IGNORED: [&str; 2] = ["/.dev/", "/dev/target/"];

/// Folders that come with the dev server.
const FOLDERS: [&str; 3] = ["dev", ".dev", ".cargo"];

/// A file of the user's, before and after.
pub(crate) struct Edited {
    pub(crate) file: &'static str,
    pub(crate) before: Option<String>,
    pub(crate) after: String,
}

/// `.cargo/config.toml` with `cargo dev`, which gets these flags, and `cargo host`.
pub(crate) fn aliases(root: &Path, flags: &[&str]) -> Result<Edited, Failure> {
    // Cargo reads the old name first.
    let file = match root.join(".cargo/config").is_file() {
        true => ".cargo/config",
        false => ".cargo/config.toml",
    };
    let template = include_str!("../templates/aliases.toml");
    let mut ours = parse_text(Path::new("aliases.toml"), template).expect("the template is TOML");
    let dev = ours["alias"]["dev"].as_array_mut();
    dev.expect("a list").extend(flags.iter().copied());

    let before = read(&root.join(file))?;
    let Some(text) = &before else {
        let after = ours.to_string();
        return Ok(Edited {
            file,
            before,
            after,
        });
    };
    let mut theirs = parse_text(&root.join(file), text)?;
    let Some(alias) = theirs.get_mut("alias") else {
        let gap = if text.is_empty() { "" } else { "\n" };
        let after = format!("{}{gap}{ours}", with_last_newline(text));
        return Ok(Edited {
            file,
            before,
            after,
        });
    };
    let Some(alias) = alias.as_table_like_mut() else {
        return refuse(format!("{file}: `alias` is not a table"));
    };
    for (name, command) in ours["alias"].as_table_like().expect("a table").iter() {
        if let Some(taken) = alias.get(name) {
            return refuse(format!(
                "{file} has an alias `{name}` already:{taken}. The dev server is started by `cargo dev` and its commands by `cargo host`: rename yours, then run `hot init` again"
            ));
        }
        alias.insert(name, command.clone());
    }
    let after = as_ended(text, theirs.to_string());
    Ok(Edited {
        file,
        before,
        after,
    })
}

/// `.gitignore` with what the dev server makes.
pub(crate) fn ignored(root: &Path) -> Result<Option<Edited>, Failure> {
    let before = read(&root.join(".gitignore"))?;
    let text = before.as_deref().unwrap_or_default();
    let missing = IGNORED.iter().filter(|line| {
        let same = |theirs: &str| theirs.trim().trim_matches('/') == line.trim_matches('/');
        !text.lines().any(same)
    });
    let lines: Vec<&str> = missing.copied().collect();
    if lines.is_empty() {
        return Ok(None);
    }
    let after = match text.is_empty() || text.ends_with('\n') {
        true => format!("{text}{}\n", lines.join("\n")),
        // The file stays without a last newline, so that taking the lines away leaves what was there.
        false => format!("{text}\n{}", lines.join("\n")),
    };
    let after = as_ended(text, after);
    Ok(Some(Edited {
        file: ".gitignore",
        before,
        after,
    }))
}

/// The workspace's manifest with `exclude = ["dev"]`, if its members would take `dev/` in: to cargo, a workspace in a
/// workspace is an error, and so is a folder without a manifest.
pub(crate) fn excluded(root: &Path) -> Result<Option<Edited>, Failure> {
    let before = read(&root.join("Cargo.toml"))?;
    let text = before.as_deref().unwrap_or_default();
    let mut manifest = parse_text(&root.join("Cargo.toml"), text)?;
    let Some(workspace) = manifest.get_mut("workspace") else {
        return Ok(None);
    };
    let list = |item: Option<&Item>| -> Vec<String> {
        let array = item.and_then(Item::as_array);
        let texts = array.into_iter().flatten().filter_map(|one| one.as_str());
        texts.map(str::to_owned).collect()
    };
    let (members, exclude) = (
        list(workspace.get("members")),
        list(workspace.get("exclude")),
    );
    let is_excluded = |folder: &str| {
        let mut exclude = exclude.iter();
        exclude.any(|excluded| excluded.trim_end_matches('/') == folder)
    };
    let taken: Vec<&str> = FOLDERS
        .into_iter()
        .filter(|folder| !is_excluded(folder) && members.iter().any(|member| takes(member, folder)))
        .collect();
    if taken.is_empty() {
        return Ok(None);
    }
    match workspace.get_mut("exclude").and_then(Item::as_array_mut) {
        Some(exclude) => taken.iter().for_each(|folder| push(exclude, folder)),
        None => workspace["exclude"] = value(Array::from_iter(taken)),
    }
    let after = as_ended(text, manifest.to_string());
    Ok(Some(Edited {
        file: "Cargo.toml",
        before,
        after,
    }))
}

/// Whether a pattern of `members` matches a folder, or one in it.
fn takes(member: &str, folder: &str) -> bool {
    let options = MatchOptions {
        require_literal_separator: true,
        ..MatchOptions::new()
    };
    let Ok(pattern) = Pattern::new(member.trim_start_matches("./").trim_end_matches('/')) else {
        return false;
    };
    ["", "/host", "/app"]
        .iter()
        .any(|inside| pattern.matches_with(&format!("{folder}{inside}"), options))
}

/// Adds to a list, on a line of its own if the others are.
fn push(list: &mut Array, text: &str) {
    let prefix = list
        .iter()
        .last()
        .and_then(|last| last.decor().prefix()?.as_str().map(str::to_owned));
    list.push(text);
    let count = list.len();
    if let (Some(prefix), Some(added)) = (prefix.filter(|_| count > 1), list.get_mut(count - 1)) {
        let prefix = if count == 2 && prefix.is_empty() {
            " ".into()
        } else {
            prefix
        };
        added.decor_mut().set_prefix(prefix);
    }
}

fn with_last_newline(text: &str) -> String {
    match text.is_empty() || text.ends_with('\n') {
        true => text.to_owned(),
        false => format!("{text}\n"),
    }
}

/// `after` with the line ends of `before`.
fn as_ended(before: &str, after: String) -> String {
    match before.contains("\r\n") {
        true => after.replace("\r\n", "\n").replace('\n', "\r\n"),
        false => after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_that_reach_into_dev_are_found() {
        for member in ["*", "./*", "dev/*", "**", "d?v"] {
            assert!(takes(member, "dev"), "{member}");
        }
        for member in ["crates/*", "app", "server", "de", "*-api"] {
            assert!(!takes(member, "dev"), "{member}");
        }
    }

    #[test]
    fn a_list_grows_in_its_own_style() {
        let grown = |list: &str| {
            let mut document: toml_edit::DocumentMut = format!("a = {list}").parse().unwrap();
            push(document["a"].as_array_mut().unwrap(), "dev");
            document
                .to_string()
                .trim_start_matches("a = ")
                .trim()
                .to_owned()
        };
        assert_eq!(grown("[]"), "[\"dev\"]");
        assert_eq!(grown("[\"old\"]"), "[\"old\", \"dev\"]");
        assert_eq!(
            grown("[\"old\", \"older\"]"),
            "[\"old\", \"older\", \"dev\"]"
        );
        assert_eq!(
            grown("[\n    \"old\",\n]"),
            "[\n    \"old\",\n    \"dev\",\n]"
        );
    }
}
