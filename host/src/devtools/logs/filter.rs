//! Which lines are wanted, and in which order.

use std::sync::Arc;

use rmcp::schemars::{self, JsonSchema};
use serde::{Deserialize, Deserializer, de};

use crate::logs::{Kept, Source};

/// In the query of the URL, so that a list can be bookmarked and shared.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(in crate::devtools) struct Filter {
    /// The least important level.
    pub(super) level: Level,
    pub(super) from: Author,
    /// Part of the message or the target.
    pub(super) text: String,
    #[serde(deserialize_with = "number")]
    pub(super) generation: Option<u64>,
    #[serde(deserialize_with = "number")]
    pub(super) request: Option<u64>,
    pub(super) order: Order,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::devtools) enum Level {
    Error,
    Warn,
    Info,
    Debug,
    #[default]
    All,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Author {
    #[default]
    All,
    App,
    Host,
    Browser,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Order {
    #[default]
    Newest,
    /// All errors before all else.
    Errors,
}

/// An empty field of the form is none. A program sends a number.
fn number<'de, D: Deserializer<'de>>(sent: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Sent {
        Number(u64),
        Text(String),
        None,
    }
    match Sent::deserialize(sent)? {
        Sent::Number(number) => Ok(Some(number)),
        Sent::Text(text) => match text.trim() {
            "" => Ok(None),
            number => number.parse().map(Some).map_err(de::Error::custom),
        },
        Sent::None => Ok(None),
    }
}

impl Filter {
    pub(in crate::devtools) fn of(level: Level) -> Self {
        Self {
            level,
            ..Self::default()
        }
    }

    /// In its order.
    pub(in crate::devtools) fn select<'a>(&self, all: &'a [Arc<Kept>]) -> Vec<&'a Kept> {
        let text = self.text.to_lowercase();
        let mut wanted: Vec<&Kept> = all
            .iter()
            .map(|kept| &**kept)
            .filter(|kept| self.wants(kept, &text))
            .collect();
        if self.order == Order::Errors {
            wanted.sort_by_key(|kept| level(kept) != Level::Error);
        }
        wanted
    }

    fn wants(&self, kept: &Kept, text: &str) -> bool {
        let holds = |part: &str| part.to_lowercase().contains(text);
        let origin = kept.origin;
        level(kept) <= self.level
            && match self.from {
                Author::All => true,
                Author::App => kept.from == Source::App,
                Author::Host => kept.from == Source::Host,
                Author::Browser => kept.from == Source::Browser,
            }
            && (self.generation.is_none() || self.generation == origin.generation)
            && (self.request.is_none() || self.request == origin.request)
            && (holds(&kept.line.message) || holds(&kept.line.target))
    }
}

fn level(kept: &Kept) -> Level {
    match kept.line.level {
        "ERROR" => Level::Error,
        "WARN" => Level::Warn,
        "INFO" => Level::Info,
        "DEBUG" => Level::Debug,
        _ => Level::All,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use shared::db::trace::Line;

    use super::*;
    use crate::logs::Origin;

    fn kept(id: u64, level: &'static str, target: &str, generation: u64) -> Arc<Kept> {
        Arc::new(Kept {
            id,
            at: SystemTime::UNIX_EPOCH,
            from: Source::App,
            origin: Origin {
                generation: Some(generation),
                request: Some(id),
            },
            line: Line::new(level, target, "Ordered", None),
            column: None,
        })
    }

    #[test]
    fn lines_are_selected_by_level_text_generation_and_request() {
        let all = [
            kept(4, "INFO", "shop::cart", 2),
            kept(3, "WARN", "shop::orders", 2),
            kept(2, "ERROR", "shop::orders", 1),
            kept(1, "DEBUG", "shop::orders", 1),
        ];
        let ids = |filter: &Filter| -> Vec<u64> {
            filter.select(&all).iter().map(|kept| kept.id).collect()
        };
        let filter = Filter::default;
        assert_eq!(ids(&filter()), [4, 3, 2, 1]);
        let level = Level::Warn;
        assert_eq!(ids(&Filter { level, ..filter() }), [3, 2]);
        let text = "ORDERS".to_owned();
        assert_eq!(ids(&Filter { text, ..filter() }), [3, 2, 1]);
        let generation = Some(2);
        assert_eq!(
            ids(&Filter {
                generation,
                ..filter()
            }),
            [4, 3]
        );
        let request = Some(3);
        assert_eq!(
            ids(&Filter {
                request,
                ..filter()
            }),
            [3]
        );
        let from = Author::Browser;
        assert!(ids(&Filter { from, ..filter() }).is_empty());
        let order = Order::Errors;
        assert_eq!(ids(&Filter { order, ..filter() }), [2, 4, 3, 1]);
    }
}
