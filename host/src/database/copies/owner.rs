//! Whose a database of the private cluster is, and the name under which it is kept.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

use serde::Serialize;

/// The longest name that PostgreSQL keeps, in bytes.
const NAME_LIMIT: usize = 63;

/// Whose a database is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Owner {
    Branch(String),
    Snapshot(String),
}

impl Owner {
    /// The branch in a database's comment, if it belongs to one.
    pub(in crate::database) fn branch_in(comment: Option<&str>) -> Option<String> {
        match Self::read(comment?)? {
            Self::Branch(branch) => Some(branch),
            Self::Snapshot(_) => None,
        }
    }

    /// A snapshot whose name can be read in a list and typed again.
    pub(crate) fn snapshot(name: &str) -> Result<Self, String> {
        let fits = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        match !name.is_empty() && name.len() <= 40 && name.chars().all(fits) {
            true => Ok(Self::Snapshot(name.to_owned())),
            false => Err(format!(
                "`{name}` is not a name for a snapshot: use at most 40 letters, digits, and - _ ."
            )),
        }
    }

    /// As its comment names it.
    pub(super) fn read(comment: &str) -> Option<Self> {
        let (kind, name) = comment.split_once(' ')?;
        match kind {
            "branch" => Some(Self::Branch(name.to_owned())),
            "snapshot" => Some(Self::Snapshot(name.to_owned())),
            _ => None,
        }
    }

    /// Where it is kept. The comment tells apart what is cut off here.
    pub(super) fn database(&self) -> String {
        let name = self.to_string();
        if name.len() <= NAME_LIMIT {
            return name;
        }
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let kept = name.floor_char_boundary(NAME_LIMIT - 17);
        format!("{}~{:016x}", &name[..kept], hasher.finish())
    }

    pub(super) fn label(&self, database: &str) -> String {
        let comment = self.to_string().replace('\'', "''");
        format!("COMMENT ON DATABASE {} IS '{comment}'", quoted(database))
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Branch(name) => write!(f, "branch {name}"),
            Self::Snapshot(name) => write!(f, "snapshot {name}"),
        }
    }
}

/// A name in double quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_says_whose_a_database_is() {
        for owner in [
            Owner::Branch("feature/it's".to_owned()),
            Owner::Snapshot("before import".to_owned()),
        ] {
            assert_eq!(Owner::read(&owner.to_string()), Some(owner));
        }
        assert_eq!(
            Owner::read("default administrative connection database"),
            None
        );
        let label = Owner::Branch("it's".to_owned()).label("a\"b");
        assert_eq!(label, "COMMENT ON DATABASE \"a\"\"b\" IS 'branch it''s'");
    }

    #[test]
    fn names_of_snapshots_can_be_typed() {
        assert!(Owner::snapshot("before-import_2.1").is_ok());
        for name in ["", "two words", "line\n", "'", &"x".repeat(41)] {
            assert!(Owner::snapshot(name).is_err(), "{name}");
        }
    }

    #[test]
    fn long_names_fit_and_differ() {
        let name = |end: &str| Owner::Branch(format!("{}{end}", "ä".repeat(40))).database();
        assert!(name("1").len() <= NAME_LIMIT);
        assert_ne!(name("1"), name("2"));
    }
}
