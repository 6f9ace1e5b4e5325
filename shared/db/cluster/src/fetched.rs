//! Where a PostgreSQL is that was fetched: in the user's cache, in a folder named after its version.
//!
//! Refuses what is not complete: such a folder has another name.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The major version that can be fetched.
pub(super) const MAJOR: &str = "18";

/// The programs of a version, in its folder: a link, since packages have them in different places.
pub(super) const PROGRAMS: &str = "bin";

/// The folder of all versions. `None`: this user has no home.
pub(super) fn folder() -> Option<PathBuf> {
    let named = |name| {
        let path = env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let cache = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")))?;
    Some(cache.join("host-dev/postgres"))
}

/// The folders of programs, newest first.
pub(super) fn programs() -> Vec<PathBuf> {
    folder().map_or_else(Vec::new, |folder| programs_in(&folder))
}

fn programs_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut versions: Vec<(Vec<u32>, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let numbers = name.to_str()?.split('.').map(|number| number.parse().ok());
            Some((numbers.collect::<Option<_>>()?, entry.path().join(PROGRAMS)))
        })
        .collect();
    versions.sort();
    versions.into_iter().rev().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_comes_first_and_half_of_one_never() -> std::io::Result<()> {
        let cache = tempfile::tempdir()?;
        for name in ["18.6", "18.10", "unfinished-1", "lock"] {
            fs::create_dir(cache.path().join(name))?;
        }
        let expected = ["18.10/bin", "18.6/bin"].map(|name| cache.path().join(name));
        assert_eq!(programs_in(cache.path()), expected);
        Ok(())
    }
}
