//! What clients say after their startup: which messages there are, and where they name a prepared statement.
//!
//! Clients choose the names of their statements, and two may choose the same. So a name is given a prefix on its way to
//! the backend.

use std::{ops::Range, str};

use bytes::{BufMut, BytesMut};

use crate::{
    executed::executed_in,
    frame::{Fields, Frame, HEADER, Malformed},
};

/// A client's message.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    frame: Frame,
    /// Where its body names a prepared statement, if it does.
    statement: Option<Range<usize>>,
}

/// What a message is, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Parse,
    Bind,
    /// Describe, Execute or Close.
    Part,
    Flush,
    Sync,
    /// A simple query or a function call: it is answered without a Sync.
    Whole,
    Copy,
    Terminate,
}

impl Message {
    /// # Errors
    ///
    /// A message that no client sends, or that is shorter than its fields.
    pub(crate) fn of(frame: Frame) -> Result<Self, Malformed> {
        let statement = match frame.tag() {
            b'P' => Some(name_at(&frame, 0)?),
            b'B' => {
                let portal = name_at(&frame, 0)?;
                Some(name_at(&frame, portal.end + 1)?)
            }
            b'D' | b'C' if frame.body().first() == Some(&b'S') => Some(name_at(&frame, 1)?),
            b'D' | b'C' | b'E' | b'Q' | b'F' | b'H' | b'S' | b'd' | b'c' | b'f' | b'X' => None,
            tag => {
                return Err(Malformed(format!(
                    "unexpected message {:?}",
                    char::from(tag)
                )));
            }
        };
        Ok(Self { frame, statement })
    }

    pub(crate) fn kind(&self) -> Kind {
        match self.frame.tag() {
            b'P' => Kind::Parse,
            b'B' => Kind::Bind,
            b'H' => Kind::Flush,
            b'S' => Kind::Sync,
            b'Q' | b'F' => Kind::Whole,
            b'd' | b'c' | b'f' => Kind::Copy,
            b'X' => Kind::Terminate,
            _ => Kind::Part,
        }
    }

    pub(crate) fn tag(&self) -> u8 {
        self.frame.tag()
    }

    /// No more data of a COPY comes behind it.
    pub(crate) fn ends_data(&self) -> bool {
        matches!(self.tag(), b'c' | b'f')
    }

    /// The statement that it names, as its client calls it.
    pub(crate) fn statement(&self) -> Option<&str> {
        let name = &self.frame.body()[self.statement.clone()?];
        Some(str::from_utf8(name).expect("checked when the message was read"))
    }

    /// The portal that a Bind makes or an Execute runs.
    pub(crate) fn portal(&self) -> &str {
        Fields(self.frame.body()).text().unwrap_or_default()
    }

    /// The statement that it prepares.
    pub(crate) fn prepares(&self) -> Option<&str> {
        self.statement().filter(|_| self.kind() == Kind::Parse)
    }

    /// The statement that must be there already.
    pub(crate) fn uses(&self) -> Option<&str> {
        let uses = self.kind() != Kind::Parse && !self.closes();
        self.statement().filter(|_| uses)
    }

    /// The very same, and not another of the same words.
    pub(crate) fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self.frame.bytes(), other.frame.bytes())
    }

    pub(crate) fn executes(&self) -> bool {
        self.tag() == b'E'
    }

    /// It takes the name of a statement or a portal back.
    pub(crate) fn closes(&self) -> bool {
        self.frame.tag() == b'C'
    }

    /// The SQL of a Parse or a simple query.
    pub(crate) fn sql(&self) -> Option<&str> {
        let mut fields = Fields(self.frame.body());
        match self.frame.tag() {
            b'P' => fields.text().ok()?,
            b'Q' => "",
            _ => return None,
        };
        fields.text().ok()
    }

    pub(crate) fn len(&self) -> usize {
        self.frame.len()
    }

    /// Writes it for the backend, with `prefix` before the statement's name.
    pub(crate) fn write(&self, prefix: &str, out: &mut BytesMut) {
        match &self.statement {
            // The unnamed statement has no name to prefix: the client that parses it last has it.
            Some(name) if !name.is_empty() => self.write_renamed(prefix, out),
            _ => out.put_slice(self.frame.bytes()),
        }
    }

    /// The statement that its SQL executes, as its client calls it.
    pub(crate) fn executed(&self) -> Option<&str> {
        let sql = self.sql()?;
        executed_in(sql).map(|at| &sql[at])
    }

    /// The same, with the prefix as the name of the unnamed statement.
    pub(crate) fn write_renamed(&self, prefix: &str, out: &mut BytesMut) {
        let start = self.statement.as_ref().map_or(0, |name| name.start);
        self.write_with(prefix, &[start], out);
    }

    /// The same as [`write`](Self::write), with the prefix before the name in its SQL, too.
    pub(crate) fn write_executing(&self, prefix: &str, out: &mut BytesMut) {
        let own = self.statement.as_ref().filter(|name| !name.is_empty());
        let before = self.statement.as_ref().map_or(0, |name| name.end + 1);
        let in_sql = self.sql().and_then(executed_in).map(|at| before + at.start);
        let places: Vec<_> = own
            .map(|name| name.start)
            .into_iter()
            .chain(in_sql)
            .collect();
        self.write_with(prefix, &places, out);
    }

    /// Writes it with the prefix at these places of its body, in order.
    fn write_with(&self, prefix: &str, places: &[usize], out: &mut BytesMut) {
        let body = self.frame.body();
        let length = self.frame.len() - 1 + places.len() * prefix.len();
        out.reserve(length + 1);
        out.put_u8(self.frame.tag());
        out.put_u32(u32::try_from(length).expect("a name is far below 4 GiB"));
        let mut written = 0;
        for place in places {
            out.put_slice(&body[written..*place]);
            out.put_slice(prefix.as_bytes());
            written = *place;
        }
        out.put_slice(&body[written..]);
    }
}

/// The range, in the body, of the string that begins at `start`.
fn name_at(frame: &Frame, start: usize) -> Result<Range<usize>, Malformed> {
    let rest = frame.body().get(start..).unwrap_or_default();
    let name = Fields(rest).text()?;
    Ok(start..start + name.len())
}

/// A message without a body that the exchange itself sends.
pub(crate) fn put_empty(tag: u8, out: &mut BytesMut) {
    out.put_u8(tag);
    out.put_u32(u32::try_from(HEADER - 1).expect("it is 4"));
}

/// A message whose body is these strings, each with its zero.
pub(crate) fn put_texts(tag: u8, texts: &[&str], out: &mut BytesMut) {
    let length = 4 + texts.iter().map(|text| text.len() + 1).sum::<usize>();
    out.put_u8(tag);
    out.put_u32(u32::try_from(length).expect("a text of ours is short"));
    for text in texts {
        out.put_slice(text.as_bytes());
        out.put_u8(0);
    }
}

/// Takes back the statement with this name, which includes the prefix.
pub(crate) fn put_close(name: &str, out: &mut BytesMut) {
    out.put_u8(b'C');
    out.put_u32(u32::try_from(4 + 1 + name.len() + 1).expect("a name is short"));
    out.put_u8(b'S');
    out.put_slice(name.as_bytes());
    out.put_u8(0);
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, BytesMut};
    use postgres_protocol::message::frontend;

    use super::{Kind, Message};
    use crate::frame::{self, Frame};

    fn read(bytes: &mut BytesMut) -> Message {
        Message::of(frame::next(bytes).unwrap().unwrap()).unwrap()
    }

    fn written(message: &Message) -> BytesMut {
        let mut out = BytesMut::new();
        message.write("c7_", &mut out);
        out
    }

    #[test]
    fn a_statement_is_renamed_wherever_it_is_named() {
        let (mut sent, mut expected) = (BytesMut::new(), BytesMut::new());
        for (name, out) in [("s0", &mut sent), ("c7_s0", &mut expected)] {
            frontend::parse(name, "SELECT $1", [23], out).unwrap();
            frontend::describe(b'S', name, out).unwrap();
            frontend::close(b'S', name, out).unwrap();
            let bound = frontend::bind(
                "p",
                name,
                [1],
                [4_i32],
                |_, _| Ok(postgres_protocol::IsNull::Yes),
                [1],
                out,
            );
            assert!(bound.is_ok());
        }
        let mut out = BytesMut::new();
        for kind in [Kind::Parse, Kind::Part, Kind::Part, Kind::Bind] {
            let message = read(&mut sent);
            assert_eq!((message.kind(), message.statement()), (kind, Some("s0")));
            message.write("c7_", &mut out);
        }
        assert_eq!(out, expected);
    }

    #[test]
    fn what_names_no_statement_stays_as_it_is() {
        let mut sent = BytesMut::new();
        frontend::parse("", "SELECT 1", [], &mut sent).unwrap();
        frontend::describe(b'P', "s0", &mut sent).unwrap();
        frontend::close(b'P', "s0", &mut sent).unwrap();
        frontend::execute("s0", 0, &mut sent).unwrap();
        frontend::query("SELECT 's0'", &mut sent).unwrap();
        frontend::sync(&mut sent);
        let (before, mut out) = (sent.clone(), BytesMut::new());
        while !sent.is_empty() {
            out.extend_from_slice(&written(&read(&mut sent)));
        }
        assert_eq!(out, before);
    }

    #[test]
    fn what_no_client_sends_is_refused() {
        for (tag, body) in [
            (b'p', &b"secret\0"[..]),
            (b'R', b""),
            (b'B', b"p\0s0"),
            (b'P', b"s0"),
            (b'D', b"S"),
        ] {
            let mut bytes = BytesMut::new();
            bytes.put_u8(tag);
            bytes.put_u32(u32::try_from(body.len() + 4).unwrap());
            bytes.put_slice(body);
            assert!(
                Message::of(Frame::of(bytes)).is_err(),
                "{}",
                char::from(tag)
            );
        }
    }
}
