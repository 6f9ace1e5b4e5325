//! Reloads as an app's own pool sees them: each generation makes a pool from the URL, works, and is shut down in the
//! middle of something while the next one works already. `GENERATIONS=100` makes more than ten of each.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use test_postgres::eventually;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{
    endings::is_as_new,
    stand::{Stand, pid},
};

mod deadpool;
mod diesel;
mod sea_orm;
mod sqlx;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const POOLS: [u32; 3] = [1, 5, 16];
const TASKS: i64 = 16;
const OPERATIONS: usize = 50;

/// Guards against hanging only.
const LIMIT: Duration = Duration::from_secs(60);

/// A pool of connections, as an app holds it. Each operation answers with its own `marker`.
pub(crate) trait Driver: Clone + Send + Sync + 'static {
    fn open(url: &str, size: u32) -> impl Future<Output = Outcome<Self>> + Send;

    fn read(&self, marker: i64) -> impl Future<Output = Outcome<i64>> + Send;

    /// A row of `item`.
    fn write(&self, marker: i64) -> impl Future<Output = Outcome<i64>> + Send;

    /// A row of `item` that is read again before the end.
    fn transaction(&self, marker: i64, commits: bool) -> impl Future<Output = Outcome<i64>> + Send;

    /// Begins this, and never ends it.
    fn begin(&self, midst: Midst, sql: String) -> impl Future<Output = Outcome<()>> + Send;
}

/// In the middle of what a generation ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Midst {
    Statement,
    Transaction,
    Copy,
    Result,
}

impl Midst {
    fn sql(self, number: i64) -> String {
        let sql = match self {
            Self::Statement => "SELECT 1::int8 FROM pg_sleep(600)",
            Self::Transaction => "INSERT INTO item VALUES (-1)",
            Self::Copy => "COPY item FROM STDIN",
            Self::Result => "SELECT generate_series(1, 100000000)::int8",
        };
        format!("{sql} /* the end of {number} */")
    }
}

/// What one task has done.
struct Done {
    marker: i64,
    /// Whether its row is to be in the table. `None`: it has written none.
    stays: Option<bool>,
}

/// An app between two reloads.
struct Generation<D> {
    number: i64,
    runtime: Runtime,
    driver: D,
    done: mpsc::UnboundedReceiver<Outcome<Done>>,
    phase: Arc<AtomicU32>,
}

/// All tasks work.
const FULL: u32 = 0;
/// As many as leave one connection of the pool to others: bb8 is not fair.
const MAKES_WAY: u32 = 1;
/// Whoever works may lose its connection before it is ended itself.
const ENDS: u32 = 2;

impl<D: Driver> Generation<D> {
    async fn begin(number: i64, url: String, size: u32) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let opened = runtime.spawn(async move { D::open(&url, size).await.unwrap() });
        let driver = opened.await.unwrap();
        let (tell, done) = mpsc::unbounded_channel();
        let phase = Arc::new(AtomicU32::new(FULL));
        for task in 0..TASKS {
            let (driver, tell, phase) = (driver.clone(), tell.clone(), phase.clone());
            runtime.spawn(async move {
                for round in 0.. {
                    if phase.load(SeqCst) != FULL && task >= i64::from(size) - 1 {
                        return;
                    }
                    let marker = (number * TASKS + task) * 100_000 + round;
                    let outcome = operate(&driver, marker).await;
                    // Its own connection may end before it does.
                    if phase.load(SeqCst) == ENDS && outcome.is_err() || tell.send(outcome).is_err()
                    {
                        return;
                    }
                }
            });
        }
        Self {
            number,
            runtime,
            driver,
            done,
            phase,
        }
    }

    async fn work(&mut self, all: &mut Vec<Done>) {
        for _ in 0..OPERATIONS {
            let done = tokio::time::timeout(LIMIT, self.done.recv()).await;
            all.push(done.expect("an answer").unwrap().unwrap());
        }
    }

    async fn end(mut self, midst: Midst, watched: &mut Watched, all: &mut Vec<Done>) {
        let sql = midst.sql(self.number);
        let (driver, text) = (self.driver.clone(), sql.clone());
        self.phase.store(MAKES_WAY, SeqCst);
        let phase = self.phase.clone();
        self.runtime.spawn(async move {
            if let Err(error) = driver.begin(midst, text).await
                && phase.load(SeqCst) != ENDS
            {
                panic!("{midst:?}: {error}");
            }
        });
        watched.until_it_runs(&sql).await;
        self.phase.store(ENDS, SeqCst);
        let runtime = self.runtime;
        drop(self.driver);
        let shutdown = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(LIMIT));
        shutdown.await.unwrap();
        while let Some(done) = self.done.recv().await {
            all.push(done.unwrap());
        }
    }
}

async fn operate(driver: &impl Driver, marker: i64) -> Outcome<Done> {
    let (answer, stays) = match marker % 8 {
        0 => (driver.transaction(marker, true).await?, Some(true)),
        4 => (driver.transaction(marker, false).await?, Some(false)),
        1 | 3 | 5 => (driver.write(marker).await?, Some(true)),
        _ => (driver.read(marker).await?, None),
    };
    assert_eq!(answer, marker, "the answer of another operation");
    Ok(Done { marker, stays })
}

/// The backends of the exchange, sampled all the time.
struct Watched {
    query: watch::Receiver<String>,
    samples: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl Watched {
    fn new(stand: &Arc<Stand>, backend: i32) -> Self {
        let (tell, query) = watch::channel(String::new());
        let samples = Arc::<AtomicU32>::default();
        let (stand, count) = (stand.clone(), samples.clone());
        let task = tokio::spawn(async move {
            let sql = "SELECT pid, CASE state WHEN 'idle' THEN '' ELSE query END
                FROM pg_stat_activity WHERE application_name = 'exchange'";
            let sample = stand.observer.prepare(sql).await.unwrap();
            loop {
                let rows = stand.observer.query(&sample, &[]).await.unwrap();
                let pids: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
                assert_eq!(pids, [backend], "one backend, and the same");
                count.fetch_add(1, SeqCst);
                tell.send_replace(rows[0].get(1));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        Self {
            query,
            samples,
            task,
        }
    }

    async fn until_it_runs(&mut self, sql: &str) {
        let runs = self.query.wait_for(|query| query == sql);
        let runs = tokio::time::timeout(LIMIT, runs).await.is_ok();
        assert!(runs, "{sql} does not run, but {:?}", *self.query.borrow());
    }
}

/// Generations of one driver, with pools of each size.
async fn generations<D: Driver>(ends: &[Midst]) {
    let stand = Arc::new(Stand::new().await);
    let first = stand.client().await;
    let backend = pid(&first).await;
    let table = "CREATE TABLE item (marker int8 PRIMARY KEY)";
    first.batch_execute(table).await.unwrap();
    let mut watched = Watched::new(&stand, backend);
    let count = env::var("GENERATIONS").map_or(10, |text| text.parse().unwrap());
    for size in POOLS {
        let mut done = Vec::new();
        let mut generation = Generation::<D>::begin(0, stand.url(), size).await;
        for (number, midst) in (1..=count).zip(ends.iter().cycle()) {
            generation.work(&mut done).await;
            let next = Generation::begin(number, stand.url(), size).await;
            generation.end(*midst, &mut watched, &mut done).await;
            generation = next;
        }
        generation.end(ends[0], &mut watched, &mut done).await;

        eventually("the departure of all but one", async || {
            (stand.exchange.clients().len() == 1).then_some(())
        })
        .await;
        is_as_new(&stand, backend).await;
        let markers = |stays| -> Vec<i64> {
            let done = done.iter().filter(|done| done.stays == Some(stays));
            done.map(|done| done.marker).collect()
        };
        let (stay, gone) = (markers(true), markers(false));
        let sql = "SELECT count(*) FILTER (WHERE marker = ANY($1)), count(*) FILTER (WHERE marker = ANY($2) OR marker < 0)
            FROM item";
        let row = first.query_one(sql, &[&stay, &gone]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), i64::try_from(stay.len()).unwrap());
        assert_eq!(row.get::<_, i64>(1), 0);
        drop(row); // it keeps its statement
        let sql = "SELECT name FROM pg_prepared_statements WHERE statement NOT LIKE '%pg_prepared_statements%'
            UNION ALL SELECT * FROM pg_listening_channels()";
        let left = first.simple_query(sql).await.unwrap();
        assert_eq!(left.len(), 2, "columns and end, but no row: {left:?}");
        first.batch_execute("TRUNCATE item").await.unwrap();
        eprintln!(
            "pool of {size}: {} operations, {} samples",
            done.len(),
            watched.samples.load(SeqCst)
        );
    }
    watched.task.abort();
    assert!(watched.task.await.unwrap_err().is_cancelled());
}
