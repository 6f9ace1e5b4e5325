//! Whether a page's content security policy allows the script and its connection to the host.
//!
//! The policy is not changed, so that the page behaves as in production. A policy that blocks the script is reported
//! once.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::http::{HeaderMap, header};
use serde::Serialize;

/// A page that cannot reload by itself.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Unreloadable {
    path: String,
    /// The part of the response that blocks the script.
    because: String,
}

/// The pages that block the script.
#[derive(Debug, Default)]
pub(crate) struct UnreloadablePages(Mutex<Found>);

#[derive(Debug, Default)]
struct Found {
    last: Option<Unreloadable>,
    reported: BTreeSet<String>,
}

impl UnreloadablePages {
    /// The last such page, until it no longer blocks the script.
    pub(crate) fn last(&self) -> Option<Unreloadable> {
        self.lock().last.clone()
    }

    /// Records what blocks the script on a page, if anything. `true`: this has not been reported yet.
    pub(crate) fn note(&self, path: &str, because: Option<&str>) -> bool {
        let mut found = self.lock();
        let Some(because) = because else {
            found.last.take_if(|last| last.path == path);
            return false;
        };
        found.last = Some(Unreloadable {
            path: path.to_owned(),
            because: because.to_owned(),
        });
        found.reported.insert(because.to_owned())
    }

    fn lock(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether and how the script can be added.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PolicyVerdict {
    pub(crate) nonce: Option<String>,
    /// The directive that blocks the script or its connection.
    pub(crate) forbidden_by: Option<String>,
}

/// Evaluates all policies of a response; each of them must allow the script. `host` is the name and port that the
/// browser used.
pub(crate) fn judge(headers: &HeaderMap, host: &str) -> PolicyVerdict {
    let mut verdict = PolicyVerdict::default();
    let policies = headers.get_all(header::CONTENT_SECURITY_POLICY).iter();
    let policies = policies.filter_map(|policy| policy.to_str().ok());
    for policy in policies.flat_map(|policy| policy.split(',')) {
        let directives: Vec<Directive> = policy.split(';').filter_map(Directive::parse).collect();
        // The first of these names that is present counts, and of duplicates the first.
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

    /// The directive as it is reported. Nonces are masked, since they differ in each response and would make every
    /// report a new one.
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

    /// For a script in the HTML: under 'strict-dynamic' only other scripts may load it.
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

    /// Only base64 characters, as in the grammar, so that it cannot end the attribute.
    fn nonce(self) -> Option<&'a str> {
        self.sources().find_map(|source| {
            let nonce = source.strip_prefix("'nonce-")?.strip_suffix('\'')?;
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte);
            nonce.bytes().all(is_plain).then_some(nonce)
        })
    }
}

/// Whether a source names this host, with its port or with `:*`.
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

    fn judged(policies: &[&str]) -> PolicyVerdict {
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
            assert_eq!(judged(policies), PolicyVerdict::default(), "{policies:?}");
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
