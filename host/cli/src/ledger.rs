//! What `hot init` has written, noted in `dev/.hot.toml` so that it can be taken back.
//!
//! A file of the user's is noted as the lines that stood at one place before and stand there now. Taking back changes
//! these lines only: whatever else the user has edited since stays.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{
    failure::{Failure, refuse},
    files::read,
};

/// Where it is, from the project's root.
pub(crate) const FILE: &str = "dev/.hot.toml";

const HEAD: &str =
    "# Written by `hot init`. `hot init --undo` reads it, and removes this folder.\n\n";

/// All that was written.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ledger {
    /// New files, in `dev/`.
    pub(crate) files: Vec<String>,
    /// Folders of the user's project that did not exist.
    pub(crate) folders: Vec<String>,
    #[serde(default)]
    pub(crate) edit: Vec<Edit>,
}

/// An edit of a file of the user's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Edit {
    pub(crate) file: String,
    /// Whether the file did not exist.
    pub(crate) created: bool,
    pub(crate) before: String,
    pub(crate) after: String,
}

impl Ledger {
    pub(crate) fn read(root: &Path) -> Result<Option<Self>, Failure> {
        let Some(text) = read(&root.join(FILE))? else {
            return Ok(None);
        };
        match toml_edit::de::from_str(&text) {
            Ok(ledger) => Ok(Some(ledger)),
            Err(error) => refuse(format!("{FILE}: {error}")),
        }
    }

    pub(crate) fn to_text(&self) -> String {
        let text = toml_edit::ser::to_string_pretty(self).expect("texts and lists of texts");
        format!("{HEAD}{text}")
    }
}

impl Edit {
    /// The one place where two texts differ, as whole lines where it is not the very end of a file.
    pub(crate) fn between(file: &str, before: Option<&str>, after: &str) -> Self {
        let old = before.unwrap_or_default();
        let start = old
            .char_indices()
            .zip(after.chars())
            .find(|((_, a), b)| a != b)
            .map_or(old.len().min(after.len()), |((at, _), _)| at);
        let end: usize = old[start..]
            .chars()
            .rev()
            .zip(after[start..].chars().rev())
            .take_while(|(a, b)| a == b)
            .map(|(a, _)| a.len_utf8())
            .sum();
        let appended = start == old.len();
        let start = match old[..start].rfind('\n') {
            _ if appended => start,
            Some(newline) => newline + 1,
            None => 0,
        };
        // The rest of the line, unless the change ends with one.
        let is_line_end = |text: &str| text[..text.len() - end].ends_with('\n');
        let end = match (is_line_end(old) || old.len() - end == start) && is_line_end(after) {
            true => end,
            false => {
                let rest = &old[old.len() - end..];
                end - rest.find('\n').map_or(end, |newline| newline + 1)
            }
        };
        Self {
            file: file.to_owned(),
            created: before.is_none(),
            before: old[start..old.len() - end].to_owned(),
            after: after[start..after.len() - end].to_owned(),
        }
    }

    /// `now` without the edit; `None` if its lines are not there any more.
    pub(crate) fn taken_back(&self, now: &str) -> Option<String> {
        now.contains(&self.after)
            .then(|| now.replacen(&self.after, &self.before, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_is_whole_lines_and_can_be_taken_back() {
        for (before, after, edit) in [
            ("a\n", "a\nb\n", ("", "b\n")),
            ("a\nc\n", "a\nb\nc\n", ("", "b\n")),
            ("a", "a\nb", ("", "\nb")),
            (
                "x = [1]\ny\n",
                "x = [1, 2]\ny\n",
                ("x = [1]\n", "x = [1, 2]\n"),
            ),
            ("x = [1]", "x = [1, 2]", ("x = [1]", "x = [1, 2]")),
            ("", "a\n", ("", "a\n")),
            ("a\nb", "a\nc\nb", ("", "c\n")),
            ("é\n", "é\nè\n", ("", "è\n")),
        ] {
            let found = Edit::between("f", Some(before), after);
            assert_eq!(
                (&*found.before, &*found.after),
                edit,
                "{before:?} → {after:?}"
            );
            assert_eq!(found.taken_back(after).as_deref(), Some(before));
        }
    }

    #[test]
    fn what_was_edited_elsewhere_stays() {
        let edit = Edit::between(".gitignore", Some("target"), "target\n/.dev/");
        let now = "# mine\ntarget\n/.dev/\n*.log\n";
        assert_eq!(edit.taken_back(now).unwrap(), "# mine\ntarget\n*.log\n");
        assert_eq!(edit.taken_back("target\n"), None);
    }
}
