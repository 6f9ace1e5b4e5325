//! A connection string split into the address and the parameters after it, in either of libpq's two forms.
//!
//! Also detects a password that was not percent-encoded: tokio-postgres would take part of it for a host name and show
//! it in an error. No error here repeats its input.

/// `postgres://…?key=value&…`, or `key=value key='a value'`.
pub(super) struct Parts<'a> {
    /// Everything before the `?`; `None` in the second form.
    address: Option<&'a str>,
    /// Decoded key, decoded value, and the original pair.
    pub(super) parameters: Vec<(String, String, String)>,
}

impl<'a> Parts<'a> {
    pub(super) fn of(text: &'a str) -> Result<Self, String> {
        // In the second form a value may contain `://`.
        let is_scheme = |it: &(&str, &str)| it.0.chars().all(|c| c.is_ascii_alphanumeric());
        let Some((scheme, rest)) = text.split_once("://").filter(is_scheme) else {
            return Ok(Self {
                address: None,
                parameters: words(text)?,
            });
        };
        if !matches!(scheme, "postgres" | "postgresql") {
            return Err(format!(
                "`{scheme}://` is not PostgreSQL; the URL starts with postgres:// or postgresql://"
            ));
        }
        let credentials = well_formed(rest)?;
        decode(credentials)
            .map_err(|_| "a `%` in the user name or password is written %25".to_owned())?;
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        let mut parameters = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let key = decode(key).map_err(|()| "a `%` after the `?` is written %25".to_owned())?;
            let value =
                decode(value).map_err(|()| format!("{key}: a `%` in its value is written %25"))?;
            parameters.push((key, value, pair.to_owned()));
        }
        Ok(Self {
            address: Some(address),
            parameters,
        })
    }

    /// Joined again, with only the given parameters.
    pub(super) fn with(&self, kept: &[String]) -> String {
        match self.address {
            None => kept.join(" "),
            Some(address) if kept.is_empty() => address.to_owned(),
            Some(address) => format!("{address}?{}", kept.join("&")),
        }
    }
}

/// The user name and password, if it is certain where they end.
fn well_formed(rest: &str) -> Result<&str, String> {
    let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
    match authority.split('@').collect::<Vec<_>>().as_slice() {
        [_, _, _, ..] => Err("there are two `@` before the database's name: one in the user name or password is written %40".into()),
        // An `@` after it, other than in a value, may be the end of a password that has a `/` or `?` in it.
        [credentials, _] if !at_outside_values(&rest[authority.len()..]) => Ok(credentials),
        _ if rest.contains('@') => Err("there is an `@` after a `/` or `?`: in a password `/` is written %2F, `?` %3F and `@` %40; elsewhere too `@` is written %40".into()),
        _ => Ok(""),
    }
}

/// Whether there is an `@` in a path or in the name of a parameter.
fn at_outside_values(path_and_query: &str) -> bool {
    let (path, query) = path_and_query
        .split_once('?')
        .unwrap_or((path_and_query, ""));
    let mut names = query.split('&').filter_map(|pair| pair.split('=').next());
    path.contains('@') || names.any(|name| name.contains('@'))
}

fn decode(text: &str) -> Result<String, ()> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, after @ ..] = rest else {
            return Err(());
        };
        let digit = |byte: &u8| char::from(*byte).to_digit(16).ok_or(());
        bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).map_err(|_| ())?);
        rest = after;
    }
    // Lossy is enough: the password is not taken from here, and a parameter that is not UTF-8 is not one we know.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The `key=value` form: values with spaces are in single quotes, and `\` escapes the next character.
fn words(text: &str) -> Result<Vec<(String, String, String)>, String> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some((key, after)) = rest.split_once('=') else {
            return Err("it starts neither with postgres:// nor with key=value".into());
        };
        let key = key.trim();
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err("it starts neither with postgres:// nor with key=value".into());
        }
        let after = after.trim_start();
        let (value, length) = word(after).ok_or(format!("the value of {key} has no end: `'`"))?;
        found.push((key.to_owned(), value, format!("{key}={}", &after[..length])));
        rest = after[length..].trim_start();
    }
    Ok(found)
}

/// One value, and how many bytes it took.
fn word(text: &str) -> Option<(String, usize)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut characters = text.char_indices().skip(usize::from(quoted));
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Some((value, at + 1)),
            space if !quoted && space.is_whitespace() => return Some((value, at)),
            other => value.push(other),
        }
    }
    (!quoted).then_some((value, text.len()))
}
