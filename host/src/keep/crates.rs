//! Which crates all generations share: those in the dylib, which the process has once. Asks cargo, with the selection of
//! packages that builds have, so that features are the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use tokio::{sync::Mutex, task::spawn_blocking, time::timeout};

use crate::config::{Project, environment::restore_user_environment, packages};

/// The package that is the dylib.
const DYLIB: &str = "shared_dylib";

/// What a project's crate names for the dylib to hold it.
const SHARED: &str = "shared";

/// cargo reads manifests for a fraction of a second, but may have to wait for another cargo.
const CARGO_LIMIT: Duration = Duration::from_secs(10);

/// Why the crates are not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum CratesError {
    #[error("cannot run cargo: {0}; is it in PATH?")]
    Run(#[source] io::Error),
    #[error("`cargo tree` did not end within {} s", CARGO_LIMIT.as_secs())]
    Hung,
    #[error("`cargo tree` failed: {0}")]
    Failed(String),
}

/// The crates of a project.
pub(super) struct Crates {
    project: Project,
    /// What cargo said last. Locked while it runs, so that one run does for all.
    told: Mutex<Option<Arc<Told>>>,
}

struct Told {
    /// The manifests and the lock file that cargo has read.
    files: Vec<(PathBuf, Vec<u8>)>,
    linked: Arc<Linked>,
}

impl Told {
    /// Whether cargo would say the same now. Parses nothing: each use of a kept value asks.
    fn holds(&self) -> bool {
        let mut files = self.files.iter();
        files.all(|(file, text)| fs::read(file).unwrap_or_default() == *text)
    }
}

/// What links which crates.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Linked {
    /// The crates in the dylib.
    pub(super) shared: BTreeSet<String>,
    /// Of those, the ones that the app links in another version too: a type's name does not tell the two apart.
    pub(super) ambiguous: BTreeSet<String>,
    /// The crates that are not in the dylib and come from a registry or a repository: saves do not change them.
    pub(super) fixed: BTreeSet<String>,
    /// The folder of `shared` as it is shown, if it is on this machine.
    pub(super) folder: Option<String>,
}

impl Crates {
    pub(super) fn new(project: Project) -> Self {
        Self {
            project,
            told: Mutex::default(),
        }
    }

    /// As of the manifests and the lock file as they are now. A change of the dylib itself restarts the host, but the app
    /// may get another version of one of its crates at any time, or a feature that brings one in.
    pub(super) async fn now(&self) -> Result<Arc<Linked>, CratesError> {
        let mut told = self.told.lock().await;
        if let Some(last) = &*told {
            let asked = last.clone();
            if let Ok(true) = spawn_blocking(move || asked.holds()).await {
                return Ok(last.linked.clone());
            }
        }
        // Before cargo reads them: what is changed while it runs is noticed the next time.
        let files = packages::manifests(self.project.root(), self.project.workspace());
        let mut linked = linked(&self.tree().await?, &self.project.app().package);
        let shown = |folder: &String| {
            self.project
                .relative(Path::new(folder))
                .display()
                .to_string()
        };
        linked.folder = linked.folder.as_ref().map(shown);
        let linked = Arc::new(linked);
        *told = Some(Arc::new(Told {
            files,
            linked: linked.clone(),
        }));
        Ok(linked)
    }

    /// What is linked into what, as cargo shows it.
    async fn tree(&self) -> Result<String, CratesError> {
        let workspace = self.project.workspace();
        let mut cargo = std::process::Command::new("cargo");
        restore_user_environment(&mut cargo, workspace);
        cargo
            .current_dir(workspace)
            .args(["tree", "--frozen", "--color", "never"])
            .args(["--edges", "normal,no-proc-macro"])
            .args(["--prefix", "depth", "--format", " {lib} {p}"]);
        let mut cargo = tokio::process::Command::from(cargo);
        cargo.stdin(Stdio::null()).kill_on_drop(true);
        let told = timeout(CARGO_LIMIT, cargo.output())
            .await
            .map_err(|_| CratesError::Hung)?
            .map_err(CratesError::Run)?;
        match told.status.success() {
            true => Ok(String::from_utf8_lossy(&told.stdout).into_owned()),
            false => {
                let why = String::from_utf8_lossy(&told.stderr);
                Err(CratesError::Failed(why.trim().to_owned()))
            }
        }
    }
}

/// A package as cargo shows it, such as `bytes v1.12.2` or `shared v0.1.0 (/shop/shared)`, by the name of its library.
type Package<'a> = (&'a str, &'a str);

/// Reads a tree with lines `DEPTH LIBRARY PACKAGE`. What comes up again is listed without its own dependencies, and
/// marked with a star.
fn linked(tree: &str, app: &str) -> Linked {
    let mut needs = BTreeMap::<Package<'_>, Vec<Package<'_>>>::new();
    let mut path: Vec<Package<'_>> = Vec::new();
    for line in tree.lines() {
        let mut parts = line.trim_end_matches(" (*)").splitn(3, ' ');
        let (Some(Ok(depth)), Some(library), Some(package)) =
            (parts.next().map(str::parse), parts.next(), parts.next())
        else {
            continue; // between two trees
        };
        path.truncate(depth);
        if let Some(parent) = path.last() {
            needs.entry(*parent).or_default().push((library, package));
        }
        path.push((library, package));
        needs.entry((library, package)).or_default();
    }
    let all_of = |name: &str| {
        let is_it = |(_, package): &&Package<'_>| package.split(' ').next() == Some(name);
        let mut unread: Vec<Package<'_>> = needs.keys().filter(is_it).copied().collect();
        let mut found = BTreeSet::new();
        while let Some(package) = unread.pop() {
            if found.insert(package) {
                unread.extend(needs.get(&package).into_iter().flatten());
            }
        }
        found
    };
    let inside = all_of(DYLIB);
    let outside = &all_of(app) - &inside;
    let names = |packages: &BTreeSet<Package<'_>>| -> BTreeSet<String> {
        packages
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect()
    };
    let shared = names(&inside);
    let fixed = |(_, package): &Package<'_>| folder(package).is_none();
    let found = inside.iter().find(|(name, _)| *name == SHARED);
    Linked {
        ambiguous: &shared & &names(&outside),
        fixed: names(&outside.iter().copied().filter(fixed).collect()),
        folder: found
            .and_then(|(_, package)| folder(package))
            .map(str::to_owned),
        shared,
    }
}

/// Where the sources of a path package are.
fn folder(package: &str) -> Option<&str> {
    let source = package.split_once(" (")?.1.strip_suffix(')')?;
    source.starts_with('/').then_some(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_shared_if_the_dylib_holds_it_wherever_the_tree_shows_it() {
        let tree = "\
0 app_lib app_lib v0.1.0 (/shop/app)
1 bytes bytes v1.12.2
1 domain domain v0.1.0 (/shop/domain)
1 rand rand v0.8.5
1 maud maud v0.27.0
2 itoa itoa v1.0.19
1 shared_dylib shared_dylib v0.1.0 (/dev/shared/dylib)
2 shared shared v0.1.0 (/dev/shared)
3 axum axum v0.8.9
4 bytes bytes v1.12.2
3 rand rand v0.9.1

0 host host v0.1.0 (/dev/host)
1 axum axum v0.8.9 (*)
1 toml toml v1.0.0
";
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let expected = Linked {
            shared: set(&["axum", "bytes", "rand", "shared", "shared_dylib"]),
            ambiguous: set(&["rand"]),
            fixed: set(&["itoa", "maud", "rand"]),
            folder: Some("/dev/shared".to_owned()),
        };
        assert_eq!(linked(tree, "app_lib"), expected);
        let git = tree.replace("(/dev/shared)", "(https://git.example/dev?rev=1#1)");
        assert_eq!(linked(&git, "app_lib").folder, None);
    }
}
