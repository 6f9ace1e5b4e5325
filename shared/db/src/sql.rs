//! The tokens of a statement, as PostgreSQL's scanner sees them: without comments, which nest.
//!
//! There is no grammar here: a word is a keyword or a name, and the caller decides which. A quoted name is one word.

use std::str::Bytes;

/// Functions that take a lock of the session. Those for a lock of the transaction have other names.
pub const SESSION_LOCKS: &[&str] = &[
    "pg_advisory_lock",
    "pg_advisory_lock_shared",
    "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared",
];

/// A piece of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// A keyword or a name.
    Word(&'a str),
    /// A name in double quotes, without them. A doubled quote inside makes two names of it.
    Name(&'a str),
    /// A literal with its quotes and prefix: `'it''s'` is two of them, and `$tag$…$tag$` one.
    Literal(&'a str),
    /// Any other character but white space. A number is some of these.
    Symbol(char),
}

/// The tokens of `sql`, in order.
///
/// ```
/// use shared_db::sql::{Token, tokens};
///
/// let found: Vec<Token> = tokens("SELECT 'a' -- why\n;").collect();
/// assert_eq!(found, [Token::Word("SELECT"), Token::Literal("'a'"), Token::Symbol(';')]);
/// ```
pub fn tokens(sql: &str) -> impl Iterator<Item = Token<'_>> + Clone {
    Tokens { sql, at: 0 }
}

/// The words of `sql`, in order, without literals.
pub(super) fn words(sql: &str) -> impl Iterator<Item = &str> + Clone {
    tokens(sql).filter_map(|token| match token {
        Token::Word(word) | Token::Name(word) => Some(word),
        Token::Literal(_) | Token::Symbol(_) => None,
    })
}

#[derive(Clone)]
struct Tokens<'a> {
    sql: &'a str,
    at: usize,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let bytes = self.sql.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            let rest = &self.sql[self.at..];
            let (length, token): (usize, fn(&'a str) -> Token<'a>) = match byte {
                b'-' if rest.starts_with("--") => {
                    self.at += line(rest);
                    continue;
                }
                b'/' if rest.starts_with("/*") => {
                    self.at += comment(rest);
                    continue;
                }
                byte if byte.is_ascii_whitespace() => {
                    self.at += 1;
                    continue;
                }
                b'\'' => (literal(rest, false), Token::Literal),
                b'$' => match dollar_quoted(rest) {
                    1 => (1, |_| Token::Symbol('$')),
                    length => (length, Token::Literal),
                },
                b'"' => (quoted(rest, b'"'), |name| {
                    Token::Name(name[1..].trim_end_matches('"'))
                }),
                byte if begins_word(byte) => {
                    let length = word(rest);
                    let (word, after) = rest.split_at(length);
                    // `E'it\'s'`: a prefix of the literal, in which a backslash escapes.
                    if after.starts_with('\'') {
                        let escapes = word.eq_ignore_ascii_case("E");
                        (length + literal(after, escapes), Token::Literal)
                    } else {
                        (length, Token::Word)
                    }
                }
                // A whole character, since the rest is sliced again.
                _ => {
                    let symbol = rest.chars().next()?;
                    self.at += symbol.len_utf8();
                    return Some(Token::Symbol(symbol));
                }
            };
            self.at += length;
            return Some(token(&rest[..length]));
        }
        None
    }
}

fn begins_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii()
}

/// The length of the word that begins here. A digit may continue a word (`t1`) but not begin one.
fn word(text: &str) -> usize {
    let continues_word = |byte: u8| begins_word(byte) || byte.is_ascii_digit() || byte == b'$';
    text.bytes()
        .position(|byte| !continues_word(byte))
        .unwrap_or(text.len())
}

fn line(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

/// The length of the comment that begins here, including nested ones. An unterminated one takes the rest.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while let Some(pair) = text.as_bytes().get(at..at + 2) {
        match pair {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn literal(text: &str, escapes: bool) -> usize {
    if !escapes {
        return quoted(text, b'\'');
    }
    let mut bytes: Bytes<'_> = text.bytes();
    let mut at = 1;
    bytes.next();
    while let Some(byte) = bytes.next() {
        at += 1;
        match byte {
            b'\\' => at += usize::from(bytes.next().is_some()),
            b'\'' => return at,
            _ => {}
        }
    }
    text.len()
}

/// A doubled quote is read as the end of one piece and the beginning of the next, with the same result.
fn quoted(text: &str, quote: u8) -> usize {
    let end = text.bytes().skip(1).position(|byte| byte == quote);
    end.map_or(text.len(), |end| end + 2)
}

/// `$$…$$` or `$tag$…$tag$`; of a parameter `$1`, only the `$`.
fn dollar_quoted(text: &str) -> usize {
    let tag = 1 + word(&text[1..]).min(text[1..].find('$').unwrap_or(usize::MAX));
    let is_parameter = text[1..].starts_with(|c: char| c.is_ascii_digit());
    if is_parameter || !text[tag..].starts_with('$') {
        return 1;
    }
    let mark = &text[..=tag];
    match text[mark.len()..].find(mark) {
        Some(end) => end + 2 * mark.len(),
        None => text.len(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Token, tokens, words};

    #[test]
    fn words_are_read_past_comments_and_literals() {
        for (sql, expected) in [
            ("SELECT a1, b FROM t", "SELECT a1 b FROM t"),
            ("/* a /* b */ SET c */ SET d", "SET d"),
            ("-- SET a\nSET b -- c", "SET b"),
            ("/* never ends /* SET */ SET", ""),
            (
                "SELECT 'it''s', E'it\\'s', e'\\\\', x FROM y",
                "SELECT x FROM y",
            ),
            ("SELECT $$SET a$$, $t$ $$ SET $t$, $1, b", "SELECT b"),
            ("SELECT a$1 FROM b$c", "SELECT a$1 FROM b$c"),
            ("SELECT \"a b\" FROM \"set\"", "SELECT a b FROM set"),
            ("SELECT 'unfinished SET", "SELECT"),
            ("SELECT $unfinished$ SET", "SELECT"),
            ("größe é'x'", "größe"),
            ("*/-+/ 1 2e3 / * x", "e3 x"),
            ("'", ""),
            ("\"", ""),
            ("$", ""),
        ] {
            let found: Vec<&str> = words(sql).collect();
            let found: Vec<&str> = found.into_iter().filter(|word| !word.is_empty()).collect();
            assert_eq!(found.join(" "), expected, "{sql}");
        }
    }

    #[test]
    fn literals_and_symbols_are_told_from_words() {
        use Token::{Literal, Name, Symbol, Word};
        let found: Vec<Token<'_>> = tokens("a.\"B\" = E'\\'', $$ ; $$, $1;").collect();
        let expected = [
            Word("a"),
            Symbol('.'),
            Name("B"),
            Symbol('='),
            Literal("E'\\''"),
            Symbol(','),
            Literal("$$ ; $$"),
            Symbol(','),
            Symbol('$'),
            Symbol('1'),
            Symbol(';'),
        ];
        assert_eq!(found, expected);
    }

    /// No input makes it panic or loop for ever: tries every slice of a text with each kind of quote.
    #[test]
    fn any_text_has_an_end() {
        let text = "é/*/**/*/--\n'a''\\'E'\\'\"\"x$$a$$$t$'$t$ $1 /* ' */ \u{1F600}";
        for (from, _) in text.char_indices() {
            for (to, _) in text[from..].char_indices() {
                assert!(words(&text[from..from + to]).count() <= to);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_quoted_or_commented_has_no_words(text in "\\PC{0,30}") {
            let quoted = text.replace('\'', "''");
            let dollars = text.replace('$', "");
            let comment = text.replace(['*', '/'], "");
            for sql in [
                format!("SELECT '{quoted}' FROM t"),
                format!("SELECT $q${dollars}$q$ FROM t"),
                format!("SELECT /* {comment} */ FROM t"),
                format!("SELECT -- {comment}\nFROM t"),
            ] {
                let found: Vec<&str> = words(&sql).filter(|word| !word.is_empty()).collect();
                prop_assert_eq!(found, ["SELECT", "FROM", "t"], "{}", sql);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}") {
            for word in words(&text) {
                prop_assert!(text.contains(word));
            }
        }
    }
}
