//! What a client of the model says.

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use proptest::prelude::*;

use crate::message::{put_empty, put_texts};

#[derive(Clone, Copy, Debug)]
pub(super) enum Said {
    Query(&'static str),
    Parse(&'static str, &'static str),
    Bind(&'static str),
    Execute,
    Close(&'static str),
    Flush,
    Sync,
    Data,
    CopyDone,
    CopyFail,
}

pub(super) fn said() -> impl Strategy<Value = Said> {
    let sql = prop::sample::select(vec![
        "SELECT 1",
        "SELECT 1",
        "SELECT 1",
        "INSERT 2",
        "BEGIN",
        "COMMIT",
        "COMMIT",
        "ROLLBACK",
        "BROKEN",
        "SET who = one",
        "SET who = two",
        "SET who = barred",
        "COPY a FROM STDIN",
    ]);
    let name = prop::sample::select(vec!["", "a", "b"]);
    prop_oneof![
        3 => sql.clone().prop_map(Said::Query),
        2 => (name.clone(), sql).prop_map(|(name, sql)| Said::Parse(name, sql)),
        3 => name.clone().prop_map(Said::Bind),
        3 => Just(Said::Execute),
        1 => name.prop_map(Said::Close),
        1 => Just(Said::Flush),
        5 => Just(Said::Sync),
        1 => Just(Said::Data),
        1 => Just(Said::CopyDone),
        1 => Just(Said::CopyFail),
    ]
}

impl Said {
    /// `by` makes answers tell whose they are.
    pub(super) fn put(self, by: usize, out: &mut BytesMut) {
        let own = |sql: &str| match sql.starts_with("SELECT") || sql.starts_with("INSERT") {
            true => format!("{sql} by {by}"),
            false => sql.to_owned(),
        };
        match self {
            Self::Query(sql) => frontend::query(&own(sql), out).unwrap(),
            Self::Parse(name, sql) => frontend::parse(name, &own(sql), [], out).unwrap(),
            Self::Bind(name) => {
                let none: [i16; 0] = [];
                let bound =
                    frontend::bind("", name, none, [(); 0], |(), _| unreachable!(), none, out);
                assert!(bound.is_ok());
            }
            Self::Execute => frontend::execute("", 0, out).unwrap(),
            Self::Close(name) => frontend::close(b'S', name, out).unwrap(),
            Self::Flush => frontend::flush(out),
            Self::Sync => frontend::sync(out),
            Self::Data => put_texts(b'd', &["1"], out),
            Self::CopyDone => put_empty(b'c', out),
            Self::CopyFail => put_texts(b'f', &["no more"], out),
        }
    }
}
