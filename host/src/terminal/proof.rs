//! The proof on each reload's line that the connection stayed: its backend, and how many there are.

use super::{DIM, Terminal, reloaded::Proof};
use crate::database::Census;

impl Terminal {
    /// The backend, whether it is the same as after the previous reload, and the number of backends.
    pub(super) async fn proof(&mut self) -> (Option<i32>, Option<bool>, Option<Census>) {
        let census = self.observer.count().await;
        let pool = self.db.status();
        // Only if a connection is open: a new pool has none before the first query, and `backend_pid` is then that of
        // the old pool.
        let Some(pid) = pool.backend_pid.filter(|_| pool.size > 0) else {
            return (None, None, census);
        };
        let before = self.backend.replace(pid);
        (Some(pid), before.map(|before| before == pid), census)
    }

    pub(super) async fn connections(&mut self) -> Proof {
        if self.db.is_absent() {
            return Proof::default();
        }
        let (backend, same, census) = self.proof().await;
        let count = match census {
            Some(Census {
                backends,
                usable: Some(usable),
                ..
            }) if self.mode.is_demonstration() => format!("{backends} of {usable}"),
            Some(census) => census.backends.to_string(),
            None => "?".to_owned(),
        };
        let same = match same {
            Some(true) => " (same)",
            Some(false) => " (new)",
            None => "",
        };
        let unopened = || format!("{DIM}pg not opened yet{DIM:#}");
        Proof {
            backend: match backend {
                Some(pid) => Some(format!("{DIM}pg{DIM:#} {pid}{same}")),
                None => (!self.mode.is_demonstration()).then(unopened),
            },
            connections: Some(format!("{DIM}conns{DIM:#} {count}")),
        }
    }
}
