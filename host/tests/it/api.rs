//! The sample app as a client sees it.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Host, lab};

#[tokio::test]
async fn counters_from_creation_to_removal() {
    let host = Host::start().await;
    let send = async |method: Method, path: &str, body: Value| {
        let answer = host
            .client
            .request(method, host.url(path))
            .json(&body)
            .send()
            .await
            .unwrap();
        let (status, location) = (
            answer.status().as_u16(),
            answer
                .headers()
                .get("location")
                .map(|value| value.to_str().unwrap().to_owned()),
        );
        (
            status,
            location,
            answer.json::<Value>().await.unwrap_or_default(),
        )
    };
    let (status, location, counter) =
        send(Method::POST, "/api/counters", json!({ "name": "visits" })).await;
    assert_eq!(
        (status, counter["count"].as_i64(), counter["name"].as_str()),
        (201, Some(0), Some("visits"))
    );
    let path = location.unwrap();
    for amount in [5, -2] {
        let (status, _, _) = send(
            Method::POST,
            &format!("{path}/increments"),
            json!({ "amount": amount }),
        )
        .await;
        assert_eq!(status, 201);
    }
    let with = host.json(&format!("{path}?with=increments")).await;
    let amounts: Vec<i64> = with["increments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|increment| increment["amount"].as_i64().unwrap())
        .collect();
    assert_eq!((with["count"].as_i64(), amounts), (Some(3), vec![5, -2]));
    assert!(host.json(&path).await.get("increments").is_none());
    assert_eq!(
        host.json(&format!("{path}/increments")).await[0]["amount"],
        -2,
        "newest first"
    );

    let (status, _, replaced) =
        send(Method::PUT, &path, json!({ "name": "clicks", "count": 40 })).await;
    assert_eq!(
        (
            status,
            replaced["count"].as_i64(),
            replaced["name"].as_str()
        ),
        (200, Some(40), Some("clicks"))
    );
    assert_eq!(
        host.json("/api/counters").await.as_array().unwrap().len(),
        1
    );
    assert_eq!(send(Method::DELETE, &path, Value::Null).await.0, 204);
    assert_eq!(host.get(&path).await.status(), 404);
    assert_eq!(host.json("/api/counters").await, json!([]));
}

#[tokio::test]
async fn every_wrong_request_says_what_is_wrong() {
    let host = Host::start().await;
    let counter = json!({ "name": "a", "count": i32::MAX }).to_string();
    host.client
        .post(host.url("/api/counters"))
        .header("content-type", "application/json")
        .body(counter)
        .send()
        .await
        .unwrap();
    let json = Some("application/json");
    for (method, path, content, body, status, code) in [
        (
            Method::POST,
            "/api/counters",
            json,
            "{",
            400,
            "malformed_json",
        ),
        (
            Method::POST,
            "/api/counters",
            json,
            r#"{"name": 7}"#,
            422,
            "invalid",
        ),
        (
            Method::POST,
            "/api/counters",
            json,
            r#"{"name": ""}"#,
            422,
            "invalid",
        ),
        (
            Method::POST,
            "/api/counters",
            json,
            r#"{"name": "a\u0000b"}"#,
            422,
            "invalid",
        ),
        (
            Method::POST,
            "/api/counters",
            json,
            r#"{"name": "a", "colour": "red"}"#,
            422,
            "invalid",
        ),
        (
            Method::POST,
            "/api/counters",
            json,
            r#"{"name": "a", "count": 99999999999}"#,
            422,
            "invalid",
        ),
        (
            Method::POST,
            "/api/counters",
            None,
            r#"{"name": "a"}"#,
            415,
            "not_json",
        ),
        (
            Method::POST,
            "/api/counters/1/increments",
            json,
            r#"{"amount": 1}"#,
            422,
            "out_of_range",
        ),
        (
            Method::POST,
            "/api/counters/9/increments",
            json,
            r#"{"amount": 1}"#,
            404,
            "not_found",
        ),
        (
            Method::PUT,
            "/api/counters/9",
            json,
            r#"{"name": "a"}"#,
            404,
            "not_found",
        ),
        (
            Method::DELETE,
            "/api/counters/9",
            None,
            "",
            404,
            "not_found",
        ),
        (Method::GET, "/api/counters/9", None, "", 404, "not_found"),
        (
            Method::GET,
            "/api/counters/nine",
            None,
            "",
            400,
            "invalid_path",
        ),
        (
            Method::GET,
            "/api/counters/99999999999999999999",
            None,
            "",
            400,
            "invalid_path",
        ),
        (
            Method::GET,
            "/api/counters/1?with=colours",
            None,
            "",
            422,
            "invalid",
        ),
        (Method::GET, "/api/nothing", None, "", 404, "unknown_route"),
        (Method::GET, "/nothing", None, "", 404, "unknown_route"),
        (
            Method::PATCH,
            "/api/counters/1",
            None,
            "",
            405,
            "wrong_method",
        ),
    ] {
        let mut request = host
            .client
            .request(method.clone(), host.url(path))
            .body(body);
        if let Some(content) = content {
            request = request.header("content-type", content);
        }
        let answer = request.send().await.unwrap();
        let got = answer.status().as_u16();
        let error: Value = answer.json().await.unwrap();
        assert_eq!(
            (got, error["error"]["code"].as_str()),
            (status, Some(code)),
            "{method} {path} {body}: {error}"
        );
        assert!(!error["error"]["message"].as_str().unwrap().is_empty());
    }
    // The one that reached PostgreSQL and was refused there changed nothing.
    assert_eq!(
        host.json("/api/counters/1?with=increments").await["increments"],
        json!([])
    );
}

#[tokio::test]
async fn what_the_database_said_is_logged_and_not_sent() {
    let host = Host::start().await;
    host.observe()
        .await
        .batch_execute("ALTER TABLE counter RENAME TO secret_table")
        .await
        .unwrap();
    let answer = host.get("/api/counters").await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!answer.text().await.unwrap().contains("relation"));
    let log = host.log();
    assert!(
        log.contains(" ERROR app_lib::error: 42P01: relation \"counter\" does not exist")
            && !log.contains("ERROR ERROR"),
        "with its code, and its severity once: {log}"
    );
}

#[tokio::test]
async fn the_page_works_without_a_script_and_escapes_what_it_shows() {
    let host = Host::start().await;
    let created = host
        .client
        .post(host.url("/counters"))
        .form(&[("name", "<script>alert(1)</script>")])
        .send()
        .await
        .unwrap();
    assert_eq!(
        (created.status(), created.url().path()),
        (StatusCode::OK, "/"),
        "redirected to the page"
    );
    let page = host
        .client
        .post(host.url("/counters/1/increments"))
        .form(&[("amount", "1")])
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        page.contains("<strong>1</strong>")
            && page.contains("&lt;script&gt;alert(1)")
            && !page.contains("<script>"),
        "{page}"
    );
    let refused = host
        .client
        .post(host.url("/counters"))
        .form(&[("name", " ")])
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        refused
            .text()
            .await
            .unwrap()
            .contains("1 to 100 characters")
    );
}

#[tokio::test]
async fn http_2_and_large_bodies_pass_through() {
    let host = Host::with_built_lab(lab!(r#"Router::new().route("/count", post(async |body: Body| {
            use futures_util::TryStreamExt;
            body.into_data_stream().try_fold(0, async |n, chunk| Ok(n + chunk.len())).await.unwrap().to_string()
        })).route("/large", get(async || vec![b'x'; 5 << 20]))"#))
    .await;
    let http2 = reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    for (client, version) in [
        (&host.client, reqwest::Version::HTTP_11),
        (&http2, reqwest::Version::HTTP_2),
    ] {
        // Larger than axum's limit for collected bodies, and streamed: nothing on the way may collect it.
        let chunks = (0..50).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 1 << 20]));
        let sent = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
        let answer = client
            .post(host.url("/count"))
            .body(sent)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.version(), version);
        assert_eq!(answer.text().await.unwrap(), (50 << 20).to_string());
        let large = client.get(host.url("/large")).send().await.unwrap();
        assert_eq!(large.content_length(), Some(5 << 20));
        assert_eq!(large.bytes().await.unwrap().len(), 5 << 20);
    }
}
