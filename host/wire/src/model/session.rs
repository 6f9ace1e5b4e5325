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
    /// Up to the next Sync.
    pub(super) skips: bool,
    pub(super) buffered: BytesMut,
    pub(super) sent: BytesMut,
}

impl Session {
    pub(super) fn hear(&mut self, from: &mut BytesMut) {
        while let Some(frame) = frame::next(from).unwrap() {
            let (tag, mut fields) = (frame.tag(), Fields(frame.body()));
            match tag {
                b'S' => {
                    self.skips = false;
                    self.ready();
                }
                // PostgreSQL drops it only for one that it looks at. The exchange cannot know which it has skipped.
                b'P' if self.skips && fields.text() == Ok("") => drop(self.statements.remove("")),
                _ if self.skips => {}
                b'Q' => {
                    self.statements.remove("");
                    self.execute(fields.text().unwrap(), false);
                    self.ready();
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
            "COMMIT" | "ROLLBACK" => (self.in_transaction, self.aborted) = (false, false),
            _ if self.aborted => return self.fail(extended),
            "BEGIN" => self.in_transaction = true,
            _ => self.row(sql),
        }
        put_texts(b'C', &[sql], &mut self.buffered);
    }

    /// Of one column.
    fn row(&mut self, text: &str) {
        let length = u32::try_from(text.len()).unwrap();
        self.buffered.put_u8(b'D');
        self.buffered.put_u32(10 + length);
        self.buffered.put_u16(1);
        self.buffered.put_u32(length);
        self.buffered.put_slice(text.as_bytes());
    }

    fn fail(&mut self, extended: bool) {
        self.aborted = self.in_transaction;
        self.skips = extended;
        put_texts(b'E', &["C42601", "Mbroken", ""], &mut self.buffered);
    }

    fn ready(&mut self) {
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
