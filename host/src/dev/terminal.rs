//! What the person sees: a banner once, then one line for each thing that happened.

use std::{
    fmt::Arguments,
    io::Write,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anstyle::{AnsiColor, Style};
use shared::Db;
use tokio::sync::mpsc;

use crate::reload::{Diagnostic, Event, LastReload, Retired};

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const NOTE: Style = AnsiColor::Yellow.on_default();

/// How long a line may wait for the count of connections.
const COUNT_LIMIT: Duration = Duration::from_millis(300);

/// What is said once the app is up.
pub(crate) struct Banner {
    pub(crate) since: Instant,
    pub(crate) address: SocketAddr,
    pub(crate) database: String,
    pub(crate) restarts: u64,
}

/// Prints events until the host ends. Aborted with it.
pub(crate) async fn show(mut events: mpsc::UnboundedReceiver<Event>, db: Db, banner: Banner) {
    let mut banner = Some(banner);
    let mut backend = None;
    while let Some(event) = events.recv().await {
        match event {
            Event::Building { first: true } => line(format_args!("{DIM}building app_lib …{DIM:#}")),
            Event::Building { first: false } | Event::Loading => {}
            Event::BuildFailed {
                diagnostics,
                serving,
            } => {
                diagnostics.iter().for_each(show_diagnostic);
                line(format_args!("{BAD}✗ not built{BAD:#} — {}", still(serving)));
            }
            Event::Refused { why, serving } => line(format_args!(
                "{BAD}✗ not loaded:{BAD:#} {why} — {}",
                still(serving)
            )),
            Event::Unchanged { files, warnings } => {
                warnings.iter().for_each(show_diagnostic);
                line(format_args!(
                    "{DIM}= {}: same result, nothing reloaded{DIM:#}",
                    what(&files)
                ));
            }
            Event::Live { last, warnings } => {
                warnings.iter().for_each(show_diagnostic);
                match banner.take() {
                    Some(banner) => show_banner(&banner, &db, &last),
                    None => show_reload(&last, &connections(&db, &mut backend).await),
                }
            }
            Event::Retired(retired) => show_retired(&retired),
            Event::Restarting { files } => line(format_args!(
                "{NOTE}↻ {}: the host itself has changed; restarting it, the socket stays open{NOTE:#}",
                what(&files)
            )),
        }
    }
}

fn show_banner(banner: &Banner, db: &Db, last: &LastReload) {
    let Banner {
        since,
        address,
        database,
        restarts,
    } = banner;
    let (ready, generation) = (since.elapsed().as_millis(), last.generation);
    if *restarts > 0 {
        // The addresses above are still right: the same process, as far as anybody can see.
        line(format_args!(
            "{GOOD}✓{GOOD:#} gen {BOLD}{generation}{BOLD:#}  restarted in {ready} ms, same pid and socket  {DIM}pg not opened yet  conns 0{DIM:#}"
        ));
        return;
    }
    let pool = db.status();
    print(format_args!(
        "\n  {BOLD}host {version}{BOLD:#}  ready in {ready} ms · generation {generation}\n\n  \
         App       {BOLD}http://{address}/{BOLD:#}\n  \
         Status    http://{address}/__dev/status.json\n  \
         Postgres  {database}\n            connections {size}/{max} (lazy)\n\n  \
         {DIM}edit app_lib/src and save; Ctrl-C ends{DIM:#}\n",
        version = env!("CARGO_PKG_VERSION"),
        size = pool.size,
        max = pool.max,
    ));
}

fn show_reload(last: &LastReload, connections: &str) {
    let LastReload {
        generation,
        files,
        build_ms,
        load_ms,
        swap_ms,
        ..
    } = last;
    line(format_args!(
        "{GOOD}✓{GOOD:#} gen {BOLD}{generation}{BOLD:#}  {}  {DIM}build{DIM:#} {build_ms:.0} ms  {DIM}load{DIM:#} {load_ms:.0} ms  {DIM}swap{DIM:#} {swap_ms:.1} ms  {connections}",
        what(files)
    ));
}

/// The proof on each line: which backend, whether it is the one of the line before, and how many there are.
async fn connections(db: &Db, before: &mut Option<i32>) -> String {
    let status = db.status();
    let Some(pid) = status.backend_pid else {
        return format!("{DIM}pg not opened yet  conns 0{DIM:#}");
    };
    let same = match before.replace(pid) {
        Some(before) if before == pid => " (same)",
        Some(_) => " (new)",
        None => "",
    };
    let count = match tokio::time::timeout(COUNT_LIMIT, db.count_backends()).await {
        Ok(Ok(count)) => count.to_string(),
        Ok(Err(_)) | Err(_) => "?".to_owned(),
    };
    format!("{DIM}pg{DIM:#} {pid}{same}  {DIM}conns{DIM:#} {count}")
}

fn show_retired(retired: &Retired) {
    let Retired {
        id,
        served,
        took,
        late,
        stuck_threads,
    } = retired;
    for request in late {
        line(format_args!(
            "{NOTE}gen {id}: cut off at the drain limit: {request}{NOTE:#}"
        ));
    }
    if *stuck_threads > 0 {
        line(format_args!(
            "{NOTE}gen {id}: {stuck_threads} threads are still inside app code that does not await; they end when it returns{NOTE:#}"
        ));
    }
    // An ordinary retirement takes milliseconds and is no news.
    if *took > Duration::from_millis(500) {
        line(format_args!(
            "{DIM}gen {id} retired after {:.1} s ({served} requests){DIM:#}",
            took.as_secs_f32()
        ));
    }
}

fn show_diagnostic(diagnostic: &Diagnostic) {
    print(format_args!("{}", diagnostic.rendered));
}

fn still(serving: Option<u64>) -> String {
    serving.map_or_else(
        || "nothing to serve yet; save again when it is mended".to_owned(),
        |id| format!("still serving gen {id}"),
    )
}

fn what(files: &[String]) -> String {
    match files {
        [] => "first build".to_owned(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

/// One line with the time before it.
pub(crate) fn line(text: Arguments<'_>) {
    print(format_args!(
        "{DIM}{}{DIM:#}  {text}\n",
        chrono::Local::now().format("%H:%M:%S")
    ));
}

fn print(text: Arguments<'_>) {
    // Colours are stripped where they are not wanted: pipes, NO_COLOR. A closed terminal is no reason to end.
    let mut out = anstream::stdout().lock();
    if let Err(error) = out.write_fmt(text).and_then(|()| out.flush()) {
        tracing::debug!("terminal: {error}");
    }
}
