//! The banner, printed once the app is up: addresses, database, mode.

use std::{net::SocketAddr, time::Instant};

use shared::Db;

use super::{BOLD, DIM, GOOD, NOTE, line, screen::print};
use crate::{config::Mode, database::Census, events::LastReload};

/// What is printed once the app is up.
pub(crate) struct Banner {
    pub(crate) since: Instant,
    pub(crate) address: SocketAddr,
    pub(crate) database: String,
    pub(crate) restarts: u64,
    /// No banner has been shown yet: the previous image restarted before it served anything.
    pub(crate) first: bool,
    pub(crate) mode: Mode,
    /// Whether keys are read.
    pub(crate) keys: bool,
}

impl Banner {
    /// Prints it, once the first generation is live.
    pub(super) fn show(&self, db: &Db, census: Option<&Census>, last: &LastReload) {
        let Banner {
            since,
            address,
            database,
            restarts,
            first,
            mode,
            keys,
        } = self;
        let (ready, generation) = (since.elapsed().as_millis(), last.generation);
        let (absent, pool) = (db.is_absent(), db.status());
        if *restarts > 0 && !*first {
            // The banner above is still valid: PID and addresses have not changed.
            let connections = if absent {
                ""
            } else {
                "  pg not opened yet  conns 0"
            };
            line(format_args!(
                "{GOOD}✓{GOOD:#} gen {BOLD}{generation}{BOLD:#}  restarted in {ready} ms, same pid and socket{DIM}{connections}{DIM:#}"
            ));
            return;
        }
        let connections = match absent {
            true => String::new(),
            false => format!(
                "            connections {}/{} (lazy)\n",
                pool.size, pool.max
            ),
        };
        print(format_args!(
            "\n  {BOLD}host {version}{BOLD:#}  ready in {ready} ms · generation {generation}\n\n  \
             App       {BOLD}http://{address}/{BOLD:#}\n  \
             Dev       http://{address}/__dev\n  \
             Postgres  {database}\n{connections}",
            version = env!("CARGO_PKG_VERSION"),
        ));
        // A demonstration mode is highlighted.
        let tone = if mode.is_demonstration() { NOTE } else { DIM };
        print(format_args!(
            "  Mode      {tone}{}{tone:#}\n",
            mode.describe()
        ));
        if let (true, Some(usable)) = (
            mode.is_demonstration(),
            census.and_then(|census| census.usable),
        ) {
            print(format_args!(
                "            {usable} connections for the app: max_connections minus those reserved for superusers and one that counts\n            \
                 {DIM}(PostgreSQL's default is 100; the shape is the same){DIM:#}\n            \
                 save, open the page, and watch `conns`\n"
            ));
        }
        let ways = if *keys {
            " · press h for keys, q to quit"
        } else {
            "; Ctrl-C to stop"
        };
        print(format_args!("\n  {DIM}edit and save{ways}{DIM:#}\n\n"));
    }
}
