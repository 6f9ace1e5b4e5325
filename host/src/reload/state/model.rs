//! A property test: any order of saves, failures, migrations and restarts, checked against a simple model of the disk.

use std::collections::VecDeque;

use proptest::{collection::vec, prelude::*, test_runner::TestCaseError};

use super::*;

/// The app on disk. The same variant always compiles to the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum App {
    Good,
    Better,
    DoesNotCompile,
    CannotBeLoaded,
    /// As with `sqlx::query!`.
    CompilesMigrated,
    NeedsMigration,
    NeedsSetting,
}

#[derive(Clone, Copy, Debug)]
enum WorldEvent {
    Save(App),
    /// A file that the app reads at run time.
    Css,
    Migration,
    /// A comment in a migration, which has no effect.
    Comment,
    Settings,
    Rebuild,
    /// The host's sources. If `early`, the host cannot restart until the next migration.
    Host {
        early: bool,
    },
    DiskFull(bool),
}

fn event() -> impl Strategy<Value = WorldEvent> {
    use App::*;
    use WorldEvent::*;
    let app = prop_oneof![
        Just(Good),
        Just(Better),
        Just(DoesNotCompile),
        Just(CannotBeLoaded),
        Just(CompilesMigrated),
        Just(NeedsMigration),
        Just(NeedsSetting),
    ];
    prop_oneof![
        8 => app.prop_map(Save),
        2 => Just(Css),
        2 => Just(Migration),
        2 => Just(Comment),
        1 => Just(Settings),
        1 => Just(Rebuild),
        1 => any::<bool>().prop_map(|early| Host { early }),
        1 => any::<bool>().prop_map(DiskFull),
    ]
}

/// What is on disk and what the loop has done.
#[derive(Debug)]
struct World {
    app: App,
    host: u32,
    migrated: bool,
    set: bool,
    may_restart: bool,
    disk_full: bool,

    /// The version of the host that runs.
    process: u32,
    published: Option<App>,
    live: Option<App>,
    /// Whether what is live is what was published last.
    live_is_published: bool,
    /// The app of the last build, whether it compiled or not.
    built: Option<App>,
    unpublished: bool,
    builds: u32,
    refreshed: u32,
    cancelled: bool,
    /// Saved sources that no finished build contains.
    due: Changes,
}

/// File names tell their class.
fn classified(changes: Changes, inputs_known: bool) -> Classified {
    let mut classified = Classified::default();
    for file in changes {
        match file.to_str().expect("named here") {
            "migration" => classified.schema = true,
            "css" if inputs_known => drop(classified.runtime_files.insert(file)),
            _ => drop(classified.build.insert(file)),
        }
    }
    classified
}

impl World {
    fn apply(&mut self, state: &mut LoopState<App, App>, event: WorldEvent) {
        let file = match event {
            WorldEvent::Save(app) => {
                self.app = app;
                "app"
            }
            WorldEvent::Css => "css",
            WorldEvent::Migration => {
                (self.migrated, self.may_restart) = (true, true);
                "migration"
            }
            WorldEvent::Comment => "migration",
            WorldEvent::Host { early } => {
                self.host += 1;
                self.may_restart = !early;
                "host"
            }
            WorldEvent::DiskFull(full) => return self.disk_full = full,
            WorldEvent::Settings => {
                self.set = true;
                if state.idle_state() == IdleState::Refused {
                    state.saved(Changes::new());
                }
                return;
            }
            WorldEvent::Rebuild => return state.saved(Changes::new()),
        };
        if matches!(file, "app" | "host") {
            self.due.insert(file.into());
        }
        state.saved(Changes::from([file.into()]));
    }

    fn compiles(&self, app: App) -> bool {
        match app {
            App::DoesNotCompile => false,
            App::CompilesMigrated => self.migrated,
            _ => true,
        }
    }

    fn starts(&self, app: App) -> bool {
        match app {
            App::NeedsMigration => self.migrated,
            App::NeedsSetting => self.set,
            _ => true,
        }
    }

    /// Nothing is left to do: the last save is live, or there is a reason why not.
    fn check(&self, idle: IdleState) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.built, Some(self.app), "what is on disk was built");
        let expected = match self.app {
            app if !self.compiles(app) => IdleState::DoesNotCompile,
            App::CannotBeLoaded => IdleState::Refused,
            _ if self.host != self.process => {
                prop_assert!(!self.may_restart);
                IdleState::Refused
            }
            _ if self.unpublished => IdleState::Refused,
            app if self.starts(app) => IdleState::Live,
            _ => IdleState::Refused,
        };
        prop_assert_eq!(&idle, &expected);
        if idle == IdleState::Live {
            prop_assert_eq!(self.live, Some(self.app));
        }
        Ok(())
    }
}

fn run(events: Vec<(WorldEvent, bool)>) -> Result<(), TestCaseError> {
    let mut events = VecDeque::from(events);
    let mut world = World {
        app: App::Good,
        host: 0,
        migrated: false,
        set: false,
        may_restart: true,
        disk_full: false,
        process: 0,
        published: None,
        live: None,
        live_is_published: false,
        built: None,
        unpublished: false,
        builds: 0,
        refreshed: 0,
        cancelled: false,
        due: Changes::new(),
    };
    let mut state = LoopState::new();
    // An event that arrived while the loop was idle: whether it should build, and the counts before it.
    let mut quiet: Option<(WorldEvent, bool, u32, u32)> = None;
    for _ in 0..2000 {
        match state.next(classified) {
            Next::Refresh(_) => world.refreshed += 1,
            Next::Migrate => {}
            Next::Build(request) => {
                world.builds += 1;
                let (app, host) = (world.app, world.host);
                let compiles = world.compiles(app); // what is saved meanwhile is applied later
                let beyond_app = host != world.process;
                prop_assert!(request.changes.is_superset(&world.due));
                let due = take(&mut world.due);
                let mut cancelled = false;
                while !cancelled
                    && let Some((event, _)) = events.pop_front_if(|(_, during)| *during)
                {
                    world.apply(&mut state, event);
                    cancelled = state.may_cancel(beyond_app, classified);
                }
                if cancelled {
                    prop_assert!(!world.cancelled, "of two builds in a row one ends");
                    prop_assert!(!beyond_app);
                    world.cancelled = true;
                    world.due.extend(due);
                    state.build_cancelled(request);
                    continue;
                }
                world.cancelled = false;
                world.built = Some(app);
                match app {
                    _ if !compiles => state.build_failed(),
                    app if host != world.process => state.host_built(app),
                    app => state.built(app),
                }
            }
            Next::Restart(built) => {
                prop_assert_eq!(Some(built), world.built);
                if world.may_restart {
                    state = LoopState::new();
                    world.process = world.host;
                    (world.published, world.live, world.live_is_published) = (None, None, false);
                    world.cancelled = false;
                    world.due.clear();
                }
            }
            Next::Load(app) => {
                prop_assert_eq!(Some(app), world.built);
                world.unpublished = world.disk_full && world.published != Some(app);
                let loaded = match app {
                    _ if world.unpublished => Loaded::NotOpened("disk full".into()),
                    app if world.published == Some(app) => Loaded::Same,
                    App::CannotBeLoaded => Loaded::Refused("not an app".into()),
                    app => Loaded::New(app),
                };
                if !world.unpublished && world.published != Some(app) {
                    (world.published, world.live_is_published) = (Some(app), false);
                }
                if let Verdict::Unchanged(app) = state.loaded(app, loaded) {
                    prop_assert!(world.live_is_published && world.live == Some(app));
                }
            }
            Next::Start { built, entry } => {
                prop_assert_eq!(built, entry);
                prop_assert_eq!(Some(entry), world.built, "old code is never started");
                prop_assert!(!world.live_is_published, "nothing is started twice");
                if world.starts(entry) {
                    (world.live, world.live_is_published) = (Some(entry), true);
                    state.started();
                }
            }
            Next::Wait => {
                world.check(state.idle_state())?;
                if let Some((event, builds, built, refreshed)) = quiet.take() {
                    prop_assert_eq!(world.builds > built, builds, "{:?} builds", event);
                    let css = u32::from(matches!(event, WorldEvent::Css));
                    prop_assert!(builds || refreshed + css == world.refreshed);
                }
                let Some((event, _)) = events.pop_front() else {
                    return Ok(());
                };
                let builds = match event {
                    WorldEvent::Migration if world.host != world.process => None, // a restart may wait for it
                    // If the app does not compile, it may be what is missing.
                    WorldEvent::Comment | WorldEvent::Css | WorldEvent::Migration => {
                        Some(!world.compiles(world.app))
                    }
                    _ => None,
                };
                let now = (world.builds, world.refreshed);
                quiet = builds.map(|builds| (event, builds, now.0, now.1));
                world.apply(&mut state, event);
            }
        }
    }
    Err(TestCaseError::fail("it never comes to rest"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_live_follows_the_disk(events in vec((event(), any::<bool>()), 0..40)) {
        run(events)?;
    }
}
