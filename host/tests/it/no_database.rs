//! A project without a database: everything else works, and nothing connects.

use crate::{
    support::{Checkout, Chromium, Host, lab},
    web::{act, token},
};

const LAB: &str = r#"
    Router::new().route("/used", get(async |State(app): State<AppState>| {
        let mut said = vec![app.db.query("SELECT 1", &[]).await.unwrap_err()];
        said.push(app.db.checkout().await.err().unwrap());
        let end = Box::pin(async { Ok::<_, shared::DbError>(()) });
        said.push(app.db.transaction(|_| end).await.unwrap_err());
        said.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }))"#;

#[tokio::test]
async fn without_a_database_all_else_works_and_a_use_of_it_says_why() {
    let checkout = Checkout::new();
    checkout.add_built_lab(lab!(LAB));
    checkout.write(".env", "HOST_DATABASE=none\n");
    // Nor is there a PostgreSQL on the machine.
    let host = Host::start_in(checkout, &[("PGBIN", "/nowhere")]).await;
    let said = host.text("/used").await;
    assert_eq!(
        said.matches("this project runs without a database").count(),
        3,
        "{said}"
    );
    assert!(said.contains("cargo dev --database postgres"), "{said}");
    host.checkout
        .write_lab(&LAB.replace("/used", "/used-again"));
    let status = host.until_generation(2).await;
    assert_eq!(host.get("/used-again").await.status(), 200);
    assert_eq!(status.0["db"]["url"], "none");
    assert_eq!(status.number("/db/opened_total"), 0);
    assert!(
        status.0["health"]["trouble"].is_null(),
        "{}",
        status.0["health"]
    );
    assert!(!host.checkout.path(".dev/postgres").exists());

    let token = token(&host).await;
    for (action, body, answer) in [
        ("new-pool", "", 200),
        ("mode", "pool=app&isolation=off", 200),
        ("migrate", "", 502),
    ] {
        let done = act(&host, action, body, &[("x-dev-token", &token)]).await;
        assert_eq!(done.0, answer, "{action}: {}", done.1);
    }
    let asked = host.checkout.host().arg("migrate").output().unwrap();
    let said = String::from_utf8_lossy(&asked.stderr).into_owned();
    assert!(said.contains("HOST_DATABASE is none"), "{said}");
    if let Some(browser) = Chromium::start().await {
        browser.open(&host.url("/__dev")).await;
        let none = "document.querySelector('#backends').textContent === 'none' \
            && document.querySelector('nav [href=\"/__dev/leak\"]').hidden";
        browser.until("the dashboard without one", none).await;
        browser.open(&host.url("/__dev/database")).await;
        let none = "document.querySelector('#schema').hidden && document.querySelector('#pool').offsetParent === null \
            && document.body.innerText.includes('This project has no database')";
        browser.until("the tab without one", none).await;
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser.close().await;
    }
    let log = host.log();
    for line in [
        "Postgres  none (HOST_DATABASE)",
        "no connection pool: HOST_DATABASE is none",
        "cannot restart: the modes are about connections",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    let live = log.lines().find(|line| line.contains("✓ gen 2")).unwrap();
    assert!(!live.contains("pg ") && !live.contains("conns"), "{live}");
    let (ended, _) = host.stop().await;
    assert!(ended.success());
}

#[test]
fn a_demonstration_of_connections_needs_a_database() {
    let started = Checkout::new()
        .host()
        .args(["dev", "--port", "0", "--database", "none", "--pool", "app"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&started.stderr).into_owned();
    assert!(said.contains("and HOST_DATABASE is none"), "{said}");
}
