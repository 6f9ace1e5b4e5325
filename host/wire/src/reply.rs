//! Messages that the exchange itself says to clients, and the parts of the backend's that it reads.

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};

use crate::{
    frame::{Fields, Frame, Malformed},
    message::put_texts,
};

/// Why a client gets an error that PostgreSQL did not send: SQLSTATE and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Refusal {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: String::new(),
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// As an ErrorResponse. `FATAL` ends the connection, `ERROR` the statement.
    pub(crate) fn put(&self, severity: &str, out: &mut BytesMut) {
        let mut fields = vec![
            format!("S{severity}"),
            format!("V{severity}"),
            format!("C{}", self.code),
            format!("M{}", self.message),
        ];
        if !self.hint.is_empty() {
            fields.push(format!("H{}", self.hint));
        }
        let mut texts: Vec<&str> = fields.iter().map(String::as_str).collect();
        texts.push(""); // the end of the list
        put_texts(b'E', &texts, out);
    }
}

/// AuthenticationOk: the socket's directory lets in nobody else.
pub(crate) fn put_authenticated(out: &mut BytesMut) {
    out.put_slice(&[b'R', 0, 0, 0, 8, 0, 0, 0, 0]);
}

/// The key with which a client may cancel what it runs.
pub(crate) fn put_key((pid, secret): (i32, i32), out: &mut BytesMut) {
    out.put_slice(&[b'K', 0, 0, 0, 12]);
    out.put_i32(pid);
    out.put_i32(secret);
}

pub(crate) fn put_ready(status: u8, out: &mut BytesMut) {
    out.put_slice(&[b'Z', 0, 0, 0, 5, status]);
}

/// The name and value of a ParameterStatus.
pub(crate) fn parameter(frame: &Frame) -> Result<(String, String), Malformed> {
    let mut fields = Fields(frame.body());
    Ok((fields.lossy()?.into_owned(), fields.lossy()?.into_owned()))
}

/// The channel of a NotificationResponse.
pub(crate) fn channel(frame: &Frame) -> Result<Cow<'_, str>, Malformed> {
    let mut fields = Fields(frame.body());
    fields.i32()?;
    fields.lossy()
}

/// The columns of a DataRow, in text.
pub(crate) fn columns(frame: &Frame) -> Result<Vec<Option<String>>, Malformed> {
    let mut fields = Fields(frame.body());
    let count = fields.i16()?;
    (0..count)
        .map(|_| {
            let Ok(length) = usize::try_from(fields.i32()?) else {
                return Ok(None); // -1: NULL
            };
            let value = String::from_utf8_lossy(fields.bytes(length)?);
            Ok(Some(value.into_owned()))
        })
        .collect()
}

/// How many rows a CommandComplete says were returned or changed. `None`: it speaks of none, as that of `BEGIN`.
pub(crate) fn rows(frame: &Frame) -> Option<u64> {
    let tag = Fields(frame.body()).lossy().ok()?;
    tag.rsplit(' ').next()?.parse().ok()
}

/// SQLSTATE and text of an ErrorResponse.
pub(crate) fn error(frame: &Frame) -> (String, String) {
    let (mut code, mut message) = (String::new(), String::new());
    let mut fields = Fields(frame.body());
    while let Ok(kind) = fields.byte() {
        let Ok(value) = fields.lossy() else { break };
        match kind {
            b'C' => code = value.into_owned(),
            b'M' => message = value.into_owned(),
            _ => {}
        }
    }
    (code, message)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::{Refusal, error};
    use crate::frame;

    #[test]
    fn an_error_is_read_as_it_was_written() {
        let mut bytes = BytesMut::new();
        Refusal::new("57014", "canceled")
            .with_hint("send it again")
            .put("ERROR", &mut bytes);
        let frame = frame::next(&mut bytes).unwrap().unwrap();
        assert!(bytes.is_empty());
        assert_eq!(error(&frame), ("57014".to_owned(), "canceled".to_owned()));
    }
}
