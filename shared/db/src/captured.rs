//! The parameters of a statement on their way to the server, noted as they are encoded.

use std::{
    borrow::Cow,
    error::Error,
    sync::{Arc, OnceLock},
};

use bytes::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

use super::{
    request::Request,
    trace::{Param, Value},
};

/// Parameters of a statement, `$1` first.
pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Of one parameter, kept for an EXPLAIN.
const MAX_KEPT: usize = 4 << 10;

/// The parameters of a statement that is about to be sent, which are noted as they are.
pub(crate) struct Captured<'a> {
    given: Params<'a>,
    /// The request that the statement is part of, if that is traced.
    pub(super) request: Option<Arc<Request>>,
    /// Empty if there is none.
    noted: Vec<Noted<'a>>,
}

#[derive(Debug)]
struct Noted<'a> {
    given: &'a (dyn ToSql + Sync),
    sent: OnceLock<Option<Value>>,
}

impl<'a> Captured<'a> {
    pub(crate) fn of(given: Params<'a>) -> Self {
        let request = Request::current().filter(|request| request.is_traced());
        let noted = given.iter().map(|&given| Noted {
            given,
            sent: OnceLock::new(),
        });
        Self {
            given,
            noted: request.as_ref().map_or_else(Vec::new, |_| noted.collect()),
            request,
        }
    }

    /// What to send.
    pub(crate) fn params(&self) -> Cow<'_, [&(dyn ToSql + Sync)]> {
        match self.noted.is_empty() {
            true => Cow::Borrowed(self.given),
            false => self.noted.iter().map(|noted| noted as _).collect(),
        }
    }

    pub(super) fn kept(&self, sql: &str) -> Vec<Param> {
        let kept = self.noted.iter().map(|noted| {
            let value = noted.sent.get().cloned().flatten();
            Param::new(sql, &noted.given, value)
        });
        kept.collect()
    }
}

impl ToSql for Noted<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let before = out.len();
        let is_null = self.given.to_sql_checked(ty, out)?;
        let sent = out.get(before..).unwrap_or_default();
        self.sent.get_or_init(|| {
            let is_text = matches!(self.given.encode_format(ty), Format::Text);
            (sent.len() <= MAX_KEPT && !is_text).then(|| {
                let is_there = matches!(is_null, IsNull::No);
                Value::new(ty, is_there.then_some(sent))
            })
        });
        Ok(is_null)
    }

    /// The parameter itself is asked in `to_sql`.
    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, ty: &Type) -> Format {
        self.given.encode_format(ty)
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_kept_as_it_was_sent() {
        let noted = Noted {
            given: &7_i64,
            sent: OnceLock::new(),
        };
        let mut out = BytesMut::from(&b"before"[..]);
        let sent = noted.to_sql_checked(&Type::INT8, &mut out);
        sent.expect("an i64 is an int8");
        let value = noted.sent.get().cloned().flatten();
        assert_eq!(
            value,
            Some(Value::new(&Type::INT8, Some(&7_i64.to_be_bytes())))
        );
        assert!(
            noted.to_sql_checked(&Type::TEXT, &mut out).is_err(),
            "it does not fit"
        );
    }
}
