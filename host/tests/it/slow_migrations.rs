//! A migration that waits for another session's lock: the host answers, names that session, and can cancel it.

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio_postgres::Client;

use crate::{
    support::{Checkout, Chromium, Host, Server, Status, eventually},
    web::{act, token},
};

const FILE: &str = "migrations/V3__held.sql";
const LOCK: &str = "BEGIN; LOCK TABLE held";

/// A session that can hold a lock, and its PID.
async fn holder(server: &Server) -> (Client, i32) {
    let client = server.connect().await.unwrap();
    let row = client.query_one("SELECT pg_backend_pid()", &[]).await;
    (client, row.unwrap().get(0))
}

fn waits_for(status: &Status, pid: i32) -> bool {
    let trouble = &status.0["health"]["trouble"];
    trouble["cause"] == "migration"
        && trouble["what"]
            .as_str()
            .unwrap()
            .contains(&format!("PID {pid} "))
}

/// Whether the server still works on a migration. Not to be asked in the holder's transaction: it sees one moment only.
async fn altering(client: &Client) -> bool {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'ALTER TABLE held%'";
    client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) > 0
}

#[tokio::test]
async fn at_the_start_it_is_shown_and_can_be_cancelled() {
    let server = Server::start().await;
    let (holder, pid) = holder(&server).await;
    let observer = server.connect().await.unwrap();
    holder.batch_execute("CREATE TABLE held ()").await.unwrap();
    holder.batch_execute(LOCK).await.unwrap();
    let checkout = Checkout::new();
    checkout.write(FILE, "ALTER TABLE held ADD x int;");
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port);
    let mut host = Host::spawn_in(checkout, &[("DATABASE_URL", &url)]).await;
    let status = host
        .until("whom it waits for", |status| waits_for(status, pid))
        .await;
    assert_eq!(status.0["schema"]["applying"]["file"], FILE);
    assert_eq!((status.phase(), status.generation()), ("starting", 0));
    let answer = host.get("/api/counters").await;
    assert_eq!(answer.status(), 503);
    assert_eq!(
        answer.json::<serde_json::Value>().await.unwrap()["error"]["code"],
        "migrating"
    );
    let said = format!("{FILE} is being applied and waits for a lock of PID {pid} ");
    eventually("the line for it", async || {
        host.log().contains(&said).then_some(())
    })
    .await;
    assert_eq!(host.log().matches(&said).count(), 1, "{}", host.log());

    if let Some(browser) = Chromium::start().await {
        let is =
            |heading: &str| format!("document.querySelector('h1')?.textContent === '{heading}'");
        browser.open(&host.url("/")).await;
        browser
            .until("the page", &is("A migration takes long"))
            .await;
        let faults = browser.accessibility_faults().await;
        assert!(faults.is_empty(), "{faults:#?}");
        browser.screenshot("slow-migration").await;
        browser.click("main button").await;
        browser
            .until("that it is cancelled", &is("A migration failed"))
            .await;
        assert!(!altering(&observer).await, "the server has ended it");
        // The page reloads once more when the app, which is built anyway, goes live.
        let settled =
            "document.querySelector('script[data-generation]')?.dataset.generation === '1'";
        browser.until("the page of generation 1", settled).await;
        // Once more; this time the dashboard's button ends it.
        browser.click("main button").await;
        host.until("the wait", |status| waits_for(status, pid))
            .await;
        browser.open(&host.url("/__dev")).await;
        let button = "#trouble [data-action=cancel-migration]";
        let shown = format!("document.querySelector('{button}').checkVisibility()");
        browser.until("the button", &shown).await;
        browser.click(button).await;
        host.until("the end", |status| {
            status.0["schema"]["failure"]["message"]
                .as_str()
                .is_some_and(|said| said.contains("57014"))
        })
        .await;
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser.close().await;
        // Saved again, it is tried again.
        host.checkout
            .write(FILE, "ALTER TABLE held ADD x int; -- again");
        host.until("the wait", |status| waits_for(status, pid))
            .await;
    }
    holder.batch_execute("ROLLBACK").await.unwrap();
    host.until_generation(1).await;
    let status = host.status().await;
    assert!(status.0["schema"]["applying"].is_null() && status.0["health"]["trouble"].is_null());

    // While the host runs, over the app's own connection: requests need not wait for it until they time out.
    // Ctrl-C cancels the migration, too.
    host.backend().await;
    let browser = Chromium::start().await;
    if let Some(browser) = &browser {
        browser.open(&host.url("/")).await;
    }
    holder.batch_execute(LOCK).await.unwrap();
    host.checkout
        .write("migrations/V4__more.sql", "ALTER TABLE held ADD y int;");
    host.until("the wait", |status| waits_for(status, pid))
        .await;
    assert!(altering(&observer).await);
    let status = host.status().await;
    let holder = &status.0["db"]["holders"][0];
    assert_eq!(
        (&holder["who"], &holder["at"]),
        (&"the host (migrations)".into(), &serde_json::Value::Null)
    );
    let answer = host.get("/api/counters").await;
    assert_eq!(answer.status(), 503);
    let told = answer.json::<serde_json::Value>().await.unwrap();
    assert_eq!(told["error"]["code"], "migrating");
    if let Some(browser) = browser {
        let waits = "document.querySelector('h1')?.textContent === 'A migration takes long'";
        browser.until("the open page to say so", waits).await;
        browser.open(&host.url("/__dev/database")).await;
        let word = "document.querySelector('#schema-word').textContent";
        let applying = format!(
            "/^applying migrations\\/V4__more.sql since \\d\\d:\\d\\d:\\d\\d$/.test({word})"
        );
        browser.until("the dashboard to say so", &applying).await;
        browser.close().await;
    }
    host.signal(Signal::SIGINT);
    eventually("the end of the statement", async || {
        (!altering(&observer).await).then_some(())
    })
    .await;
    assert_eq!(host.ended().await.code(), Some(0));
    assert!(host.log().contains("cancelled; "), "{}", host.log());
}

#[tokio::test]
async fn a_server_that_does_not_cancel_it_is_named_and_so_is_what_it_still_holds() {
    let host = Host::start().await;
    let backend = host.backend().await;
    let holder = host.observe().await;
    holder.batch_execute("CREATE TABLE held ()").await.unwrap();
    holder.batch_execute(LOCK).await.unwrap();
    host.checkout.write(FILE, "ALTER TABLE held ADD x int;");
    host.until("the migration", |status| {
        status.0["schema"]["applying"]["file"] == FILE
    })
    .await;
    let frozen = Pid::from_raw(i32::try_from(backend).unwrap());
    kill(frozen, Signal::SIGSTOP).unwrap();
    holder.batch_execute("ROLLBACK").await.unwrap();
    let token = token(&host).await;
    let press = act(&host, "cancel-migration", "", &[("x-dev-token", &token)]).await;
    assert!(press.0 < 400, "{press:?}");
    let status = host
        .until("the end of its patience", |status| {
            !status.0["schema"]["failure"].is_null()
        })
        .await;
    let said = status.0["schema"]["failure"]["message"].as_str().unwrap();
    let pid = format!("PID {backend}");
    assert!(
        said.contains("did not end it within 5 s") && said.contains(&pid),
        "{said}"
    );
    // The next attempt has another connection.
    act(&host, "migrate", "", &[("x-dev-token", &token)]).await;
    host.until("what it waits for", |status| {
        waits_for(status, frozen.as_raw())
    })
    .await;
    kill(frozen, Signal::SIGCONT).unwrap();
    host.until("the migration", |status| {
        status.0["schema"]["applied"][2] == "V3__held" && status.0["schema"]["failure"].is_null()
    })
    .await;
    assert_ne!(host.backend().await, backend);
}
