//! The flags of `hot init`, of which `hot new` sets some itself.

use clap::Args;

use crate::source::SourceFlags;

/// The flags of `hot init`.
#[derive(Args, Default)]
pub(crate) struct InitFlags {
    /// Remove what `hot init` has written
    #[arg(long, conflicts_with_all = ["package", "function", "git", "path"])]
    pub(crate) undo: bool,
    /// Say what would keep the app from reloading, and write nothing
    #[arg(long, conflicts_with = "undo")]
    pub(crate) check: bool,
    /// The package whose library builds the router
    #[arg(long, value_name = "NAME")]
    pub(crate) package: Option<String>,
    /// The public function that returns the router, for example `shop::router`
    #[arg(long, value_name = "PATH")]
    pub(crate) function: Option<String>,
    #[command(flatten)]
    pub(crate) source: SourceFlags,
    /// Write without asking
    #[arg(long, short)]
    pub(crate) yes: bool,
}
