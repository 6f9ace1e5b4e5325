//! The tools whose migrations the host applies, by the names that they give to files.

use std::fmt;

use serde::Deserialize;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Style {
    #[default]
    Refinery,
    Sqlx,
    Diesel,
}

impl Style {
    pub(crate) const ALL: [Self; 3] = [Self::Refinery, Self::Sqlx, Self::Diesel];

    /// A file that this tool would find.
    pub(crate) fn example(self) -> &'static str {
        match self {
            Self::Refinery => "V3__add_colour.sql",
            Self::Sqlx => "20260131120000_add_colour.sql",
            Self::Diesel => "2026-01-31-120000_add_colour/up.sql",
        }
    }
}

impl fmt::Display for Style {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Refinery => "refinery",
            Self::Sqlx => "sqlx",
            Self::Diesel => "diesel",
        })
    }
}
