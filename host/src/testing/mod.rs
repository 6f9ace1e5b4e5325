//! Runs the app's tests after each save, in the background, if the user wants that.
//!
//! Owns when they run: once the newest save is live, and no longer than until the next one is being built, which they
//! must not slow down. Shows nothing itself.

// What a run is made of.
mod output;
mod packages;
mod run;

use std::time::{Duration, Instant};

use tokio::sync::watch;

use self::{output::Results, run::run};
use crate::{
    database::SchemaState,
    events::{Event, Phase, Report, RunningTests, TestRun, Testing},
    services::Services,
};

/// How often progress is shown: each time, every open page and dashboard hears of it.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// What is to be tested: the generation, the revision of the files that it reads, the saves that have changed no code of
/// it, but perhaps a test, and how many migrations are applied.
type Tested = (u64, u64, u64, usize);

/// Runs until the host ends and aborts it.
pub(crate) async fn watch(services: Services, state: watch::Sender<Testing>) {
    let mut tests = Tests {
        report: services.report.clone(),
        schema: services.schema.clone(),
        switch: services.tests_on.subscribe(),
        services,
        state,
        tested: None,
    };
    // What the settings say is no news.
    let on = *tests.switch.borrow_and_update();
    tests.state.send_modify(|state| state.on = on);
    loop {
        let due = tests.until_due().await;
        tests.tested = Some(due);
        let mut superseded = tests.clone_watches();
        tokio::select! {
            run = tests.run(due.0) => tests.ended(run),
            () = superseded.until_not(due) => tests.tested = None,
        }
        tests.state.send_modify(|state| state.running = None);
    }
}

struct Tests {
    services: Services,
    report: watch::Receiver<Report>,
    schema: watch::Receiver<SchemaState>,
    switch: watch::Receiver<bool>,
    state: watch::Sender<Testing>,
    /// What was tested last, or begun to be.
    tested: Option<Tested>,
}

/// What decides whether a run goes on.
struct Watches {
    report: watch::Receiver<Report>,
    schema: watch::Receiver<SchemaState>,
    switch: watch::Receiver<bool>,
}

impl Tests {
    async fn until_due(&mut self) -> Tested {
        loop {
            self.note_switch();
            let live = live(
                &self.report.borrow_and_update(),
                &self.schema.borrow_and_update(),
            );
            if let Some(live) = live.filter(|live| Some(*live) != self.tested)
                && *self.switch.borrow()
            {
                return live;
            }
            let ended = tokio::select! {
                changed = self.report.changed() => changed.is_err(),
                changed = self.schema.changed() => changed.is_err(),
                changed = self.switch.changed() => changed.is_err(),
            };
            if ended {
                std::future::pending::<()>().await; // the host ends, and this with it
            }
        }
    }

    /// The user has asked for tests, or for none.
    fn note_switch(&mut self) {
        let on = *self.switch.borrow_and_update();
        let changed = self.state.send_if_modified(|state| {
            let changed = state.on != on;
            state.on = on;
            changed
        });
        if changed {
            // What is live is tested at once.
            self.tested = None;
            self.services.events.emit(Event::TestsSwitched { on });
        }
    }

    fn clone_watches(&self) -> Watches {
        Watches {
            report: self.report.clone(),
            schema: self.schema.clone(),
            switch: self.switch.clone(),
        }
    }

    async fn run(&self, generation: u64) -> TestRun {
        let since = Instant::now();
        let mut shown = None::<Instant>;
        let mut show = |results: &Results| {
            if shown.is_some_and(|shown| shown.elapsed() < PROGRESS_INTERVAL) {
                return;
            }
            shown = Some(Instant::now());
            let running = RunningTests {
                generation,
                done: results.done(),
                total: results.total,
            };
            self.state
                .send_modify(|state| state.running = Some(running));
        };
        let mut results = Results::default();
        show(&results);
        self.services.events.emit(Event::Testing { generation });
        let last = self.services.report.borrow().last_reload.clone();
        let files = last.map(|last| last.files).unwrap_or_default();
        let mut errors = Vec::new();
        for package in packages::in_order(&self.services.project, &files) {
            if let Err(error) = run(&package, &mut results, &mut show).await {
                errors.push(error);
            }
        }
        TestRun {
            generation,
            passed: results.passed,
            failed: results.failed,
            ignored: results.ignored,
            took_ms: (since.elapsed().as_secs_f64() * 1e4).round() / 1e1,
            error: (!errors.is_empty()).then(|| errors.join("\n\n")),
        }
    }

    fn ended(&self, run: TestRun) {
        self.state.send_modify(|state| {
            state.running = None;
            state.last = Some(run.clone());
        });
        self.services.events.emit(Event::Tested(run));
    }
}

impl Watches {
    /// Until something else is live, or is being built, or nothing is to be tested.
    async fn until_not(&mut self, due: Tested) {
        loop {
            let now = live(
                &self.report.borrow_and_update(),
                &self.schema.borrow_and_update(),
            );
            if now != Some(due) {
                return;
            }
            // They end only with the host.
            tokio::select! {
                _ = self.report.changed() => {}
                _ = self.schema.changed() => {}
                _ = self.switch.wait_for(|on| !on) => return,
            }
        }
    }
}

/// The newest save, once it is live.
fn live(report: &Report, schema: &SchemaState) -> Option<Tested> {
    let last = report.last_reload.as_ref()?;
    let is_live = report.phase == Phase::Active;
    is_live.then_some((
        last.generation,
        report.files.revision,
        report.reloads.unchanged,
        schema.status.applied.len(),
    ))
}
