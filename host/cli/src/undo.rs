//! `hot init --undo`: removes what `hot init` has written, and what the dev server has made since.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    console::Console,
    failure::{Failure, refuse},
    files::{read, write},
    ledger::{self, Edit, Ledger},
    plan::show_change,
};

/// What cargo makes in `dev/`.
const MADE: [&str; 2] = ["Cargo.lock", "target"];

/// Where the dev server keeps its data, in the project's root.
const DATA: &str = ".dev";

/// Runs the command in the project that `folder` is in.
pub(crate) fn run(folder: &Path, yes: bool, console: &mut Console<'_>) -> Result<(), Failure> {
    let root = folder
        .ancestors()
        .find(|at| at.join(ledger::FILE).is_file());
    let Some(root) = root else {
        return refuse(format!(
            "nothing to undo: there is no {} in {} or above it",
            ledger::FILE,
            folder.display()
        ));
    };
    let ledger = Ledger::read(root)?.unwrap_or_default();
    check_unknown(root, &ledger)?;
    check_running(root)?;

    console.say(format!("This removes from {}:\n", root.display()))?;
    console.say("  removed dev/")?;
    if root.join(DATA).exists() {
        console.say(format!(
            "  removed {DATA}/, with the data of the private database"
        ))?;
    }
    let mut changes = Vec::new();
    let mut left = Vec::new();
    for edit in &ledger.edit {
        let Some(now) = read(&root.join(&edit.file))? else {
            continue;
        };
        match edit.taken_back(&now) {
            Some(before) if edit.created && before.trim().is_empty() => {
                console.say(format!("  removed {}", edit.file))?;
                changes.push((edit, None));
            }
            Some(before) => {
                console.say(format!("  changed {}", edit.file))?;
                show_change(console, &edit.file, Some(&now), &before)?;
                changes.push((edit, Some(before)));
            }
            None => left.push(edit),
        }
    }
    console.say("")?;
    if !console.confirm("Remove?", yes)? {
        return console.say("Nothing was removed.");
    }
    for (edit, before) in changes {
        let path = root.join(&edit.file);
        match before {
            Some(before) => write(&path, &before)?,
            None => fs::remove_file(&path).map_err(Failure::file(&path))?,
        }
    }
    for folder in &ledger.folders {
        // Not if the user has put something there.
        drop(fs::remove_dir(root.join(folder)));
    }
    for folder in ["dev", DATA].map(|folder| root.join(folder)) {
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(Failure::file(&folder))?;
        }
    }
    for edit in left {
        console.say(by_hand(edit))?;
    }
    console.say("Removed.")
}

/// What to do where the user has edited the very lines.
fn by_hand(edit: &Edit) -> String {
    let (file, lines) = (&edit.file, edit.after.trim());
    let now = match edit.before.trim() {
        "" => "remove what is left of them".to_owned(),
        before => format!("before, this stood there:\n{before}"),
    };
    format!("{file}: `hot init` wrote these lines, which have changed since:\n{lines}\n{now}\n")
}

/// Refuses to delete what `hot init` did not write.
fn check_unknown(root: &Path, ledger: &Ledger) -> Result<(), Failure> {
    let dev = root.join("dev");
    let known: BTreeSet<PathBuf> = ledger
        .files
        .iter()
        .map(String::as_str)
        .chain(MADE)
        .map(|file| dev.join(file))
        .chain([root.join(ledger::FILE)])
        .collect();
    let (mut unknown, mut open) = (Vec::new(), vec![dev]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).map_err(Failure::file(&folder))? {
            let path = entry.map_err(Failure::file(&folder))?.path();
            let is_folder = path.is_dir() && !path.is_symlink();
            match known.contains(&path) {
                true => {}
                false if is_folder => open.push(path),
                false => unknown.push(path),
            }
        }
    }
    unknown.sort();
    if unknown.is_empty() {
        return Ok(());
    }
    let names: String = unknown
        .iter()
        .map(|path| format!("\n  {}", path.strip_prefix(root).unwrap_or(path).display()))
        .collect();
    refuse(format!(
        "`hot init` did not write these files:{names}\nMove or delete them, then try again; nothing was removed"
    ))
}

/// Refuses while the private database runs on the data.
fn check_running(root: &Path) -> Result<(), Failure> {
    let file = root.join(".dev/host.json");
    let Some(announced) = read(&file)? else {
        return Ok(());
    };
    let announced: Value = serde_json::from_str(&announced).unwrap_or_default();
    match announced["pid"].as_u64() {
        Some(pid) if Path::new("/proc").join(pid.to_string()).exists() => refuse(format!(
            "the dev server is running (pid {pid}): stop it, then try again"
        )),
        _ => Ok(()),
    }
}
