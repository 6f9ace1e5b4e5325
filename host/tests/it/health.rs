//! A database that is down: the host waits for it at the start, shows it everywhere, and recovers when it is back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Checkout, Chromium, Host, Server, Status, eventually, lab};

/// A page that needs the database.
const LAB: &str = r#"Router::new().route("/lab", get(async |State(app): State<AppState>| {
    let (status, heading) = match app.db.query("SELECT 1", &[]).await {
        Ok(_) => (StatusCode::OK, "One"),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "Broken"),
    };
    (status, Html(format!("<!doctype html><html lang='en'><title>Lab</title><body><main><h1>{heading}</h1></main></body></html>")))
}))"#;

fn cause(status: &Status) -> &str {
    status.0["health"]["trouble"]["cause"]
        .as_str()
        .unwrap_or("none")
}

fn is(heading: &str) -> String {
    format!("document.querySelector('h1').textContent === '{heading}'")
}

fn dashboard_says(chip: &str) -> String {
    format!("document.querySelector('#link').textContent === '{chip}'")
}

#[tokio::test]
async fn a_database_that_is_down_is_told_everywhere_and_waited_for() {
    let mut server = Server::start().await;
    server.stop_immediately();
    let checkout = Checkout::new();
    checkout.add_built_lab(lab!(LAB));
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port);
    let host = Host::spawn_in(checkout, &[("DATABASE_URL", &url)]).await;
    let status = host
        .until("the trouble", |status| cause(status) == "database")
        .await;
    let what = status.0["health"]["trouble"]["what"].as_str().unwrap();
    let said = format!("The database does not answer: {url}: Connection refused (os error 111)");
    assert_eq!(what, said, "what happened is said once");
    assert_eq!((status.phase(), status.generation()), ("starting", 0));
    let answer = host.get("/api/counters").await;
    assert_eq!(answer.status(), 503);
    let json: Value = answer.json().await.unwrap();
    assert_eq!(json["error"]["code"], "database_down");

    let browser = Chromium::start().await;
    if let Some(browser) = &browser {
        browser.open(&host.url("/__dev")).await;
        let told = dashboard_says("database down");
        browser.until("the chip", &told).await;
        let note = "document.querySelector('#remedy').textContent.includes('DATABASE_URL')";
        browser.until("what to do", note).await;
        browser.open(&host.url("/lab")).await;
        let told = is("The database does not answer");
        browser.until("the page that waits", &told).await;
        let faults = browser.accessibility_faults().await;
        assert!(faults.is_empty(), "{faults:#?}");
        browser.screenshot("database-down").await;
    }
    server.start_again();
    host.until("the first generation", |status| {
        status.phase() == "active" && cause(status) == "none"
    })
    .await;
    let log = host.log();
    assert_eq!(
        log.matches("The database does not answer").count(),
        1,
        "{log}"
    );
    assert_eq!(log.matches("the database answers").count(), 1, "{log}");
    if let Some(browser) = &browser {
        browser.until("the app's page, by itself", &is("One")).await;
    }

    // While the host runs, without a request that would notice.
    host.backend().await;
    server.stop_immediately();
    let status = host
        .until("the trouble", |status| cause(status) == "database")
        .await;
    assert_eq!((status.phase(), status.generation()), ("active", 1));
    if let Some(browser) = &browser {
        browser.open(&host.url("/__dev")).await;
        let told = dashboard_says("database down");
        browser.until("the chip", &told).await;
        browser.open(&host.url("/lab")).await;
        browser.until("the app's own answer", &is("Broken")).await;
    }
    server.start_again();
    host.until("health", |status| cause(status) == "none").await;
    assert_eq!(host.get("/api/ping").await.status(), 200);
    if let Some(browser) = browser {
        browser
            .until("the page, healed by itself", &is("One"))
            .await;
        browser.open(&host.url("/__dev")).await;
        browser.until("the chip", &dashboard_says("active")).await;
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser.close().await;
    }
}

/// A proxy to `server` that lets the first `lets` connections through and closes the others.
async fn way_to(server: &Server, lets: usize) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, far) = (listener.local_addr().unwrap().port(), server.port);
    let came = Arc::<AtomicUsize>::default();
    let counted = came.clone();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            if counted.fetch_add(1, Relaxed) < lets {
                let mut far = TcpStream::connect(("127.0.0.1", far)).await.unwrap();
                tokio::spawn(async move {
                    // Either side may end it.
                    drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
                });
            }
        }
    });
    (port, came)
}

#[tokio::test]
async fn settings_are_followed_out_of_any_trouble_and_back_again() {
    let server = Server::start().await;
    let checkout = Checkout::new();
    let wrong = format!(
        "DATABASE_URL=postgres://plain:wrong@127.0.0.1:{}/postgres\n",
        server.port
    );
    checkout.write(".env", &wrong);
    let host = Host::spawn_in(checkout, &[]).await;
    let status = host
        .until("the refusal", |status| cause(status) == "database")
        .await;
    let what = status.0["health"]["trouble"]["what"].as_str().unwrap();
    assert!(what.contains("28P01") && !what.contains("wrong"), "{what}");
    let right = format!("DATABASE_URL='{}'\n", server.url("plain", "127.0.0.1", ""));
    host.checkout.write(".env", &right);
    host.until("the app", |status| {
        status.phase() == "active" && cause(status) == "none"
    })
    .await;
    assert_eq!(host.get("/api/ping").await.status(), 200);

    // Good enough to be moved to, and gone once the pool has moved.
    let (port, came) = way_to(&server, 1).await;
    let gone = format!("DATABASE_URL=postgres://postgres@127.0.0.1:{port}/postgres\n");
    host.checkout.write(".env", &gone);
    let status = host
        .until("the trouble", |status| cause(status) == "database")
        .await;
    assert!(came.load(Relaxed) > 1);
    let what = status.0["health"]["trouble"]["what"].as_str().unwrap();
    assert!(what.contains(&port.to_string()), "{what}");
    let entries = status.0["environment"].as_array().unwrap();
    let in_force = entries
        .iter()
        .find(|entry| entry["name"] == "DATABASE_URL")
        .unwrap();
    let in_force = in_force["value"].as_str().unwrap();
    assert!(in_force.contains(&port.to_string()), "{in_force}");
    assert!(
        !host.log().contains("keeping the previous settings"),
        "{}",
        host.log()
    );

    host.checkout.write(".env", &right);
    host.until("the way back", |status| cause(status) == "none")
        .await;
    assert_eq!(host.get("/api/ping").await.status(), 200);

    // What cannot be moved to leaves all as it is.
    host.checkout.write(".env", &wrong);
    eventually("the refusal", async || {
        host.log()
            .contains("keeping the previous settings")
            .then_some(())
    })
    .await;
    assert_eq!(host.get("/api/ping").await.status(), 200);
}

/// What waits for a silent server in each way, and what does not need it. `gate` lets what holds the connection go on.
const WAITS: &str = r#"
    use futures_util::FutureExt;
    fn said<T>(result: Result<T, shared::DbError>) -> (StatusCode, String) {
        match result {
            Ok(_) => (StatusCode::OK, "ok".to_owned()),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }
    Router::new()
        .route("/no_database", get(async || "served"))
        .route("/page", get(async |State(app): State<AppState>| {
            app.db.query("SELECT 1", &[]).await.map_err(|error| said(Err::<(), _>(error)))?;
            Ok::<_, (StatusCode, String)>(Html("<!doctype html><html lang='en'><title>Lab</title><body><main><h1>One</h1></main></body></html>"))
        }))
        .route("/transaction", get(async |State(app): State<AppState>| {
            said(app.db.transaction(|tx| async move { gate("go").await; tx.query("SELECT 1", &[]).await }.boxed()).await)
        }))
        .route("/checkout", get(async |State(app): State<AppState>| {
            let held = app.db.checkout().await.unwrap();
            gate("go").await;
            held.client().batch_execute("SELECT 1").await.unwrap();
        }))"#;

/// A server and its backend, stopped until this is dropped: also by a test that fails, since neither could end.
struct Frozen<'a> {
    server: &'a Server,
    backend: Pid,
}

impl<'a> Frozen<'a> {
    fn new(server: &'a Server, backend: Pid) -> Self {
        server.signal(Signal::SIGSTOP);
        kill(backend, Signal::SIGSTOP).unwrap();
        Self { server, backend }
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        kill(self.backend, Signal::SIGCONT).unwrap();
        self.server.signal(Signal::SIGCONT);
    }
}

/// Against hanging: an answer about a silent server takes a few seconds.
const TOLD: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_server_that_is_silent_is_told_and_waited_for() {
    let server = Server::start().await;
    let checkout = Checkout::new();
    checkout.add_built_lab(lab!(WAITS));
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port);
    let host = Host::start_in(checkout, &[("DATABASE_URL", &url)]).await;
    let backend = host.backend().await;
    let process = Pid::from_raw(i32::try_from(backend).unwrap());
    let freeze = || Frozen::new(&server, process);
    let thaw = async |frozen: Frozen| {
        drop(frozen);
        host.until("the end of it", |status| cause(status) == "none")
            .await;
        assert_eq!(host.backend().await, backend);
    };
    let ask = |path: &str| host.client.get(host.url(path)).timeout(TOLD);
    let send = |path: &str| tokio::spawn(ask(path).send());
    let is_held = async || {
        host.until("the holder", |status| {
            status.0["db"]["holders"][0]["alone"] == true
        })
        .await;
    };

    let in_flight = send("/transaction");
    is_held().await;
    let frozen = freeze();
    host.checkout.write("go", "");
    let waiting = send("/api/ping");
    for (waits, may_take_effect) in [(in_flight, true), (waiting, false)] {
        let answer = waits.await.unwrap().unwrap();
        assert!(answer.status().is_server_error());
        let text = answer.text().await.unwrap();
        assert!(text.contains("the database is silent"), "{text}");
        assert_eq!(
            text.contains("may still take effect"),
            may_take_effect,
            "{text}"
        );
    }
    assert_eq!(cause(&host.status().await), "database");
    eventually("the terminal", async || {
        host.log().contains("The database is silent").then_some(())
    })
    .await;
    // From now on the answer comes at once.
    let answer = ask("/api/ping").send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "1");
    let json: Value = answer.json().await.unwrap();
    assert_eq!(json["error"]["code"], "database_unavailable");
    assert_eq!(host.text("/no_database").await, "served");
    let browser = Chromium::start().await;
    if let Some(browser) = &browser {
        browser.open(&host.url("/page")).await;
        let told = "document.querySelector('main').textContent.includes('the database is silent')";
        browser.until("the reason", told).await;
    }
    thaw(frozen).await;
    if let Some(browser) = browser {
        browser.until("the page, by itself", &is("One")).await;
        browser.close().await;
    }

    std::fs::remove_file(host.checkout.path("go")).unwrap();
    let in_flight = send("/checkout");
    is_held().await;
    let frozen = freeze();
    host.checkout.write("go", "");
    let answer = in_flight.await.unwrap().unwrap();
    assert_eq!(answer.status(), 503);
    let text = answer.text().await.unwrap();
    assert!(
        text.contains("GET /checkout, generation 1") && text.contains("the database is silent"),
        "{text}"
    );
    thaw(frozen).await;
}
