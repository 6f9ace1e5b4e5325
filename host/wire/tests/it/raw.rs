//! A client that says what it likes, message by message.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use postgres_protocol::message::frontend;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use crate::stand::Stand;

/// A client that says what it likes.
pub(crate) struct Raw {
    pub(crate) socket: UnixStream,
    pub(crate) out: BytesMut,
    received: BytesMut,
}

impl Raw {
    pub(crate) async fn of(stand: &Stand) -> Self {
        let mut raw = Self {
            socket: UnixStream::connect(stand.socket()).await.unwrap(),
            out: BytesMut::new(),
            received: BytesMut::new(),
        };
        frontend::startup_message(
            [("user", "postgres"), ("application_name", "raw")],
            &mut raw.out,
        )
        .unwrap();
        raw.send().await;
        raw.until(b'Z').await;
        raw
    }

    pub(crate) async fn send(&mut self) {
        self.socket.write_all_buf(&mut self.out).await.unwrap();
    }

    pub(crate) async fn query(&mut self, sql: &str) {
        frontend::query(sql, &mut self.out).unwrap();
        self.send().await;
    }

    /// Puts a statement without parameters, in the extended protocol and without a Sync, before what is sent next.
    pub(crate) fn extended(&mut self, sql: &str) {
        let (out, none): (_, [i16; 0]) = (&mut self.out, []);
        frontend::parse("", sql, [], out).unwrap();
        let bound = frontend::bind("", "", none, [(); 0], |(), _| unreachable!(), none, out);
        assert!(bound.is_ok());
        frontend::execute("", 0, out).unwrap();
    }

    /// The tags of what is answered to a simple query.
    pub(crate) async fn answer_to(&mut self, sql: &str) -> String {
        self.query(sql).await;
        self.until(b'Z').await
    }

    /// The tags of what is answered, up to the first `last`. A dot is the end of the connection.
    pub(crate) async fn until(&mut self, last: u8) -> String {
        let mut tags = String::new();
        loop {
            while self.received.len() >= 5 {
                let length = (&self.received[1..]).get_u32() as usize + 1;
                if self.received.len() < length {
                    break;
                }
                let message = self.received.split_to(length);
                tags.push(char::from(message[0]));
                if message[0] == last {
                    return tags;
                }
            }
            let read = self.socket.read_buf(&mut self.received);
            let read = tokio::time::timeout(Duration::from_secs(60), read).await;
            if read.expect("an answer").unwrap_or(0) == 0 {
                tags.push('.');
                return tags;
            }
        }
    }
}
