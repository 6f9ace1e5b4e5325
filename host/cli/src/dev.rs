//! The files in `dev/`: a workspace with two packages, the dev server's binary and the library that it swaps.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

use cargo_metadata::Package;
use toml_edit::{DocumentMut, InlineTable, Item, Table, Value, value};

use crate::{
    failure::{Failure, refuse},
    functions::Function,
    project::{Project, library, read},
    source::Source,
    wrapper::Wrapper,
};

/// Our crates that the packages in `dev/` name, and where they are in our repository.
pub(crate) const OURS: [(&str, &str); 3] = [
    ("host", "host"),
    ("shared", "shared"),
    ("shared_dylib", "shared/dylib"),
];

/// All crates of ours that end up in the lock file, and where they are.
const LOCKED: [(&str, &str); 6] = [
    ("host", "host"),
    ("host_accept", "host/accept"),
    ("shared", "shared"),
    ("shared_db", "shared/db"),
    ("shared_dylib", "shared/dylib"),
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
            crates,
        })
    }

    /// The files by their paths in `dev/`.
    pub(crate) fn files(&self) -> Result<Vec<(&'static str, String)>, Failure> {
        let host =
            include_str!("../templates/dev/host.toml").replace("@HOST@", &self.free("dev_host"));
        let mut files = vec![
            ("Cargo.toml", self.workspace()?),
            ("host/Cargo.toml", host),
            (
                "host/build.rs",
                include_str!("../templates/dev/build.rs").into(),
            ),
            (
                "host/src/main.rs",
                include_str!("../templates/dev/main.rs").into(),
            ),
        ];
        let krate = library(self.package).map_or("", |library| &library.name);
        let wrapper = Wrapper::new(self.package, krate, self.function);
        files.push(("app/Cargo.toml", self.app_manifest(&wrapper)));
        files.push(("app/src/lib.rs", self.app(&wrapper)));
        // The versions that the user has; cargo adds what the dev server needs.
        let lock = read(&self.project.root().join("Cargo.lock"))?;
        files.extend(lock.map(|lock| ("Cargo.lock", lock)));
        Ok(files)
    }

    /// Values that the user has to write.
    pub(crate) fn missing(&self) -> Vec<String> {
        Wrapper::new(self.package, "", self.function).missing
    }

    fn workspace(&self) -> Result<String, Failure> {
        let template = include_str!("../templates/dev/workspace.toml");
        let text = template.replace("@APP@", &self.free("dev_app"));
        let mut workspace: DocumentMut = text.parse().expect("the template is TOML");

        for (name, folder) in OURS {
            let mut ours = self.source.dependency(folder);
            let key = if name == "shared" {
                self.shared()
            } else {
                name
            };
            if key != name {
                ours.insert("package", name.into());
            }
            workspace["workspace"]["dependencies"][key] = value(ours);
        }
        let debouncer = self.source.dependency("host/debounce");
        workspace["patch"]["crates-io"]["notify-debouncer-full"] = value(debouncer);
        self.copy_patches(&mut workspace)?;

        for name in self.crates.keys() {
            let mut profile = Table::new();
            profile["debug"] = value("line-tables-only");
            workspace["profile"]["hot"]["package"][name] = Item::Table(profile);
        }
        Ok(workspace.to_string())
    }

    /// The user's `[patch]`: cargo reads it only in a workspace's root.
    fn copy_patches(&self, workspace: &mut DocumentMut) -> Result<(), Failure> {
        let manifest = parse(&self.project.manifest())?;
        let Some(patches) = manifest.get("patch").and_then(Item::as_table_like) else {
            return Ok(());
        };
        let root = self.project.root();
        for (registry, patched) in patches.iter() {
            let Some(patched) = patched.as_table_like() else {
                continue;
            };
            for (name, item) in patched.iter() {
                let Some(patch) = item.as_table_like() else {
                    continue;
                };
                let mut copy = InlineTable::new();
                for (key, item) in patch.iter() {
                    let Some(mut value) = item.as_value().cloned() else {
                        continue;
                    };
                    if let (true, Some(path)) = (key == "path", value.as_str()) {
                        value = relative(&root.join("dev"), &root.join(path)).into();
                    }
                    value.decor_mut().clear();
                    copy.insert(key, value);
                }
                let patches = workspace["patch"].or_insert(toml_edit::table());
                let registry = &mut patches[registry];
                if registry.is_none() {
                    *registry = toml_edit::table();
                }
                registry[name] = value(copy);
            }
        }
        Ok(())
    }

    fn app_manifest(&self, wrapper: &Wrapper) -> String {
        let template = include_str!("../templates/dev/app.toml");
        let text = template.replace("@APP@", &self.free("dev_app"));
        let text = text.replace("shared.workspace", &format!("{}.workspace", self.shared()));
        let mut manifest: DocumentMut = text.parse().expect("the template is TOML");
        let dependencies = &mut manifest["dependencies"];
        for (name, requirement) in &wrapper.crates {
            let mut table = InlineTable::new();
            table.insert("version", requirement.trim_start_matches('^').into());
            table.insert("default-features", false.into()); // those of the project count
            dependencies[name] = value(table);
        }
        let folder = self.package.manifest_path.as_std_path().parent();
        let root = self.project.root();
        let path = relative(&root.join("dev/app"), folder.unwrap_or(root));
        let mut theirs = InlineTable::new();
        theirs.insert("path", path.into());
        if let Some(features) = self.features_without_host() {
            theirs.insert("default-features", false.into());
            if !features.is_empty() {
                theirs.insert("features", Value::Array(features.into_iter().collect()));
            }
        }
        dependencies[self.package.name.as_str()] = value(theirs);
        manifest.to_string()
    }

    /// The default features but those that bring the production server, which the library does not need.
    fn features_without_host(&self) -> Option<Vec<String>> {
        let features = &self.package.features;
        let brings_host = |feature: &&String| {
            features
                .get(*feature)
                .is_some_and(|parts| parts.iter().any(|part| part == "dep:host"))
        };
        let default = features.get("default")?;
        default
            .iter()
            .any(|feature| brings_host(&feature))
            .then(|| {
                let others = default.iter().filter(|feature| !brings_host(feature));
                others.cloned().collect()
            })
    }

    fn app(&self, wrapper: &Wrapper) -> String {
        include_str!("../templates/dev/lib.rs")
            .replace("@PACKAGE@", &self.package.name)
            .replace("@SHARED@", self.shared())
            .replace(
                "@STATE@",
                if wrapper.uses_state {
                    "state"
                } else {
                    "_state"
                },
            )
            .replace("@BODY@", &wrapper.body)
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

/// Parses a TOML file.
pub(crate) fn parse(path: &Path) -> Result<DocumentMut, Failure> {
    let text = read(path)?.unwrap_or_default();
    parse_text(path, &text)
}

pub(crate) fn parse_text(path: &Path, text: &str) -> Result<DocumentMut, Failure> {
    text.parse().map_err(|source| Failure::Toml {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

/// `to` as a path from the folder `from`; both are absolute.
fn relative(from: &Path, to: &Path) -> String {
    let plain = |path: &Path| -> Vec<String> {
        let mut parts = Vec::new();
        for part in path.components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => {
                    parts.pop();
                }
                part => parts.push(part.as_os_str().to_string_lossy().into_owned()),
            }
        }
        parts
    };
    let (from, to) = (plain(from), plain(to));
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from[common..].iter().map(|_| "..".to_owned());
    let path: PathBuf = up.chain(to[common..].iter().cloned()).collect();
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_from_one_folder_to_another() {
        let path = |from, to| relative(Path::new(from), Path::new(to));
        assert_eq!(path("/shop/dev/app", "/shop"), "../..");
        assert_eq!(
            path("/shop/dev/app", "/shop/crates/api"),
            "../../crates/api"
        );
        assert_eq!(path("/shop/dev", "/shop/../fork/./uuid"), "../../fork/uuid");
    }

    #[test]
    fn the_profile_is_that_of_the_dev_server_itself() {
        let hot = |manifest: &str| -> serde_json::Value {
            let manifest: serde_json::Value = toml_edit::de::from_str(manifest).unwrap();
            manifest["profile"]["hot"].clone()
        };
        assert_eq!(
            hot(include_str!("../templates/dev/workspace.toml")),
            hot(include_str!("../../../Cargo.toml"))
        );
    }
}
