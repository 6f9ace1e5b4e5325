//! The databases of the private cluster: the one in use, and those beside it, which are other branches' or snapshots.
//!
//! The one in use always has the same name, so that URLs, pools and a user's own tools stay right: another takes its
//! place by a change of names, which is one transaction. A comment on each database says whose it is, and moves with
//! it. A copy is made under a name of its own first; what a crash leaves of it goes with the next copy.
//! PostgreSQL copies and renames a database only while it has no session. The caller has drained the host's; others are
//! ended here.

mod owner;
mod report;
mod sessions;

use shared::{
    BoxError,
    db::{DatabaseUrl, describe},
    env::Env,
};
use tokio_postgres::{Client, error::SqlState};

use super::on_connection;
pub(crate) use owner::Owner;
pub(crate) use owner::quoted;
pub(in crate::database) use report::report_switch;

/// From where databases are copied and renamed: it is always there, and hardly used.
const MAINTENANCE: &str = "template1";

/// A copy that is not finished, and a database that is about to be dropped.
const UNFINISHED: &str = "host: unfinished";
const REPLACED: &str = "host: replaced";

/// Keeps two programs from changing names at the same time: any number that no other locks. A copy takes as long as it
/// takes, whatever limit statements of the app have.
const LOCK: &str = "\
    SET statement_timeout = 0; SET lock_timeout = '10s';
    SELECT pg_advisory_lock(x'636f70696573'::int8); SET lock_timeout = 0";
const BUSY: &str = "another program has been copying databases of this project for 10 s: try again when it is done";

const OTHERS: &str = "\
    SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database
    WHERE shobj_description(oid, 'pg_database') ~ '^(branch|snapshot) ' ORDER BY 2";
/// It says whose a database is.
pub(super) const COMMENT: &str =
    "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1";
const SIZE: &str = "SELECT coalesce(pg_database_size(oid), 0) FROM pg_database WHERE datname = $1";

/// A database beside the one in use, or that one itself.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) owner: Owner,
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

/// Where copies are made: a connection beside all databases that are copied.
pub(crate) struct Copies<'a> {
    client: &'a Client,
    /// The name of the database in use.
    in_use: &'a str,
}

/// Lets `work` copy and rename the databases beside the one at `url`.
pub(crate) async fn with_copies<T>(
    url: &DatabaseUrl,
    env: &Env,
    work: impl AsyncFnOnce(Copies<'_>) -> Result<T, BoxError>,
) -> Result<T, BoxError> {
    let in_use = url.config().get_dbname().unwrap_or_default();
    on_connection(&url.with_database(MAINTENANCE), env, async |client| {
        let copies = Copies { client, in_use };
        let locked = client.batch_execute(LOCK).await;
        locked.map_err(|error| match error.code() {
            Some(&SqlState::LOCK_NOT_AVAILABLE) => BUSY.to_owned(),
            _ => describe(&error),
        })?;
        work(copies).await
    })
    .await
}

impl Copies<'_> {
    /// The branch that the database in use belongs to.
    pub(crate) async fn branch(&self) -> Result<Option<String>, BoxError> {
        let row = self.client.query_opt(COMMENT, &[&self.in_use]).await;
        let row = row.map_err(|error| describe(&error))?;
        Ok(row.and_then(|row| Owner::branch_in(row.get(0))))
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
                })
            })
            .collect())
    }

    pub(crate) fn is_in_use(&self, it: &Listed) -> bool {
        it.name == self.in_use
    }

    /// How large one is, in bytes.
    pub(crate) async fn size(&self, name: &str) -> Result<i64, BoxError> {
        let row = self.client.query_opt(SIZE, &[&name]).await;
        let row = row.map_err(|error| describe(&error))?;
        Ok(row.map_or(0, |row| row.get(0)))
    }

    /// Brings the database of `branch` into use. If it has none, it gets a copy of the one in use.
    pub(crate) async fn use_branch(&self, branch: &str) -> Result<Switched, BoxError> {
        let owner = Owner::Branch(branch.to_owned());
        let found = self.find(&owner).await?;
        let Some(from) = self.branch().await? else {
            if found.is_some() {
                return Err(format!(
                    "no branch owns the database in use any more, and branch {branch} has another: say whose it is with \
                     COMMENT ON DATABASE {} IS 'branch NAME'",
                    quoted(self.in_use)
                )
                .into());
            }
            self.run(&owner.label(self.in_use)).await?;
            return Ok(Switched::Claimed);
        };
        if from == branch {
            return Ok(Switched::Same);
        }
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

    /// Keeps a copy of the database in use as this snapshot, in the place of an earlier one.
    pub(crate) async fn snapshot(&self, owner: &Owner) -> Result<(), BoxError> {
        self.copy(self.in_use).await?;
        let before = self.find(owner).await?;
        if let Some(before) = &before {
            self.end_sessions(before).await?;
        }
        let before = before.map(|before| replacing(&before));
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
    pub(crate) async fn restore(&self, owner: &Owner) -> Result<(), BoxError> {
        let Some(snapshot) = self.find(owner).await? else {
            return Err(missing(owner, &self.list().await?).into());
        };
        let branch = self.branch().await?;
        self.copy(&snapshot).await?;
        self.end_sessions(self.in_use).await?;
        let label = branch.map(|branch| Owner::Branch(branch).label(self.in_use));
        self.run(&format!(
            "{}; {}; {}",
            replacing(self.in_use),
            renaming(UNFINISHED, self.in_use),
            label.unwrap_or_else(|| unlabelled(self.in_use)),
        ))
        .await?;
        self.run(&dropping(REPLACED)).await
    }

    /// Drops one that is not in use.
    pub(crate) async fn drop(&self, owner: &Owner) -> Result<(), BoxError> {
        match self.find(owner).await? {
            Some(name) if name == self.in_use => {
                Err(format!("the database of {owner} is in use").into())
            }
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

    /// Several statements are one transaction.
    async fn run(&self, sql: &str) -> Result<(), BoxError> {
        let ran = self.client.batch_execute(sql).await;
        Ok(ran.map_err(|error| describe(&error))?)
    }
}

fn missing(owner: &Owner, all: &[Listed]) -> String {
    let all = all.iter().map(|it| &it.owner);
    let snapshots = all.filter(|it| matches!(it, Owner::Snapshot(_)));
    let names: Vec<String> = snapshots.map(Owner::to_string).collect();
    match &names[..] {
        [] => format!("there is no {owner}, nor any other: `cargo host db-snapshot` makes one"),
        _ => format!("there is no {owner}; there are: {}", names.join(", ")),
    }
}

fn renaming(from: &str, to: &str) -> String {
    format!("ALTER DATABASE {} RENAME TO {}", quoted(from), quoted(to))
}

/// Takes it out of the way, to be dropped: it belongs to nobody from then on.
fn replacing(name: &str) -> String {
    format!("{}; {}", unlabelled(name), renaming(name, REPLACED))
}

fn dropping(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name))
}

fn unlabelled(name: &str) -> String {
    format!("COMMENT ON DATABASE {} IS NULL", quoted(name))
}
