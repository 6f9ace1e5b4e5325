//! The project that the tests belong to: where its migrations are, and its build. Reads manifests, and never runs cargo.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use shared_migrate::Source;
use toml::Table;

/// The variable that names another folder of migrations, as the dev server reads it.
const MIGRATIONS: &str = "HOST_MIGRATIONS";

/// The folder of the workspace in a project that has its own.
const WORKSPACE: &str = "dev";

/// The migrations of the project in which cargo runs the tests of a package.
pub(crate) fn migrations() -> Source {
    found(&package(), env::var(MIGRATIONS).ok())
}

/// The folder of the build that this program is part of, which all tests of the project share.
pub(crate) fn target() -> PathBuf {
    let program = env::current_exe().unwrap_or_default();
    // target/debug/deps/program
    let built = program.parent().filter(|folder| folder.ends_with("deps"));
    let target = built.and_then(|deps| deps.parent()?.parent());
    // A documentation test is built elsewhere.
    let named = || env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target
        .map(Path::to_owned)
        .or_else(named)
        .unwrap_or_else(|| package().join("target"))
}

/// cargo and nextest set this for the programs that they run.
fn package() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    package
        .or_else(|| env::current_dir().ok())
        .unwrap_or_default()
}

/// For a project that the dev server does not serve, the first folder of migrations from the package upward.
fn found(package: &Path, named: Option<String>) -> Source {
    let manifests = package.ancestors().flat_map(|folder| {
        [folder.to_owned(), folder.join(WORKSPACE)].map(|workspace| workspace.join("Cargo.toml"))
    });
    let described = manifests.filter_map(|manifest| {
        let host = description(&manifest)?;
        Some((manifest, host))
    });
    let (root, manifest, declared) = match described.into_iter().next() {
        Some((manifest, host)) => {
            let text = |key: &str| Some(host.get(key)?.as_str()?.to_owned());
            let workspace = manifest.parent().unwrap_or(package);
            let root = workspace.join(text("root").unwrap_or_default());
            let root = root.canonicalize().unwrap_or(root);
            (root, manifest, text("migrations"))
        }
        None => {
            let has_some = |folder: &&Path| folder.join("migrations").is_dir();
            let root = package.ancestors().find(has_some).unwrap_or(package);
            (root.to_owned(), root.join("Cargo.toml"), None)
        }
    };
    let said = |value: &String| !value.is_empty();
    let folder = named
        .filter(said)
        .or_else(|| in_dotenv(&root))
        .filter(said)
        .or(declared);
    let folder = folder.unwrap_or_else(|| "migrations".to_owned());
    Source {
        folder: (folder != "none").then(|| root.join(folder)),
        root,
        manifest,
    }
}

/// What `.env` says.
fn in_dotenv(root: &Path) -> Option<String> {
    let variables = dotenvy::from_path_iter(root.join(".env")).ok()?;
    let mut variables = variables.filter_map(Result::ok);
    variables
        .find(|(name, _)| name == MIGRATIONS)
        .map(|(_, value)| value)
}

/// `[workspace.metadata.host]` of a manifest.
fn description(manifest: &Path) -> Option<Table> {
    let manifest: Table = fs::read_to_string(manifest).ok()?.parse().ok()?;
    let host = manifest.get("workspace")?.get("metadata")?.get("host")?;
    host.as_table().cloned()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    #[test]
    fn the_migrations_are_those_that_the_dev_server_applies() {
        let folder = env::temp_dir().join(format!("shared-test-project-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let found = |package: &str, named: Option<&str>| {
            let source = found(&folder.join(package), named.map(str::to_owned));
            let relative = |path: &Path| path.strip_prefix(&folder).unwrap().display().to_string();
            (
                source.folder.as_deref().map(relative),
                relative(&source.manifest),
            )
        };
        write("plain/migrations/V1__a.sql", "");
        write("plain/web/src/lib.rs", "");
        let plain = (
            Some("plain/migrations".to_owned()),
            "plain/Cargo.toml".to_owned(),
        );
        assert_eq!(found("plain/web", None), plain);

        let described =
            "[workspace.metadata.host]\napp = \"x\"\nroot = \"..\"\nmigrations = \"db\"\n";
        write("own/dev/Cargo.toml", described);
        write("own/crates/web/src/lib.rs", "");
        let own = |migrations: &str| {
            (
                Some(format!("own/{migrations}")),
                "own/dev/Cargo.toml".to_owned(),
            )
        };
        assert_eq!(found("own/crates/web", None), own("db"));
        assert_eq!(found("own/crates/web", Some("sql")), own("sql"));
        assert_eq!(found("own/crates/web", Some("none")).0, None);
        write("own/.env", "HOST_MIGRATIONS=of_dotenv\n");
        assert_eq!(found("own/crates/web", Some("")), own("of_dotenv"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
