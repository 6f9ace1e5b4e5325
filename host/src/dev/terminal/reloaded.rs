//! The line of a reload that went live: what was saved, where its time went, and the proof that the connection stayed.
//!
//! A terminal that is too narrow gets less, and no line that wraps.

use super::{BOLD, DIM, GOOD, measure::fits, what};
use crate::reload::LastReload;

/// The connection beside a reload.
pub(super) struct Proof {
    /// The backend, and whether it is the one before.
    pub(super) backend: Option<String>,
    pub(super) connections: String,
}

/// What may be left out, what matters least first.
const LEAST: [Part; 5] = [
    Part::Swap,
    Part::Load,
    Part::Folder,
    Part::Connections,
    Part::Backend,
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Swap,
    Load,
    Folder,
    Connections,
    Backend,
}

/// The line for a terminal of that many columns; all of it where the width is unknown.
pub(super) fn line(last: &LastReload, proof: &Proof, columns: Option<usize>) -> String {
    let mut lines = (0..=LEAST.len()).map(|left_out| without(&LEAST[..left_out], last, proof));
    lines
        .find(|line| fits(line, columns))
        .unwrap_or_else(|| without(&LEAST, last, proof))
}

fn without(left_out: &[Part], last: &LastReload, proof: &Proof) -> String {
    let has = |part| !left_out.contains(&part);
    let files = what(&last.files);
    let files = match files.rsplit_once('/') {
        Some((_, name)) if !has(Part::Folder) => name.to_owned(),
        _ => files,
    };
    let mut parts = vec![
        format!("{GOOD}✓{GOOD:#} gen {BOLD}{}{BOLD:#}", last.generation),
        files,
        format!("{DIM}build{DIM:#} {:.0} ms", last.build_ms),
    ];
    if has(Part::Load) {
        parts.push(format!("{DIM}load{DIM:#} {:.0} ms", last.load_ms));
    }
    if has(Part::Swap) {
        parts.push(format!("{DIM}swap{DIM:#} {:.1} ms", last.swap_ms));
    }
    parts.extend(proof.backend.clone().filter(|_| has(Part::Backend)));
    if has(Part::Connections) {
        parts.push(proof.connections.clone());
    }
    parts.join("  ")
}
