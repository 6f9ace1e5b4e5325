//! What compilers get beside the user's environment, for macros: the app's `DATABASE_URL`, and the folder of sqlx's
//! offline data.
//!
//! With `SQLX_OFFLINE_DIR` each expansion of `sqlx::query!` writes its query there. sqlx takes a relative path from
//! where rustc runs, which is in the package for some crates and in the workspace for others. Here it is always in the
//! project, as the user means it who writes it into `.env`, and the folder is made, since sqlx refuses one that is
//! missing.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use super::{DATABASE_URL, original};

const OFFLINE_DIR: &str = "SQLX_OFFLINE_DIR";

/// As of the last save of `.env`.
static NOW: Mutex<ForCompilers> = Mutex::new(ForCompilers {
    url: None,
    offline: None,
});

struct ForCompilers {
    /// The private cluster's URL, while the user has set none.
    url: Option<String>,
    /// Absolute.
    offline: Option<PathBuf>,
}

/// Takes over what `file`, the `.env` in `root`, says of it.
pub(super) fn set(root: &Path, file: &[(String, String)], url: Option<String>) {
    let of_the_user = original().iter().find(|(name, _)| name == OFFLINE_DIR);
    let of_the_file = file.iter().find(|(name, _)| name == OFFLINE_DIR);
    let offline = of_the_user
        .map(|(_, folder)| folder.clone())
        .or_else(|| of_the_file.map(|(_, folder)| OsString::from(folder)))
        .filter(|folder| !folder.is_empty())
        .map(|folder| root.join(folder));
    *NOW.lock().unwrap_or_else(PoisonError::into_inner) = ForCompilers { url, offline };
}

/// Gives a compiler the private cluster's URL, as the app gets it, and a place for offline data, if the user wants any.
pub(crate) fn prepare_compiler(command: &mut Command) {
    let now = NOW.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(url) = &now.url {
        command.env(DATABASE_URL, url);
    }
    if let Some(folder) = &now.offline {
        if let Err(error) = fs::create_dir_all(folder) {
            // The macros then fail with the path, which the user sees.
            tracing::debug!("{}: {error}", folder.display());
        }
        command.env(OFFLINE_DIR, folder);
    }
}
