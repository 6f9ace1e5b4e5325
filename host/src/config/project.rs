//! The project folder: found from the working folder, used by one host at a time.

use std::{
    env, io,
    path::{Path, PathBuf},
};

use shared_migrate::Source;

use super::{
    description::{self, App},
    dev_table::HOST_MIGRATIONS,
    dotenv,
    options::HostSettings,
    packages::normalize,
    repository::{Repository, RepositoryError},
};

/// The folder of the workspace in a project that has its own.
const WORKSPACE: &str = "dev";

/// Why there is no project to work in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProjectError {
    #[error("no project here: no Cargo.toml or dev/Cargo.toml with [workspace.metadata.host] is in {} or in a folder above it", .0.display())]
    NotFound(PathBuf),
    #[error("{}: {message}", path.display())]
    Description { path: PathBuf, message: String },
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Dotenv {
        path: PathBuf,
        source: dotenvy::Error,
    },
    #[error(
        "`host dev` is already running in this checkout ({running}): use that one, stop it, or work in another clone"
    )]
    InUse { running: String },
    #[error(
        "the private PostgreSQL of this checkout is in use: `host dev` is starting, or a command such as `cargo host psql` is open; wait for it or end it"
    )]
    Busy,
    #[error("`host dev` is not running in this checkout: start it with `cargo dev`")]
    NotRunning,
}

/// A project, and the workspace that it is built in. The same folder, unless the workspace is `dev/` in someone's
/// repository.
#[derive(Clone)]
pub(crate) struct Project {
    /// Has `.env` and `.dev`. Files are shown and opened relative to it.
    root: PathBuf,
    /// Where cargo and rustc run.
    workspace: PathBuf,
    app: App,
    /// The folder of migrations, once the settings are known.
    migrations: Option<PathBuf>,
    /// That folder, if the workspace names it.
    declared_migrations: Option<String>,
    /// Folders that the app reads at run time, besides the usual ones; once the settings are known.
    watch: Vec<PathBuf>,
    /// The folder of seeds, once the settings are known.
    seeds: Option<PathBuf>,
    /// The repository whose branches have a database each, if they have.
    repository: Option<Repository>,
}

impl Project {
    /// Searches for the project from the working folder upward.
    pub(crate) fn find() -> Result<Self, ProjectError> {
        let here = env::current_dir().map_err(|source| ProjectError::File {
            path: ".".into(),
            source,
        })?;
        let candidates = here
            .ancestors()
            .flat_map(|folder| [folder.to_owned(), folder.join(WORKSPACE)]);
        for workspace in candidates {
            match description::read(&workspace) {
                Ok(None) => {}
                Ok(Some(found)) => {
                    return Ok(Self {
                        migrations: None,
                        declared_migrations: found.migrations,
                        root: found.root,
                        workspace,
                        app: found.app,
                        watch: Vec::new(),
                        seeds: None,
                        repository: None,
                    });
                }
                Err(message) => {
                    let path = workspace.join("Cargo.toml");
                    return Err(ProjectError::Description { path, message });
                }
            }
        }
        Err(ProjectError::NotFound(here))
    }

    /// The sample's layout in any folder, with `content/pages` for the app to read.
    #[cfg(test)]
    pub(crate) fn in_folder(root: &Path) -> Self {
        let app = App {
            package: "app_lib".to_owned(),
            crate_name: "app_lib".to_owned(),
            folder: root.join("app_lib"),
        };
        let (root, workspace) = (root.to_owned(), root.to_owned());
        Self {
            migrations: Some(root.join("migrations")),
            declared_migrations: None,
            watch: vec![root.join("content/pages")],
            seeds: None,
            repository: None,
            root,
            workspace,
            app,
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn workspace(&self) -> &Path {
        &self.workspace
    }

    pub(crate) fn app(&self) -> &App {
        &self.app
    }

    /// A path as it is shown: relative to the root if inside it.
    pub(crate) fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap_or(path).to_owned()
    }

    /// The same for a path as rustc writes it, which runs in the workspace.
    pub(crate) fn named_by_rustc(&self, path: impl AsRef<Path>) -> PathBuf {
        self.relative(&normalize(&self.workspace.join(path)))
    }

    /// Sets the folders that the settings name; relative ones are in the root.
    pub(crate) fn configure(&mut self, settings: &HostSettings) {
        let in_root = |folder: &PathBuf| normalize(&self.root.join(folder));
        let migrations = settings.migrations.as_ref().filter(|_| settings.database);
        self.migrations = migrations.map(in_root);
        self.seeds = settings.seeds.as_ref().map(in_root);
        self.watch = settings.watch.iter().map(in_root).collect();
    }

    /// From now on each branch has a database of its own.
    pub(crate) fn follow_branches(&mut self) -> Result<(), RepositoryError> {
        self.repository = Some(Repository::around(&self.root)?);
        Ok(())
    }

    /// The repository whose branches have a database each.
    pub(crate) fn repository(&self) -> Option<&Repository> {
        self.repository.as_ref()
    }

    /// Whether a change of this file is a change of branches that matters.
    pub(crate) fn is_head(&self, path: &Path) -> bool {
        let repository = self.repository.as_ref();
        repository.is_some_and(|repository| repository.head() == path)
    }

    /// Further folders that the app reads at run time, absolute. They may be missing.
    pub(crate) fn watch(&self) -> &[PathBuf] {
        &self.watch
    }

    /// The folder of migrations, absolute. It may be missing.
    pub(crate) fn migrations(&self) -> Option<&Path> {
        self.migrations.as_deref()
    }

    /// The folder of seeds, absolute. It may be missing.
    pub(crate) fn seeds(&self) -> Option<&Path> {
        self.seeds.as_deref()
    }

    /// The manifest that describes the project.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.workspace.join("Cargo.toml")
    }

    /// What there is to migrate.
    pub(crate) fn migration_source(&self) -> Source {
        Source {
            root: self.root.clone(),
            folder: self.migrations.clone(),
            manifest: self.manifest(),
        }
    }

    /// The settings that the workspace makes, and the name of its manifest.
    pub(crate) fn declared(&self) -> (String, Vec<(String, String)>) {
        let folder = self.declared_migrations.clone();
        let setting = folder.map(|folder| (HOST_MIGRATIONS.variable.to_owned(), folder));
        let name = self.relative(&self.manifest()).display().to_string();
        (name, setting.into_iter().collect())
    }

    /// The variables of `.env`, if there is one.
    pub(crate) fn dotenv(&self) -> Result<Vec<(String, String)>, ProjectError> {
        let path = self.root.join(".env");
        dotenv::read(&path).map_err(|source| ProjectError::Dotenv { path, source })
    }
}
