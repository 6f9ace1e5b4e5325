//! The line for each event that needs nothing but itself.

use super::{BAD, DIM, GOOD, NOTE};
use crate::{
    events::{BrowserError, Cause, Event, TestRun, Trouble},
    logs::Origin,
};

/// `None`: the event has no line, or one that depends on more than the event.
pub(super) fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::DatabaseSlow { what } => format!("{what} …"),
        Event::WaitingForLock { of } => format!("waiting for a lock of {of}"),
        Event::Dropped { place } => format!("dropped everything in {place}"),
        Event::Migrated { migration } => format!("migrated {migration}"),
        Event::MigrationFailed { message } => format!("✗ {message}"),
        Event::MigrationsPending { migrations } => format!(
            "pending: {}; press m, use the button on the page, or run `cargo host migrate`",
            migrations.join(", ")
        ),
        Event::MigrationIgnored { file, why } => {
            format!("{NOTE}! {file} is not applied: it {why}{NOTE:#}")
        }
        Event::MigrationsUpToDate => "Migrations up to date".to_owned(),
        Event::NothingPending => "no pending migrations".to_owned(),
        Event::CannotMigrate { message } => format!("✗ cannot migrate: {message}"),
        Event::ClusterRestarted { data_lost: true } => {
            "✗ the data of the private PostgreSQL was deleted and is lost; a new, empty cluster runs now"
                .to_owned()
        }
        Event::ClusterRestarted { data_lost: false } => {
            "PostgreSQL stopped unexpectedly and was restarted".to_owned()
        }
        Event::BranchDatabase { branch, from, copied, took } => match (from, copied) {
            (Some(from), true) => format!("branch {branch}: its database is a copy of that of {from}, made in {} ms", took.as_millis()),
            (Some(_), false) => format!("branch {branch}: its database is in use again"),
            (None, _) => format!("branch {branch}: the database belongs to it from now on; other branches get copies"),
        },
        Event::SnapshotMade { name } => format!("snapshot {name} is made; get it back with `cargo host db-restore {name}`"),
        Event::SnapshotRestored { name } => format!("the database is as in snapshot {name}"),
        Event::Seeded { file } => format!("seeded {file}"),
        Event::SeedFailed { message } => format!("✗ {message}\n          correct it, and fill the database with `cargo host db-reset`"),
        Event::NoPlainRole { message } => format!("✗ no role for the app: {message}"),
        Event::PoolReplaced => {
            "connection pool replaced; the next query opens a connection".to_owned()
        }
        Event::PoolIsOfTheApp => {
            "the app owns the pools in this mode; save to get a new one".to_owned()
        }
        Event::NoPool => "no connection pool: HOST_DATABASE is none".to_owned(),
        Event::PoolNotReplaced { message } => {
            format!("✗ connection pool not replaced: {message}")
        }
        Event::PoolMoved { url } => {
            format!(".env: connection pool replaced; the next query connects to {url}")
        }
        Event::SettingsUnread { message } => message.clone(),
        Event::SettingsRefused { message } => format!(
            "✗ .env: {message}\n          keeping the previous settings; correct .env and save it"
        ),
        Event::SettingsAccepted => format!("{GOOD}✓{GOOD:#} .env: the settings are in effect"),
        Event::SettingsNeedRestart { names } => {
            let takes = if names.len() == 1 { "takes" } else { "take" };
            format!(".env: {} {takes} effect when you restart the host", names.join(", "))
        }
        Event::Testing { generation } => format!("{DIM}testing generation {generation} …{DIM:#}"),
        Event::Tested(run) => tested(run),
        Event::TestsSwitched { on: true } => "tests run after each save; press t to stop that".to_owned(),
        Event::TestsSwitched { on: false } => "tests no longer run after each save".to_owned(),
        Event::NotYielding { .. } => return not_yielding(event),
        Event::Unreloadable { path, because } => format!(
            "{NOTE}! {path} does not reload by itself: `{because}` keeps the dev server's script out{NOTE:#}"
        ),
        Event::BrowserError(error) => in_a_browser(error),
        Event::CutOff { request } => format!("cut off at the drain limit: {request}"),
        Event::ConnectionsCutOff { connections, after } => format!(
            "{connections} connections cut off after {} ms (DRAIN_TIMEOUT_MS)",
            after.as_millis()
        ),
        Event::NotAnnounced { message } => {
            format!("✗ .dev was deleted and cannot be made again: {message}")
        }
        Event::CannotRestart { message } => format!("✗ cannot restart: {message}"),
        Event::Stopping { signal } => {
            format!("{signal}: finishing open requests; repeat it to stop now")
        }
        Event::Stopped { signal } => format!("{signal}: stopped"),
        Event::Outage {
            trouble: Some(trouble),
        } => outage(trouble),
        _ => return None,
    })
}

/// How many failures are shown; all of them are on the dashboard.
const SHOWN_FAILURES: usize = 3;

fn tested(run: &TestRun) -> String {
    let seconds = run.took_ms / 1e3;
    let words = format!("{} in {seconds:.1} s", run.words);
    if run.succeeded {
        return format!("{GOOD}✓{GOOD:#} tests: {words}");
    }
    let mut text = format!("{BAD}✗ tests: {words}{BAD:#}");
    let indented = |text: &str| text.trim().replace('\n', "\n          ");
    for test in run.failed.iter().take(SHOWN_FAILURES) {
        // With RUST_BACKTRACE, the calls are on the dashboard.
        let said = test.output.split("\nstack backtrace:").next();
        let (name, said) = (&test.name, indented(said.unwrap_or_default()));
        text += &format!("\n          {BAD}{name}{BAD:#}\n          {said}");
    }
    if run.failed.len() > SHOWN_FAILURES {
        text += &format!("\n          and {} more", run.failed.len() - SHOWN_FAILURES);
    }
    if let Some(error) = &run.error {
        text += &format!("\n          {}", indented(error));
    }
    text
}

fn in_a_browser(error: &BrowserError) -> String {
    let BrowserError { path, message, .. } = error;
    let more = match error.left_out {
        0 => String::new(),
        more => format!("  and {more} before it; the browser's console has them"),
    };
    let place = error.place().map(|place| format!("  {place}"));
    let origin = Origin {
        generation: error.generation,
        request: error.request,
    };
    format!(
        "{BAD}browser{BAD:#}  {path}  {message}{}{more}  {DIM}{}{DIM:#}",
        place.unwrap_or_default(),
        origin.shown()
    )
}

fn outage(trouble: &Trouble) -> String {
    let Trouble { what, remedy, .. } = trouble;
    let (tone, sign) = match trouble.cause {
        Cause::Database => (BAD, "✗"),
        _ => (NOTE, "…"),
    };
    format!("{tone}{sign} {what}{tone:#}\n          {remedy}")
}

fn not_yielding(event: &Event) -> Option<String> {
    let Event::NotYielding {
        generation,
        request,
        handler,
        since,
        taken,
        threads,
        cpu_percent,
    } = event
    else {
        return None;
    };
    let handler = handler
        .as_ref()
        .map_or_else(String::new, |path| format!(" ({path})"));
    let rest = if taken >= threads {
        "other requests of this generation wait until one of them is done"
    } else {
        "await in its loop, or move it to tokio::task::spawn_blocking"
    };
    Some(format!(
        "gen {generation}: {request}{handler} runs without an await for {:.1} s and takes {taken} of {threads} threads ({cpu_percent} % CPU): {rest}",
        since.as_secs_f32(),
    ))
}
