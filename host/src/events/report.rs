//! The state of the reload loop, and its last result.
//!
//! Written by the loop; read by the terminal, the dashboard and tests.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Diagnostic, Progress, RuntimeFiles, UnderWay, in_milliseconds as ms, worst};

/// The phase of the reload loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Before the first build.
    Starting,
    /// Migrations are applied, before the code that needs them is built.
    Migrating,
    /// The compiler runs; the active generation, if any, serves.
    Building,
    /// A library is opened, checked and started; the active generation serves.
    Loading,
    /// The latest save is live.
    Active,
    /// The latest save does not compile; the generation before it serves.
    BuildFailed,
    /// The latest save compiles but was refused; the generation before it serves.
    LoadFailed,
    /// The host's code has changed, or old code of the app uses too much memory: the build on disk takes the socket
    /// over.
    Restarting,
}

/// The current state.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) phase: Phase,
    pub(crate) reloads: Reloads,
    pub(crate) last_reload: Option<LastReload>,
    pub(crate) build: Build,
    /// Whether a save of nothing but the app's sources would be built by rustc without cargo.
    pub(crate) replays: bool,
    /// `None` before the first measurement, and on systems that do not provide it.
    pub(crate) images: Option<Images>,
    /// Open pages show them when they change.
    pub(crate) files: RuntimeFiles,
    /// Everything saved before the cookie of this number is live, or has failed.
    pub(crate) dealt_with: u64,
}

/// The libraries that this process has loaded, including the active one. Each stays mapped until the process ends.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Images {
    pub(crate) kept: usize,
    /// Their memory that the system cannot read from the files again.
    pub(crate) code_kb: u64,
    /// By how much the heap has grown since the first of them, beyond what caches explain.
    pub(crate) heap_kb: u64,
}

impl Images {
    /// What a restart would give back.
    pub(crate) fn memory_kb(&self) -> u64 {
        self.code_kb + self.heap_kb
    }
}

impl fmt::Display for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kept, megabytes) = (self.kept, self.memory_kb() >> 10);
        match self.heap_kb > self.code_kb {
            true => write!(
                f,
                "what {kept} reloads have left on the heap uses {megabytes} MB"
            ),
            false => write!(f, "kept code of {kept} reloads uses {megabytes} MB"),
        }
    }
}

/// Counts of reloads by result, across restarts.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Reloads {
    pub(crate) ok: u64,
    pub(crate) failed: u64,
    /// Saves that compiled to the same bytes.
    pub(crate) unchanged: u64,
}

/// The last build.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Build {
    pub(crate) ok: bool,
    /// The first few, since a changed signature can break thousands of lines.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Count of all errors, shown or not.
    pub(crate) errors: usize,
    pub(crate) warnings: usize,
    /// Why a library that compiled is not live.
    pub(crate) refused: Option<String>,
    /// The running build, if any.
    pub(crate) under_way: Option<UnderWay>,
    /// cargo's progress, once it has reported any.
    pub(crate) progress: Option<Progress>,
}

impl Build {
    fn new(ok: bool, diagnostics: &[Diagnostic]) -> Self {
        let errors = diagnostics.iter().filter(|one| one.is_error()).count();
        Self {
            ok,
            diagnostics: worst(diagnostics).cloned().collect(),
            errors,
            warnings: diagnostics.len() - errors,
            refused: None,
            under_way: None,
            progress: None,
        }
    }
}

/// A build that went live, and where its time went.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LastReload {
    pub(crate) generation: u64,
    /// The first one since the host started.
    pub(crate) first: bool,
    pub(crate) files: Vec<String>,
    /// Whether cargo or rustc alone built it.
    pub(crate) compiler: Compiler,
    /// From the file's modification time until the watcher noticed the save; `None` if no file has a usable time.
    pub(crate) detect_ms: Option<f64>,
    /// Waiting for the previous build and pending migrations.
    pub(crate) wait_ms: f64,
    /// The compiler run that made this library.
    pub(crate) build_ms: f64,
    pub(crate) load_ms: f64,
    pub(crate) swap_ms: f64,
    pub(crate) total_ms: f64,
}

impl LastReload {
    pub(crate) fn new(
        (generation, first): (u64, bool),
        files: Vec<String>,
        compiler: Compiler,
        times: Times,
    ) -> Self {
        let Times {
            detect,
            wait,
            build,
            load,
            swap,
        } = times;
        Self {
            generation,
            first,
            files,
            compiler,
            detect_ms: detect.map(ms),
            wait_ms: ms(wait),
            build_ms: ms(build),
            load_ms: ms(load),
            swap_ms: ms(swap),
            total_ms: ms(detect.unwrap_or_default() + wait + build + load + swap),
        }
    }
}

/// Where the time of one reload went.
pub(crate) struct Times {
    pub(crate) detect: Option<Duration>,
    pub(crate) wait: Duration,
    pub(crate) build: Duration,
    pub(crate) load: Duration,
    pub(crate) swap: Duration,
}

impl Report {
    pub(crate) fn new(reloads: Reloads) -> Self {
        Self {
            phase: Phase::Starting,
            reloads,
            last_reload: None,
            build: Build::new(true, &[]),
            replays: false,
            images: None,
            files: RuntimeFiles::default(),
            dealt_with: 0,
        }
    }

    pub(crate) fn build_succeeded(&mut self, warnings: &[Diagnostic]) {
        self.build = Build::new(true, warnings);
    }

    pub(crate) fn unchanged(&mut self) {
        self.reloads.unchanged += 1;
    }

    pub(crate) fn build_failed(&mut self, diagnostics: &[Diagnostic]) {
        self.reloads.failed += 1;
        self.build = Build::new(false, diagnostics);
    }

    pub(crate) fn refused(&mut self, why: String) {
        self.reloads.failed += 1;
        self.build.refused = Some(why);
    }

    pub(crate) fn live(&mut self, last: LastReload) {
        self.reloads.ok += u64::from(!last.first);
        self.last_reload = Some(last);
    }
}

/// Which program ran the build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compiler {
    Cargo,
    Rustc,
}

/// How a generation ended.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Retired {
    pub(crate) id: u64,
    pub(crate) served: u64,
    #[serde(rename = "took_ms", serialize_with = "super::milliseconds")]
    pub(crate) took: Duration,
    /// Requests that were cut off at the deadline.
    pub(crate) late: Vec<String>,
    /// Threads still inside app code.
    pub(crate) stuck_threads: usize,
    /// The CPU time they use, in percent of one core.
    pub(crate) cpu_percent: u32,
}
