//! Proof that a loaded library and the host are the same build of `shared`.
//!
//! Owns the [`Stamp`] and the [`Entry`] that [`export_app!`](crate::export_app) puts into every library. The host's
//! loader compares stamps and never calls the entry of a library that does not match.

use futures_util::future::BoxFuture;

use crate::{AppState, BoxError};

/// Compiler, target, profile flags, features, the sources of `shared` and its locked dependencies, as one number in hex.
///
/// A constant, so each side carries the value *it* was compiled against.
pub const FINGERPRINT: &str = env!("SHARED_FINGERPRINT");

/// One byte whose *address* identifies the copy of `shared` that a side is linked to.
///
/// Equal addresses mean one shared dylib, hence one tokio, one allocator, one std.
pub static ANCHOR: u8 = 0;

/// The future that builds an app's router.
pub type Building = BoxFuture<'static, Result<axum::Router, BoxError>>;

/// The entry of an app library. Rust ABI: a panic may unwind through it, and the compiler is the same by fingerprint.
pub type Entry = fn(AppState) -> Building;

/// Symbol of the [`Stamp`], NUL-terminated as the loader wants it.
pub const STAMP_SYMBOL: &[u8] = b"app_stamp\0";

/// Symbol of the [`Entry`].
pub const ENTRY_SYMBOL: &[u8] = b"app_entry\0";

/// Identifies the build of a library. `repr(C)`, since it must be readable before the two sides are known to match.
#[repr(C)]
#[derive(Debug)]
pub struct Stamp {
    /// [`FINGERPRINT`] as the app saw it, by value: no pointer to follow in a library that is not trusted yet.
    fingerprint: [u8; FINGERPRINT.len()],
    /// [`ANCHOR`] as the app's symbols resolved. Only its address is used.
    anchor: &'static u8,
}

impl Stamp {
    /// The stamp of the crate that calls this in a `static`; [`export_app!`](crate::export_app) does.
    ///
    /// # Panics
    ///
    /// At compile time, if given anything but [`FINGERPRINT`].
    #[must_use]
    pub const fn new(fingerprint: &'static str) -> Self {
        match fingerprint.as_bytes().first_chunk() {
            Some(bytes) => Self {
                fingerprint: *bytes,
                anchor: &ANCHOR,
            },
            None => panic!("the argument is shared::abi::FINGERPRINT"),
        }
    }

    /// Compares with the caller's own build.
    ///
    /// # Errors
    ///
    /// [`Mismatch`] when the library was compiled against another `shared`, or linked to another copy of it.
    pub fn check(&self) -> Result<(), Mismatch> {
        if self.fingerprint != FINGERPRINT.as_bytes() {
            return Err(Mismatch::Fingerprint {
                app: String::from_utf8_lossy(&self.fingerprint).into_owned(),
            });
        }
        if !std::ptr::eq(self.anchor, &raw const ANCHOR) {
            return Err(Mismatch::Anchor);
        }
        Ok(())
    }
}

/// Why a library does not match this host.
#[derive(Debug, thiserror::Error)]
pub enum Mismatch {
    /// Compiled against another `shared`, compiler, flags or lock file.
    #[error(
        "it was compiled against another build of `shared` (fingerprint {app}, the host has {FINGERPRINT})"
    )]
    Fingerprint {
        /// The library's fingerprint.
        app: String,
    },
    /// Compiled from the same sources, but linked to a second copy of them.
    #[error(
        "it is linked to a second copy of `shared` (does its lib.rs still have `use shared_dylib as _;`?)"
    )]
    Anchor,
}

/// Exports `app` so that the host can load this crate. Use it once per crate, beside `use shared_dylib as _;`: without
/// that line rustc links a second, static copy of everything in the dylib, and the host refuses the library.
///
/// The function gets the [`AppState`] and returns the router, with its state applied. It runs once per generation, on
/// the generation's own runtime. If it fails, panics or takes longer than `APP_START_TIMEOUT_MS`, the previous
/// generation keeps serving.
///
/// ```
/// # use shared::{AppState, BoxError};
/// use axum::{Router, routing::get};
///
/// async fn app(state: AppState) -> Result<Router, BoxError> {
///     Ok(Router::new().route("/", get(async || "hello")).with_state(state))
/// }
/// shared::export_app!(app);
/// ```
#[macro_export]
macro_rules! export_app {
    ($app:path) => {
        /// Read by the host before anything else of this library.
        #[unsafe(no_mangle)]
        pub static app_stamp: $crate::abi::Stamp =
            $crate::abi::Stamp::new($crate::abi::FINGERPRINT);

        /// Starts the app: called by the dev host through its symbol, by the production binary by its name.
        #[unsafe(no_mangle)]
        pub fn app_entry(state: $crate::AppState) -> $crate::abi::Building {
            ::std::boxed::Box::pin(async move { $app(state).await.map(::std::convert::Into::into) })
        }
    };
}
