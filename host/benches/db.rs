//! Reads per second of the one shared connection, beside pools of one and of sixteen that are checked out.
//!
//! `just bench-db`. All of it in one run, in turns, so that a busy machine is unfair to all alike; medians of the
//! rounds, and ratios. Once on the socket, once with 3 ms put in between, once with a transaction in each ten.

use std::{
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use deadpool_postgres::Pool;
use futures_util::{FutureExt, future::BoxFuture};
use shared::{
    BoxError, Db,
    db::{DatabaseUrl, DbConfig, create_pool},
    env::{Env, Variables},
};
use shared_cluster::{Cluster, Place};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(400);
const CONCURRENT: [usize; 3] = [1, 16, 64];
const ONE_WAY: Duration = Duration::from_micros(1_500);
const READ: &str = "SELECT $1::int8";

/// One of the three.
#[derive(Clone)]
enum Way {
    CheckedOut(Pool),
    Shared(Db),
}

impl Way {
    async fn read(&self, n: i64) -> Result<(), BoxError> {
        let row = match self {
            Self::CheckedOut(pool) => {
                let client = pool.get().await?;
                client
                    .query_one(&client.prepare_cached(READ).await?, &[&n])
                    .await?
            }
            Self::Shared(db) => db.query_one(READ, &[&n]).await?,
        };
        assert_eq!(row.get::<_, i64>(0), n, "the answer of another statement");
        Ok(())
    }

    async fn transaction(&self, n: i64) -> Result<(), BoxError> {
        match self {
            Self::CheckedOut(pool) => {
                let mut client = pool.get().await?;
                let tx = client.transaction().await?;
                tx.query_one(&tx.prepare_cached(READ).await?, &[&n]).await?;
                Ok(tx.commit().await?)
            }
            Self::Shared(db) => Ok(db
                .transaction(|tx| async move { tx.query_one(READ, &[&n]).await.map(drop) }.boxed())
                .await?),
        }
    }
}

/// Operations per second of this many tasks, each of which waits for its answer. Every `each`th is a transaction, if
/// any.
async fn rate(way: &Way, concurrent: usize, each: Option<u64>) -> Result<f64, BoxError> {
    let (done, over) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    way.read(0).await?; // opened and prepared before the clock starts
    let workers: Vec<_> = (0..concurrent)
        .map(|_| {
            let (way, done, over) = (way.clone(), done.clone(), over.clone());
            tokio::spawn(async move {
                while !over.load(Relaxed) {
                    let n = done.fetch_add(1, Relaxed);
                    let number = n.cast_signed();
                    match each {
                        Some(each) if n % each == 0 => way.transaction(number).await?,
                        _ => way.read(number).await?,
                    }
                }
                Ok::<_, BoxError>(())
            })
        })
        .collect();
    let (since, before) = (Instant::now(), done.load(Relaxed));
    tokio::time::sleep(ROUND).await;
    let rate = (done.load(Relaxed) - before) as f64 / since.elapsed().as_secs_f64();
    over.store(true, Relaxed);
    for worker in workers {
        worker.await??;
    }
    Ok(rate)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A table of medians; returns the ratios of sharing to the pools of one and of sixteen, by concurrency.
async fn table(
    out: &mut impl Write,
    title: &str,
    ways: &[(&str, Way); 3],
    each: Option<u64>,
) -> Result<Vec<(usize, f64, f64)>, BoxError> {
    writeln!(out, "\n{title}\n")?;
    writeln!(
        out,
        "| concurrent | {} | {} | {} | to one | to sixteen |\n|--:|--:|--:|--:|--:|--:|",
        ways[0].0, ways[1].0, ways[2].0
    )?;
    let mut ratios = Vec::new();
    for concurrent in CONCURRENT {
        let mut rates = [const { Vec::new() }; 3];
        for _ in 0..ROUNDS {
            for ((_, way), rates) in ways.iter().zip(&mut rates) {
                rates.push(rate(way, concurrent, each).await?);
            }
        }
        let [one, sixteen, shared] = rates.map(median);
        writeln!(
            out,
            "| {concurrent} | {one:.0}/s | {sixteen:.0}/s | {shared:.0}/s | {:.2} | {:.2} |",
            shared / one,
            shared / sixteen
        )?;
        ratios.push((concurrent, shared / one, shared / sixteen));
    }
    Ok(ratios)
}

fn ways(env: &Env, url: &DatabaseUrl) -> [(&'static str, Way); 3] {
    let config = |max_connections| DbConfig {
        max_connections,
        ..env.db_config(url.clone(), "bench".into())
    };
    [
        ("pool of 1", Way::CheckedOut(create_pool(&config(1)))),
        ("pool of 16", Way::CheckedOut(create_pool(&config(16)))),
        ("1 shared", Way::Shared(Db::new(&config(1)))),
    ]
}

/// A place that leads to the socket, with a delay each way. What is sent back to back arrives so.
async fn far_away(socket: std::path::PathBuf) -> std::io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let socket = socket.clone();
            tokio::spawn(async move {
                let far = UnixStream::connect(socket).await?;
                near.set_nodelay(true)?;
                pass_on(near, far).await;
                Ok::<_, std::io::Error>(())
            });
        }
    });
    Ok(port)
}

async fn pass_on(near: TcpStream, far: UnixStream) {
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    tokio::join!(delayed(near_in, far_out), delayed(far_in, near_out));
}

fn delayed<'a>(
    mut from: impl AsyncReadExt + Unpin + Send + 'a,
    mut to: impl AsyncWriteExt + Unpin + Send + 'a,
) -> BoxFuture<'a, ()> {
    let (sender, mut chunks) = tokio::sync::mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let reading = async move {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            if sender
                .send((Instant::now() + ONE_WAY, buffer[..read].to_vec()))
                .is_err()
            {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((due, chunk)) = chunks.recv().await {
            tokio::time::sleep_until(due.into()).await;
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
    };
    async move {
        tokio::join!(reading, writing);
    }
    .boxed()
}

fn main() -> Result<(), BoxError> {
    let root = tempfile::tempdir()?;
    // From the main thread, which the server's life is tied to.
    let mut cluster = Cluster::of(Place::new(root.path(), "postgres"))?;
    let env = Env::read(&Variables::default())?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(cluster.start(&mut |_| {}))?;
    let reached = runtime.block_on(bench(&env, &cluster.url(), root.path()))?;
    drop(runtime); // its connections end before the server does
    drop(cluster);
    if reached {
        Ok(())
    } else {
        Err("not reached".into())
    }
}

async fn bench(env: &Env, url: &DatabaseUrl, root: &Path) -> Result<bool, BoxError> {
    let mut out = std::io::stdout();
    let near = ways(env, url);
    let socket = table(&mut out, "On the socket, reads:", &near, None).await?;
    table(
        &mut out,
        "On the socket, one transaction in ten:",
        &near,
        Some(10),
    )
    .await?;
    let folder = root.join(".dev/postgres/socket");
    let port = far_away(folder.join(".s.PGSQL.5432")).await?;
    let url = DatabaseUrl::parse(&format!("postgres://postgres@127.0.0.1:{port}/postgres"))?;
    table(&mut out, "3 ms away, reads:", &ways(env, &url), None).await?;

    let mut all = true;
    writeln!(out)?;
    for (concurrent, to_one, to_sixteen) in socket {
        let (wanted, reached) = match concurrent {
            1 => ("at 1 not below 0.95 of the pool of one", to_one >= 0.95),
            16 => (
                "at 16 five times the pool of one, and not below the pool of sixteen",
                to_one >= 5.0 && to_sixteen >= 1.0,
            ),
            _ => continue,
        };
        writeln!(out, "{} {wanted}", if reached { "✓" } else { "✗" })?;
        all &= reached;
    }
    Ok(all)
}
