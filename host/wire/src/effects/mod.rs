//! What a statement does to the session it runs in, judged by its text.
//!
//! Owns three decisions: whether statements of others may run right before and after it, what must be looked up after
//! it, and whether it needs a session of its own. A function that does such things inside is not seen.

#[cfg(test)]
mod tests;

use shared_db::sql::{SESSION_LOCKS, Token, tokens};

/// The effects of a statement, or of several that are sent as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// It cannot stand between two statements of others.
    pub(crate) alone: bool,
    /// Settings that it may change, by name.
    pub(crate) settings: Vec<String>,
    /// All of the client's settings may have changed.
    pub(crate) resets_settings: bool,
    /// What it leaves in the session until that ends.
    pub(crate) session: Option<Left>,
    /// What it says of notifications, in order.
    pub(crate) listens: Vec<Listen>,
    /// Prepared statements are gone after it: all of the session.
    pub(crate) forgets_statements: bool,
    /// It may end a transaction, even one that has failed.
    pub(crate) ends: bool,
    /// The server may answer that it expects data, and takes all that follows for some.
    pub(crate) copies: bool,
}

/// Something that lasts as long as the session, unless it is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    Lock,
    TemporaryTable,
    PreparedStatement,
    Cursor,
    Library,
    /// Nothing: it would have waited for another that was silent, or others for it.
    Turn,
}

impl Left {
    /// For display: why there is a second backend.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lock => "a session advisory lock",
            Self::TemporaryTable => "a temporary table",
            Self::PreparedStatement => "a statement made with PREPARE",
            Self::Cursor => "a cursor WITH HOLD",
            Self::Library => "a library made known with LOAD",
            Self::Turn => "a wait for a client that was silent",
        }
    }
}

/// A change of what a client listens to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    On(String),
    Off(String),
    AllOff,
}

const INTERLEAVE: &[&str] = &["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "VALUES"];

/// The effects of `sql`, which may hold several statements.
pub(crate) fn effects_of(sql: &str) -> Effects {
    let mut all = Effects::default();
    let tokens: Vec<Token<'_>> = tokens(sql).collect();
    for statement in tokens.split(|token| *token == Token::Symbol(';')) {
        add_statement(statement, &mut all);
    }
    all
}

fn add_statement(statement: &[Token<'_>], all: &mut Effects) {
    // `(SELECT …)`
    let begin = statement
        .iter()
        .position(|token| *token != Token::Symbol('('));
    let Some(statement) = begin.map(|begin| &statement[begin..]) else {
        return; // nothing but a semicolon
    };
    let first = keyword(statement, 0);
    if !INTERLEAVE.contains(&&*first) {
        all.alone = true;
    }
    add_calls(statement, all);
    add_updated_settings(statement, all);
    let second = keyword(statement, 1);
    match (&*first, &*second) {
        ("COMMIT" | "END" | "ROLLBACK" | "ABORT", _) => all.ends = true,
        ("COPY", _) => all.copies = true,
        ("SET", "LOCAL" | "TRANSACTION" | "CONSTRAINTS") => {}
        ("SET", _) => add_setting(&statement[1..], all),
        ("RESET", "ALL") => all.resets_settings = true,
        ("RESET", _) => add_setting(&statement[1..], all),
        ("DISCARD", "ALL") => {
            all.resets_settings = true;
            all.forgets_statements = true;
            all.listens.push(Listen::AllOff);
        }
        ("DEALLOCATE", "ALL") => all.forgets_statements = true,
        ("DEALLOCATE", "PREPARE") if keyword(statement, 2) == "ALL" => {
            all.forgets_statements = true
        }
        ("LISTEN", _) => all.listens.extend(name(statement, 1).map(Listen::On)),
        ("UNLISTEN", _) => all
            .listens
            .push(name(statement, 1).map_or(Listen::AllOff, Listen::Off)),
        ("PREPARE", "TRANSACTION") => all.ends = true,
        ("PREPARE", _) => all.session = Some(Left::PreparedStatement),
        ("LOAD", _) => all.session = Some(Left::Library),
        ("DECLARE", _) if holds(statement) => all.session = Some(Left::Cursor),
        ("CREATE", _) if makes_temporary(statement) => all.session = Some(Left::TemporaryTable),
        _ if selects_into_temporary(statement) => all.session = Some(Left::TemporaryTable),
        _ => {}
    }
}

/// `SET [SESSION] name …`, with the names that the words of its own stand for.
fn add_setting(rest: &[Token<'_>], all: &mut Effects) {
    let rest = match &*keyword(rest, 0) {
        "SESSION" => &rest[1..],
        _ => rest,
    };
    let named: &[&str] = match (&*keyword(rest, 0), &*keyword(rest, 1)) {
        ("TIME", "ZONE") => &["timezone"],
        ("NAMES", _) => &["client_encoding"],
        ("SCHEMA", _) => &["search_path"],
        ("ROLE", _) => &["role"],
        ("AUTHORIZATION", _) => &["session_authorization", "role"],
        ("CHARACTERISTICS", _) => &[
            "default_transaction_isolation",
            "default_transaction_read_only",
            "default_transaction_deferrable",
        ],
        ("TRANSACTION", "ISOLATION") => &["default_transaction_isolation"],
        _ => &[],
    };
    all.settings
        .extend(named.iter().map(|&name| name.to_owned()));
    if named.is_empty() {
        let parts = rest.iter().map_while(|token| match token {
            Token::Word(part) | Token::Name(part) => Some(part.to_ascii_lowercase()),
            Token::Symbol('.') => Some(".".to_owned()),
            Token::Literal(_) | Token::Symbol(_) => None,
        });
        // `SET a.b TO c`: TO is a word too.
        let name: String = parts.take_while(|part| part != "to").collect();
        all.settings.push(name);
    }
}

/// What functions do that it calls.
fn add_calls(statement: &[Token<'_>], all: &mut Effects) {
    for (i, token) in statement.iter().enumerate() {
        let (Token::Word(word) | Token::Name(word)) = token else {
            continue;
        };
        if statement.get(i + 1) != Some(&Token::Symbol('(')) {
            continue;
        }
        if SESSION_LOCKS
            .iter()
            .any(|lock| word.eq_ignore_ascii_case(lock))
        {
            all.alone = true;
            all.session = Some(Left::Lock);
        }
        if word.eq_ignore_ascii_case("set_config") {
            all.alone = true;
            match (statement.get(i + 2), statement.get(i + 3)) {
                (Some(Token::Literal(name)), Some(Token::Symbol(',')))
                    if name.starts_with('\'') =>
                {
                    all.settings
                        .push(name.trim_matches('\'').to_ascii_lowercase());
                }
                // A parameter, or an expression: it cannot be known which.
                _ => all.resets_settings = true,
            }
        }
    }
}

/// `UPDATE pg_settings` sets what it updates.
fn add_updated_settings(statement: &[Token<'_>], all: &mut Effects) {
    let updates = (0..statement.len()).any(|i| keyword(statement, i) == "UPDATE");
    let names = |token: &Token<'_>| matches!(token, Token::Word(word) | Token::Name(word) if word.eq_ignore_ascii_case("pg_settings"));
    if !updates || !statement.iter().any(names) {
        return;
    }
    all.alone = true;
    // Others than those that it names may meet its condition.
    all.resets_settings = true;
    let literals = statement.iter().filter_map(|token| match token {
        Token::Literal(text) => text.strip_prefix('\'')?.strip_suffix('\''),
        _ => None,
    });
    all.settings.extend(literals.map(str::to_ascii_lowercase));
}

const TEMPORARY: &[&str] = &["TEMP", "TEMPORARY"];

/// `CREATE [OR REPLACE] [LOCAL | GLOBAL] TEMP …` or `CREATE TABLE [IF NOT EXISTS] pg_temp.t …`
fn makes_temporary(statement: &[Token<'_>]) -> bool {
    let words = (1..statement.len().min(9)).map(|i| keyword(statement, i));
    for word in words {
        if TEMPORARY.contains(&&*word) {
            return true;
        }
        if word == "PG_TEMP" {
            return true;
        }
        if word == "AS" || word.is_empty() {
            return false;
        }
        if !matches!(
            &*word,
            "OR" | "REPLACE"
                | "LOCAL"
                | "GLOBAL"
                | "TABLE"
                | "VIEW"
                | "RECURSIVE"
                | "SEQUENCE"
                | "UNLOGGED"
                | "IF"
                | "NOT"
                | "EXISTS"
        ) {
            return false;
        }
    }
    false
}

/// `SELECT … INTO [LOCAL | GLOBAL] TEMP [TABLE] t …`; in `INSERT INTO temp …` it is a table's name.
fn selects_into_temporary(statement: &[Token<'_>]) -> bool {
    statement.iter().enumerate().any(|(i, token)| {
        let into = matches!(token, Token::Word(word) if word.eq_ignore_ascii_case("INTO"));
        let inserts = i > 0 && matches!(&*keyword(statement, i - 1), "INSERT" | "MERGE");
        if !into || inserts {
            return false;
        }
        let skip = usize::from(matches!(&*keyword(statement, i + 1), "LOCAL" | "GLOBAL"));
        let word = keyword(statement, i + 1 + skip);
        // `INTO temp FROM`: a table of that name.
        word == "PG_TEMP"
            || TEMPORARY.contains(&&*word)
                && !matches!(&*keyword(statement, i + 2 + skip), "" | "FROM" | "WHERE")
    })
}

fn holds(statement: &[Token<'_>]) -> bool {
    (1..statement.len())
        .any(|i| keyword(statement, i) == "WITH" && keyword(statement, i + 1) == "HOLD")
}

/// The word at `i` in capitals, or nothing.
fn keyword(statement: &[Token<'_>], i: usize) -> String {
    match statement.get(i) {
        Some(Token::Word(word)) => word.to_ascii_uppercase(),
        _ => String::new(),
    }
}

/// The name at `i`, as PostgreSQL folds it.
fn name(statement: &[Token<'_>], i: usize) -> Option<String> {
    match statement.get(i)? {
        Token::Word(word) => Some(word.to_ascii_lowercase()),
        Token::Name(name) => Some((*name).to_owned()),
        Token::Literal(_) | Token::Symbol(_) => None,
    }
}
