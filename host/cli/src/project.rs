//! The user's project as cargo sees it: the workspace, its packages, and the path crates below a package.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use cargo_metadata::{
    Dependency, DependencyKind, Metadata, MetadataCommand, Package, Target, TargetKind,
};

use crate::failure::{Failure, refuse};

/// Crates that talk to a database, by a part of their names. Ours hands the connection in.
const DRIVERS: [&str; 7] = [
    "sqlx", "diesel", "sea-orm", "deadpool", "bb8", "postgres", "shared",
];

/// A cargo workspace, or a single package.
pub(crate) struct Project {
    metadata: Metadata,
}

impl Project {
    /// Finds the project that `folder` is in.
    pub(crate) fn find(folder: &Path) -> Result<Self, Failure> {
        let metadata = metadata_of(folder)?;
        // In `dev/`, the project is the one around it.
        let described = &metadata.workspace_metadata["host"];
        let metadata = match described["root"].as_str() {
            Some(root) => metadata_of(&metadata.workspace_root.as_std_path().join(root))?,
            None if described.is_object() => {
                return refuse(format!(
                    "{} has its dev server already: its Cargo.toml has [workspace.metadata.host]",
                    metadata.workspace_root
                ));
            }
            None => metadata,
        };
        Ok(Self { metadata })
    }

    pub(crate) fn root(&self) -> &Path {
        self.metadata.workspace_root.as_std_path()
    }

    pub(crate) fn manifest(&self) -> PathBuf {
        self.root().join("Cargo.toml")
    }

    pub(crate) fn packages(&self) -> &[Package] {
        &self.metadata.packages
    }

    /// `path` as the user would write it.
    pub(crate) fn shown(&self, path: &Path) -> String {
        let path = path.strip_prefix(self.root()).unwrap_or(path);
        path.display().to_string()
    }

    /// The path crates that `package` needs, itself included, by name.
    pub(crate) fn path_crates(
        &self,
        package: &Package,
    ) -> Result<BTreeMap<String, Package>, Failure> {
        let mut found = BTreeMap::new();
        let mut open = vec![package.clone()];
        while let Some(package) = open.pop() {
            for dependency in needed(&package) {
                let Some(folder) = &dependency.path else {
                    continue;
                };
                let manifest = folder.join("Cargo.toml");
                if dependency.optional || found.contains_key(&dependency.name) {
                    continue;
                }
                let is_this = |package: &&Package| package.manifest_path == manifest;
                match self.packages().iter().find(is_this) {
                    Some(member) => open.push(member.clone()),
                    // Of another workspace.
                    None => {
                        let packages = metadata_of(folder.as_std_path())?.packages;
                        open.extend(packages.iter().find(is_this).cloned());
                    }
                }
            }
            found.insert(package.name.to_string(), package);
        }
        Ok(found)
    }
}

fn metadata_of(folder: &Path) -> Result<Metadata, Failure> {
    Ok(MetadataCommand::new()
        .current_dir(folder)
        .no_deps()
        .exec()?)
}

/// What a package needs to run.
pub(crate) fn needed(package: &Package) -> impl Iterator<Item = &Dependency> {
    let dependencies = package.dependencies.iter();
    dependencies.filter(|dependency| dependency.kind == DependencyKind::Normal)
}

/// The library that other crates can use, if the package has one.
pub(crate) fn library(package: &Package) -> Option<&Target> {
    let usable = |kind: &TargetKind| matches!(kind, TargetKind::Lib | TargetKind::RLib);
    package
        .targets
        .iter()
        .find(|target| target.kind.iter().any(usable))
}

/// The binaries.
pub(crate) fn binaries(package: &Package) -> impl Iterator<Item = &Target> {
    package.targets.iter().filter(|target| target.is_bin())
}

/// The requirement on axum, as written.
pub(crate) fn axum_of(package: &Package) -> Option<&Dependency> {
    needed(package).find(|dependency| dependency.name == "axum")
}

/// Whether axum is the one whose routers the dev server serves.
pub(crate) fn is_axum_current(axum: &Dependency) -> bool {
    let requirement = &axum.req;
    let version = |text: &str| text.parse().expect("a version");
    // No more than a sample of what a requirement like `0.8.1` or `>=0.8` admits.
    (0..=99).any(|patch| requirement.matches(&version(&format!("0.8.{patch}"))))
}

/// Whether one of the packages talks to a database.
pub(crate) fn has_database<'a>(mut packages: impl Iterator<Item = &'a Package>) -> bool {
    let is_driver = |name: &str| DRIVERS.iter().any(|driver| name.contains(driver));
    packages.any(|package| needed(package).any(|dependency| is_driver(&dependency.name)))
}
