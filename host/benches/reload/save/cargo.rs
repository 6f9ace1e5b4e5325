//! What a save cannot do without: `cargo build` as the host runs it, without waiting for what it prints.

use std::path::PathBuf;

use futures_util::{FutureExt, future::BoxFuture};
use shared::BoxError;

use super::{Taken, Way, ms};
use crate::{
    app::{App, Edit},
    command::cargo,
    scratch::Scratch,
};

const BUILD: &str = "build --profile hot";

/// A copy of the workspace in which no host runs.
pub(crate) struct CargoAlone(PathBuf);

impl CargoAlone {
    pub(crate) fn new(scratch: &Scratch) -> Result<Self, BoxError> {
        Ok(Self(scratch.copy("cargo")?))
    }
}

impl Way for CargoAlone {
    fn name(&self) -> &'static str {
        "cargo build"
    }

    fn install<'a>(&'a mut self, app: &'a App) -> BoxFuture<'a, Result<(), BoxError>> {
        async {
            app.install(&self.0)?;
            cargo(&self.0, BUILD).await.map(drop)
        }
        .boxed()
    }

    fn save<'a>(&'a mut self, edit: &'a Edit) -> BoxFuture<'a, Result<Option<Taken>, BoxError>> {
        async {
            edit.write(&self.0)?;
            let total = ms(cargo(&self.0, BUILD).await?);
            Ok(Some(Taken {
                total,
                ..Taken::default()
            }))
        }
        .boxed()
    }
}
