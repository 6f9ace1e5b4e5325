//! Follows what a server says while a connection starts, and keeps its greeting.
//!
//! Owns how much may be read: to the end of a message, and after ReadyForQuery nothing until the server is asked
//! something. So a stream that is handed on at that point has lost no byte.

/// Tag and length.
const HEADER: usize = 5;

pub(super) struct Startup {
    /// The server has yet to say whether it speaks TLS: one byte, which is not a message.
    asks_for_tls: bool,
    /// What has come of the current message.
    message: Vec<u8>,
    /// From AuthenticationOk to ReadyForQuery.
    greeting: Vec<u8>,
    greeted: bool,
    /// The server has said ReadyForQuery and was asked nothing since.
    waits: bool,
}

impl Startup {
    pub(super) fn new(asks_for_tls: bool) -> Self {
        Self {
            asks_for_tls,
            message: Vec::new(),
            greeting: Vec::new(),
            greeted: false,
            waits: false,
        }
    }

    /// How many bytes may be read; `None` before the server is asked something.
    pub(super) fn wanted(&self) -> Option<usize> {
        if self.waits {
            return None;
        }
        Some(match self.length() {
            _ if self.asks_for_tls => 1,
            Some(length) => length - self.message.len(),
            None => HEADER - self.message.len(),
        })
    }

    /// The server has said `bytes`, at most as many as wanted.
    pub(super) fn heard(&mut self, bytes: &[u8]) {
        if self.asks_for_tls {
            self.asks_for_tls = bytes.is_empty();
            return;
        }
        self.message.extend_from_slice(bytes);
        if self.length() != Some(self.message.len()) {
            return;
        }
        let is_ok = self.message.starts_with(b"R\0\0\0\x08\0\0\0\0");
        if !self.greeted && (is_ok || !self.greeting.is_empty()) {
            self.greeting.extend_from_slice(&self.message);
        }
        self.waits = self.message[0] == b'Z';
        self.greeted |= self.waits;
        self.message.clear();
    }

    /// Something was sent to the server.
    pub(super) fn asked(&mut self) {
        self.waits = false;
    }

    /// The greeting, once all of it and nothing else has been read.
    pub(super) fn into_greeting(self) -> Vec<u8> {
        debug_assert!(self.waits && self.message.is_empty());
        self.greeting
    }

    /// Length of the current message with its tag; of what is no message at all, just the header.
    fn length(&self) -> Option<usize> {
        let length = self.message.get(1..HEADER)?;
        let length = length.try_into().map(u32::from_be_bytes).ok()?;
        Some(HEADER.max(1 + usize::try_from(length).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::Startup;

    const OK: &[u8] = b"R\0\0\0\x08\0\0\0\0";
    const SASL: &[u8] = b"R\0\0\0\x0c\0\0\0\x0cabcd";
    const PARAMETER: &[u8] = b"S\0\0\0\x08a\0b\0";
    const READY: &[u8] = b"Z\0\0\0\x05I";
    const NOTICE: &[u8] = b"N\0\0\0\x05\0";

    /// Reads `said` in pieces of at most `step` bytes; returns how much was read before the server waited.
    fn read(startup: &mut Startup, said: &[u8], step: usize) -> usize {
        let mut at = 0;
        while let Some(wanted) = startup.wanted() {
            let end = said.len().min(at + wanted.min(step));
            if at == end {
                break;
            }
            startup.heard(&said[at..end]);
            at = end;
        }
        at
    }

    #[test]
    fn the_greeting_is_kept_and_nothing_after_it_is_read() {
        let greeting = [OK, PARAMETER, NOTICE, READY].concat();
        for step in 1..=20 {
            let mut startup = Startup::new(true);
            let said = [b"N", SASL, &greeting, NOTICE].concat();
            let all = said.len() - NOTICE.len();
            assert_eq!(read(&mut startup, &said, step), all, "{step}");
            // The answer to a question follows, and is not part of it.
            startup.asked();
            let answer = [PARAMETER, READY].concat();
            let more = [&answer[..], NOTICE].concat();
            assert_eq!(read(&mut startup, &more, step), answer.len(), "{step}");
            assert_eq!(startup.into_greeting(), greeting, "{step}");
        }
    }

    #[test]
    fn what_is_no_message_is_read_on() {
        let mut startup = Startup::new(false);
        let garbage = [b"\xff\0\0\0\0".as_slice(), b"HTTP/1.1 400 Bad Request"].concat();
        assert_eq!(read(&mut startup, &garbage, 7), garbage.len());
        assert!(startup.wanted().is_some());
    }
}
