//! A `Db` whose connection is in the hands of a relay, against a real PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod spy;

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use shared_db::{DatabaseUrl, Db, DbConfig, DbError, connect, establish};
use spy::Spy;
use test_postgres::{Server, eventually};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Handle,
};

const PID: &str = "SELECT pg_backend_pid()";

fn through(spy: &Spy, config: DbConfig) -> Db {
    Db::new(&DbConfig {
        relay: Some(Arc::new(spy.clone())),
        ..config
    })
}

async fn pid(db: &Db) -> i32 {
    db.query_one(PID, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_db_goes_on_over_the_relay_s_stream_and_holds_it_where_the_session_changes() {
    let (server, spy) = (Server::start().await, Spy::default());
    let db = through(&spy, server.config());
    assert_eq!(spy.log(), [""; 0], "lazy");
    let backend = pid(&db).await;
    assert_eq!(spy.log(), ["take"]);
    assert_eq!(db.status().backend_pid, Some(backend));
    let greeting = spy.greeting();
    assert!(greeting.starts_with(b"R\0\0\0\x08\0\0\0\0"));
    assert!(greeting.ends_with(b"Z\0\0\0\x05I"));
    assert!(greeting.windows(15).any(|it| it == b"server_version\0"));

    // A transaction needs no hold, unless it leaves something that is then taken back.
    let one = |sql: &'static str| {
        db.transaction(move |tx| async move { tx.execute(sql, &[]).await }.boxed())
    };
    one("SELECT 1").await.unwrap();
    assert_eq!(spy.log(), ["BEGIN", "COMMIT"]);
    one("SET lock_timeout = 5").await.unwrap();
    assert_eq!(pid(&db).await, backend);
    let cleaned = ["ROLLBACK", "UNLISTEN", "release"];
    let marked = [&["BEGIN", "hold", "SET lock", "COMMIT"][..], &cleaned].concat();
    assert_eq!(spy.log(), marked);

    // A checkout has it until its session is clean.
    let checkout = db.checkout().await.unwrap();
    checkout.client().batch_execute("LISTEN a").await.unwrap();
    assert_eq!(spy.log(), ["hold", "LISTEN a"]);
    drop(checkout);
    assert_eq!(pid(&db).await, backend);
    assert_eq!(spy.log(), cleaned);
    assert!(db.reset_session(Duration::from_secs(10)).await);
    assert_eq!(
        spy.log(),
        [&["hold"][..], &cleaned].concat(),
        "between two generations"
    );

    // An attempt that was given up leaves neither a stream nor a task behind.
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let (before, spy) = (tasks(), Spy::default());
    let db = through(
        &spy,
        DbConfig {
            connect_timeout: Duration::from_millis(200),
            ..server.config()
        },
    );
    spy.set_mute(true);
    let error = db.query_one(PID, &[]).await.unwrap_err().to_string();
    assert!(error.contains("did not answer in time"), "{error}");
    assert_eq!(spy.log(), ["take"]);
    spy.set_mute(false);
    let again = async || db.query_one(PID, &[]).await.ok();
    eventually("another attempt", again).await;
    assert_eq!(spy.log(), ["closed", "take"]);
    let one_more = async || (tasks() == before + 1).then_some(());
    eventually("the end of the first", one_more).await;
}

#[tokio::test]
async fn an_abandoned_statement_is_cancelled_by_the_relay_and_a_lost_connection_is_opened_again() {
    let (server, spy) = (Server::start().await, Spy::default());
    let db = through(
        &spy,
        DbConfig {
            statement_timeout: Duration::ZERO,
            ..server.config()
        },
    );
    let backend = pid(&db).await;
    let beside = server.client().await;
    let sleeps = async || {
        let sql = "SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()";
        beside.query_opt(sql, &[]).await.unwrap().map(drop)
    };
    let abandon = async |db: &Db| {
        let sleep =
            db.transaction(|tx| async move { tx.query("SELECT pg_sleep(600)", &[]).await }.boxed());
        tokio::select! {
            ended = sleep => panic!("{:?}", ended.map(|rows| rows.len())),
            () = eventually("the statement", sleeps) => {}
        }
    };
    abandon(&db).await;
    assert_eq!(pid(&db).await, backend);
    assert_eq!(spy.log(), ["take", "BEGIN", "ROLLBACK", "cancel"]);

    // What a caller has of a checkout: it cancels through the relay too.
    let checkout = db.checkout().await.unwrap();
    let cancel = checkout.cancel();
    let sleeping = checkout.client().batch_execute("SELECT pg_sleep(600)");
    let cancelling = async {
        eventually("the statement", sleeps).await;
        cancel.send().await.unwrap();
    };
    let (slept, ()) = tokio::join!(sleeping, cancelling);
    assert_eq!(slept.unwrap_err().code().unwrap().code(), "57014");
    assert_eq!(spy.log(), ["hold", "cancel"]);

    // The backend ends under a checkout, and then under the shared connection.
    let terminate = async |pid: i32| {
        let sql = "SELECT pg_terminate_backend($1, 10000)";
        beside.execute(sql, &[&pid]).await.unwrap();
    };
    terminate(backend).await;
    let closed = async || checkout.client().is_closed().then_some(());
    eventually("the end", closed).await;
    drop(checkout);
    let second = pid(&db).await;
    assert_ne!(second, backend);
    assert_eq!(spy.log(), ["closed", "release", "take"]);
    terminate(second).await;
    // It may be found out by this statement, or before.
    let third = eventually("another backend", async || {
        Some(db.query_one(PID, &[]).await.ok()?.get::<_, i32>(0))
    })
    .await;
    assert_ne!(third, second);
    assert_eq!(spy.log(), ["closed", "take"]);
    let losses = db.status().reconnects;
    assert!(
        losses[0].reason.contains("57P01") && losses[0].times == 2,
        "{losses:?}"
    );

    // Of several connections only the shared one is the relay's; the others are cancelled as ever.
    let several = Spy::default();
    let pair = through(
        &several,
        DbConfig {
            max_connections: 2,
            statement_timeout: Duration::ZERO,
            ..server.config()
        },
    );
    abandon(&pair).await;
    let checkout = pair.checkout().await.unwrap();
    checkout.client().batch_execute("LISTEN a").await.unwrap();
    assert_eq!(several.log(), [""; 0]);
    pid(&pair).await;
    assert_eq!(several.log(), ["take"]);
    let status = pair.status();
    assert_eq!((status.max, status.size, status.opened_total), (2, 2, 2));

    // A session that cannot be cleaned is closed before others may have it.
    let checkout = db.checkout().await.unwrap();
    spy.refuse_cancels();
    tokio::select! {
        ended = checkout.client().batch_execute("SELECT pg_sleep(600)") => panic!("{ended:?}"),
        () = eventually("the statement", sleeps) => {}
    }
    drop(checkout);
    assert_ne!(pid(&db).await, third);
    let discarded = ["hold", "ROLLBACK", "cancel", "closed", "release", "take"];
    assert_eq!(spy.log(), discarded);
    db.close().await;
    let closed = async || spy.log().first().copied();
    assert_eq!(eventually("the end", closed).await, "closed");
}

#[tokio::test]
async fn a_stream_that_is_handed_over_is_one_of_those_that_the_url_asks_for() {
    let server = Server::start().await;
    let port = server.port;
    let closed = format!("127.0.0.1:{}", closed_port());
    let here = format!("127.0.0.1:{port}/postgres");
    let named = format!("localhost:{port}/postgres");
    let full = format!("sslmode=verify-full&sslrootcert={}", server.root());

    // A password, with and without TLS; an address that is closed before one that is not.
    for (role, rest) in [
        ("plain", format!("{named}?sslmode=disable")),
        ("secure", format!("{here}?sslmode=require")),
        ("secure", format!("{named}?{full}&channel_binding=require")),
        ("open", format!("{closed},{here}")),
        (
            "open",
            format!("{closed},{named}?load_balance_hosts=random"),
        ),
        (
            "open",
            format!("absent.invalid:{port}/postgres?hostaddr=127.0.0.1"),
        ),
        ("open", format!("{named}?target_session_attrs=read-write")),
    ] {
        let spy = Spy::default();
        let db = through(&spy, server.at(role, &rest));
        let row = db
            .query_one(
                "SELECT current_user::text, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
                &[],
            )
            .await
            .unwrap_or_else(|error| panic!("{rest}: {error}"));
        assert_eq!(row.get::<_, String>(0), role, "{rest}");
        assert_eq!(row.get::<_, bool>(1), !rest.contains("disable"), "{rest}");
        assert_eq!(spy.log(), ["take"], "{rest}");
    }

    // Its own cancel reaches its backend, over TLS where that has it.
    for config in [
        server.config(),
        server.at("open", &format!("{named}?sslmode=disable")),
        server.at("open", &format!("{named}?{full}")),
    ] {
        let mut established = establish(&config).await.unwrap();
        let stream = &mut established.stream;
        let sql = b"SELECT 1; SELECT pg_sleep(600)\0";
        let length = u32::try_from(sql.len() + 4).unwrap().to_be_bytes();
        stream
            .write_all(&[b"Q", &length[..], sql].concat())
            .await
            .unwrap();
        stream.flush().await.unwrap();
        let beside = server.client().await;
        eventually("the statement", async || {
            let sql = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
            beside.query_opt(sql, &[]).await.unwrap()
        })
        .await;
        established.cancel.send().await.unwrap();
        let mut said = Vec::new();
        while !said.ends_with(b"Z\0\0\0\x05I") {
            assert_ne!(stream.read_buf(&mut said).await.unwrap(), 0);
        }
        assert!(said.windows(7).any(|it| it == b"C57014\0"));
    }

    // A failure is told in the same words.
    let wrong = format!("postgres://plain:wrong@{here}?sslmode=disable");
    let wrong = DbConfig::new(DatabaseUrl::parse(&wrong).unwrap(), "relay-test".to_owned());
    let read_only = "target_session_attrs=read-only";
    let two = "sslmode=disable&hostaddr=127.0.0.1,127.0.0.2";
    for config in [
        wrong,
        server.at("open", &format!("{closed}/postgres")),
        server.at("open", "absent.invalid/postgres"),
        server.at("open", &format!("{closed},{here}?dbname=absent")),
        server.at("open", &format!("{named}?{read_only}")),
        server.at("open", &format!("{closed},{here}?{read_only}")),
        server.at("secure", &format!("{named}?sslmode=disable")),
        server.at("open", &format!("{here}?{full}")),
        server.at("open", &format!("{named}?{two}")),
    ] {
        let usual = connect(&config).await.map(drop).unwrap_err();
        let ours = establish(&config).await.map(drop).unwrap_err();
        assert_eq!(ours.to_string(), usual.to_string());
        let statement = async |db: Db| db.query_one(PID, &[]).await.unwrap_err();
        let usual = statement(Db::new(&config)).await;
        let ours = statement(through(&Spy::default(), config)).await;
        assert_eq!(ours.to_string(), usual.to_string());
        assert_eq!(ours.code(), usual.code());
        assert!(matches!(ours, DbError::Connect(_)));
    }
}

fn closed_port() -> u16 {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}
