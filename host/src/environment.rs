//! The environment of this process: what the user gave it, and what the app finds in it.
//!
//! The app reads `.env` as it reads any variable, with `std::env::var`: the host puts the file's variables into the
//! environment, below what the user set. Owns the difference between the two. The host's own settings, compilers and
//! the next image of this process get only what the user gave: a variable that was put there later, by the host or by
//! an app that reads `.env` itself, would outrank the file that it came from, and freeze it.

#[cfg(feature = "dev")]
mod replace;

use std::{ffi::OsString, sync::OnceLock};

#[cfg(feature = "dev")]
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    sync::{Mutex, PoisonError},
};

/// How one image of the host passes its descriptors on to the next, and to nobody else.
#[cfg(feature = "dev")]
const LISTEN_VARIABLES: [&str; 2] = ["LISTEN_FDS", "LISTEN_PID"];

static ORIGINAL: OnceLock<Vec<(OsString, OsString)>> = OnceLock::new();

/// What the user gave. The first call decides what that is: it comes before all else.
pub(crate) fn original() -> &'static [(OsString, OsString)] {
    ORIGINAL.get_or_init(|| std::env::vars_os().collect())
}

/// The same for a child process or the next image.
#[cfg(feature = "dev")]
pub(crate) fn for_children() -> impl Iterator<Item = &'static (OsString, OsString)> {
    let ours = |name: &OsString| LISTEN_VARIABLES.iter().any(|passed| name == passed);
    original().iter().filter(move |(name, _)| !ours(name))
}

#[cfg(feature = "dev")]
fn is_original(name: &OsStr) -> bool {
    original().iter().any(|(original, _)| original == name)
}

/// Whether the variable is there and the user did not give it.
#[cfg(feature = "dev")]
pub(crate) fn was_added(name: &str) -> bool {
    !is_original(name.as_ref()) && std::env::var_os(name).is_some()
}

/// Puts the variables of `.env` where the app finds them, in place of those that were there from the file before.
/// Returns whether that changes anything.
#[cfg(feature = "dev")]
pub(crate) fn apply_dotenv(file: &[(String, String)]) -> bool {
    static FROM_FILE: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
    let next: BTreeMap<String, String> = file
        .iter()
        .filter(|(name, _)| !is_original(name.as_ref()))
        .cloned()
        .collect();
    let mut now = FROM_FILE.lock().unwrap_or_else(PoisonError::into_inner);
    if *now == next {
        return false;
    }
    let of_the_file: BTreeSet<&OsStr> = now.keys().chain(next.keys()).map(OsStr::new).collect();
    // What the app has set by itself stays.
    let others = std::env::vars_os().filter(|(name, _)| !of_the_file.contains(name.as_os_str()));
    let from_file = next
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    replace::replace(others.chain(from_file));
    *now = next;
    true
}
