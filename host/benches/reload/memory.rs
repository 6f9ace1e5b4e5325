//! What many reloads leave behind: memory, threads, and requests that failed meanwhile (none may).
//!
//! A generation's code stays mapped, and what the loader has written to in it is memory of this process alone: its
//! relocated and writable sections, which `readelf` tells, are what a reload must cost. Counted while nothing runs.

use std::{fs, net::SocketAddr, path::Path, process::Command, time::Duration};

use shared::BoxError;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    app::{App, EMPTY, Kind},
    client::Connection,
    report::{Report, Spread, progress},
    save::Host,
};

/// Reloads before the first count: what is made once, has been made then.
const WARM_UP: usize = 5;

/// tokio ends a thread for blocking work after ten seconds without any, and the host looks at what drains before.
const REST: Duration = Duration::from_secs(12);

/// Between two requests of one client. Without it the compiler would have half a machine.
const PAUSE: Duration = Duration::from_millis(2);

/// The host's memory and threads, at rest.
struct Standing {
    anonymous_kib: f64,
    private_dirty_kib: f64,
    threads: f64,
}

/// Reloads this many times under requests.
pub(crate) async fn run(
    app: &mut App,
    host: &mut Host,
    reloads: usize,
    report: &mut Report,
) -> Result<(), BoxError> {
    eprintln!("{} app, {reloads} reloads: getting ready", app.name);
    host.start(app).await?;
    for round in 1..=WARM_UP {
        host.reload(&app.edit(Kind::Literal, round)?).await?;
    }
    let pid = host.pid()?;
    let before = standing(pid).await?;
    let (clients, stop) = hammer(host.address()?, app.query);
    let mut swaps = Vec::new();
    for round in 1..=reloads {
        progress(&format!("{} app, reload {round}/{reloads}", app.name));
        let live = host
            .reload(&app.edit(Kind::Literal, WARM_UP + round)?)
            .await?;
        let swap = live["swap_ms"].as_f64().ok_or("`live` has swap_ms")?;
        tell(report, app.name, round, "swap", swap);
        swaps.push(swap);
    }
    progress("");
    drop(stop);
    let Hammered { answered, failed } = clients.await?;
    if host.pid()? != pid {
        return Err("the host is another process now".into());
    }
    let after = standing(pid).await?;
    let sections = sections(&host.root.join("target/hot/libapp_lib.so"))?;
    let per_reload = |of: fn(&Standing) -> f64| (of(&after) - of(&before)) / reloads as f64;
    let (anonymous, dirty) = (
        per_reload(|standing| standing.anonymous_kib),
        per_reload(|standing| standing.private_dirty_kib),
    );
    let swap = Spread::of(swaps);

    report.line(&format!(
        "\n{reloads} reloads of the {} app under requests\n\n| | |\n|--|--:|",
        app.name
    ))?;
    for (what, value, digits) in [
        ("requests answered", answered as f64, 0),
        ("requests failed", failed.len() as f64, 0),
        ("swap, median, ms", swap.median, 3),
        ("swap, 99th percentile, ms", swap.p99, 3),
        ("swap, most, ms", swap.most, 3),
        ("anonymous memory before, KiB", before.anonymous_kib, 0),
        ("anonymous memory after, KiB", after.anonymous_kib, 0),
        ("anonymous memory per reload, KiB", anonymous, 1),
        ("private dirty memory per reload, KiB", dirty, 1),
        ("relocated and writable sections, KiB", sections, 1),
        ("threads before", before.threads, 0),
        ("threads after", after.threads, 0),
    ] {
        report.line(&format!("| {what} | {value:.digits$} |"))?;
        tell(report, app.name, 0, &what.replace(',', ""), value);
    }
    report.line("")?;
    for failure in failed.iter().take(3) {
        report.line(&format!("failed: {failure}"))?;
    }
    report.target(failed.is_empty(), true, "no request failed")?;
    let text = format!("swap {:.3} ms at the 99th percentile, target ≤ 3", swap.p99);
    report.target(swap.p99 <= 3.0, true, &text)?;
    let most = sections + 40.0;
    let text = format!(
        "{anonymous:.1} KiB of anonymous memory per reload, target ≤ {most:.1}: sections and 40"
    );
    report.target(anonymous <= most, true, &text)?;
    let text = format!("{} threads after, {} before", after.threads, before.threads);
    report.target(after.threads <= before.threads, true, &text)
}

fn tell(report: &mut Report, app: &str, round: usize, what: &str, value: f64) {
    let (round, value) = (round.to_string(), value.to_string());
    report.csv(&["memory", app, "literal", &round, "host", what, &value]);
}

/// What came of the requests.
struct Hammered {
    answered: u64,
    failed: Vec<String>,
}

/// Asks for an empty and for a querying answer, on a connection that is kept and on a new one, until the other end of
/// the sender is dropped.
fn hammer(address: SocketAddr, query: &'static str) -> (JoinHandle<Hammered>, oneshot::Sender<()>) {
    let (stop, mut stopped) = oneshot::channel();
    let clients = tokio::spawn(async move {
        let (mut answered, mut failed) = (0, Vec::new());
        let mut kept = None;
        while let Err(oneshot::error::TryRecvError::Empty) = stopped.try_recv() {
            for path in [EMPTY, query] {
                for answer in [
                    ask(address, &mut kept, path).await,
                    ask(address, &mut None, path).await,
                ] {
                    match answer {
                        Ok(()) => answered += 1,
                        Err(error) => failed.push(error.to_string()),
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        Hammered { answered, failed }
    });
    (clients, stop)
}

async fn ask(
    address: SocketAddr,
    connection: &mut Option<Connection>,
    path: &str,
) -> Result<(), BoxError> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => Connection::open(address).await?,
    };
    open.get_ok(path).await?;
    *connection = Some(open);
    Ok(())
}

async fn standing(pid: u32) -> Result<Standing, BoxError> {
    tokio::time::sleep(REST).await;
    let (memory, status) = (
        fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?,
        fs::read_to_string(format!("/proc/{pid}/status"))?,
    );
    let of = |text: &str, name: &str| -> Result<f64, BoxError> {
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        let number = value.and_then(|value| value.split_whitespace().next());
        Ok(number
            .ok_or_else(|| format!("/proc says no {name}"))?
            .parse()?)
    };
    Ok(Standing {
        anonymous_kib: of(&memory, "Anonymous:")?,
        private_dirty_kib: of(&memory, "Private_Dirty:")?,
        threads: of(&status, "Threads:")?,
    })
}

/// What of a library the loader or the program writes to, in KiB: all sections with the flag W. Of thread-locals the
/// zeroed part is not in the image, but in each thread that uses them.
fn sections(library: &Path) -> Result<f64, BoxError> {
    let output = Command::new("readelf")
        .args(["--sections", "--wide"])
        .arg(library)
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| format!("readelf, of binutils: {error}"))?;
    let text = String::from_utf8(output.stdout)?;
    let mut bytes = 0;
    for line in text.lines() {
        // `[Nr] Name Type Address Off Size ES Flg …`
        let Some((_, section)) = line.split_once("] ") else {
            continue;
        };
        if let [name, _, _, _, size, _, flags, ..] =
            section.split_whitespace().collect::<Vec<_>>()[..]
            && flags.contains('W')
            && name != ".tbss"
        {
            bytes += u64::from_str_radix(size, 16)?;
        }
    }
    if bytes == 0 {
        return Err(format!("readelf knows no sections of {}", library.display()).into());
    }
    Ok(bytes as f64 / 1024.0)
}
