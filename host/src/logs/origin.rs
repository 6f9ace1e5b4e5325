//! For whom a line of the log was written: the generation and the request, as far as they are known. And what only
//! rooms above know of a line: they hand it in here.

use std::sync::OnceLock;

use serde::Serialize;
use shared::request::Request;

/// The address of a line of source in the user's editor.
type UrlOf = dyn Fn(&str, u32) -> Option<String> + Send + Sync;

/// See [`know`].
struct Known {
    url: Box<UrlOf>,
    generation: fn() -> Option<u64>,
}

static KNOWN: OnceLock<Known> = OnceLock::new();

/// From here on a place in a file can be linked by its `url`, and code outside of a request has the `generation` of its
/// thread.
pub(crate) fn know(
    url: impl Fn(&str, u32) -> Option<String> + Send + Sync + 'static,
    generation: fn() -> Option<u64>,
) {
    KNOWN.get_or_init(|| Known {
        url: Box::new(url),
        generation,
    });
}

/// See [`UrlOf`].
pub(super) fn url(file: &str, line: u32) -> Option<String> {
    (KNOWN.get()?.url)(file, line)
}

/// See the [module](self).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Origin {
    pub(crate) generation: Option<u64>,
    /// As at `/__dev/requests/N`.
    pub(crate) request: Option<u64>,
}

impl Origin {
    /// That of the calling code. What a task logs that a handler has spawned belongs to no request.
    pub(super) fn here() -> Self {
        match Request::current() {
            Some(request) => Self {
                generation: Some(request.generation()).filter(|id| *id > 0),
                request: request.number(),
            },
            None => Self {
                generation: KNOWN.get().and_then(|known| (known.generation)()),
                request: None,
            },
        }
    }

    /// `gen 7 req 42`, or what of it is known.
    pub(crate) fn shown(self) -> String {
        let named = |name: &str, number: Option<u64>| number.map(|it| format!("{name} {it}"));
        let parts = [named("gen", self.generation), named("req", self.request)];
        let known: Vec<String> = parts.into_iter().flatten().collect();
        known.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_is_shown() {
        let shown = |generation, request| {
            Origin {
                generation,
                request,
            }
            .shown()
        };
        assert_eq!(shown(Some(7), Some(42)), "gen 7 req 42");
        assert_eq!(shown(Some(7), None), "gen 7");
        assert_eq!(shown(None, None), "");
    }
}
