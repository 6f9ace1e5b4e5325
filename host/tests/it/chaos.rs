//! Everything at once, on the one connection: reads, writes, transactions, clients that go away, DDL, killed backends
//! and swaps. Every answer carries the marker of its own request.
//!
//! `CHAOS_ROUNDS=2000 cargo test chaos` goes on for a minute and more.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use crate::support::{Host, eventually, lab};

const CLIENTS: usize = 64;

const LAB: &str = r#"Router::new()
    .route("/read/{m}", get(async |State(app): State<AppState>, Path(m): Path<String>| told(&m,
        app.db.query_one("SELECT $1::text, (SELECT count(*) FROM (SELECT * FROM chaos LIMIT 1) one)", &[&m]).await.map(|row| row.get(0)))))
    .route("/all/{m}", get(async |State(app): State<AppState>, Path(m): Path<String>| told(&m,
        app.db.query("SELECT * FROM chaos LIMIT 1", &[]).await.map(|_| m.clone()))))
    .route("/write/{m}", get(async |State(app): State<AppState>, Path(m): Path<String>| told(&m,
        app.db.query_one("INSERT INTO chaos (marker) VALUES ($1) RETURNING marker", &[&m]).await.map(|row| row.get(0)))))
    .route("/tx/{m}", get(async |State(app): State<AppState>, Path(m): Path<String>| {
        let mine = m.clone();
        told(&m, app.db.transaction(|tx| async move {
            tx.execute("SELECT set_config('chaos.marker', $1, false)", &[&mine]).await?;
            tx.execute("INSERT INTO chaos (marker) VALUES ($1)", &[&mine]).await?;
            let row = tx.query_one("SELECT current_setting('chaos.marker')", &[]).await?;
            Ok::<String, shared::DbError>(row.get(0))
        }.boxed()).await)
    }))
    .route("/leave/{m}", get(async |State(app): State<AppState>, Path(m): Path<String>| {
        let mine = m.clone();
        told(&m, app.db.transaction(|tx| async move {
            tx.execute("INSERT INTO chaos (marker) VALUES ($1)", &[&mine]).await?;
            tx.execute("SELECT pg_sleep(20)", &[]).await?;
            Ok::<String, shared::DbError>(mine)
        }.boxed()).await)
    }))"#;

fn lab(generation: usize) -> String {
    format!(
        "use futures_util::FutureExt;\n\
         fn told(m: &str, result: Result<String, shared::DbError>) -> (StatusCode, String) {{ match result {{\n\
             Ok(said) => (StatusCode::OK, format!(\"{{m}} {{said}}\")),\n\
             Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!(\"{{m}} in {generation}: {{error}}\")) }} }}\n{LAB}"
    )
}

/// What the clients have seen.
#[derive(Default)]
struct Seen {
    written: Mutex<HashSet<String>>,
    failed: Mutex<Vec<String>>,
    done: AtomicUsize,
}

async fn client(host: Arc<Host>, seen: Arc<Seen>, number: usize, rounds: usize) {
    for round in 0..rounds {
        let marker = format!("c{number}r{round}");
        let kind =
            ["read", "write", "all", "tx", "read", "leave", "read", "tx"][(number + round) % 8];
        let request = host.client.get(host.url(&format!("/{kind}/{marker}")));
        if kind == "leave" {
            // Gone in the middle of it, or before it began.
            let patience = std::time::Duration::from_millis((number % 20) as u64);
            let left = request.timeout(patience).send().await;
            assert!(left.is_err() || !left.unwrap().status().is_success());
            continue;
        }
        let answer = request.send().await.expect("no connection is refused");
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        let own = text.split(' ').next() == Some(marker.as_str());
        assert!(own, "the answer of another request: {marker} got {text}");
        if status == 200 {
            assert_eq!(text, format!("{marker} {marker}"));
            if matches!(kind, "write" | "tx") {
                seen.written.lock().unwrap().insert(marker);
            }
        } else {
            seen.failed.lock().unwrap().push(format!("{kind}: {text}"));
        }
        seen.done.fetch_add(1, Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_gets_mixed_up_or_lost() {
    let rounds = std::env::var("CHAOS_ROUNDS").map_or(10, |rounds| rounds.parse().unwrap());
    let host = Arc::new(Host::with_built_lab(lab!(lab(1))).await);
    let observer = host.observe().await;
    let setup = "CREATE TABLE chaos (id bigserial PRIMARY KEY, marker text NOT NULL)";
    observer.batch_execute(setup).await.unwrap();
    let seen = Arc::<Seen>::default();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::spawn(client(host.clone(), seen.clone(), number, rounds)))
        .collect();

    // Kills, DDL and samples, one after the other: a backend that was killed is gone before the next sample.
    let over = Arc::new(AtomicBool::new(false));
    let trouble = tokio::spawn({
        let (host, over, seen) = (host.clone(), over.clone(), seen.clone());
        async move {
            let name = format!("host-dev:{}:%", host.pid());
            let backends = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE $1 AND backend_type = 'client backend'";
            let (mut kills, mut columns, mut samples) = (0, 0, 0);
            while !over.load(Relaxed) {
                let rows = observer.query(backends, &[&name]).await.unwrap();
                assert!(rows.len() <= 1, "{} backends", rows.len());
                samples += 1;
                let done = seen.done.load(Relaxed);
                if done / 150 > kills && rows.len() == 1 {
                    let pid: i32 = rows[0].get(0);
                    let ended = observer
                        .query_one("SELECT pg_terminate_backend($1, 5000)", &[&pid])
                        .await
                        .unwrap();
                    assert!(ended.get::<_, bool>(0));
                    kills += 1;
                }
                if done / 120 > columns {
                    let ddl = format!("ALTER TABLE chaos ADD COLUMN c{columns} int");
                    observer.batch_execute(&ddl).await.unwrap();
                    columns += 1;
                }
            }
            (observer, kills, columns, samples)
        }
    });
    let mut generation = 1;
    while generation < 4 || clients.iter().any(|client| !client.is_finished()) {
        generation += 1;
        host.checkout.write_lab(&lab(generation));
        host.until_generation(generation as u64).await;
    }
    for client in clients {
        client.await.unwrap();
    }
    over.store(true, Relaxed);
    let (observer, kills, columns, samples) = trouble.await.unwrap();
    assert!(
        kills > 0 && columns > 0 && samples > 10,
        "{kills} {columns} {samples}"
    );

    // Only statements in flight at a kill fail, and they say so.
    let failed = seen.failed.lock().unwrap().clone();
    for why in &failed {
        let at_a_kill = [
            "57P01",
            "connection closed",
            "Broken pipe",
            "Connection reset",
        ];
        assert!(at_a_kill.iter().any(|words| why.contains(words)), "{why}");
    }
    assert!(
        failed.len() <= kills * CLIENTS,
        "{} of {kills} kills",
        failed.len()
    );
    let rows = observer
        .query("SELECT marker FROM chaos", &[])
        .await
        .unwrap();
    let stored: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let once: HashSet<_> = stored.iter().cloned().collect();
    assert_eq!(stored.len(), once.len(), "nothing is written twice");
    let lost: Vec<_> = seen
        .written
        .lock()
        .unwrap()
        .difference(&once)
        .cloned()
        .collect();
    assert!(lost.is_empty(), "confirmed and not there: {lost:?}");
    assert!(
        !once.iter().any(|marker| left_by(marker)),
        "what a client left in the middle is rolled back"
    );

    // And the session is as a new one.
    let idle = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE $1 AND backend_type = 'client backend'
        AND (state <> 'idle' OR xact_start IS NOT NULL)";
    let name = format!("host-dev:{}:%", host.pid());
    eventually("an idle session", async || {
        let row = observer.query_one(idle, &[&name]).await.unwrap();
        (row.get::<_, i64>(0) == 0).then_some(())
    })
    .await;
    assert_eq!(host.text("/read/last").await, "last last");
    eprintln!(
        "{} requests in {generation} generations, {} failed at {kills} kills, {columns} columns, {samples} samples",
        seen.done.load(Relaxed),
        failed.len()
    );
}

fn left_by(marker: &str) -> bool {
    let (number, round) = marker[1..].split_once('r').unwrap();
    (number.parse::<usize>().unwrap() + round.parse::<usize>().unwrap()) % 8 == 5
}
