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
    events::{Event, Phase, Report, RunningTests, TestRun, Testing},
    services::Services,
};

/// Tests that hang are ended. The next save ends them too.
const LIMIT: Duration = Duration::from_mins(10);

/// What is to be tested: the generation, the revision of the files that it reads, and the saves that have changed no
/// code of it, but perhaps a test.
type Tested = (u64, u64, u64);

/// Runs until the host ends and aborts it.
pub(crate) async fn watch(services: Services, state: watch::Sender<Testing>) {
    let mut tests = Tests {
        report: services.report.clone(),
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
            () = superseded.until_not(due) => {}
        }
        tests.state.send_modify(|state| state.running = None);
    }
}

struct Tests {
    services: Services,
    report: watch::Receiver<Report>,
    switch: watch::Receiver<bool>,
    state: watch::Sender<Testing>,
    /// What was tested last, or begun to be.
    tested: Option<Tested>,
}

/// What decides whether a run goes on.
struct Watches {
    report: watch::Receiver<Report>,
    switch: watch::Receiver<bool>,
}

impl Tests {
    async fn until_due(&mut self) -> Tested {
        loop {
            self.note_switch();
            let live = live(&self.report.borrow_and_update());
            if let Some(live) = live.filter(|live| Some(*live) != self.tested)
                && *self.switch.borrow()
            {
                return live;
            }
            let ended = tokio::select! {
                changed = self.report.changed() => changed.is_err(),
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
            switch: self.switch.clone(),
        }
    }

    async fn run(&self, generation: u64) -> TestRun {
        let since = Instant::now();
        let show = |results: &Results| {
            let (done, total) = (results.done(), results.total);
            let running = Some(RunningTests {
                generation,
                done,
                total,
            });
            self.state.send_if_modified(|state| {
                let changed = state.running != running;
                state.running = running;
                changed
            });
        };
        let mut results = Results::default();
        show(&results);
        self.services.events.emit(Event::Testing { generation });
        let last = self.services.report.borrow().last_reload.clone();
        let files = last.map(|last| last.files).unwrap_or_default();
        let mut errors = Vec::new();
        let running = async {
            for package in packages::in_order(&self.services.project, &files) {
                if let Err(error) = run(&package, &mut results, show).await {
                    errors.push(error);
                }
            }
        };
        if tokio::time::timeout(LIMIT, running).await.is_err() {
            errors.push(format!(
                "the tests were ended after {} minutes",
                LIMIT.as_secs() / 60
            ));
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
        let goes_on = |report: &Report| live(report) == Some(due);
        // They end only with the host.
        tokio::select! {
            _ = self.report.wait_for(|report| !goes_on(report)) => {}
            _ = self.switch.wait_for(|on| !on) => {}
        }
    }
}

/// The newest save, once it is live.
fn live(report: &Report) -> Option<Tested> {
    let last = report.last_reload.as_ref()?;
    let is_live = report.phase == Phase::Active;
    is_live.then_some((
        last.generation,
        report.files.revision,
        report.reloads.unchanged,
    ))
}
