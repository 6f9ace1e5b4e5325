//! What a user types into the console: one statement that can only read, or anything if they allow it.
//!
//! PostgreSQL itself refuses what writes, and a second statement after one that may end the transaction.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use shared::{
    Db,
    db::sql::{Token, tokens},
};
use tokio_postgres::{Client, SimpleQueryMessage, error::ErrorPosition};

use super::{
    query::{MOST_BYTES, MOST_ROWS, Rows, first_rows, is_query},
    rolled_back::{Access, Fault, rolled_back},
};

const LIMIT: Duration = Duration::from_secs(10);

/// What outlives a transaction, or waits for input that never comes.
const REFUSED: [&str; 4] = ["COPY", "PREPARE", "DEALLOCATE", "DISCARD"];

/// They may run anything, even what a transaction that only reads does not forbid, such as COPY to a program.
const NEED_WRITES: [&str; 2] = ["DO", "CALL"];

pub(in crate::devtools) struct Ran {
    pub(in crate::devtools) outcomes: Result<Vec<Outcome>, Refused>,
    pub(in crate::devtools) ms: u128,
}

/// Of one statement.
pub(in crate::devtools) enum Outcome {
    Rows(Rows),
    /// So many rows were affected.
    Done(u64),
}

/// Why there is no outcome.
#[derive(Debug, Default)]
pub(in crate::devtools) struct Refused {
    pub(in crate::devtools) sqlstate: Option<String>,
    pub(in crate::devtools) message: String,
    pub(in crate::devtools) detail: Option<String>,
    pub(in crate::devtools) hint: Option<String>,
    /// In characters, from 1.
    pub(in crate::devtools) position: Option<usize>,
    /// It writes, and only reads were allowed.
    pub(in crate::devtools) needs_writes: bool,
}

/// Runs `text`. `writes`: what it writes is committed.
pub(in crate::devtools) async fn run(db: &Db, text: &str, writes: bool) -> Ran {
    let since = Instant::now();
    let outcomes = match begins_with(text, &REFUSED) {
        None if !writes && begins_with(text, &NEED_WRITES).is_some() => Err(Refused {
            message: "it may do more than read".to_owned(),
            needs_writes: true,
            ..Refused::default()
        }),
        Some(word) => Err(Refused {
            message: format!(
                "the console does not run {word}, which would stay in the session that the app uses too"
            ),
            ..Refused::default()
        }),
        None => attempt(db, text, writes)
            .await
            .map_err(|fault| refused(&fault)),
    };
    Ran {
        outcomes,
        ms: since.elapsed().as_millis(),
    }
}

/// The word that one of the statements begins with.
fn begins_with(text: &str, words: &[&'static str]) -> Option<&'static str> {
    let mut is_first = true;
    tokens(text).find_map(|token| {
        let was_first = std::mem::replace(&mut is_first, token == Token::Symbol(';'));
        let Token::Word(word) = token else {
            return None;
        };
        let mut words = words.iter().copied();
        let found = words.find(|refused| refused.eq_ignore_ascii_case(word));
        found.filter(|_| was_first)
    })
}

async fn attempt(db: &Db, text: &str, writes: bool) -> Result<Vec<Outcome>, Fault> {
    let access = if writes { Access::Keeps } else { Access::Reads };
    rolled_back(db, ("the SQL console", access), LIMIT, async |client| {
        if writes {
            return all(client, text).await;
        }
        // Refuses several statements, and says where a name is wrong.
        client.prepare(text).await?;
        match is_query(text) {
            true => Ok(vec![Outcome::Rows(
                first_rows(client, text, MOST_ROWS, MOST_BYTES).await?,
            )]),
            false => all(client, text).await,
        }
    })
    .await
}

/// What each statement returns, as far as there is room.
async fn all(client: &Client, text: &str) -> Result<Vec<Outcome>, tokio_postgres::Error> {
    let mut messages = pin!(client.simple_query_raw(text).await?);
    let (mut outcomes, mut rows) = (Vec::new(), None::<Rows>);
    while let Some(message) = messages.try_next().await? {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                rows = Some(Rows::of(&columns, MOST_BYTES))
            }
            SimpleQueryMessage::Row(row) => {
                if let Some(rows) = &mut rows {
                    rows.add(&row, MOST_ROWS);
                }
            }
            SimpleQueryMessage::CommandComplete(affected) => {
                outcomes.push(rows.take().map_or(Outcome::Done(affected), Outcome::Rows));
            }
            _ => {}
        }
    }
    Ok(outcomes)
}

fn refused(fault: &Fault) -> Refused {
    let error = match fault {
        Fault::Statement(error) => error.as_db_error(),
        _ => None,
    };
    let Some(error) = error else {
        return Refused {
            message: fault.to_string(),
            ..Refused::default()
        };
    };
    let position = match error.position() {
        Some(ErrorPosition::Original(position)) => usize::try_from(*position).ok(),
        _ => None,
    };
    Refused {
        sqlstate: Some(error.code().code().to_owned()),
        message: error.message().to_owned(),
        detail: error.detail().map(str::to_owned),
        hint: error.hint().map(str::to_owned),
        position,
        needs_writes: fault.is_write(),
    }
}

#[cfg(test)]
mod tests {
    use super::{REFUSED, begins_with};

    #[test]
    fn what_would_stay_in_the_session_is_refused_wherever_it_stands() {
        for text in [
            "copy t from stdin",
            "SELECT 1; PREPARE x AS SELECT 1",
            "-- a\nDEALLOCATE ALL",
        ] {
            assert!(begins_with(text, &REFUSED).is_some(), "{text}");
        }
        for text in [
            "SELECT copy FROM t",
            "SELECT '; COPY'",
            "INSERT INTO copy VALUES (1); SELECT 1",
        ] {
            assert_eq!(begins_with(text, &REFUSED), None, "{text}");
        }
    }
}
