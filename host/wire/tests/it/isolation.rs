//! What goes wrong for one client, and what it changes in passing, stays with it.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use postgres_protocol::message::frontend;
use tokio_postgres::{AsyncMessage, Client, NoTls};

use test_postgres::eventually;

use crate::{
    endings::is_as_new,
    raw::Raw,
    stand::{Stand, pid},
};

async fn setting(client: &Client, name: &str) -> String {
    let sql = "SELECT coalesce(current_setting($1, true), '')";
    client.query_one(sql, &[&name]).await.unwrap().get(0)
}

#[tokio::test]
async fn nothing_runs_for_a_client_whose_role_is_gone() {
    let stand = Stand::new().await;
    let other = stand.client().await;
    let backend = pid(&other).await;
    let tables = "CREATE TABLE ran (by text); GRANT ALL ON ran TO PUBLIC";
    other.batch_execute(tables).await.unwrap();
    let insert = "INSERT INTO ran VALUES (current_user)";
    for said in [
        &[insert][..],
        &["BEGIN", insert, "COMMIT", insert],
        &["COMMIT", insert],
        &["ROLLBACK; INSERT INTO ran VALUES (current_user)"],
        &[insert, insert, "BEGIN"],
    ] {
        other.batch_execute("CREATE ROLE brief").await.unwrap();
        let mut raw = Raw::of(&stand).await;
        raw.answer_to("SET ROLE brief").await;
        other.batch_execute("DROP ROLE brief").await.unwrap();
        for sql in said {
            frontend::query(sql, &mut raw.out).unwrap();
        }
        raw.send().await;
        // Others come right behind it.
        let later: Vec<_> = (0..3).map(|_| pid(&other)).collect();
        assert_eq!(raw.until(b'.').await, "E.", "{said:?}");
        for later in later {
            assert_eq!(later.await, backend);
        }
        let ran = other.query("SELECT by FROM ran", &[]).await.unwrap();
        assert!(ran.is_empty(), "{said:?}");
    }
    is_as_new(&stand, backend).await;
}

/// Channels and statements that the shared backend has for clients.
async fn shared_has(client: &Client) -> Vec<String> {
    let sql = "SELECT pg_listening_channels() UNION ALL SELECT name FROM pg_prepared_statements WHERE name ~ 'mine$'";
    let rows = client.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn a_client_with_a_backend_of_its_own_leaves_nothing_on_the_shared_one() {
    let stand = Stand::new().await;
    let other = stand.client().await;
    let backend = pid(&other).await;
    for ends in [false, true] {
        let mut raw = Raw::of(&stand).await;
        frontend::parse("mine", "SELECT 1", [], &mut raw.out).unwrap();
        frontend::sync(&mut raw.out);
        raw.send().await;
        raw.until(b'Z').await;
        for sql in ["LISTEN a", "LISTEN b", "CREATE TEMP TABLE t (a int)"] {
            raw.answer_to(sql).await;
        }
        let mut had = shared_has(&other).await;
        had.sort();
        assert_eq!(had[..2], ["a", "b"]);
        assert!(had[2].ends_with("mine"), "{had:?}");
        if !ends {
            raw.answer_to("UNLISTEN a").await;
            eventually("one channel", async || {
                (shared_has(&other).await[..1] == ["b"]).then_some(())
            })
            .await;
        }
        drop(raw);
        eventually("nothing of it", async || {
            shared_has(&other).await.is_empty().then_some(())
        })
        .await;
    }
    stand.has_only(backend).await;
}

#[tokio::test]
async fn who_listens_misses_nothing_when_another_takes_the_backend_along() {
    let stand = Stand::new().await;
    let (client, mut connection) = stand.settings().connect(NoTls).await.unwrap();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(note) = message {
                let number: i32 = note.payload().parse().unwrap();
                tell.send(number).unwrap();
            }
        }
    });
    let keeps = stand.client().await;
    let before = pid(&keeps).await;
    client.batch_execute("LISTEN news").await.unwrap();
    let notify = async |number: i32| {
        let sql = "SELECT pg_notify('news', $1)";
        let payload = number.to_string();
        stand.observer.query(sql, &[&payload]).await.unwrap();
    };
    keeps.batch_execute("BEGIN").await.unwrap();
    keeps
        .batch_execute("CREATE TEMP TABLE t (a int)")
        .await
        .unwrap();
    notify(0).await;
    keeps.batch_execute("COMMIT").await.unwrap();
    // Nobody says anything from here on.
    let mut sent = 0;
    eventually("the second backend", async || {
        sent += 1;
        notify(sent).await;
        (stand.backends().await.len() == 2).then_some(())
    })
    .await;
    for number in sent + 1..sent + 50 {
        notify(number).await;
    }
    let mut heard = BTreeSet::new();
    while !heard.contains(&(sent + 49)) {
        let next = tokio::time::timeout(std::time::Duration::from_secs(60), told.recv()).await;
        heard.insert(next.expect("a notification").unwrap());
    }
    assert_eq!(heard, (0..sent + 50).collect());
    assert_eq!(pid(&keeps).await, before);
}

#[tokio::test]
async fn a_reset_goes_back_to_what_the_client_has_asked_for_at_its_start() {
    let stand = Stand::new().await;
    let options = "-c work_mem=6MB -c timezone=Asia/Tokyo -c my.own=1";
    let connect = async |mut settings: tokio_postgres::Config| {
        let (client, connection) = settings.options(options).connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    };
    let through = connect(stand.settings()).await;
    let direct = connect(stand.server.url().parse().unwrap()).await;
    let other = stand.client().await;
    for sql in [
        "SET work_mem = '9MB'",
        "RESET work_mem",
        "SET work_mem = '9MB'; SET TIME ZONE 'UTC'",
        "SET timezone TO DEFAULT",
        "RESET ALL",
        "RESET ALL; SET work_mem = '8MB'",
        "SET my.own = 2",
        "DISCARD ALL",
        "SET search_path = ''",
        "RESET search_path",
        "CREATE TEMP TABLE t (a int)",
        "SET work_mem = '9MB'; SET my.own = 2",
        "RESET work_mem",
        "SET work_mem = '9MB'",
        "RESET ALL",
        "DROP TABLE t",
    ] {
        let both = [&through, &direct];
        let mut seen = Vec::new();
        for client in both {
            client.batch_execute(sql).await.unwrap();
            assert_eq!(setting(&other, "work_mem").await, "4MB");
            let mut settings = Vec::new();
            for name in ["work_mem", "timezone", "my.own", "search_path"] {
                settings.push(setting(client, name).await);
            }
            seen.push(settings);
        }
        assert_eq!(seen[0], seen[1], "{sql}");
    }
}

#[tokio::test]
async fn settings_changed_through_their_view_stay_with_the_client() {
    let stand = Stand::new().await;
    let (one, two) = (stand.client().await, stand.client().await);
    let update = "UPDATE pg_settings SET setting = '7MB' WHERE name = 'work_mem'";
    one.batch_execute(update).await.unwrap();
    assert_eq!(setting(&two, "work_mem").await, "4MB");
    assert_eq!(setting(&one, "work_mem").await, "7MB");
}

#[tokio::test]
async fn a_client_that_does_not_read_its_notifications_is_cut_off() {
    let stand = Stand::new().await;
    let reads = stand.client().await;
    let backend = pid(&reads).await;
    let mut raw = Raw::of(&stand).await;
    raw.answer_to("LISTEN news").await;
    let many = "SELECT pg_notify('news', repeat('x', 7900) || n) FROM generate_series(1, 4000) n";
    stand.observer.batch_execute(many).await.unwrap();
    eventually("the end", async || {
        (stand.exchange.clients().len() == 1).then_some(())
    })
    .await;
    assert_eq!(pid(&reads).await, backend);
    let tags = raw.until(b'.').await;
    assert!(tags.ends_with("AE."), "{}", &tags[tags.len() - 10..]);
}

#[tokio::test]
async fn text_in_another_encoding_passes() {
    let stand = Stand::new().await;
    let other = stand.client().await;
    let backend = pid(&other).await;
    let mut raw = Raw::of(&stand).await;
    for sql in [
        "SET client_encoding = 'LATIN1'",
        "SELECT set_config('my.own', chr(233), false)",
        "DO $$ BEGIN RAISE EXCEPTION '%', chr(233); END $$",
        "SELECT pg_notify('a', chr(233))",
        "LISTEN a",
        "SELECT pg_notify('a', chr(233))",
    ] {
        let tags = raw.answer_to(sql).await;
        assert_eq!(tags.contains('E'), sql.starts_with("DO"), "{sql}");
        assert_eq!(setting(&other, "my.own").await, "", "{sql}");
    }
    let tags = raw
        .answer_to("SELECT 1 / (ascii(current_setting('my.own')) = 233)::int")
        .await;
    assert_eq!(tags, "TDCZ", "its setting is as it was");
    assert_eq!(pid(&other).await, backend);
}

#[tokio::test]
async fn who_breaks_its_own_copy_ends_alone() {
    let stand = Stand::new().await;
    let other = stand.client().await;
    let backend = pid(&other).await;
    let tables = "CREATE TABLE item (a int)";
    other.batch_execute(tables).await.unwrap();
    let copy = "COPY item FROM STDIN";
    // What is said behind it, and how PostgreSQL itself answers all of it.
    let broken: [fn(&mut Raw); 2] = [
        |raw| frontend::query("SELECT 1", &mut raw.out).unwrap(),
        |raw| frontend::describe(b'S', "", &mut raw.out).unwrap(),
    ];
    for say in broken {
        for waits in [false, true] {
            let mut raw = Raw::of(&stand).await;
            frontend::query(copy, &mut raw.out).unwrap();
            if waits {
                raw.send().await;
                raw.until(b'G').await;
            }
            say(&mut raw);
            raw.send().await;
            assert_eq!(raw.until(b'.').await, if waits { "E." } else { "GE." });
            is_as_new(&stand, backend).await;
        }
    }
    let mut raw = Raw::of(&stand).await;
    raw.extended(copy);
    raw.extended("SELECT 1");
    frontend::sync(&mut raw.out);
    raw.send().await;
    assert!(raw.until(b'.').await.ends_with("E."));

    // A client that keeps to the protocol may send all of it at once.
    let data = |raw: &mut Raw| {
        let row = frontend::CopyData::new(&b"7\n"[..]).unwrap();
        row.write(&mut raw.out);
        frontend::copy_done(&mut raw.out);
    };
    let mut raw = Raw::of(&stand).await;
    frontend::query(copy, &mut raw.out).unwrap();
    data(&mut raw);
    raw.extended(copy);
    data(&mut raw);
    frontend::sync(&mut raw.out);
    frontend::query("COPY item FROM STDIN; COPY item FROM STDIN", &mut raw.out).unwrap();
    data(&mut raw);
    data(&mut raw);
    frontend::query("SELECT a FROM item", &mut raw.out).unwrap();
    raw.send().await;
    let mut tags = String::new();
    while tags.matches('Z').count() < 4 {
        tags += &raw.until(b'Z').await;
    }
    assert_eq!(tags, "GCZ12GCZGCGCZTDDDDCZ");
    drop(raw);
    is_as_new(&stand, backend).await;
}

/// As sqlx's macros ask which columns may be null. Each of the two has the same name for another statement.
#[tokio::test]
async fn sql_names_a_statement_as_its_client_does() {
    let stand = Stand::new().await;
    let mut clients = Vec::new();
    for sql in ["SELECT 1 AS one", "SELECT 2 AS two"] {
        let mut raw = Raw::of(&stand).await;
        frontend::parse("own", sql, [], &mut raw.out).unwrap();
        frontend::sync(&mut raw.out);
        raw.send().await;
        assert_eq!(raw.until(b'Z').await, "1Z");
        clients.push(raw);
    }
    for raw in &mut clients {
        raw.extended("EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE own");
        frontend::sync(&mut raw.out);
        raw.send().await;
        assert_eq!(raw.until(b'Z').await, "12DCZ");
        assert_eq!(raw.answer_to("EXECUTE own").await, "TDCZ");
    }
    // What nobody has prepared is still PostgreSQL's to refuse.
    assert_eq!(clients[0].answer_to("EXECUTE other").await, "EZ");
}
