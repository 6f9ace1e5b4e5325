//! The environment of this process: the original variables, and those added for the app.
//!
//! The app reads the variables of `.env` with `std::env::var`: the host adds them to its environment, unless the user
//! has set them. It also adds `DATABASE_URL` for the private cluster. This module keeps the two apart. The host's own
//! settings, compilers and the next process image only get the original variables: one that was added later, by the
//! host or by an app that reads `.env` itself, would take precedence over the file, and later edits of the file would
//! have no effect. Compilers get more than that, for macros: see `compilers`.

#[cfg(feature = "dev")]
mod compilers;
#[cfg(feature = "dev")]
mod replace;
#[cfg(feature = "dev")]
mod user;

#[cfg(feature = "dev")]
pub(crate) use compilers::prepare_compiler;
#[cfg(feature = "dev")]
pub(crate) use user::{TOOLCHAIN_FILES, restore_user_environment};

use std::{ffi::OsString, sync::OnceLock};

#[cfg(feature = "dev")]
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    path::Path,
    sync::{Mutex, PoisonError},
};

/// Tell the next process image which descriptors it inherits. No other process may see them.
#[cfg(feature = "dev")]
const LISTEN_VARIABLES: [&str; 2] = ["LISTEN_FDS", "LISTEN_PID"];

#[cfg(feature = "dev")]
const DATABASE_URL: &str = "DATABASE_URL";

static ORIGINAL: OnceLock<Vec<(OsString, OsString)>> = OnceLock::new();

/// The original variables, as of the first call, which must come before anything changes the environment.
pub(crate) fn original() -> &'static [(OsString, OsString)] {
    ORIGINAL.get_or_init(|| std::env::vars_os().collect())
}

/// The original variables for a child process or the next process image.
#[cfg(feature = "dev")]
pub(crate) fn for_children() -> impl Iterator<Item = &'static (OsString, OsString)> {
    let ours = |name: &OsString| LISTEN_VARIABLES.iter().any(|passed| name == passed);
    original().iter().filter(move |(name, _)| !ours(name))
}

#[cfg(feature = "dev")]
fn is_original(name: &OsStr) -> bool {
    original().iter().any(|(original, _)| original == name)
}

/// Whether the variable is set but is not an original one.
#[cfg(feature = "dev")]
pub(crate) fn was_added(name: &str) -> bool {
    !is_original(name.as_ref()) && std::env::var_os(name).is_some()
}

/// Adds the variables of `.env`, which is in `root`, to the environment, and `private_url` as `DATABASE_URL`, and
/// removes those of an earlier call. Returns whether anything has changed.
#[cfg(feature = "dev")]
pub(crate) fn apply(root: &Path, file: &[(String, String)], private_url: Option<String>) -> bool {
    static ADDED: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
    let mut next: BTreeMap<String, String> = file
        .iter()
        .filter(|(name, _)| !is_original(name.as_ref()))
        .cloned()
        .collect();
    if let Some(url) = &private_url {
        // Over an empty value, which counts as none.
        next.insert(DATABASE_URL.to_owned(), url.clone());
    }
    compilers::set(root, file, private_url);
    let mut now = ADDED.lock().unwrap_or_else(PoisonError::into_inner);
    if *now == next {
        return false;
    }
    let ours: BTreeSet<&OsStr> = now.keys().chain(next.keys()).map(OsStr::new).collect();
    // Variables that the app has set itself stay.
    let others = std::env::vars_os().filter(|(name, _)| !ours.contains(name.as_os_str()));
    let added = next
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    replace::replace(others.chain(added));
    *now = next;
    crate::logs::read_filter();
    true
}
