//! A session of a server in miniature.

use std::collections::HashMap;

use bytes::{BufMut, BytesMut};

use crate::{
    frame::{self, Fields},
    message::{put_empty, put_texts},
    reply::put_ready,
};

/// A session: it answers at once, and sends its answers when PostgreSQL would.
#[derive(Default)]
pub(super) struct Session {
    pub(super) statements: HashMap<String, String>,
    /// What the unnamed portal runs.
    pub(super) bound: Option<String>,
    pub(super) in_transaction: bool,
    pub(super) aborted: bool,
    /// A setting, and its value before the transaction.
    pub(super) who: Option<String>,
    committed: Option<String>,
    /// Without a transaction, all since the last ReadyForQuery is one.
    failed: bool,
    /// Up to the next Sync.
    pub(super) skips: bool,
    /// It expects data, for an extended query or a simple one.
    copies: Option<bool>,
    /// It was sent what it can only answer with its end.
    pub(super) is_dead: bool,
    pub(super) buffered: BytesMut,
    pub(super) sent: BytesMut,
}

impl Session {
    pub(super) fn hear(&mut self, from: &mut BytesMut) {
        while let Some(frame) = frame::next(from).unwrap() {
            let (tag, mut fields) = (frame.tag(), Fields(frame.body()));
            match tag {
                _ if self.is_dead => {}
                b'd' | b'H' | b'S' if self.copies.is_some() => {}
                b'c' | b'f' => self.end_copy(tag == b'c'),
                _ if self.copies.is_some() => self.is_dead = true,
                b'S' => {
                    self.skips = false;
                    self.ready();
                }
                // PostgreSQL drops it only for one that it looks at. The exchange cannot know which it has skipped.
                b'P' if self.skips && fields.text() == Ok("") => drop(self.statements.remove("")),
                _ if self.skips => {}
                b'Q' => {
                    self.statements.remove("");
                    for sql in fields.text().unwrap().split("; ") {
                        self.execute(sql, false);
                        if self.failed {
                            break;
                        }
                    }
                    if self.copies.is_none() {
                        self.ready();
                    }
                }
                b'P' => {
                    let name = fields.text().unwrap().to_owned();
                    let sql = fields.text().unwrap();
                    if name.is_empty() {
                        self.statements.remove(""); // PostgreSQL drops it even for one that it refuses
                    }
                    if sql == "BROKEN" || !name.is_empty() && self.statements.contains_key(&name) {
                        self.fail(true);
                    } else {
                        self.statements.insert(name, sql.to_owned());
                        put_empty(b'1', &mut self.buffered);
                    }
                }
                b'B' => {
                    fields.text().unwrap();
                    match self.statements.get(fields.text().unwrap()) {
                        Some(sql) => {
                            self.bound = Some(sql.clone());
                            put_empty(b'2', &mut self.buffered);
                        }
                        None => self.fail(true),
                    }
                }
                b'E' => self.execute(
                    &self.bound.clone().unwrap_or_else(|| "BROKEN".to_owned()),
                    true,
                ),
                b'C' => {
                    fields.byte().unwrap();
                    self.statements.remove(fields.text().unwrap());
                    put_empty(b'3', &mut self.buffered);
                }
                b'H' => self.flush(),
                _ => {} // data of no COPY
            }
        }
    }

    fn execute(&mut self, sql: &str, extended: bool) {
        match sql {
            "BROKEN" => return self.fail(extended),
            "COMMIT" | "ROLLBACK" if self.in_transaction => self.end_transaction(sql == "COMMIT"),
            _ if self.aborted => return self.fail(extended),
            "BEGIN" => self.in_transaction = true,
            "COPY a FROM STDIN" => {
                self.copies = Some(extended);
                self.buffered.put_slice(b"G\0\0\0\x07\0\0\0");
                return self.flush();
            }
            "RESET ALL" => self.who = None,
            _ if sql.starts_with("SET who = ") => self.who = sql.get(10..).map(str::to_owned),
            _ if sql.starts_with("SELECT set_config('who', '") => {
                let who = sql.split('\'').nth(3).unwrap();
                if who == "barred" {
                    return self.fail(extended); // no longer allowed
                }
                self.who = Some(who.to_owned());
            }
            "SELECT encode(convert_to(current_setting('who', true), 'UTF8'), 'hex')" => {
                let hex = |who: String| -> String {
                    who.bytes().map(|byte| format!("{byte:x}")).collect()
                };
                self.row(self.who.clone().map(hex).as_deref());
            }
            _ if sql.starts_with("SELECT") || sql.starts_with("INSERT") => {
                let seen = format!("{sql} as {:?}", self.who);
                self.row(Some(&seen));
            }
            _ => {}
        }
        put_texts(b'C', &[sql], &mut self.buffered);
    }

    fn end_copy(&mut self, is_whole: bool) {
        let Some(extended) = self.copies.take() else {
            return;
        };
        match is_whole {
            true => put_texts(b'C', &["COPY"], &mut self.buffered),
            false => self.fail(extended),
        }
        if !extended {
            self.ready();
        }
    }

    fn end_transaction(&mut self, commits: bool) {
        if commits && !self.aborted {
            self.committed.clone_from(&self.who);
        } else {
            self.who.clone_from(&self.committed);
        }
        (self.in_transaction, self.aborted) = (false, false);
    }

    /// Of one column.
    fn row(&mut self, text: Option<&str>) {
        let value = text.unwrap_or_default();
        let length = i32::try_from(value.len()).unwrap();
        self.buffered.put_u8(b'D');
        self.buffered.put_i32(10 + length);
        self.buffered.put_u16(1);
        self.buffered.put_i32(text.map_or(-1, |_| length));
        self.buffered.put_slice(value.as_bytes());
    }

    fn fail(&mut self, extended: bool) {
        self.aborted = self.in_transaction;
        self.failed = true;
        self.skips = extended;
        put_texts(b'E', &["C42601", "Mbroken", ""], &mut self.buffered);
    }

    fn ready(&mut self) {
        if !self.in_transaction {
            match self.failed {
                true => self.who.clone_from(&self.committed),
                false => self.committed.clone_from(&self.who),
            }
        }
        self.failed = false;
        self.bound = self.bound.take().filter(|_| self.in_transaction);
        let status = match (self.in_transaction, self.aborted) {
            (_, true) => b'E',
            (true, _) => b'T',
            _ => b'I',
        };
        put_ready(status, &mut self.buffered);
        self.flush();
    }

    fn flush(&mut self) {
        self.sent.extend_from_slice(&self.buffered.split());
    }
}
