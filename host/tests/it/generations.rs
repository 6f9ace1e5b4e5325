//! What happens to requests, streams and tasks of a generation that is replaced.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Checkout, Host, eventually, lab};

/// A save that changes nothing but the generation.
fn next(routes: &str) -> String {
    routes.replace("GEN", "2")
}

/// Of a request that was still inside generation 1 when that had to end.
async fn was_cut_off(answer: reqwest::Response) {
    assert_eq!(answer.status(), 503);
    let text = answer.text().await.unwrap();
    assert!(text.contains("generation 1 was replaced"), "{text}");
}

#[tokio::test]
async fn a_slow_request_finishes_on_the_code_it_began_on() {
    const ROUTES: &str =
        r#"Router::new().route("/slow", get(async || { gate("open").await; "GEN" }))"#;
    let host = Host::with_built_lab(lab!(ROUTES)).await;
    let slow = tokio::spawn(host.client.get(host.url("/slow")).send());
    host.until("the request inside", |status| {
        status.of_generation(1) == Some(("active", 1))
    })
    .await;

    host.checkout.write_lab(&next(ROUTES));
    let status = host.until_generation(2).await;
    assert_eq!(status.of_generation(1), Some(("draining", 1)));
    host.checkout.write("open", "");
    assert_eq!(slow.await.unwrap().unwrap().text().await.unwrap(), "GEN");
    assert_eq!(host.text("/slow").await, "2");
    host.until("generation 1 to retire", |status| status.is_retired(1))
        .await;
}

#[tokio::test]
async fn a_request_that_outlasts_the_drain_is_cut_off_and_named() {
    const ROUTES: &str =
        r#"Router::new().route("/late", get(async || { gate("never").await; "GEN" }))"#;
    let checkout = Checkout::new();
    checkout.add_built_lab(lab!(ROUTES));
    let host = Host::start_in(checkout, &[("DRAIN_TIMEOUT_MS", "200")]).await;
    let late = tokio::spawn(host.client.get(host.url("/late")).send());
    host.until("the request inside", |status| {
        status.of_generation(1) == Some(("active", 1))
    })
    .await;

    host.checkout.write_lab(&next(ROUTES));
    was_cut_off(late.await.unwrap().unwrap()).await;
    host.until("generation 1 to retire", |status| status.is_retired(1))
        .await;
    eventually("the log", async || {
        host.log().contains("GET /late").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stream_goes_on_across_a_swap() {
    const ROUTES: &str = r#"Router::new().route("/stream", get(async || Body::from_stream(futures_util::stream::unfold(0, async |n| match n {
        0 => Some((Ok::<_, std::io::Error>("first "), 1)),
        1 => { gate("open").await; Some((Ok("GEN"), 2)) }
        _ => None,
    }))))"#;
    let host = Host::with_built_lab(lab!(ROUTES)).await;
    let mut stream = host.get("/stream").await;
    assert_eq!(
        stream.chunk().await.unwrap().unwrap(),
        "first ",
        "headers and first chunk leave before the rest exists"
    );

    host.checkout.write_lab(&next(ROUTES));
    let status = host.until_generation(2).await;
    assert_eq!(status.of_generation(1), Some(("draining", 1)));
    host.checkout.write("open", "");
    assert_eq!(stream.chunk().await.unwrap().unwrap(), "GEN");
    assert!(stream.chunk().await.unwrap().is_none());
    host.until("generation 1 to retire", |status| status.is_retired(1))
        .await;
}

#[tokio::test]
async fn a_stream_that_panics_is_cut_and_does_not_look_complete() {
    const ROUTES: &str = r#"Router::new().route("/stream", get(async || Body::from_stream(futures_util::stream::unfold(0, async |n| match n {
        0 => Some((Ok::<_, std::io::Error>("first "), 1)),
        _ => { gate("open").await; panic!("in a stream") }
    }))))"#;
    let host = Host::with_built_lab(lab!(ROUTES)).await;
    let mut stream = host.get("/stream").await;
    assert_eq!(stream.chunk().await.unwrap().unwrap(), "first ");
    host.checkout.write("open", "");
    assert!(stream.chunk().await.is_err());
}

#[tokio::test]
async fn server_sent_events_end_with_their_generation_so_that_clients_reconnect() {
    const ROUTES: &str = r#"Router::new().route("/events", get(async |State(app): State<AppState>| {
        use futures_util::StreamExt;
        let first = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(sse::Event::default().data("GEN"))]);
        sse::Sse::new(first.chain(futures_util::stream::pending()).take_until(app.shutdown.cancelled_owned()))
    }))"#;
    let host = Host::with_built_lab(lab!(ROUTES)).await;
    let mut events = host.get("/events").await;
    assert!(String::from_utf8_lossy(&events.chunk().await.unwrap().unwrap()).contains("data: GEN"));

    host.checkout.write_lab(&next(ROUTES));
    while events.chunk().await.unwrap().is_some() {}
    host.until_generation(2).await;
    let mut events = host.get("/events").await;
    assert!(String::from_utf8_lossy(&events.chunk().await.unwrap().unwrap()).contains("data: 2"));
}

#[tokio::test]
async fn a_websocket_holds_its_generation_until_it_has_said_goodbye() {
    const ROUTES: &str = r#"Router::new().route("/socket", get(async |State(app): State<AppState>, upgrade: ws::WebSocketUpgrade| {
        upgrade.on_upgrade(async move |mut socket| {
            loop {
                tokio::select! {
                    said = socket.recv() => match said { Some(Ok(said)) => drop(socket.send(said).await), _ => return },
                    () = app.shutdown.cancelled() => { gate("open").await; drop(socket.send(ws::Message::text("goodbye GEN")).await); return }
                }
            }
        })
    }))"#;
    let host = Host::with_built_lab(lab!(ROUTES)).await;
    let (mut socket, _) =
        tokio_tungstenite::connect_async(host.url("/socket").replace("http", "ws"))
            .await
            .unwrap();
    socket.send(Message::text("echo")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("echo"));

    host.checkout.write_lab(&next(ROUTES));
    let status = host.until_generation(2).await;
    assert_eq!(
        status.of_generation(1),
        Some(("draining", 1)),
        "an open socket is a request under way"
    );
    host.checkout.write("open", "");
    assert_eq!(
        socket.next().await.unwrap().unwrap(),
        Message::text("goodbye GEN")
    );
    host.until("generation 1 to retire", |status| status.is_retired(1))
        .await;
}

#[tokio::test]
async fn what_the_app_opened_ends_with_its_generation() {
    // A listener in a detached task: only the end of the runtime can close it.
    const ROUTES: &str = r#"Router::new().route("/open", get(async || {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { loop { drop(listener.accept().await) } });
        format!("{address} GEN")
    }))"#;
    let host = Host::with_built_lab(lab!(ROUTES)).await;
    let answer = host.text("/open").await;
    let address = answer.split(' ').next().unwrap();
    tokio::net::TcpStream::connect(address).await.unwrap();

    host.checkout.write_lab(&next(ROUTES));
    host.until("generation 1 to retire", |status| status.is_retired(1))
        .await;
    let refused = tokio::net::TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let threads = std::fs::read_dir(format!("/proc/{}/task", host.pid())).unwrap();
    let names: Vec<String> = threads
        .map(|thread| {
            std::fs::read_to_string(thread.unwrap().path().join("comm")).unwrap_or_default()
        })
        .collect();
    assert!(
        names.iter().any(|name| name.trim() == "gen-2")
            && !names.iter().any(|name| name.trim() == "gen-1"),
        "{names:?}"
    );
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_handler_with_it() {
    const ROUTES: &str =
        r#"Router::new().route("/wait", get(async || { gate("never").await; "GEN" }))"#;
    let host = Host::with_built_lab(lab!(ROUTES)).await;
    let waiting = tokio::spawn(host.client.get(host.url("/wait")).send());
    host.until("the request inside", |status| {
        status.of_generation(1) == Some(("active", 1))
    })
    .await;
    waiting.abort();
    host.until("the lease to end", |status| {
        status.of_generation(1) == Some(("active", 0))
    })
    .await;
}

#[tokio::test]
async fn a_generation_that_has_ended_keeps_no_descriptor() {
    const ROUTES: &str = r#"Router::new().route("/lab", get(async || "GEN"))"#;
    let host = Host::with_built_lab(lab!(ROUTES)).await;
    let descriptors = || {
        let folder = format!("/proc/{}/fd", host.pid());
        std::fs::read_dir(folder).unwrap().count()
    };
    let reload = async |generation: u64| {
        host.checkout
            .write_lab(&ROUTES.replace("GEN", &generation.to_string()));
        host.until_generation(generation).await;
        assert_eq!(host.text("/lab").await, generation.to_string());
        host.until("the one before to retire", |status| {
            status.is_retired(generation - 1)
        })
        .await;
    };
    reload(2).await;
    let before = descriptors();
    for generation in 3..=9 {
        reload(generation).await;
    }
    // One or two more for a moment: connections of this test, a compiler that warms up.
    eventually("as few descriptors as before", async || {
        (descriptors() <= before).then_some(())
    })
    .await;
}

#[tokio::test]
async fn code_that_never_awaits_is_named_and_its_clients_are_answered() {
    let routes = r#"
        fn burn() { while !std::path::Path::new("stop").exists() {} }
        Router::new()
            .route("/quick", get(async || "GEN"))
            .route("/stream", get(async || Body::from_stream(futures_util::stream::unfold(0, async |n| {
                if n == 1 { burn(); }
                Some((Ok::<_, std::io::Error>("first "), n + 1))
            }))))"#;
    let checkout = Checkout::new();
    checkout.add_lab(routes);
    checkout.edit(
        "app_lib/src/ping.rs",
        "    let row = ",
        "    while std::path::Path::new(\"burn\").exists() {}\n    let row = ",
    );
    let settings = [("TOKIO_WORKER_THREADS", "2"), ("DRAIN_TIMEOUT_MS", "500")];
    let host = Host::start_in(checkout, &settings).await;
    let send = |path| tokio::spawn(host.client.get(host.url(path)).send());
    let mut stream = host.get("/stream").await;
    assert_eq!(stream.chunk().await.unwrap().unwrap(), "first ");
    host.checkout.write("burn", "");
    let burn = send("/api/ping");
    eventually("both to be named", async || {
        let log = host.log();
        let is_named =
            |what: &str| log.contains(&format!("gen 1: {what} runs without an await for"));
        (is_named("GET /api/ping (app_lib::ping::ping)")
            && is_named("GET /stream")
            && log.contains("2 of 2 threads"))
        .then_some(())
    })
    .await;
    let waits = tokio::spawn(
        host.client
            .get(host.url("/quick"))
            .header("accept", "application/json")
            .send(),
    );
    host.until("the third to wait", |status| {
        status.of_generation(1) == Some(("active", 3))
    })
    .await;

    host.checkout.write_lab(&next(routes));
    host.until_generation(2).await;
    assert_eq!(host.text("/quick").await, "2");
    was_cut_off(burn.await.unwrap().unwrap()).await;
    let answer = waits.await.unwrap().unwrap();
    assert_eq!(answer.status(), 503);
    let said: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(said["error"]["code"], "cut_off");
    assert!(stream.chunk().await.is_err(), "cut, and not complete");
    eventually("the threads that go on", async || {
        let log = host.log();
        log.contains("gen 1: 2 threads still run app code that does not await (")
            .then_some(())
    })
    .await;
    std::fs::remove_file(host.checkout.path("burn")).unwrap();
    host.checkout.write("stop", "");
}
