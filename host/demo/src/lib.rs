//! `just demo`: the leak, its cure and what lies beyond, in about a minute, measured on the real host.
//!
//! Three acts on a copy of this workspace, with real saves of a real file and one request after each. PostgreSQL counts
//! the connections. A separate crate, so that the dev server is built without it.

// Copies the workspace, so that the user's files are not edited. Tests and benchmarks use it too.
pub mod copy;

// What each act claims.
mod act;

// Runs a host, saves files, takes samples.
mod stage;

// Output: table, chart, CSV, SVG.
mod report;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use act::{ACTS, Act};
use stage::Stage;

/// Any error, for `main` to print.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The flags.
#[derive(clap::Parser)]
#[command(
    name = "demo",
    about = "The leak, its cure and what lies beyond, in about a minute"
)]
pub struct Options {
    /// Saves in each act; the first ends earlier when PostgreSQL refuses
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=500))]
    reloads: u32,
    /// max_connections of the demo's PostgreSQL, of which 4 are not for the app
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(6..=1000))]
    max_connections: u16,
    /// Which acts to play
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 3], value_parser = clap::value_parser!(u8).range(1..=3))]
    acts: Vec<u8>,
    /// Folder for demo.csv and demo.svg [default: target/demo]
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Plays the acts in a copy of the workspace at `root`, whose `hot` profile is built. Returns `Ok(false)` if an act did
/// not do what it claims. Blocks.
///
/// # Errors
/// The workspace cannot be copied, the host does not start, or an answer does not come in time.
pub fn run(root: &Path, options: &Options) -> Result<bool, BoxError> {
    let default = || root.join("target/demo");
    let out = options.out.clone().unwrap_or_else(default);
    fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let copy = Copy::of(root)?;
    let stage = Stage {
        root: copy.0.clone(),
        reloads: options.reloads,
        max_connections: options.max_connections,
    };

    let mut played = Vec::new();
    for act in ACTS.iter().filter(|act| options.acts.contains(&act.number)) {
        report::announce(act);
        let samples = stage.play(act, report::progress)?;
        let verdict = act.judge(&samples, options.reloads);
        report::verdict(&verdict);
        played.push(Played {
            act,
            samples,
            verdict,
        });
    }
    report::table(&played);
    report::csv(&out.join("demo.csv"), &played)?;
    report::svg(&out.join("demo.svg"), &played)?;
    report::written(&out);
    Ok(played.iter().all(|played| played.verdict.is_ok()))
}

/// An act and its result.
struct Played {
    act: &'static Act,
    samples: Vec<act::Sample>,
    /// What it has shown, or how it differs from the claim.
    verdict: Result<String, String>,
}

/// The copy, removed when dropped. It is inside `.dev`, since hard links cannot cross file systems.
struct Copy(PathBuf);

impl Copy {
    fn of(root: &Path) -> Result<Self, BoxError> {
        let to = root.join(".dev/demo");
        let fail =
            |error: io::Error| format!("cannot copy the workspace to {}: {error}", to.display());
        // Left by a demo that was killed.
        match fs::remove_dir_all(&to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error).into()),
            _ => {}
        }
        copy::workspace(root, &to).map_err(fail)?;
        Ok(Self(to))
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("cannot remove {}: {error}", self.0.display());
        }
    }
}
