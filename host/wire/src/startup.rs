//! How a connection begins: what a client asks for before it may say anything else.
//!
//! Nobody is asked for a password. The socket lies in a directory that only its owner may enter.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::{
    frame::{Fields, Malformed},
    reply::Refusal,
};

/// PostgreSQL's own limit (`MAX_STARTUP_PACKET_LENGTH`).
const MAX_LENGTH: usize = 10_000;

const CANCEL: u32 = 0x04d2_162e;
const SSL: u32 = 0x04d2_162f;
const GSS: u32 = 0x04d2_1630;

/// A packet of the startup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    /// It asks for encryption, and is told that there is none.
    Encryption,
    /// It asks to cancel what another connection runs.
    Cancel((i32, i32)),
    Startup(Startup),
}

/// What a client asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Startup {
    pub(crate) user: String,
    pub(crate) database: String,
    /// What it calls itself.
    pub(crate) name: String,
    /// Settings of its session.
    pub(crate) settings: Vec<(String, String)>,
    /// What it speaks of a protocol newer than 3.0, and we do not.
    unknown: Vec<String>,
    minor: u16,
}

/// Takes the first packet out of `buffer`, if it is there as a whole.
///
/// # Errors
///
/// What the client is told, before its connection is closed.
pub(crate) fn next(buffer: &mut BytesMut) -> Result<Option<Packet>, Refusal> {
    let Some(mut header) = buffer.get(..4) else {
        return Ok(None);
    };
    let length = usize::try_from(header.get_u32()).expect("usize has at least 32 bits");
    if !(8..=MAX_LENGTH).contains(&length) {
        return Err(malformed(format!(
            "invalid length {length} of startup packet"
        )));
    }
    if buffer.len() < length {
        return Ok(None);
    }
    let mut packet = buffer.split_to(length).freeze();
    packet.advance(4);
    read(packet).map(Some)
}

fn read(mut packet: Bytes) -> Result<Packet, Refusal> {
    match packet.get_u32() {
        SSL | GSS => Ok(Packet::Encryption),
        CANCEL => {
            let mut fields = Fields(&packet);
            let pid = fields.i32().map_err(|error| malformed(error.0))?;
            let secret = fields.i32().map_err(|error| malformed(error.0))?;
            Ok(Packet::Cancel((pid, secret)))
        }
        version if version >> 16 == 3 => {
            let minor = (version & 0xffff) as u16;
            let startup = parameters(&packet, minor).map_err(|error| malformed(error.0))?;
            if startup.user.is_empty() {
                return Err(Refusal::new("28000", "the startup packet names no user"));
            }
            Ok(Packet::Startup(startup))
        }
        version => {
            let (major, minor) = (version >> 16, version & 0xffff);
            let what = format!("unsupported frontend protocol {major}.{minor}: 3.0 is spoken here");
            Err(Refusal::new("0A000", what))
        }
    }
}

fn malformed(what: String) -> Refusal {
    Refusal::new("08P01", what)
}

fn parameters(packet: &[u8], minor: u16) -> Result<Startup, Malformed> {
    let mut startup = Startup {
        minor,
        ..Startup::default()
    };
    let mut fields = Fields(packet);
    loop {
        let name = fields.text()?;
        if name.is_empty() {
            break;
        }
        let value = fields.text()?.to_owned();
        match name {
            "user" => startup.user = value,
            "database" => startup.database = value,
            "application_name" => startup.name = value,
            "options" => startup.settings.extend(options(&value)?),
            "replication" => {}
            _ if name.starts_with("_pq_.") => startup.unknown.push(name.to_owned()),
            _ => startup.settings.push((name.to_owned(), value)),
        }
    }
    if startup.database.is_empty() {
        startup.database.clone_from(&startup.user);
    }
    if startup.name.is_empty() {
        "a client without a name".clone_into(&mut startup.name);
    }
    Ok(startup)
}

/// `-c name=value` and `--name=value`, as on a server's command line.
fn options(text: &str) -> Result<Vec<(String, String)>, Malformed> {
    let mut settings = Vec::new();
    let mut words = words(text).into_iter();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--") {
            Some(setting) => setting.to_owned(),
            None if word == "-c" => words.next().unwrap_or_default(),
            None => match word.strip_prefix("-c") {
                Some(setting) => setting.to_owned(),
                None => return Err(Malformed(format!("option {word} is not supported here"))),
            },
        };
        let Some((name, value)) = setting.split_once('=') else {
            return Err(Malformed(format!("option {setting} has no value")));
        };
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

/// Separated by white space; a backslash takes the next character as it is.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut inside) = (Vec::new(), String::new(), false);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                word.extend(chars.next());
                inside = true;
            }
            c if c.is_ascii_whitespace() => {
                if std::mem::take(&mut inside) {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => {
                word.push(c);
                inside = true;
            }
        }
    }
    if inside {
        words.push(word);
    }
    words
}

impl Startup {
    /// NegotiateProtocolVersion, if the client speaks a newer one: 3.0, and none of its options.
    pub(crate) fn put_negotiation(&self, out: &mut BytesMut) {
        if self.minor == 0 && self.unknown.is_empty() {
            return;
        }
        let names: usize = self.unknown.iter().map(|name| name.len() + 1).sum();
        out.put_u8(b'v');
        out.put_u32(u32::try_from(4 + 4 + 4 + names).expect("a startup packet is short"));
        out.put_u32(0); // the newest minor version that is spoken here
        out.put_u32(u32::try_from(self.unknown.len()).expect("a startup packet is short"));
        for name in &self.unknown {
            out.put_slice(name.as_bytes());
            out.put_u8(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, BytesMut};
    use postgres_protocol::message::frontend;
    use proptest::prelude::*;

    use super::{CANCEL, Packet, SSL, next};

    #[test]
    fn what_drivers_send_is_read() {
        let mut bytes = BytesMut::new();
        frontend::ssl_request(&mut bytes);
        frontend::cancel_request(7, -8, &mut bytes);
        let parameters = [
            ("user", "me"),
            ("application_name", "shop"),
            ("options", "-c search_path=a\\ b --work-mem=4MB -cgeqo=off"),
            ("TimeZone", "UTC"),
        ];
        frontend::startup_message(parameters, &mut bytes).unwrap();
        assert_eq!(next(&mut bytes), Ok(Some(Packet::Encryption)));
        assert_eq!(next(&mut bytes), Ok(Some(Packet::Cancel((7, -8)))));
        let Ok(Some(Packet::Startup(startup))) = next(&mut bytes) else {
            panic!("no startup");
        };
        assert!(bytes.is_empty());
        assert_eq!((&*startup.user, &*startup.database), ("me", "me"));
        assert_eq!(startup.name, "shop");
        let settings = [
            ("search_path", "a b"),
            ("work_mem", "4MB"),
            ("geqo", "off"),
            ("TimeZone", "UTC"),
        ];
        assert_eq!(
            startup.settings,
            settings.map(|(name, value)| (name.into(), value.into()))
        );
        startup.put_negotiation(&mut bytes);
        assert!(bytes.is_empty(), "3.0 is what was asked for");
    }

    #[test]
    fn a_newer_protocol_is_negotiated_down() {
        let mut bytes = BytesMut::new();
        let body = b"\0\x03\0\x02user\0me\0_pq_.new\0on\0\0";
        bytes.put_u32(u32::try_from(body.len() + 4).unwrap());
        bytes.put_slice(body);
        let Ok(Some(Packet::Startup(startup))) = next(&mut bytes) else {
            panic!("no startup");
        };
        startup.put_negotiation(&mut bytes);
        assert_eq!(&bytes[..], b"v\0\0\0\x15\0\0\0\0\0\0\0\x01_pq_.new\0");
    }

    #[test]
    fn what_is_no_startup_is_refused() {
        for bytes in [
            &b"\0\0\0\x07\0\0\0"[..],
            b"GET / HTTP/1.1\r\n",
            b"\0\0\0\x08\0\x02\0\0",
            b"\0\0\0\x09\0\x03\0\0\0",
            b"\0\0\0\x0c\x04\xd2\x16\x2e\0\0\0\0",
        ] {
            assert!(next(&mut BytesMut::from(bytes)).is_err(), "{bytes:?}");
        }
        assert_eq!((SSL - CANCEL, next(&mut BytesMut::new())), (1, Ok(None)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 4..80)) {
            let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
            bytes[..4].copy_from_slice(&length);
            drop(next(&mut BytesMut::from(&bytes[..])));
            if bytes.len() > 8 {
                bytes[4..8].copy_from_slice(&[0, 3, 0, 0]);
                drop(next(&mut BytesMut::from(&bytes[..])));
            }
        }
    }
}
