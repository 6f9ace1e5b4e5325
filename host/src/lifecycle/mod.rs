//! The process: what must exist before anything runs, the main loop, and an end that loses nothing.
//!
//! Start: settings, socket, request handling; then database, migrations, the first build. End: streams are asked to
//! end, no new connections are accepted, requests finish, generations retire, the database connection closes,
//! PostgreSQL stops. A second Ctrl-C skips the waiting.

#[cfg(feature = "dev")]
mod act;
#[cfg(feature = "dev")]
pub(crate) mod burning;
#[cfg(feature = "dev")]
mod restart;
#[cfg(feature = "dev")]
mod running;
#[cfg(feature = "dev")]
mod settings_reload;
mod signals;
#[cfg(feature = "dev")]
mod start;
#[cfg(feature = "dev")]
mod tasks;

pub(crate) use signals::Signals;

#[cfg(feature = "dev")]
pub(crate) use self::{
    restart::Restart, running::Running, settings_reload::SettingsReload, start::Start,
};
