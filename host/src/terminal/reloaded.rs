//! The line for a reload that went live: the files, the time of each step, and the proof that the connection stayed.
//!
//! In a narrow terminal, parts are left out so that the line does not wrap.

use super::{BOLD, DIM, GOOD, measure::fits, words::files_label};
use crate::events::LastReload;

/// The connection after a reload, formatted. Empty without a database.
#[derive(Default)]
pub(super) struct Proof {
    /// The backend, and whether it is the same as before.
    pub(super) backend: Option<String>,
    pub(super) connections: Option<String>,
}

/// Parts that may be left out, the least important first.
const LEAST_IMPORTANT: [Part; 5] = [
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

/// The line for a terminal with this many columns; the full line if the width is unknown.
pub(super) fn line(last: &LastReload, proof: &Proof, columns: Option<usize>) -> String {
    let mut lines = (0..=LEAST_IMPORTANT.len())
        .map(|left_out| without(&LEAST_IMPORTANT[..left_out], last, proof));
    lines
        .find(|line| fits(line, columns))
        .unwrap_or_else(|| without(&LEAST_IMPORTANT, last, proof))
}

fn without(left_out: &[Part], last: &LastReload, proof: &Proof) -> String {
    let has = |part| !left_out.contains(&part);
    let files = files_label(&last.files);
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
    parts.extend(proof.connections.clone().filter(|_| has(Part::Connections)));
    parts.join("  ")
}
