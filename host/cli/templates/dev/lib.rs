//! Hands the router of `@PACKAGE@` to the dev server. Yours to edit; a save takes effect like any other.

use axum::Router;
use @SHARED@::{AppState, BoxError};
// Links the dylib that the host has loaded: one copy of everything in the process.
use shared_dylib as _;

@SHARED@::export_app!(app);

/// Runs once per generation. If it fails, the previous generation keeps serving.
async fn app(@STATE@: AppState) -> Result<Router, BoxError> {
@BODY@
}
