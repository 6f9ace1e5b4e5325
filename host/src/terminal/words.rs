//! Parts of lines: the compiler's messages, what is served meanwhile, the files.

use crate::events::{Diagnostic, worst};

/// The compiler's messages, and how many more there are.
pub(super) fn rendered(diagnostics: &[Diagnostic]) -> String {
    let shown: Vec<&str> = worst(diagnostics)
        .map(|one| one.rendered.as_str())
        .collect();
    match diagnostics.len() - shown.len() {
        0 => shown.concat(),
        more => format!("{}and {} more\n\n", shown.concat(), thousands(more)),
    }
}

/// `1,980`
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
    groups.join(",")
}

pub(super) fn still_serving(serving: Option<u64>) -> String {
    serving.map_or_else(
        || "nothing to serve yet; fix it and save again".to_owned(),
        |id| format!("still serving gen {id}"),
    )
}

pub(super) fn files_label(files: &[String]) -> String {
    match files {
        [] => "rebuild".to_owned(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}
