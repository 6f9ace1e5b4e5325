//! What is left of the numbers: tables on stdout, lines of a CSV file, and which targets were reached.

use std::{
    fmt, fs,
    io::{IsTerminal, Write},
    path::PathBuf,
};

use shared::BoxError;

/// Collects while measuring, writes at the end.
pub(crate) struct Report {
    file: Option<PathBuf>,
    csv: String,
    pub(crate) reached: bool,
}

impl Report {
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        Self {
            file,
            csv: "part,app,edit,round,way,what,value\n".into(),
            reached: true,
        }
    }

    /// A line of a table, at once: what comes after may take minutes.
    pub(crate) fn line(&self, text: &str) -> Result<(), BoxError> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{text}")?;
        Ok(out.flush()?)
    }

    /// A target and whether it was reached. One that is not `binding` is told only.
    pub(crate) fn target(
        &mut self,
        reached: bool,
        binding: bool,
        text: &str,
    ) -> Result<(), BoxError> {
        let mark = match (reached, binding) {
            (true, _) => "✓",
            (false, true) => "✗",
            (false, false) => "·",
        };
        self.reached &= reached || !binding;
        self.line(&format!("{mark} {text}"))
    }

    /// One number: part, app, edit, round, way, what, value. None of them holds a comma.
    pub(crate) fn csv(&mut self, cells: &[&str; 7]) {
        self.csv += &cells.join(",");
        self.csv.push('\n');
    }

    pub(crate) fn write(&self) -> Result<(), BoxError> {
        if let Some(file) = &self.file {
            fs::write(file, &self.csv).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        Ok(())
    }
}

/// Least, median and most of some numbers, and what only one in a hundred exceeds.
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
    pub(crate) p99: f64,
    pub(crate) count: usize,
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let place = (values.len() as f64 * part).ceil() as usize;
            values
                .get(place.saturating_sub(1))
                .copied()
                .unwrap_or(f64::NAN)
        };
        Self {
            least: at(0.0),
            median: at(0.5),
            most: at(1.0),
            p99: at(0.99),
            count: values.len(),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.most < 10.0 { 2 } else { 0 };
        let Self {
            least,
            median,
            most,
            ..
        } = self;
        write!(f, "{least:.digits$} · {median:.digits$} · {most:.digits$}")
    }
}

pub(crate) fn median(values: &[f64]) -> f64 {
    Spread::of(values.to_vec()).median
}

/// How far it is, in the same line again and again; a log needs none of it.
pub(crate) fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r{text}\x1b[K");
    }
}
