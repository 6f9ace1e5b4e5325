//! Where a cluster is, and how it is run. Starts nothing.

use std::{env, ffi::OsString, path::PathBuf};

/// Where a cluster is, and how it is run.
#[derive(Clone, Debug)]
pub struct Place {
    /// Whose cluster it is. Where the files cannot be inside, this path tells them from those of others.
    pub root: PathBuf,
    /// The folder of its files, relative to the root. Missing ones are created.
    pub folder: PathBuf,
    /// The environment of its programs, which get no other variable.
    pub environment: Environment,
    /// Settings of the server: `("fsync", "off")`.
    pub settings: Vec<(&'static str, String)>,
    /// When it ends.
    pub life: Life,
}

/// Variables with their values.
pub type Environment = Vec<(OsString, OsString)>;

/// When a server ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Life {
    /// With the thread that has started it: even if the process is killed.
    #[default]
    OfTheThread,
    /// When it is stopped.
    OfItsOwn,
}

impl Place {
    /// A place whose programs get the environment of this process, and whose server ends with the thread that starts it.
    pub fn new(root: impl Into<PathBuf>, folder: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            folder: folder.into(),
            environment: env::vars_os().collect(),
            settings: Vec::new(),
            life: Life::default(),
        }
    }
}
