//! What the lock file of a workspace says of its optional path dependencies: whether a build compiles them. Never runs
//! cargo, and decides nothing about packages that are not optional, since a new one is locked only by the build that it
//! needs.

use std::{collections::BTreeSet, fs, path::Path};

use toml::{Table, Value};

/// The names of the packages in the lock file, which has an optional one only if a feature brings it in. `None` without
/// a lock file, and while cargo is writing it.
pub(super) struct Locked(Option<BTreeSet<String>>);

impl Locked {
    pub(super) fn of(workspace: &Path) -> Self {
        let names = || {
            let text = fs::read_to_string(workspace.join("Cargo.lock")).ok()?;
            let lock: Table = text.parse().ok()?;
            let packages = lock.get("package")?.as_array()?.iter();
            let names = packages.filter_map(|package| package.get("name")?.as_str());
            Some(names.map(str::to_owned).collect())
        };
        Self(names())
    }

    /// Whether a build may compile this dependency, which `name` is the key of.
    pub(super) fn brings(&self, name: &str, dependency: &Value) -> bool {
        let text = |key: &str| dependency.get(key).and_then(Value::as_str);
        let is_optional = dependency.get("optional").and_then(Value::as_bool) == Some(true);
        let package = text("package").unwrap_or(name);
        let names = self.0.as_ref();
        !is_optional || names.is_none_or(|names| names.contains(package))
    }
}
