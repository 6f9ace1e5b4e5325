//! The log for programs, and a line in it for each request.

use serde_json::Value;

use super::serving::Serving;
use crate::support::{Server, eventually};

#[tokio::test]
async fn each_line_is_an_object_and_each_request_has_one() {
    let server = Server::start().await;
    let settings = [("HTTP_LOG_FORMAT", "json"), ("HTTP_ACCESS_LOG", "on")];
    let serving = Serving::start(&server, &settings).await;
    serving.get("/item/7?key=secret").await;
    serving.get("/panic").await;
    serving.get("/healthz").await; // a probe is no request of the app's
    let (one, other) = eventually("a line for each", async || {
        let said = serving.said();
        let mut lines = said.lines().filter(|line| line.contains("\"access\""));
        Some((lines.next()?.to_owned(), lines.next()?.to_owned()))
    })
    .await;
    for (line, route, status) in [(one, "/item/{id}", 200), (other, "/panic", 500)] {
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["target"], "access");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["method"], "GET");
        assert_eq!(line["route"], route);
        assert_eq!(line["status"], status);
        assert!(
            line["duration_ms"].as_f64().is_some_and(|ms| ms > 0.0),
            "{line}"
        );
        assert!(line["timestamp"].is_string(), "{line}");
    }
    serving.terminate();
    let (status, said) = serving.ended().await;
    assert!(status.success() && !said.contains("secret"), "{said}");
    let lines: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?} in {said}")))
        .collect();
    let with = |key: &str, wanted: &str| lines.iter().filter(|line| line[key] == wanted).count();
    assert_eq!(with("message", "in app()"), 1, "the app's own");
    assert_eq!(with("target", "access"), 2);
    assert_eq!(with("target", "panic"), 1);
}

#[tokio::test]
async fn a_panic_is_logged_whatever_else_is() {
    let server = Server::start().await;
    let settings = [("HTTP_LOG_FORMAT", "json"), ("RUST_LOG", "host=info")];
    let serving = Serving::start(&server, &settings).await;
    serving.get("/panic").await;
    serving.terminate();
    let (_, said) = serving.ended().await;
    let is_a_panic = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["target"] == "panic"
    };
    assert_eq!(
        said.lines().filter(|line| is_a_panic(line)).count(),
        1,
        "{said}"
    );
    assert!(!said.contains("in app()"), "{said}");
}

#[tokio::test]
async fn without_the_setting_no_request_is_logged() {
    let server = Server::start().await;
    let serving = Serving::start(&server, &[]).await;
    serving.get("/item/7").await;
    serving.terminate();
    let (status, said) = serving.ended().await;
    assert!(
        status.success() && said.contains("INFO serving on"),
        "{said}"
    );
    assert!(
        !said.contains("access") && !said.contains("/item"),
        "{said}"
    );
}
