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

/// How often progress is published. Each update goes to every open page and dashboard.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// What is to be tested: the generation, the revision of the files that it reads, the saves that have changed no code of
/// it, but perhaps a test, and how many migrations are applied.
type Tested = (u64, u64, u64, usize);

/// Runs until the host ends and aborts it.
pub(crate) async fn watch(services: Services, state: watch::Sender<Testing>) {
    let mut tests = Tests {
        watches: Watches {
            report: services.report.clone(),
            schema: services.schema.clone(),
            switch: services.tests_on.subscribe(),
        },
        services,
        state,
        tested: None,
    };
    // What the settings say is no news.
    let on = *tests.watches.switch.borrow_and_update();
    tests.state.send_modify(|state| state.on = on);
    loop {
        let due = tests.until_due().await;
        let mut watches = tests.watches.clone();
        tokio::select! {
            run = tests.run(due.0) => tests.ended(due, run),
            () = watches.until_not(due) => tests.state.send_modify(|state| state.running = None),
        }
    }
}

struct Tests {
    services: Services,
    watches: Watches,
    state: watch::Sender<Testing>,
    /// What was tested last.
    tested: Option<Tested>,
}

/// What decides when tests run, and whether they go on.
#[derive(Clone)]
struct Watches {
    report: watch::Receiver<Report>,
    schema: watch::Receiver<SchemaState>,
    switch: watch::Receiver<bool>,
}

impl Tests {
    async fn until_due(&mut self) -> Tested {
        loop {
            self.note_switch();
            let due = self.watches.due();
            if let Some(due) = due.filter(|due| Some(*due) != self.tested) {
                return due;
            }
            self.watches.changed().await;
        }
    }

    /// The user has asked for tests, or for none.
    fn note_switch(&mut self) {
        let on = *self.watches.switch.borrow_and_update();
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
        let took = since.elapsed();
        let error = (!errors.is_empty()).then(|| errors.join("\n\n"));
        let (passed, ignored) = (results.passed, results.ignored);
        TestRun::new(generation, took, (passed, ignored), results.failed, error)
    }

    fn ended(&mut self, tested: Tested, run: TestRun) {
        self.tested = Some(tested);
        self.state.send_modify(|state| {
            state.running = None;
            state.last = Some(run.clone());
        });
        self.services.events.emit(Event::Tested(run));
    }
}

impl Watches {
    /// The newest save, if it is live and tests are wanted.
    fn due(&mut self) -> Option<Tested> {
        let report = self.report.borrow_and_update();
        let last = report.last_reload.as_ref()?;
        // Not marked as seen: `note_switch` has to hear of it.
        let is_due = report.phase == Phase::Active && *self.switch.borrow();
        is_due.then_some((
            last.generation,
            report.files.revision,
            report.reloads.unchanged,
            self.schema.borrow_and_update().status.applied.len(),
        ))
    }

    /// Until something else is live, or is being built, or nothing is to be tested.
    async fn until_not(&mut self, due: Tested) {
        while self.due() == Some(due) {
            self.changed().await;
        }
    }

    async fn changed(&mut self) {
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
