//! What the outside may know of the reload cycle: the state now ([`Report`]) and each step ([`Event`]).
//!
//! Written by the loop, read by terminal, status and tests; reading changes nothing.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Diagnostic, Progress, Retired, UnderWay, build::Compiler, worst};

/// Where the reload cycle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Before the first build.
    Starting,
    /// What was saved in `migrations/` is applied, before the code that needs it is built.
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
    /// The host's own code changed, or it keeps too much old code of the app; the build on disk takes over the socket.
    Restarting,
}

/// The state now.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) phase: Phase,
    pub(crate) reloads: Reloads,
    pub(crate) last_reload: Option<LastReload>,
    pub(crate) build: Build,
    /// Whether a save of nothing but sources that the app is made of would go to rustc alone.
    pub(crate) replays: bool,
    /// `None` before the first measurement, and where the system does not tell.
    pub(crate) images: Option<Images>,
    /// Counts saves of files that the app reads as it runs: open pages show them once they are loaded again.
    pub(crate) revision: u64,
}

/// Libraries that this process has loaded: each stays mapped until it ends, the active one included.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Images {
    pub(crate) kept: usize,
    /// What they keep in memory that the system cannot read from their files again.
    pub(crate) memory_kb: u64,
}

impl fmt::Display for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kept, memory_kb } = self;
        write!(f, "kept code of {kept} reloads uses {} MB", memory_kb >> 10)
    }
}

/// How reloads came out, over restarts too.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Reloads {
    pub(crate) ok: u64,
    pub(crate) failed: u64,
    /// Saves after which the library was the same, byte for byte.
    pub(crate) unchanged: u64,
}

/// The last build.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Build {
    pub(crate) ok: bool,
    /// The first few: a changed signature can break thousands of lines.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Counted over all of them.
    pub(crate) errors: usize,
    pub(crate) warnings: usize,
    /// Why a library that did compile is not live.
    pub(crate) refused: Option<String>,
    /// While a compiler runs.
    pub(crate) under_way: Option<UnderWay>,
    /// While cargo runs, once it has counted.
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
    /// The host has just started, and nothing was live before.
    pub(crate) first: bool,
    pub(crate) files: Vec<String>,
    /// Who was asked: rustc alone, unless there was a doubt.
    pub(crate) compiler: Compiler,
    /// From the save, by the clock of the file system, until it was seen; `None` if no file tells.
    pub(crate) detect_ms: Option<f64>,
    /// Until the build before had ended and pending migrations were applied.
    pub(crate) wait_ms: f64,
    /// The compiler, and only the run of it that made this library.
    pub(crate) build_ms: f64,
    pub(crate) load_ms: f64,
    pub(crate) swap_ms: f64,
    pub(crate) total_ms: f64,
}

impl LastReload {
    pub(super) fn new(
        (generation, first): (u64, bool),
        files: Vec<String>,
        compiler: Compiler,
        times: Times,
    ) -> Self {
        let ms = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
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
pub(super) struct Times {
    pub(super) detect: Option<Duration>,
    pub(super) wait: Duration,
    pub(super) build: Duration,
    pub(super) load: Duration,
    pub(super) swap: Duration,
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
            revision: 0,
        }
    }

    pub(super) fn build_succeeded(&mut self, warnings: &[Diagnostic]) {
        self.build = Build::new(true, warnings);
    }

    pub(super) fn unchanged(&mut self) {
        self.reloads.unchanged += 1;
    }

    pub(super) fn build_failed(&mut self, diagnostics: &[Diagnostic]) {
        self.reloads.failed += 1;
        self.build = Build::new(false, diagnostics);
    }

    pub(super) fn refused(&mut self, why: String) {
        self.reloads.failed += 1;
        self.build.refused = Some(why);
    }

    pub(super) fn live(&mut self, last: LastReload) {
        self.reloads.ok += u64::from(!last.first);
        self.last_reload = Some(last);
    }
}

/// A step, for the terminal. Serialized, `event` names it: what a program is told with `--json`.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    Migrating,
    /// Files that the app reads as it runs; open pages are loaded again.
    Refreshed {
        files: Vec<String>,
    },
    Building {
        first: bool,
        files: Vec<String>,
    },
    /// The build that runs compiles more than the app, and will not be cancelled.
    Dependencies,
    Progress(Progress),
    BuildFailed {
        diagnostics: Vec<Diagnostic>,
        serving: Option<u64>,
    },
    Loading,
    Unchanged {
        files: Vec<String>,
        warnings: Vec<Diagnostic>,
    },
    Refused {
        why: String,
        serving: Option<u64>,
    },
    Live {
        #[serde(flatten)]
        last: LastReload,
        warnings: Vec<Diagnostic>,
    },
    Retired(Retired),
    Restarting {
        files: Vec<String>,
        /// If it is not for files but for the code it keeps.
        outgrown: Option<Images>,
    },
}
