//! The tables of part one: where the host's time goes, what the other ways take, and the ratios.

use std::collections::BTreeSet;

use shared::BoxError;

use super::{HOST, Sample};
use crate::{
    app::{App, Kind},
    report::{Report, Spread, median},
};

const STEPS: [&str; 6] = ["detect", "build", "load", "swap", "first answer", OUTSIDE];
const OUTSIDE: &str = "outside the compiler";

/// What a median of the large app must not exceed, as a part of another way's; and what one would like.
const RATIOS: [(&str, f64, &str); 2] = [
    ("cargo build", 0.90, " (aim 0.80)"),
    ("restarting watcher", 0.45, ""),
];

pub(super) fn print(app: &App, samples: &[Sample], report: &mut Report) -> Result<(), BoxError> {
    let name = app.name;
    let compilers: BTreeSet<_> = (samples.iter())
        .filter_map(|sample| sample.taken.compiler.as_deref())
        .collect();
    let compilers: Vec<_> = compilers.into_iter().collect();
    let by = match compilers.is_empty() {
        true => String::new(),
        false => format!(", compiled by {}", compilers.join(" and ")),
    };
    report.line(&format!(
        "\nSave to live, {name} app{by}. ms: least · median · most.\n\n| edit | {} | {HOST} |",
        STEPS.join(" | ")
    ))?;
    report.line(&format!("|--{}|--:|", "|--:".repeat(STEPS.len())))?;
    for kind in Kind::ALL {
        let cells = STEPS.map(|step| Spread::of(steps(samples, Some(kind), step)).to_string());
        let total = Spread::of(totals(samples, kind, HOST));
        let (kind, cells) = (kind.name(), cells.join(" | "));
        report.line(&format!("| {kind} | {cells} | {total} |"))?;
    }
    beside(samples, report)?;
    targets(name, samples, report)
}

/// The host beside the other ways.
fn beside(samples: &[Sample], report: &Report) -> Result<(), BoxError> {
    let others: BTreeSet<&str> = samples.iter().map(|sample| sample.way).collect();
    let others: Vec<&str> = others.into_iter().filter(|way| *way != HOST).collect();
    let heads: String = others
        .iter()
        .map(|way| format!(" {way} | ratio |"))
        .collect();
    report.line(&format!("\n| edit | {HOST} |{heads}"))?;
    report.line(&format!("|--|--:|{}", "--:|--:|".repeat(others.len())))?;
    for kind in Kind::ALL {
        let host = Spread::of(totals(samples, kind, HOST));
        let mut row = format!("| {} | {host} |", kind.name());
        for way in &others {
            row += &match ratio(samples, kind, way) {
                Some(ratio) => {
                    format!(" {} | {ratio:.2} |", Spread::of(totals(samples, kind, way)))
                }
                None => " impossible | |".to_owned(),
            };
        }
        report.line(&row)?;
    }
    report.line("")
}

/// The large app's are binding, but for the swap: a small app has less to compile, and all the rest of it.
fn targets(name: &str, samples: &[Sample], report: &mut Report) -> Result<(), BoxError> {
    let large = name == "large";
    for (way, most, aim) in RATIOS {
        for kind in Kind::ALL {
            let Some(ratio) = ratio(samples, kind, way) else {
                continue;
            };
            let what = format!("{name} app, {}: {HOST} / {way}", kind.name());
            let text = format!("{what} {ratio:.2}, target ≤ {most:.2}{aim}");
            report.target(ratio <= most, large, &text)?;
        }
    }
    let outside = median(&steps(samples, None, OUTSIDE));
    let text = format!("{name} app: {OUTSIDE} {outside:.1} ms, median of all edits, target ≤ 40");
    report.target(outside <= 40.0, large, &text)?;
    let swap = Spread::of(steps(samples, None, "swap"));
    let text = format!(
        "{name} app: swap {:.3} ms at the 99th percentile of {} saves, target ≤ 3",
        swap.p99, swap.count
    );
    report.target(swap.p99 <= 3.0, true, &text)
}

fn totals(samples: &[Sample], kind: Kind, way: &str) -> Vec<f64> {
    let of = |sample: &&Sample| sample.kind == kind && sample.way == way;
    let found = samples.iter().filter(of);
    found.map(|sample| sample.taken.total).collect()
}

/// One step of the host's, for one kind of edit or for all.
fn steps(samples: &[Sample], kind: Option<Kind>, step: &str) -> Vec<f64> {
    (samples.iter())
        .filter(|sample| sample.way == HOST && kind.is_none_or(|kind| kind == sample.kind))
        .flat_map(|sample| &sample.taken.steps)
        .filter(|(name, _)| *name == step)
        .map(|(_, took)| *took)
        .collect()
}

/// Median to median; `None` if that way cannot do such an edit.
fn ratio(samples: &[Sample], kind: Kind, way: &str) -> Option<f64> {
    let other = totals(samples, kind, way);
    (!other.is_empty()).then(|| median(&totals(samples, kind, HOST)) / median(&other))
}
