//! Whether a page lets the script run in it and hear of saves: what its content security policy says.
//!
//! The policy stays as it is: the user sees what production will do. One that keeps the script out is reported, once.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::http::{HeaderMap, header};
use serde::Serialize;

/// A page that cannot reload by itself.
#[derive(Clone, Debug, Serialize)]
pub(in crate::dev) struct Unreloadable {
    path: String,
    /// The part of the answer that keeps the script out.
    because: String,
}

/// The pages that keep the script out.
#[derive(Debug, Default)]
pub(in crate::dev) struct UnreloadablePages(Mutex<Found>);

#[derive(Debug, Default)]
struct Found {
    last: Option<Unreloadable>,
    told: BTreeSet<String>,
}

impl UnreloadablePages {
    /// The last one, until it is found to be fine.
    pub(in crate::dev) fn last(&self) -> Option<Unreloadable> {
        self.lock().last.clone()
    }

    /// Notes what keeps the script out of a page, if anything does. `true`: nobody has been told yet.
    pub(super) fn note(&self, path: &str, because: Option<&str>) -> bool {
        let mut found = self.lock();
        let Some(because) = because else {
            found.last.take_if(|last| last.path == path);
            return false;
        };
        found.last = Some(Unreloadable {
            path: path.to_owned(),
            because: because.to_owned(),
        });
        found.told.insert(because.to_owned())
    }

    fn lock(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a script's tag needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) nonce: Option<String>,
    /// The directive that keeps the script out, or its news.
    pub(super) forbidden_by: Option<String>,
}

/// Reads all policies of an answer; each of them must agree. `host` is what the browser calls this host.
pub(super) fn judge(headers: &HeaderMap, host: &str) -> Verdict {
    let mut verdict = Verdict::default();
    let policies = headers.get_all(header::CONTENT_SECURITY_POLICY).iter();
    let policies = policies.filter_map(|policy| policy.to_str().ok());
    for policy in policies.flat_map(|policy| policy.split(',')) {
        let directives: Vec<Directive> = policy.split(';').filter_map(Directive::parse).collect();
        // The first of these names counts, and the first of several with one name.
        let governing = |names: &[&str]| {
            names.iter().find_map(|name| {
                let found = directives.iter().find(|directive| directive.is(name));
                found.copied()
            })
        };
        let script = governing(&["script-src-elem", "script-src", "default-src"]);
        let nonce = script.and_then(|script| script.nonce());
        let script = script.filter(|script| nonce.is_none() && !script.allows_script(host));
        let connect = governing(&["connect-src", "default-src"]);
        let connect = connect.filter(|connect| !connect.allows(host));
        let sandbox = governing(&["sandbox"]);
        let sandbox = sandbox.filter(|it| !it.has("allow-scripts") || !it.has("allow-same-origin"));
        verdict.nonce = verdict.nonce.or(nonce.map(str::to_owned));
        verdict.forbidden_by = verdict.forbidden_by.or([script, connect, sandbox]
            .into_iter()
            .flatten()
            .next()
            .map(Directive::shown));
    }
    verdict
}

/// `name source source …`.
#[derive(Clone, Copy)]
struct Directive<'a>(&'a str);

impl<'a> Directive<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then_some(Self(text))
    }

    fn is(self, name: &str) -> bool {
        let own = self.0.split_ascii_whitespace().next();
        own.is_some_and(|own| own.eq_ignore_ascii_case(name))
    }

    fn sources(self) -> impl Iterator<Item = &'a str> {
        self.0.split_ascii_whitespace().skip(1)
    }

    /// As it is told, the same for each answer: a nonce is another one each time.
    fn shown(self) -> String {
        let words = self.0.split_ascii_whitespace();
        let shown = words.map(|word| match word.starts_with("'nonce-") {
            true => "'nonce-…'",
            false => word,
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    fn has(self, wanted: &str) -> bool {
        self.sources()
            .any(|source| source.eq_ignore_ascii_case(wanted))
    }

    /// A script in the page's HTML: what other scripts may load does not count.
    fn allows_script(self, host: &str) -> bool {
        self.allows(host) && !self.has("'strict-dynamic'")
    }

    fn allows(self, host: &str) -> bool {
        self.sources().any(|source| {
            ["'self'", "*", "http:", "https:"]
                .iter()
                .any(|ours| source.eq_ignore_ascii_case(ours))
                || names(source, host)
        })
    }

    /// Base64, as the grammar has it: nothing that could end an attribute.
    fn nonce(self) -> Option<&'a str> {
        self.sources().find_map(|source| {
            let nonce = source.strip_prefix("'nonce-")?.strip_suffix('\'')?;
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte);
            nonce.bytes().all(is_plain).then_some(nonce)
        })
    }
}

/// Whether a source is this host by name: with its port, or with any.
fn names(source: &str, host: &str) -> bool {
    let source = source.split_once("://").map_or(source, |(_, rest)| rest);
    let source = source.strip_suffix('/').unwrap_or(source);
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    source.eq_ignore_ascii_case(host)
        || source
            .strip_suffix(":*")
            .is_some_and(|source| source.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(policies: &[&str]) -> Verdict {
        let mut headers = HeaderMap::new();
        for policy in policies {
            let policy = policy.parse().expect("a header");
            headers.append(header::CONTENT_SECURITY_POLICY, policy);
        }
        judge(&headers, "localhost:3000")
    }

    #[test]
    fn a_policy_that_allows_this_origin_lets_the_script_in() {
        for policies in [
            &[][..],
            &["default-src 'self'"],
            &["script-src 'SELF' 'unsafe-inline'; img-src 'none'"],
            &["script-src http://localhost:3000"],
            &["script-src localhost:*; connect-src *"],
            &["default-src 'none'; script-src-elem 'self'; script-src 'none'; connect-src 'self'"],
            &[
                "default-src 'self', script-src http:; img-src *",
                "frame-ancestors 'none'",
            ],
            &["sandbox allow-same-origin allow-scripts"],
        ] {
            assert_eq!(judged(policies), Verdict::default(), "{policies:?}");
        }
    }

    #[test]
    fn a_nonce_is_that_of_the_directive_for_scripts() {
        let policy = "style-src 'nonce-style'; script-src 'strict-dynamic' 'nonce-abc12=='";
        let verdict = judged(&[policy]);
        assert_eq!(verdict.nonce.as_deref(), Some("abc12=="));
        assert_eq!(verdict.forbidden_by, None);
        assert_eq!(judged(&["script-src 'self' 'nonce-a\"b'"]).nonce, None);
    }

    #[test]
    fn what_keeps_the_script_out_is_named() {
        for (policies, directive) in [
            (&["default-src 'none'"][..], "default-src 'none'"),
            (
                &["default-src 'self'; script-src 'sha256-x'"],
                "script-src 'sha256-x'",
            ),
            (
                &["script-src 'self' 'strict-dynamic'"],
                "script-src 'self' 'strict-dynamic'",
            ),
            (
                &["script-src 'nonce-a'; connect-src api.example"],
                "connect-src api.example",
            ),
            (
                &["script-src 'self'", "script-src https://cdn.example"],
                "script-src https://cdn.example",
            ),
            (&["script-src localhost"], "script-src localhost"),
            (&["default-src 'nonce-k3x'"], "default-src 'nonce-…'"),
            (&["sandbox allow-scripts"], "sandbox allow-scripts"),
        ] {
            let found = judged(policies).forbidden_by;
            assert_eq!(found.as_deref(), Some(directive), "{policies:?}");
        }
    }
}
