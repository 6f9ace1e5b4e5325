//! What a workspace says about the project it serves: `[workspace.metadata.host]` in its manifest.
//!
//! ```toml
//! [workspace.metadata.host]
//! app = "app_lib"   # the package whose library is loaded
//! root = ".."       # the project's folder, with `.env` and `migrations`; without this line, the workspace's own
//! migrations = "db" # their folder, relative to the root, as HOST_MIGRATIONS names it, which wins over this line
//! style = "sqlx"    # whose migrations: refinery, sqlx or diesel; without this line, as the files are named
//! ```
//!
//! Only reads manifests and never runs cargo: a start must not wait for it, and must work while a manifest is broken
//! somewhere else.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Value;

use super::packages::{declared, manifest, normalize};

/// The package whose library the host loads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct App {
    pub(crate) package: String,
    /// The name of its library as a crate, without dashes.
    pub(crate) crate_name: String,
    /// Absolute.
    pub(crate) folder: PathBuf,
}

/// A project as its workspace describes it.
#[derive(Debug)]
pub(super) struct Description {
    pub(super) root: PathBuf,
    pub(super) app: App,
    pub(super) migrations: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    app: String,
    root: Option<PathBuf>,
    migrations: Option<String>,
    /// `shared_migrate` reads it where it is needed: a wrong one need not stop a start.
    #[serde(rename = "style")]
    _style: Option<Value>,
}

/// The description in the manifest of the workspace at this folder. `None` if there is none.
pub(super) fn read(workspace: &Path) -> Result<Option<Description>, String> {
    let Some(Metadata {
        app,
        root,
        migrations,
        _style,
    }) = metadata(workspace)?
    else {
        return Ok(None);
    };
    let root = normalize(&workspace.join(root.unwrap_or_default()));
    let found = declared(workspace)
        .into_iter()
        .find_map(|folder| named(&folder, &app));
    let app = found.ok_or_else(|| {
        format!("[workspace.metadata.host] names the app `{app}`, but no member or path dependency has that name")
    })?;
    Ok(Some(Description {
        root,
        app,
        migrations,
    }))
}

/// Our part of a manifest. cargo reports what is wrong with the rest.
fn metadata(workspace: &Path) -> Result<Option<Metadata>, String> {
    let mut manifest = manifest(workspace);
    let mut ours = || -> Option<Value> {
        let workspace = manifest.get_mut("workspace")?.as_table_mut()?;
        let metadata = workspace.get_mut("metadata")?.as_table_mut()?;
        metadata.remove("host")
    };
    let ours = ours().map(Value::try_into).transpose();
    ours.map_err(|error: toml::de::Error| format!("[workspace.metadata.host]: {}", error.message()))
}

/// The package in `folder`, if it has this name.
fn named(folder: &Path, name: &str) -> Option<App> {
    let manifest = manifest(folder);
    let package = manifest.get("package")?.get("name")?.as_str()?;
    let library = manifest
        .get("lib")
        .and_then(|lib| lib.get("name")?.as_str());
    (package == name).then(|| App {
        package: package.to_owned(),
        crate_name: library.map_or_else(|| package.replace('-', "_"), str::to_owned),
        folder: folder.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn project(workspace: &str, app: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |file: &str, text: &str| {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("inside")).expect("a folder");
            fs::write(path, text).expect("a file");
        };
        write("dev/Cargo.toml", workspace);
        write("dev/app/Cargo.toml", app);
        folder
    }

    #[test]
    fn the_app_is_the_named_package_and_the_root_may_be_above() {
        let folder = project(
            "[workspace]\nmembers = [\"app\"]\n[workspace.metadata.host]\napp = \"dev-app\"\nroot = \"..\"",
            "[package]\nname = \"dev-app\"",
        );
        let workspace = folder.path().join("dev");
        let found = read(&workspace)
            .expect("it is right")
            .expect("there is one");
        assert_eq!(found.root, folder.path());
        let app = App {
            package: "dev-app".to_owned(),
            crate_name: "dev_app".to_owned(),
            folder: workspace.join("app"),
        };
        assert_eq!(found.app, app);
        assert!(read(folder.path()).expect("no manifest").is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (metadata, app, message) in [
            (
                "app = \"other\"",
                "dev_app",
                "no member or path dependency has that name",
            ),
            ("root = \"..\"", "dev_app", "missing field `app`"),
            (
                "app = \"dev_app\"\nroots = \"..\"",
                "dev_app",
                "unknown field `roots`",
            ),
        ] {
            let workspace =
                format!("[workspace]\nmembers = [\"app\"]\n[workspace.metadata.host]\n{metadata}");
            let folder = project(&workspace, &format!("[package]\nname = \"{app}\""));
            let error = read(&folder.path().join("dev")).expect_err("it is wrong");
            assert!(error.contains(message), "{error}");
        }
    }
}
