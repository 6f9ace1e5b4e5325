//! The settings of the host, from flags, the environment and `.env`, and the project folder. Owns how they are read and
//! which of them takes precedence.

#[cfg(feature = "dev")]
mod description;
#[cfg(feature = "dev")]
mod dev_table;
#[cfg(feature = "dev")]
mod dotenv;
pub(crate) mod environment;
mod flags;
#[cfg(feature = "dev")]
mod locked;
#[cfg(feature = "dev")]
mod mode;
#[cfg(feature = "dev")]
mod options;
#[cfg(feature = "dev")]
pub(crate) mod packages;
#[cfg(feature = "dev")]
mod project;
#[cfg(feature = "dev")]
mod repository;
#[cfg(feature = "dev")]
mod running;
pub(crate) mod settings;
mod table;

#[cfg(feature = "dev")]
pub(crate) use flags::Flags;
#[cfg(feature = "production")]
pub(crate) use flags::ServeFlags;

#[cfg(feature = "dev")]
pub(crate) use self::{
    description::App,
    mode::{Isolation, Mode, Switches},
    options::{Download, HostSettings, Options, Policy},
    project::{Project, ProjectError},
    repository::{HEAD_FOLLOWS, Repository, RepositoryError},
    running::{Lock, RunningHost},
    settings::Settings,
};
