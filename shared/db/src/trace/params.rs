//! The parameters of a statement, as a trace shows them and as they were sent.

use std::{
    error::Error,
    fmt::{self, Write},
};

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

/// Of one parameter, shown.
const MAX_SHOWN: usize = 120;

/// A parameter of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// For people: short, and masked in a statement that names something secret.
    pub shown: String,
    /// Whether `shown` says nothing.
    pub is_masked: bool,
    /// As it was sent. `None`: it was not, or is too long to keep.
    pub value: Option<Value>,
}

/// A parameter in PostgreSQL's binary format, to be sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    ty: Type,
    /// `None`: NULL.
    bytes: Option<Vec<u8>>,
}

impl Param {
    pub(crate) fn new(sql: &str, given: &dyn fmt::Debug, value: Option<Value>) -> Self {
        let is_masked = names_a_secret(sql);
        Self {
            shown: match is_masked {
                true => "***".to_owned(),
                false => shown(given),
            },
            is_masked,
            value,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let value = self.value.as_ref().and_then(|value| value.bytes.as_ref());
        size_of::<Self>() + self.shown.len() + value.map_or(0, Vec::len)
    }
}

impl Value {
    pub(crate) fn new(ty: &Type, bytes: Option<&[u8]>) -> Self {
        Self {
            ty: ty.clone(),
            bytes: bytes.map(<[u8]>::to_vec),
        }
    }

    /// The type that the server has asked for.
    #[must_use]
    pub fn ty(&self) -> &Type {
        &self.ty
    }
}

impl ToSql for Value {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        Ok(match &self.bytes {
            Some(bytes) => {
                out.extend_from_slice(bytes);
                IsNull::No
            }
            None => IsNull::Yes,
        })
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// Whether a text names something that must not be shown, such as a password: a statement, or the name of a field.
///
/// ```
/// use shared_db::trace::names_a_secret;
///
/// assert!(names_a_secret("UPDATE account SET Password = $1"));
/// assert!(!names_a_secret("SELECT name FROM account"));
/// ```
#[must_use]
pub fn names_a_secret(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    SECRETS.iter().any(|word| text.contains(word))
}

/// Parts of the names of what is never shown.
const SECRETS: [&str; 8] = [
    "password",
    "passwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "credential",
    "authorization",
];

/// Its `Debug`, which is not asked for more than is shown.
fn shown(value: &dyn fmt::Debug) -> String {
    let mut short = Short(String::new());
    match write!(short, "{value:?}") {
        Ok(()) => short.0,
        Err(_) => short.0 + "…",
    }
}

struct Short(String);

impl Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_SHOWN - self.0.len();
        let fits = text.floor_char_boundary(room);
        self.0.push_str(&text[..fits]);
        match fits == text.len() {
            true => Ok(()),
            false => Err(fmt::Error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_short_and_not_asked_for_more() {
        assert_eq!(shown(&Some(7)), "Some(7)");
        let long = shown(&"é".repeat(500));
        assert!(long.len() <= MAX_SHOWN + 3 && long.ends_with('…'), "{long}");
    }

    #[test]
    fn a_statement_that_names_a_secret_shows_no_parameter() {
        let param = |sql| Param::new(sql, &"hunter2", None).shown;
        assert_eq!(param("UPDATE account SET Password = $1"), "***");
        assert_eq!(param("SELECT $1"), "\"hunter2\"");
    }
}
