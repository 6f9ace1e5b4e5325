//! Clients that leave in the middle of something, statements that are cancelled, backends that end.

use std::time::Duration;

use bytes::BytesMut;
use futures_util::{FutureExt, SinkExt, TryStreamExt, pin_mut};
use postgres_protocol::message::frontend;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};
use tokio_postgres::{Client, NoTls};

use test_postgres::eventually;

use crate::{
    raw::Raw,
    stand::{Stand, pid},
};

/// Nothing of anybody who is gone is left, and the one backend works.
pub(crate) async fn is_as_new(stand: &Stand, backend: i32) {
    eventually("an idle backend", async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND state = 'idle' AND xact_start IS NULL";
        let idle: i64 = stand.observer.query_one(sql, &[&backend]).await.unwrap().get(0);
        let locks = "SELECT count(*) FROM pg_locks WHERE pid = $1";
        let locks: i64 = stand.observer.query_one(locks, &[&backend]).await.unwrap().get(0);
        (idle == 1 && locks == 0).then_some(())
    })
    .await;
    assert_eq!(stand.backends().await, [backend]);
}

#[tokio::test]
async fn clients_that_leave_in_the_middle_leave_nothing() {
    let stand = Stand::new().await;
    let stays = stand.client().await;
    let backend = pid(&stays).await;
    stays
        .batch_execute("CREATE TABLE item (a int)")
        .await
        .unwrap();
    let statements: [&[&str]; 9] = [
        &["BEGIN", "INSERT INTO item VALUES (1)"],
        &[
            "BEGIN",
            "INSERT INTO item VALUES (1)",
            "SELECT pg_sleep(600)",
        ],
        &["BEGIN", "SELECT broken"],
        &["COPY item FROM STDIN"],
        &["BEGIN", "CREATE TEMP TABLE t (a int)", "LISTEN gone"],
        &["SELECT generate_series(1, 2000000), repeat('x', 100)"],
        &["INSERT INTO item VALUES (1); SELECT pg_sleep(600)"],
        &["SET search_path = nowhere", "BEGIN"],
        &["SELECT pg_sleep(600)"],
    ];
    for said in statements {
        let mut raw = Raw::of(&stand).await;
        let (last, before) = said.split_last().unwrap();
        for sql in before {
            raw.answer_to(sql).await;
        }
        raw.query(last).await;
        let busy =
            "SELECT FROM pg_stat_activity WHERE pid = $1 AND (state <> 'idle' OR query LIKE $2)";
        let text = format!("{}%", &last[..last.len().min(20)]);
        eventually("the statement", async || {
            stand
                .observer
                .query_opt(busy, &[&backend, &text])
                .await
                .unwrap()
                .map(drop)
        })
        .await;
        drop(raw);
        is_as_new(&stand, backend).await;
        let count = stays
            .query_one("SELECT count(*) FROM item", &[])
            .await
            .unwrap();
        assert_eq!(count.get::<_, i64>(0), 0, "{said:?}");
        assert_eq!(pid(&stays).await, backend, "{said:?}");
    }

    // Before the server has answered that it waits for data.
    for _ in 0..20 {
        let mut raw = Raw::of(&stand).await;
        raw.query("COPY item FROM STDIN").await;
        drop(raw);
    }
    // While another is in the middle of a COPY.
    let mut leaves = Raw::of(&stand).await;
    frontend::parse("s", "SELECT 1", [], &mut leaves.out).unwrap();
    frontend::sync(&mut leaves.out);
    leaves.query("LISTEN left_behind").await;
    assert_eq!(leaves.until(b'C').await, "1ZC");
    let mut copies = Raw::of(&stand).await;
    copies.query("COPY item FROM STDIN").await;
    copies.until(b'G').await;
    drop(leaves);
    eventually("the end", async || {
        (stand.exchange.clients().len() == 2).then_some(())
    })
    .await;
    frontend::CopyData::new(&b"7\n"[..])
        .unwrap()
        .write(&mut copies.out);
    frontend::copy_done(&mut copies.out);
    copies.send().await;
    assert_eq!(copies.until(b'Z').await, "CZ");
    drop(copies);
    stays.batch_execute("DELETE FROM item").await.unwrap();

    // While its settings are looked up: they are not of the answer that it waits for.
    for _ in 0..20 {
        let mut raw = Raw::of(&stand).await;
        raw.answer_to("SET work_mem = '7MB'").await;
        drop(raw);
        assert_eq!(pid(&stays).await, backend);
    }

    // In the middle of a unit: prepared and bound, but not synced.
    let mut raw = Raw::of(&stand).await;
    frontend::parse("s", "INSERT INTO item VALUES (1)", [], &mut raw.out).unwrap();
    frontend::flush(&mut raw.out);
    raw.send().await;
    assert_eq!(raw.until(b'1').await, "1");
    drop(raw);
    is_as_new(&stand, backend).await;
    assert_eq!(pid(&stays).await, backend);
}

#[tokio::test]
async fn copies_pass_in_both_directions() {
    let stand = Stand::new().await;
    let (one, two) = (stand.client().await, stand.client().await);
    let backend = pid(&one).await;
    one.batch_execute("CREATE TABLE item (a int, b text)")
        .await
        .unwrap();
    for statement in ["COPY item FROM STDIN"] {
        let sink = one.copy_in(statement).await.unwrap();
        pin_mut!(sink);
        for chunk in 0..200_u32 {
            let rows: String = (0..1000)
                .map(|row| format!("{}\tsome text\n", chunk * 1000 + row))
                .collect();
            sink.send(bytes::Bytes::from(rows)).await.unwrap();
        }
        assert_eq!(sink.finish().await.unwrap(), 200_000);
    }
    let out = one.copy_out("COPY item TO STDOUT").await.unwrap();
    let length = out
        .try_fold(0, async |sum, chunk| Ok(sum + chunk.len()))
        .await
        .unwrap();
    assert!(length > 200_000 * 12);

    // Another client leaves meanwhile: nothing may be sent for it before the end.
    let leaves = stand.client().await;
    let prepared = leaves.prepare("SELECT 1").await.unwrap();
    let sink = one.copy_in("COPY item FROM STDIN").await.unwrap();
    pin_mut!(sink);
    drop(leaves);
    eventually("the departure", async || {
        (stand.exchange.clients().len() == 2).then_some(())
    })
    .await;
    drop(prepared);
    sink.send(bytes::Bytes::from_static(b"1\tone\n"))
        .await
        .unwrap();
    assert_eq!(sink.finish().await.unwrap(), 1);

    // An error in the middle, and an end by the client.
    let sink = one.copy_in("COPY item FROM STDIN").await.unwrap();
    pin_mut!(sink);
    sink.send(bytes::Bytes::from_static(b"not a number\n"))
        .await
        .unwrap();
    assert_eq!(
        sink.finish().await.unwrap_err().code().unwrap().code(),
        "22P02"
    );
    {
        let sink = one
            .copy_in::<_, bytes::Bytes>("COPY item FROM STDIN")
            .await
            .unwrap();
        drop(sink);
    }
    assert_eq!(pid(&one).await, backend);
    let count = two
        .query_one("SELECT count(*) FROM item", &[])
        .await
        .unwrap();
    assert_eq!(count.get::<_, i64>(0), 200_001);
    is_as_new(&stand, backend).await;
}

pub(crate) async fn runs(stand: &Stand, what: &str) {
    let sql = "SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1 AND pid <> pg_backend_pid()";
    let like = format!("%{what}%");
    eventually(what, async || {
        stand
            .observer
            .query_opt(sql, &[&like])
            .await
            .unwrap()
            .map(drop)
    })
    .await;
}

#[tokio::test]
async fn a_cancel_hits_the_statement_that_it_is_meant_for() {
    let stand = Stand::new().await;
    let (one, two) = (stand.client().await, stand.client().await);
    let backend = pid(&one).await;
    let code = |error: tokio_postgres::Error| error.code().unwrap().code().to_owned();

    // One that runs, one that waits behind it, and one that is done.
    for sql in [
        "SELECT pg_sleep(600)",
        "DO $$ BEGIN PERFORM pg_sleep(601); END $$",
    ] {
        let slow = one.batch_execute(sql);
        let rest = async {
            runs(&stand, "pg_sleep(60").await;
            let waiting = two.batch_execute("BEGIN; SELECT 'waits'; COMMIT");
            let cancelled = async {
                eventually("the wait", async || {
                    stand.exchange.clients()[1].waits.then_some(())
                })
                .await;
                two.cancel_token().cancel_query(NoTls).await.unwrap();
            };
            if sql.starts_with("DO") {
                let (waited, ()) = tokio::join!(waiting, cancelled);
                assert_eq!(code(waited.unwrap_err()), "57014");
            }
            one.cancel_token().cancel_query(NoTls).await.unwrap();
        };
        let (slow, ()) = tokio::join!(slow, rest);
        assert_eq!(code(slow.unwrap_err()), "57014");
        one.cancel_token().cancel_query(NoTls).await.unwrap();
        for _ in 0..20 {
            assert_eq!(pid(&two).await, backend, "a late cancel hits nobody");
        }
    }

    // With a wrong secret nothing happens.
    let slow = one.batch_execute("SELECT pg_sleep(0.3)");
    let wrong = async {
        runs(&stand, "pg_sleep(0.3)").await;
        for pid in 0..4 {
            let mut socket = UnixStream::connect(stand.socket()).await.unwrap();
            let mut out = BytesMut::new();
            frontend::cancel_request(pid, 12345, &mut out);
            socket.write_all_buf(&mut out).await.unwrap();
            assert_eq!(socket.read(&mut [0]).await.unwrap(), 0);
        }
    };
    let (slow, ()) = tokio::join!(slow, wrong);
    slow.unwrap();
    is_as_new(&stand, backend).await;
}

#[tokio::test]
async fn an_idle_client_does_not_notice_that_the_backend_was_replaced() {
    let stand = Stand::new().await;
    let (idle, busy) = (stand.client().await, stand.client().await);
    let before = pid(&idle).await;
    let statement = idle.prepare("SELECT $1::int").await.unwrap();
    idle.batch_execute("SET work_mem = '7MB'").await.unwrap();
    busy.batch_execute("BEGIN").await.unwrap();
    stand
        .observer
        .query("SELECT pg_terminate_backend($1, 60000)", &[&before])
        .await
        .unwrap();
    eventually("the end", async || busy.is_closed().then_some(())).await;
    let row = idle.query_one(&statement, &[&5_i32]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 5);
    let row = idle
        .query_one("SELECT current_setting('work_mem')", &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, &str>(0), "7MB");
    let after = pid(&idle).await;
    assert_ne!(after, before);
    stand.db.query("SELECT 1", &[]).await.unwrap();
    assert_eq!(stand.backends().await, [after]);
}

#[tokio::test]
async fn who_waits_for_a_silent_transaction_gets_a_backend_of_its_own() {
    let stand = Stand::new().await;
    let (holder, waits) = (stand.client().await, stand.client().await);
    let backend = pid(&waits).await;
    // An app may wait for the second connection of its pool while it has a transaction open on the first.
    holder
        .batch_execute("BEGIN; CREATE TABLE held (a int)")
        .await
        .unwrap();
    let own = pid(&waits).await;
    assert_ne!(own, backend);
    // So does one that connects only now, with settings of its own.
    let settings = stand.settings().options("-c work_mem=6MB").to_owned();
    let (late, connection) = settings.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    let row = late
        .query_one("SELECT current_setting('work_mem')", &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, &str>(0), "6MB");
    // And the Db, which gets the shared one.
    let shared = stand.db_pid().await;
    assert_eq!(pid(&holder).await, backend, "it goes on where it is");
    assert_ne!(shared, backend);
    holder
        .batch_execute("INSERT INTO held VALUES (1); COMMIT")
        .await
        .unwrap();
    for client in [&holder, &waits, &late] {
        client.query_one("SELECT a FROM held", &[]).await.unwrap();
        assert_eq!(pid(client).await, shared);
    }
    stand.has_only(shared).await;

    // A transaction that paused goes on where it was, and only what it commits is there.
    holder.batch_execute("BEGIN").await.unwrap();
    holder
        .batch_execute("INSERT INTO held VALUES (2)")
        .await
        .unwrap();
    assert_ne!(pid(&waits).await, shared);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(pid(&holder).await, shared);
    holder.batch_execute("COMMIT").await.unwrap();
    let count = waits
        .query_one("SELECT count(*) FROM held", &[])
        .await
        .unwrap();
    assert_eq!(count.get::<_, i64>(0), 2);
    // So does one of the Db that asks another connection.
    let asks = stand.client().await;
    let asked = stand.db.transaction(move |tx| {
        async move {
            tx.execute("INSERT INTO held VALUES (3)", &[]).await?;
            tx.execute("INSERT INTO held VALUES (4)", &[]).await?;
            let seen = asks.query_one("SELECT count(*) FROM held", &[]).await;
            Ok::<i64, shared_db::DbError>(seen.unwrap().get(0))
        }
        .boxed()
    });
    assert_eq!(asked.await.unwrap(), 2);
    // And a COPY whose data comes from another connection.
    let sink = holder.copy_in("COPY held FROM STDIN").await.unwrap();
    pin_mut!(sink);
    let next: i32 = waits
        .query_one("SELECT max(a) + 1 FROM held", &[])
        .await
        .unwrap()
        .get(0);
    sink.send(bytes::Bytes::from(format!("{next}\n")))
        .await
        .unwrap();
    assert_eq!(sink.finish().await.unwrap(), 1);
    stand.has_only(shared).await;

    // The Db's own transaction holds up nobody either, and a transaction that works keeps its turn.
    let checkout = stand.db.checkout().await.unwrap();
    checkout
        .client()
        .batch_execute("LISTEN mine")
        .await
        .unwrap();
    assert_ne!(pid(&waits).await, shared);
    drop(checkout);
    stand.has_only(shared).await;
    holder.batch_execute("BEGIN").await.unwrap();
    let working = async {
        for _ in 0..30 {
            holder.batch_execute("SELECT pg_sleep(0.02)").await.unwrap();
        }
        holder.batch_execute("COMMIT").await.unwrap();
    };
    let ((), pid) = tokio::join!(working, pid(&waits));
    assert_eq!(pid, shared);
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_nobody_for_long() {
    let stand = Stand::new().await;
    let reads = stand.client().await;
    let backend = pid(&reads).await;
    let mut raw = Raw::of(&stand).await;
    raw.query("SELECT repeat('x', 100000) FROM generate_series(1, 5000)")
        .await;
    // Nothing is read for it any more: from now on others wait for their turn, and not for answers behind its own.
    let stuck = "SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'ClientWrite'";
    let mut times = 0;
    eventually("the stall", async || {
        let is_stuck = stand.observer.query_opt(stuck, &[&backend]).await.unwrap();
        times = is_stuck.map_or(0, |_| times + 1);
        (times == 10).then_some(())
    })
    .await;
    assert_ne!(pid(&reads).await, backend);
    assert_eq!(raw.until(b'Z').await, format!("T{}CZ", "D".repeat(5000)));
    drop(raw);
    let backend = pid(&reads).await;

    // One that reads slowly gets all of it.
    let mut raw = Raw::of(&stand).await;
    raw.query("SELECT repeat('x', 100000) FROM generate_series(1, 200)")
        .await;
    runs(&stand, "repeat('x', 100000) FROM generate_series(1, 200)").await;
    assert_eq!(raw.until(b'Z').await, format!("T{}CZ", "D".repeat(200)));
    is_as_new(&stand, backend).await;
}

#[tokio::test]
async fn what_is_not_the_protocol_ends_that_client_only() {
    let stand = Stand::new().await;
    let other = stand.client().await;
    let backend = pid(&other).await;
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\0\0\0\x08\0\x02\0\0",
        b"\0\0\0\x04",
    ] {
        let mut socket = UnixStream::connect(stand.socket()).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer[0], b'E', "{bytes:?}");
    }
    for bytes in [
        &b"p\0\0\0\x05x"[..],
        b"Q\0\0\0\x03",
        b"Q\xff\xff\xff\xff",
        b"B\0\0\0\x06a\0",
        b"P\0\0\0\x06\xff\0",
    ] {
        let mut raw = Raw::of(&stand).await;
        raw.answer_to("BEGIN").await;
        raw.out.extend_from_slice(bytes);
        raw.send().await;
        assert_eq!(raw.until(b'.').await, "E.", "{bytes:?}");
        assert_eq!(pid(&other).await, backend);
    }
    // A client that asks for encryption first.
    let mut socket = UnixStream::connect(stand.socket()).await.unwrap();
    let mut out = BytesMut::new();
    frontend::ssl_request(&mut out);
    socket.write_all_buf(&mut out).await.unwrap();
    let mut answer = [0];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"N");
    is_as_new(&stand, backend).await;
}

#[tokio::test]
async fn messages_of_any_length_pass() {
    let stand = Stand::new().await;
    let (one, two): (Client, Client) = (stand.client().await, stand.client().await);
    let backend = pid(&one).await;
    for length in [0, 1 << 16, 1 << 20, 20 << 20] {
        let long = "é".repeat(length / 2);
        let echoing = async {
            let row = one.query_one("SELECT $1::text", &[&long]).await;
            row.unwrap().get::<_, String>(0)
        };
        let (echoed, other) = tokio::join!(echoing, pid(&two));
        assert_eq!(echoed, long);
        assert_eq!(other, backend);
    }
}
