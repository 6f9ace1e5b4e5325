//! The git repository that a project is in: which branch is checked out, and whether git is at work.
//!
//! Reads git's files and never runs git, so that a save costs no process. A change of `HEAD` is seen by the watch.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// What `HEAD` begins with while a branch is checked out.
const BRANCH: &str = "ref: refs/heads/";

/// What git writes there if it keeps its references in tables.
const REFTABLE: &str = ".invalid";

const LOCKS: [&str; 2] = ["index.lock", "HEAD.lock"];

/// Git writes `HEAD` after the files, and between its locks there is a moment without any: until this long after the last
/// of them, the files may be those of another branch.
pub(crate) const HEAD_FOLLOWS: Duration = Duration::from_millis(100);

/// A lock older than this belongs to a git that was killed: no checkout takes as long.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(10);

/// Why the branch of a project is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RepositoryError {
    #[error("{} is in no git repository", .0.display())]
    None(PathBuf),
    #[error("the git repository in {} keeps its references in tables, which are not read here", .0.display())]
    Tables(PathBuf),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
}

/// A repository, by the folder in which git keeps the state of this working tree.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    folder: PathBuf,
}

impl Repository {
    /// The repository that `root` is in.
    pub(crate) fn around(root: &Path) -> Result<Self, RepositoryError> {
        let none = || RepositoryError::None(root.to_owned());
        let mut places = root.ancestors().map(|folder| folder.join(".git"));
        let place = places.find(|place| place.exists()).ok_or_else(none)?;
        let folder = match place.is_dir() {
            true => place,
            false => linked(&place)?.ok_or_else(none)?,
        };
        let repository = Self { folder };
        match repository.branch()?.as_deref() {
            Some(REFTABLE) => Err(RepositoryError::Tables(repository.folder)),
            _ => Ok(repository),
        }
    }

    /// Where git keeps the state of the working tree.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file that says which branch is checked out.
    pub(crate) fn head(&self) -> PathBuf {
        self.folder.join("HEAD")
    }

    /// The branch that is checked out. `None`: a commit is, as in the middle of a rebase.
    pub(crate) fn branch(&self) -> Result<Option<String>, RepositoryError> {
        let text = read(&self.head())?;
        let name = text.trim_end().strip_prefix(BRANCH);
        Ok(name.map(str::to_owned))
    }

    /// The lock that git holds while it changes the working tree. It writes `HEAD` after the files, so that until then
    /// the files may be those of another branch.
    pub(crate) fn lock(&self) -> Option<&'static str> {
        LOCKS.into_iter().find(|lock| {
            let written = fs::metadata(self.folder.join(lock)).and_then(|it| it.modified());
            // One from the future is not git's of now.
            let age = written.ok().and_then(|written| written.elapsed().ok());
            age.is_some_and(|age| age < FORGOTTEN_AFTER)
        })
    }
}

/// Where the file `.git` of a linked working tree, or of a submodule, leads.
fn linked(file: &Path) -> Result<Option<PathBuf>, RepositoryError> {
    let text = read(file)?;
    let folder = text.trim_end().strip_prefix("gitdir: ");
    Ok(folder.and_then(|folder| Some(file.parent()?.join(folder))))
}

fn read(path: &Path) -> Result<String, RepositoryError> {
    fs::read_to_string(path).map_err(|source| RepositoryError::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::{process::Command, time::SystemTime};

    use super::*;

    fn git(folder: &Path, arguments: &[&str]) {
        let names = [
            "-c",
            "user.name=me",
            "-c",
            "user.email=me@localhost",
            "-c",
            "init.defaultBranch=main",
        ];
        let ran = Command::new("git")
            .args(names)
            .args(arguments)
            .current_dir(folder)
            .output();
        assert!(ran.expect("git").status.success(), "git {arguments:?}");
    }

    #[test]
    fn the_branch_is_found_from_below_and_in_linked_trees() {
        let folder = tempfile::tempdir().expect("a folder");
        let tree = folder.path().join("tree");
        fs::create_dir_all(tree.join("app")).expect("a folder");
        git(&tree, &["init", "-q"]);
        git(&tree, &["commit", "-q", "--allow-empty", "-m", "first"]);
        let branch = |at: &Path| {
            Repository::around(at)
                .and_then(|it| it.branch())
                .expect("a branch")
        };
        assert_eq!(branch(&tree.join("app")).as_deref(), Some("main"));
        git(&tree, &["switch", "-q", "-c", "feature/login"]);
        assert_eq!(branch(&tree).as_deref(), Some("feature/login"));
        git(&tree, &["worktree", "add", "-q", "../second", "main"]);
        assert_eq!(
            branch(&folder.path().join("second")).as_deref(),
            Some("main")
        );
        git(&tree, &["switch", "-q", "--detach"]);
        assert_eq!(branch(&tree), None);
    }

    #[test]
    fn git_at_work_is_seen() {
        let folder = tempfile::tempdir().expect("a folder");
        git(folder.path(), &["init", "-q"]);
        let repository = Repository::around(folder.path()).expect("a repository");
        assert_eq!(repository.lock(), None);
        let path = folder.path().join(".git/index.lock");
        fs::write(&path, "").expect("a file");
        assert_eq!(repository.lock(), Some("index.lock"));
        let lock = fs::File::options().write(true).open(&path).expect("it");
        let now = SystemTime::now();
        for other in [now - 2 * FORGOTTEN_AFTER, now + FORGOTTEN_AFTER] {
            lock.set_modified(other).expect("a time");
            assert_eq!(repository.lock(), None);
        }
    }

    #[test]
    fn a_repository_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let refused = Repository::around(folder.path()).expect_err("no repository");
        assert!(matches!(refused, RepositoryError::None(_)), "{refused}");
        git(folder.path(), &["init", "-q"]);
        fs::write(
            folder.path().join(".git/HEAD"),
            "ref: refs/heads/.invalid\n",
        )
        .expect("a file");
        let refused = Repository::around(folder.path()).expect_err("tables");
        assert!(matches!(refused, RepositoryError::Tables(_)), "{refused}");
    }
}
