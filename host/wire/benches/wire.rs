//! What the exchange costs and gains: the same drivers at the server's own socket and through the exchange.
//!
//! `just bench-wire`, or with names: `just bench-wire sqlx state.db`. All of it in one run, in turns, so that a busy machine is unfair to all alike; medians of the
//! rounds, and ratios. The exchange has a runtime of its own, as in the host; `state.db` has its connection there with
//! and without it.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on has failed"
)]

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use deadpool_postgres::{Manager, Pool};
use shared_db::{Db, DbConfig};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::runtime::{Handle, Runtime};
use tokio_postgres::NoTls;

#[path = "../tests/it/stand.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod stand;

use stand::Stand;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(200);
const READ: &str = "SELECT $1::int8";

#[derive(Clone)]
enum Way {
    TokioPostgres(Pool),
    Sqlx(PgPool),
    Db(Db),
}

impl Way {
    fn tokio_postgres(url: &str, size: usize) -> Self {
        let manager = Manager::new(url.parse().unwrap(), NoTls);
        Self::TokioPostgres(Pool::builder(manager).max_size(size).build().unwrap())
    }

    /// With its defaults, which ask the server whether it is there before each use.
    fn sqlx(url: &str, size: usize) -> Self {
        let options = PgPoolOptions::new().max_connections(size.try_into().unwrap());
        Self::Sqlx(options.connect_lazy(url).unwrap())
    }

    async fn read(&self, n: i64) -> Outcome<()> {
        let answer: i64 = match self {
            Self::TokioPostgres(pool) => {
                let client = pool.get().await?;
                let read = client.prepare_cached(READ).await?;
                client.query_one(&read, &[&n]).await?.get(0)
            }
            Self::Sqlx(pool) => sqlx::query_scalar(READ).bind(n).fetch_one(pool).await?,
            Self::Db(db) => db.query_one(READ, &[&n]).await?.get(0),
        };
        assert_eq!(answer, n, "the answer of another statement");
        Ok(())
    }
}

/// Reads per second of this many tasks, each of which waits for its answer.
async fn rate(way: &Way, tasks: usize) -> Outcome<f64> {
    let done = Arc::<AtomicU64>::default();
    let over = Arc::<AtomicBool>::default();
    let workers: Vec<_> = (0..tasks)
        .map(|_| {
            let (way, done, over) = (way.clone(), done.clone(), over.clone());
            tokio::spawn(async move {
                while !over.load(Relaxed) {
                    way.read(done.fetch_add(1, Relaxed).cast_signed()).await?;
                }
                Outcome::Ok(())
            })
        })
        .collect();
    tokio::time::sleep(ROUND / 4).await; // all connections are open
    let (since, before) = (Instant::now(), done.load(Relaxed));
    tokio::time::sleep(ROUND).await;
    let rate = (done.load(Relaxed) - before) as f64 / since.elapsed().as_secs_f64();
    over.store(true, Relaxed);
    for worker in workers {
        worker.await??;
    }
    Ok(rate)
}

/// The medians of these ways, in turns.
async fn medians<const N: usize>(ways: [&Way; N], tasks: usize) -> Outcome<[f64; N]> {
    let mut rates = [const { Vec::new() }; N];
    for _ in 0..ROUNDS {
        for (way, rates) in ways.iter().zip(&mut rates) {
            rates.push(rate(way, tasks).await?);
        }
    }
    Ok(rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    }))
}

fn verdict(out: &mut impl Write, wanted: &str, reached: bool) -> Outcome<bool> {
    writeln!(out, "{} {wanted}", if reached { "✓" } else { "✗" })?;
    Ok(reached)
}

type Make = fn(&str, usize) -> Way;

/// Returns whether all is as fast as it should be.
async fn driver(name: &str, make: Make, stand: &Stand) -> Outcome<bool> {
    let mut out = std::io::stdout();
    let head = "| tasks | pool | direct, one | direct, the pool | through | to one | to the pool |";
    writeln!(
        out,
        "\n{name}, reads per second:\n\n{head}\n|--:|--:|--:|--:|--:|--:|--:|"
    )?;
    let (direct, url) = (stand.server.url(), stand.url());
    let mut all = true;
    for (tasks, size) in [
        (1, 1),
        (16, 1),
        (16, 5),
        (16, 16),
        (64, 1),
        (64, 5),
        (64, 16),
    ] {
        let [one, pool, through] = [make(&direct, 1), make(&direct, size), make(&url, size)];
        let [one, pool, through] = medians([&one, &pool, &through], tasks).await?;
        let to_one = through / one;
        writeln!(
            out,
            "| {tasks} | {size} | {one:.0} | {pool:.0} | {through:.0} | {to_one:.2} | {:.2} |",
            through / pool
        )?;
        all &= match (tasks, size) {
            (1, 1) => verdict(
                &mut out,
                "at most 1.6 times the latency",
                to_one * 1.6 >= 1.0,
            )?,
            (16, 16) => verdict(&mut out, "1.2 times one connection", to_one >= 1.2)?,
            _ => true,
        };
    }
    Ok(all)
}

async fn db(stand: &Stand, host: &Handle) -> Outcome<bool> {
    let mut out = std::io::stdout();
    writeln!(
        out,
        "\nstate.db, reads per second:\n\n| tasks | direct | through | ratio |\n|--:|--:|--:|--:|"
    )?;
    let direct = DbConfig {
        runtime: host.clone(),
        ..stand.server.config()
    };
    let (direct, through) = (Way::Db(Db::new(&direct)), Way::Db(stand.db.clone()));
    let mut all = true;
    for tasks in [1, 16, 64] {
        let [direct, through] = medians([&direct, &through], tasks).await?;
        let ratio = through / direct;
        writeln!(out, "| {tasks} | {direct:.0} | {through:.0} | {ratio:.2} |")?;
        if tasks == 16 {
            all &= verdict(&mut out, "loses at most 15 %", ratio >= 0.85)?;
        }
    }
    Ok(all)
}

fn main() -> Outcome<()> {
    let (host, app) = (Runtime::new()?, Runtime::new()?);
    let stand = host.block_on(Stand::new());
    let names: Vec<String> = std::env::args().skip(1).collect();
    let names: Vec<&str> = (names.iter().map(String::as_str))
        .filter(|name| !name.starts_with("--"))
        .collect();
    let wanted = |name: &str| names.is_empty() || names.contains(&name);
    let reached = app.block_on(async {
        let mut all = !wanted("state.db") || db(&stand, host.handle()).await?;
        let drivers: [(&str, Make); 2] =
            [("tokio-postgres", Way::tokio_postgres), ("sqlx", Way::sqlx)];
        for (name, make) in drivers.into_iter().filter(|(name, _)| wanted(name)) {
            all &= driver(name, make, &stand).await?;
        }
        Outcome::Ok(all)
    })?;
    drop(app); // its connections end before the server does
    match reached {
        true => Ok(()),
        false => Err("not as fast as it should be".into()),
    }
}
