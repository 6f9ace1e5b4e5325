//! What a user can ask a running host to do: one list. The keys and their help, the dashboard's buttons and the names
//! under `/__dev/actions/` come from it.
//!
//! A key or button that changes what the host runs sends an [`Action`] to the main loop, which carries them out one
//! after another. Quitting is not one of them: it must not queue behind a migration that waits for a lock.

use shared::PoolOwner;

use crate::config::Isolation;

/// One thing to ask for.
pub(crate) struct ActionInfo {
    pub(crate) kind: ActionKind,
    /// In `/__dev/actions/NAME`, and on the button's `data-action`.
    pub(crate) name: &'static str,
    /// Without it the terminal does not offer it: it needs details, or makes sense only where its reason is shown.
    pub(crate) key: Option<char>,
    /// On the button.
    pub(crate) title: &'static str,
    /// In the terminal's list of keys.
    pub(crate) help: &'static str,
}

/// All of them, in the order of the terminal's help.
pub(crate) const ACTIONS: [ActionInfo; 10] = [
    ActionInfo {
        kind: ActionKind::Rebuild,
        name: "rebuild",
        key: Some('r'),
        title: "Rebuild",
        help: "rebuild",
    },
    ActionInfo {
        kind: ActionKind::Tests,
        name: "tests",
        key: Some('t'),
        title: "Tests after each save: on or off",
        help: "run the tests after each save, or no longer",
    },
    ActionInfo {
        kind: ActionKind::Migrate,
        name: "migrate",
        key: Some('m'),
        title: "Run pending migrations",
        help: "apply pending migrations",
    },
    ActionInfo {
        kind: ActionKind::CancelMigration,
        name: "cancel-migration",
        key: None,
        title: "Cancel the migration",
        help: "cancel the migration that runs",
    },
    ActionInfo {
        kind: ActionKind::Snapshot,
        name: "snapshot",
        key: None,
        title: "Keep a copy of the database",
        help: "keep a copy of the private database under a name",
    },
    ActionInfo {
        kind: ActionKind::Restore,
        name: "restore",
        key: None,
        title: "Restore",
        help: "put a snapshot in the database's place",
    },
    ActionInfo {
        kind: ActionKind::NewPool,
        name: "new-pool",
        key: Some('p'),
        title: "New pool",
        help: "replace the connection pool",
    },
    ActionInfo {
        kind: ActionKind::Terminate,
        name: "terminate",
        key: None,
        title: "Terminate",
        help: "end a backend of the database",
    },
    ActionInfo {
        kind: ActionKind::Drop,
        name: "drop",
        key: None,
        title: "Drop",
        help: "drop a value that the app keeps over reloads",
    },
    ActionInfo {
        kind: ActionKind::Mode,
        name: "mode",
        key: None,
        title: "Restart the host in this mode",
        help: "switch who owns the pool and whether generations are isolated",
    },
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ActionKind {
    Rebuild,
    Tests,
    Migrate,
    CancelMigration,
    /// Needs a name, as the next one does.
    Snapshot,
    Restore,
    NewPool,
    /// Needs the PID of a backend.
    Terminate,
    /// Needs the name of a kept value.
    Drop,
    /// Needs both switches.
    Mode,
}

/// What the main loop carries out.
#[derive(Debug)]
pub(crate) enum Action {
    /// Build, though nothing was saved.
    Rebuild,
    /// Run the tests after each save, or no longer.
    Tests,
    /// Apply what is pending.
    Migrate,
    /// Drain the pool and create a new one.
    NewPool,
    /// Restart the host with other switches, on the same socket.
    Mode {
        pool: PoolOwner,
        isolation: Isolation,
    },
}

impl ActionKind {
    /// The action that a key sends.
    pub(crate) fn action(self) -> Option<Action> {
        match self {
            Self::Rebuild => Some(Action::Rebuild),
            Self::Tests => Some(Action::Tests),
            Self::Migrate => Some(Action::Migrate),
            Self::NewPool => Some(Action::NewPool),
            Self::CancelMigration
            | Self::Snapshot
            | Self::Restore
            | Self::Terminate
            | Self::Drop
            | Self::Mode => None,
        }
    }

    /// Its entry in the list.
    pub(crate) fn entry(self) -> &'static ActionInfo {
        let found = ACTIONS.iter().find(|entry| entry.kind == self);
        found.expect("each kind has an entry, as the test below checks")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_kind_has_one_entry_and_each_key_one_meaning() {
        for kind in [
            ActionKind::Rebuild,
            ActionKind::Tests,
            ActionKind::Migrate,
            ActionKind::CancelMigration,
            ActionKind::Snapshot,
            ActionKind::Restore,
            ActionKind::NewPool,
            ActionKind::Terminate,
            ActionKind::Drop,
            ActionKind::Mode,
        ] {
            let entries = ACTIONS.iter().filter(|entry| entry.kind == kind);
            assert_eq!(entries.count(), 1, "{kind:?}");
        }
        let keys: Vec<char> = ACTIONS.iter().filter_map(|entry| entry.key).collect();
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len());
        // A key can send everything that it needs.
        let sends = |entry: &ActionInfo| entry.key.is_none() || entry.kind.action().is_some();
        assert!(ACTIONS.iter().all(sends));
    }
}
