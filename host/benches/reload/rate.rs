//! Requests per second through the host, beside the same code linked statically in the same profile, and beside a host that
//! records nothing of what requests do.
//!
//! In turns, several rounds, from this process, on connections that are kept. Server and client share the processors,
//! so the numbers are small, and the ratio is what counts.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use shared::BoxError;

use crate::{
    app::{App, EMPTY},
    client::Connection,
    report::{Report, Spread, median},
    save::{Host, Watcher},
};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
const WARM_UP: Duration = Duration::from_millis(300);
const CONCURRENT: usize = 16;

/// What traces must leave of the requests that make a query.
const TRACED: f64 = 0.90;

/// Loads each, a handler that does nothing and one that makes a query.
pub(crate) async fn run(
    app: &App,
    [host, untraced]: [&mut Host; 2],
    linked: &mut Watcher,
    report: &mut Report,
) -> Result<(), BoxError> {
    eprintln!("{} app, requests per second: getting ready", app.name);
    host.start(app).await?;
    untraced.start(app).await?;
    linked.start(app).await?;
    let sides = [
        ("dev", host.address()?),
        ("untraced", untraced.address()?),
        ("static", linked.address),
    ];
    report.line(&format!(
        "\nRequests per second, {} app, {CONCURRENT} at once, {ROUNDS} rounds of {} s: least · median · most.\n\n\
         | handler | dev | dev, `HOST_TRACES=0` | static | to untraced | to static |\n|--|--:|--:|--:|--:|--:|",
        app.name,
        ROUND.as_secs()
    ))?;
    let mut targets = Vec::new();
    for (handler, path, least) in [("empty", EMPTY, 0.70), ("querying", app.query, 0.90)] {
        let mut rates = [const { Vec::new() }; 3];
        for round in 1..=ROUNDS {
            for ((side, address), rates) in sides.into_iter().zip(&mut rates) {
                let rate = rate(address, path).await?;
                report.csv(&[
                    "rate",
                    app.name,
                    handler,
                    &round.to_string(),
                    side,
                    "requests/s",
                    &format!("{rate:.0}"),
                ]);
                rates.push(rate);
            }
        }
        let [to_untraced, to_static] = [1, 2].map(|of| median(&rates[0]) / median(&rates[of]));
        let [dev, untraced, linked] = rates.map(Spread::of);
        report.line(&format!(
            "| {handler} | {dev} | {untraced} | {linked} | {to_untraced:.2} | {to_static:.2} |"
        ))?;
        targets.push((handler, "static", to_static, least));
        if handler == "querying" {
            targets.push((handler, "what it is without traces", to_untraced, TRACED));
        }
    }
    report.line("")?;
    for (handler, of, ratio, least) in targets {
        let text = format!(
            "{} app, {handler} handler: {ratio:.2} of {of}, target ≥ {least:.2}",
            app.name
        );
        report.target(ratio >= least, true, &text)?;
    }
    Ok(())
}

/// Good answers per second; any other is an error.
async fn rate(address: SocketAddr, path: &'static str) -> Result<f64, BoxError> {
    let (done, over) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let workers: Vec<_> = (0..CONCURRENT)
        .map(|_| {
            let (done, over) = (done.clone(), over.clone());
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await?;
                while !over.load(Relaxed) {
                    connection.get_ok(path).await?;
                    done.fetch_add(1, Relaxed);
                }
                Ok::<_, BoxError>(())
            })
        })
        .collect();
    tokio::time::sleep(WARM_UP).await;
    let (since, before) = (Instant::now(), done.load(Relaxed));
    tokio::time::sleep(ROUND).await;
    let rate = (done.load(Relaxed) - before) as f64 / since.elapsed().as_secs_f64();
    over.store(true, Relaxed);
    for worker in workers {
        worker.await??;
    }
    Ok(rate)
}
