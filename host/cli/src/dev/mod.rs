//! The files in `dev/`: a workspace with two packages, the dev server's binary and the library that it swaps.

// The manifest of the workspace.
mod workspace;

// Where the project's migrations are.
mod migrations;

// The library: its manifest, and the function that the host calls.
mod app;

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::Package;

use crate::{
    failure::{Failure, refuse},
    files::read,
    functions::Function,
    project::{Project, has_database, library},
    recipe,
    source::Source,
    wrapper::Wrapper,
};

/// Our crates that the packages in `dev/` name, and where they are in our repository.
pub(crate) const OURS: [(&str, &str); 3] = [
    ("host", "host"),
    ("shared", "shared"),
    ("shared_dylib", "shared/dylib"),
];

/// The crate that tests of an app use.
pub(crate) const TEST: (&str, &str) = ("shared_test", "shared/test");

/// All crates of ours that end up in a lock file, and where they are.
const LOCKED: [(&str, &str); 10] = [
    ("host", "host"),
    ("host_accept", "host/accept"),
    ("host_wire", "host/wire"),
    ("shared", "shared"),
    ("shared_cluster", "shared/db/cluster"),
    ("shared_db", "shared/db"),
    ("shared_dylib", "shared/dylib"),
    ("shared_migrate", "shared/db/migrate"),
    TEST,
    ("notify-debouncer-full", "host/debounce"),
];

/// Whether a crate of ours has this name.
pub(crate) fn is_ours(name: &str) -> bool {
    LOCKED.iter().any(|(ours, _)| *ours == name)
}

/// What was chosen: the function to serve, and where our crates come from.
pub(crate) struct Dev<'a> {
    pub(crate) project: &'a Project,
    pub(crate) package: &'a Package,
    pub(crate) function: &'a Function,
    pub(crate) source: Source,
    /// The folder of migrations, from the root.
    pub(crate) migrations: Option<String>,
    /// The call of the function, with what it takes: known, as the user's binary makes it, or left to the user.
    pub(crate) wrapper: Wrapper,
    /// The user's path crates, by name.
    crates: BTreeMap<String, Package>,
}

impl<'a> Dev<'a> {
    pub(crate) fn new(
        project: &'a Project,
        package: &'a Package,
        function: &'a Function,
        source: Source,
    ) -> Result<Self, Failure> {
        let mut crates = project.path_crates(package)?;
        crates.retain(|_, package| !source.holds(&package.manifest_path, &LOCKED));
        // A lock file cannot hold two path crates of one name and version.
        let clash = crates.keys().find(|name| is_ours(name));
        let source = match clash.map(|name| (name, source.as_git())) {
            None => source,
            Some((_, Some(source))) => source,
            Some((name, None)) => {
                return refuse(format!(
                    "the crate `{name}` of this project has the name of one of the dev server's: take those from git, with --git URL"
                ));
            }
        };
        Ok(Self {
            project,
            package,
            function,
            source,
            migrations: migrations::find(project.root(), crates.values()),
            wrapper: wrapper(project, package, function)?,
            crates,
        })
    }

    /// The files by their paths in `dev/`.
    pub(crate) fn files(&self) -> Result<Vec<(&'static str, String)>, Failure> {
        let host =
            include_str!("../../templates/dev/host.toml").replace("@HOST@", &self.free("dev_host"));
        let mut files = vec![
            ("Cargo.toml", self.workspace()?),
            ("host/Cargo.toml", host),
            (
                "host/build.rs",
                include_str!("../../templates/dev/build.rs").into(),
            ),
            (
                "host/src/main.rs",
                include_str!("../../templates/dev/main.rs").into(),
            ),
        ];
        files.push(("app/Cargo.toml", self.app_manifest()));
        files.push(("app/src/lib.rs", self.app()));
        // The versions that the user has; cargo adds what the dev server needs.
        let lock = read(&self.project.root().join("Cargo.lock"))?;
        files.extend(lock.map(|lock| ("Cargo.lock", lock)));
        Ok(files)
    }

    /// Whether the app needs a database from the dev server.
    pub(crate) fn has_database(&self) -> bool {
        has_database(self.crates.values()) || self.migrations.is_some()
    }

    /// The name of our `shared` in `dev/app`, where a crate of the user's may have that name.
    fn shared(&self) -> &'static str {
        let theirs = library(self.package).map(|library| library.name.as_str());
        match theirs == Some("shared") || *self.package.name == "shared" {
            true => "hot_shared",
            false => "shared",
        }
    }

    /// `name`, or another if the user has a crate of that name.
    fn free(&self, name: &str) -> String {
        let members = self.project.packages().iter().map(|one| one.name.as_str());
        let taken: BTreeSet<&str> = members
            .chain(self.crates.keys().map(String::as_str))
            .collect();
        match taken.contains(name) {
            true => format!("hot_{name}"),
            false => name.to_owned(),
        }
    }
}

/// Reads the user's binaries only if the function takes something that is not known.
fn wrapper(project: &Project, package: &Package, function: &Function) -> Result<Wrapper, Failure> {
    let krate = library(package).map_or("", |library| &library.name);
    let wrapper = Wrapper::new(package, krate, function);
    if wrapper.missing.is_empty() {
        return Ok(wrapper);
    }
    let recipe = recipe::find(project, package, function)?;
    Ok(match recipe {
        Some(recipe) => Wrapper::copying(recipe, krate, function),
        None => wrapper,
    })
}
