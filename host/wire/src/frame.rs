//! Splits a stream of bytes into messages: a tag, a length, a body.
//!
//! Owns the limits on a message's length. What a message says is not looked at here.

use std::borrow::Cow;

use bytes::{Buf, Bytes, BytesMut};

/// PostgreSQL's own limit (`PQ_LARGE_MESSAGE_LIMIT`).
const MAX_LENGTH: usize = 0x3fff_ffff;

/// Tag and length.
pub(crate) const HEADER: usize = 5;

/// A whole message as it was received, header included. Clones share the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame(Bytes);

/// The bytes are not PostgreSQL's protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) String);

impl Frame {
    /// What is already known to be a whole message.
    #[cfg(test)]
    pub(crate) fn of(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    pub(crate) fn tag(&self) -> u8 {
        self.0[0]
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.0[HEADER..]
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Takes the first message out of `buffer`, if it is there as a whole.
///
/// # Errors
///
/// A length that no message has.
pub(crate) fn next(buffer: &mut BytesMut) -> Result<Option<Frame>, Malformed> {
    let Some(mut header) = buffer.get(..HEADER) else {
        return Ok(None);
    };
    let tag = header.get_u8();
    let length = usize::try_from(header.get_u32()).expect("usize has at least 32 bits");
    if !(4..=MAX_LENGTH).contains(&length) {
        return Err(Malformed(format!(
            "invalid length {length} of message {:?}",
            char::from(tag)
        )));
    }
    if buffer.len() <= length {
        buffer.reserve(length + 1 - buffer.len());
        return Ok(None);
    }
    Ok(Some(Frame(buffer.split_to(length + 1).freeze())))
}

/// Reads the fields of a body.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    /// A string that ends with a zero.
    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.string()?)
            .map_err(|_| Malformed("a string that is not UTF-8".to_owned()))
    }

    /// The same as the server says it, in whatever encoding the session has. It is only looked at.
    pub(crate) fn lossy(&mut self) -> Result<Cow<'a, str>, Malformed> {
        self.string().map(String::from_utf8_lossy)
    }

    fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let end = self.0.iter().position(|byte| *byte == 0);
        let end = end.ok_or_else(|| Malformed("a string without its end".to_owned()))?;
        let (text, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        Ok(text)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.0.split_first().ok_or_else(too_short)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, Malformed> {
        self.0.try_get_i16().map_err(|_| too_short())
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Malformed> {
        self.0.try_get_i32().map_err(|_| too_short())
    }

    /// The next `length` bytes.
    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(too_short)?;
        self.0 = rest;
        Ok(taken)
    }
}

fn too_short() -> Malformed {
    Malformed("a message shorter than its fields".to_owned())
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::next;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// However the bytes arrive, the same messages come out.
        #[test]
        fn messages_do_not_depend_on_how_they_arrive(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..8),
            pieces in prop::collection::vec(1..50_usize, 1..30),
        ) {
            let mut sent = Vec::new();
            for body in &bodies {
                sent.push(b'D');
                sent.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
                sent.extend(body);
            }
            let (mut buffer, mut received, mut rest) = (BytesMut::new(), Vec::new(), &sent[..]);
            for piece in pieces.iter().cycle() {
                let (now, later) = rest.split_at((*piece).min(rest.len()));
                buffer.extend_from_slice(now);
                while let Some(frame) = next(&mut buffer).unwrap() {
                    received.push(frame.body().to_vec());
                }
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(received, bodies);
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = next(&mut buffer) {}
        }
    }

    #[test]
    fn a_length_that_no_message_has_is_refused() {
        for length in [0_u32, 3, 0x4000_0000, u32::MAX] {
            let mut buffer = BytesMut::from(&b"Q"[..]);
            buffer.extend_from_slice(&length.to_be_bytes());
            assert!(next(&mut buffer).is_err(), "{length}");
        }
    }
}
