//! The databases of the private cluster: the one in use, and those beside it, which are other branches' or snapshots.
//!
//! The one in use always has the same name, so that URLs, pools and a user's own tools stay right: another takes its
//! place by a change of names, which is one transaction. Whose a database is, its comment says, which stays with it. A
//! copy is made under a name of its own first, so that a crash leaves nothing half-made behind.
//! Refuses to run beside sessions of the database in use: PostgreSQL copies and renames only a database without any, so
//! that they are ended. The caller has drained the host's own.

mod owner;

use std::time::Duration;

use shared::{
    BoxError,
    db::{DatabaseUrl, describe},
    env::Env,
};
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;

use super::on_connection;
use crate::events::{Event, Events};
pub(crate) use owner::Owner;
use owner::quoted;

/// From where databases are copied and renamed: one that nobody uses.
const ELSEWHERE: &str = "template1";

/// A copy that is not finished, and a database that is about to be dropped.
const UNFINISHED: &str = "unfinished copy";
const REPLACED: &str = "replaced";

/// Keeps two programs from changing names at the same time: any number that no other locks.
const LOCK: &str = "SELECT pg_advisory_lock(x'636f70696573'::int8)";

const OTHERS: &str = "\
    SELECT datname, shobj_description(oid, 'pg_database'), pg_database_size(oid) FROM pg_database
    WHERE shobj_description(oid, 'pg_database') ~ '^(branch|snapshot) ' ORDER BY 2";
const END_SESSIONS: &str =
    "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";

/// How long sessions may take to end.
const END_LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// A database beside the one in use, or that one itself.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) owner: Owner,
    pub(crate) bytes: i64,
}

/// How the database of a branch has come into use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Switched {
    /// It was in use.
    Same,
    /// It was in use, and belonged to no branch.
    Claimed,
    /// It was there.
    Back { from: String },
    /// It was made as a copy of this branch's.
    Copied { from: String },
}

/// A connection for it.
pub(crate) struct Copies<'a> {
    client: &'a Client,
    /// The name of the database in use.
    in_use: &'a str,
}

/// Lets `work` copy and rename the databases beside the one at `url`.
pub(crate) async fn among<T>(
    url: &DatabaseUrl,
    env: &Env,
    work: impl AsyncFnOnce(Copies<'_>) -> Result<T, BoxError>,
) -> Result<T, BoxError> {
    let in_use = url.config().get_dbname().unwrap_or_default();
    on_connection(&url.with_database(ELSEWHERE), env, async |client| {
        let copies = Copies { client, in_use };
        copies.run(LOCK).await?;
        work(copies).await
    })
    .await
}

impl Copies<'_> {
    /// The branch that the database in use belongs to.
    pub(crate) async fn branch(&self) -> Result<Option<String>, BoxError> {
        let all = self.list().await?;
        Ok(all.into_iter().find_map(|it| match it.owner {
            Owner::Branch(branch) if it.name == self.in_use => Some(branch),
            _ => None,
        }))
    }

    /// Those that belong to a branch or are snapshots, the one in use too.
    pub(crate) async fn list(&self) -> Result<Vec<Listed>, BoxError> {
        let rows = self.client.query(OTHERS, &[]).await;
        let rows = rows.map_err(|error| describe(&error))?;
        Ok(rows
            .iter()
            .filter_map(|row| {
                let owner = Owner::read(row.get(1))?;
                Some(Listed {
                    name: row.get(0),
                    owner,
                    bytes: row.get(2),
                })
            })
            .collect())
    }

    /// Brings the database of `branch` into use. If it has none, it gets a copy of the one in use.
    pub(crate) async fn use_branch(&self, branch: &str) -> Result<Switched, BoxError> {
        let owner = Owner::Branch(branch.to_owned());
        let Some(from) = self.branch().await? else {
            self.run(&owner.label(self.in_use)).await?;
            return Ok(Switched::Claimed);
        };
        if from == branch {
            return Ok(Switched::Same);
        }
        let found = self.find(&owner).await?;
        let next = match &found {
            Some(name) => name,
            None => {
                self.copy(self.in_use).await?;
                UNFINISHED
            }
        };
        self.end_sessions(next).await?;
        self.end_sessions(self.in_use).await?;
        let parked = Owner::Branch(from.clone()).database();
        self.run(&format!(
            "{}; {}; {}",
            renaming(self.in_use, &parked),
            renaming(next, self.in_use),
            owner.label(self.in_use),
        ))
        .await?;
        Ok(match found {
            Some(_) => Switched::Back { from },
            None => Switched::Copied { from },
        })
    }

    /// Keeps a copy of the database in use under this name. An earlier one of the name goes.
    pub(crate) async fn snapshot(&self, name: &str) -> Result<(), BoxError> {
        let owner = Owner::Snapshot(name.to_owned());
        self.copy(self.in_use).await?;
        let before = self.find(&owner).await?;
        let before = before.map(|before| renaming(&before, REPLACED));
        self.run(&format!(
            "{}; {}; {}",
            before.unwrap_or_default(),
            renaming(UNFINISHED, &owner.database()),
            owner.label(&owner.database()),
        ))
        .await?;
        self.run(&dropping(REPLACED)).await
    }

    /// Puts a copy of a snapshot in the place of the database in use, which goes. The snapshot stays.
    pub(crate) async fn restore(&self, name: &str) -> Result<(), BoxError> {
        let snapshot = self.find(&Owner::Snapshot(name.to_owned())).await?;
        let Some(snapshot) = snapshot else {
            return Err(no_snapshot(name, &self.list().await?).into());
        };
        let branch = self.branch().await?;
        self.copy(&snapshot).await?;
        self.end_sessions(self.in_use).await?;
        let label = branch.map(|branch| Owner::Branch(branch).label(self.in_use));
        self.run(&format!(
            "{}; {}; {}",
            renaming(self.in_use, REPLACED),
            renaming(UNFINISHED, self.in_use),
            label.unwrap_or_else(|| unlabelled(self.in_use)),
        ))
        .await?;
        self.run(&dropping(REPLACED)).await
    }

    /// Drops one that is not in use.
    pub(crate) async fn drop(&self, owner: &Owner) -> Result<(), BoxError> {
        match self.find(owner).await? {
            Some(name) if name == self.in_use => Err(format!(
                "the database of {owner} is in use: check out another branch first"
            )
            .into()),
            Some(name) => self.run(&dropping(&name)).await,
            None => Err(format!(
                "there is no database of {owner}: `cargo host db-list` shows those there are"
            )
            .into()),
        }
    }

    async fn find(&self, owner: &Owner) -> Result<Option<String>, BoxError> {
        let all = self.list().await?;
        Ok(all
            .into_iter()
            .find(|it| it.owner == *owner)
            .map(|it| it.name))
    }

    /// Makes the unfinished copy.
    async fn copy(&self, from: &str) -> Result<(), BoxError> {
        for leftover in [UNFINISHED, REPLACED] {
            self.run(&dropping(leftover)).await?;
        }
        self.end_sessions(from).await?;
        let (copy, from) = (quoted(UNFINISHED), quoted(from));
        self.run(&format!("CREATE DATABASE {copy} TEMPLATE {from}"))
            .await
    }

    /// PostgreSQL itself waits for sessions too, but in steps of 100 ms.
    async fn end_sessions(&self, database: &str) -> Result<(), BoxError> {
        let since = Instant::now();
        loop {
            let sessions = self.client.query(END_SESSIONS, &[&database]).await;
            let sessions = sessions.map_err(|error| describe(&error))?;
            let Some(session) = sessions.first() else {
                return Ok(());
            };
            if since.elapsed() > END_LIMIT {
                let pid: i32 = session.get(0);
                let limit = END_LIMIT.as_secs();
                return Err(format!(
                    "the backend with PID {pid} uses the database and has not ended within {limit} s: end its program"
                )
                .into());
            }
            sleep(PAUSE).await;
        }
    }

    /// Several statements are one transaction.
    async fn run(&self, sql: &str) -> Result<(), BoxError> {
        let ran = self.client.batch_execute(sql).await;
        Ok(ran.map_err(|error| describe(&error))?)
    }
}

/// Reports that the database of `branch` has come into use, unless it was.
pub(super) fn report_switch(branch: String, switched: Switched, took: Duration, events: &Events) {
    let (from, copied) = match switched {
        Switched::Same => return,
        Switched::Claimed => (None, false),
        Switched::Back { from } => (Some(from), false),
        Switched::Copied { from } => (Some(from), true),
    };
    events.emit(Event::BranchDatabase {
        branch,
        from,
        copied,
        took,
    });
}

fn no_snapshot(name: &str, all: &[Listed]) -> String {
    let names: Vec<&str> = all
        .iter()
        .filter_map(|it| match &it.owner {
            Owner::Snapshot(name) => Some(name.as_str()),
            Owner::Branch(_) => None,
        })
        .collect();
    match names[..] {
        [] => format!(
            "there is no snapshot {name}, nor any other: make one with `cargo host db-snapshot {name}`"
        ),
        _ => format!(
            "there is no snapshot {name}; there are: {}",
            names.join(", ")
        ),
    }
}

fn renaming(from: &str, to: &str) -> String {
    format!("ALTER DATABASE {} RENAME TO {}", quoted(from), quoted(to))
}

fn dropping(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name))
}

fn unlabelled(name: &str) -> String {
    format!("COMMENT ON DATABASE {} IS NULL", quoted(name))
}
