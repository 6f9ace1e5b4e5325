//! Requests to the app, each test on a database of its own.

use axum::http::{
    Method, StatusCode,
    header::{CONTENT_TYPE, LOCATION},
};
use serde_json::{Value, json};
use shared_test::TestApp;

use crate::app;

/// A new counter: its path, and its number.
async fn counter(app: &TestApp, name: &str) -> String {
    let made = app
        .post("/api/counters")
        .json(&json!({ "name": name }))
        .await;
    assert_eq!(made.status(), StatusCode::CREATED);
    made.header(LOCATION).to_owned()
}

#[tokio::test]
async fn a_new_counter_begins_at_zero() {
    let app = TestApp::new(app).await;
    let path = counter(&app, "visits").await;
    let made: Value = app.get(&path).await.json();
    assert_eq!(
        (&made["name"], &made["count"]),
        (&json!("visits"), &json!(0))
    );
    assert!(made.get("increments").is_none(), "unless asked for");
}

#[tokio::test]
async fn increments_add_up_and_are_kept() {
    let app = TestApp::new(app).await;
    let path = counter(&app, "visits").await;
    let increments = format!("{path}/increments");
    for amount in [5, -2] {
        let added = app
            .post(&increments)
            .json(&json!({ "amount": amount }))
            .await;
        assert_eq!(added.status(), StatusCode::CREATED);
    }
    let with: Value = app.get(&format!("{path}?with=increments")).await.json();
    let amounts: Vec<_> = with["increments"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    let amounts: Vec<_> = amounts.iter().map(|it| &it["amount"]).collect();
    assert_eq!(
        (&with["count"], amounts),
        (&json!(3), vec![&json!(5), &json!(-2)])
    );
    let newest: Value = app.get(&increments).await.json();
    assert_eq!(newest[0]["amount"], -2);
}

#[tokio::test]
async fn a_counter_is_replaced() {
    let app = TestApp::new(app).await;
    let path = counter(&app, "visits").await;
    let replaced = app
        .put(&path)
        .json(&json!({ "name": "clicks", "count": 40 }))
        .await;
    assert_eq!(replaced.status(), StatusCode::OK);
    let replaced: Value = replaced.json();
    assert_eq!(
        (&replaced["name"], &replaced["count"]),
        (&json!("clicks"), &json!(40))
    );
}

#[tokio::test]
async fn a_removed_counter_is_gone() {
    let app = TestApp::new(app).await;
    let path = counter(&app, "visits").await;
    assert_eq!(app.delete(&path).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(app.get(&path).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(app.get("/api/counters").await.json::<Value>(), json!([]));
}

#[tokio::test]
async fn counters_are_listed_in_the_order_in_which_they_were_made() {
    let app = TestApp::new(app).await;
    for name in ["b", "a"] {
        counter(&app, name).await;
    }
    let listed: Vec<Value> = app.get("/api/counters").await.json();
    let names: Vec<_> = listed.iter().map(|counter| &counter["name"]).collect();
    assert_eq!(names, ["b", "a"]);
}

#[tokio::test]
async fn a_sum_that_does_not_fit_changes_nothing() {
    let app = TestApp::new(app).await;
    let full = json!({ "name": "a", "count": i32::MAX });
    app.post("/api/counters").json(&full).await;
    let added = app
        .post("/api/counters/1/increments")
        .json(&json!({ "amount": 1 }))
        .await;
    assert_eq!(added.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(added.json::<Value>()["error"]["code"], "out_of_range");
    let rows = app.db().query("SELECT FROM increment", &[]).await;
    assert_eq!(rows.map(|rows| rows.len()).ok(), Some(0));
}

#[tokio::test]
async fn a_wrong_body_is_refused_with_the_reason() {
    let app = TestApp::new(app).await;
    for (content, body, status, code) in [
        ("application/json", "{", 400, "malformed_json"),
        ("application/json", r#"{"name": 7}"#, 422, "invalid"),
        ("application/json", r#"{"name": ""}"#, 422, "invalid"),
        (
            "application/json",
            r#"{"name": "a\u0000b"}"#,
            422,
            "invalid",
        ),
        (
            "application/json",
            r#"{"name": "a", "colour": "red"}"#,
            422,
            "invalid",
        ),
        (
            "application/json",
            r#"{"name": "a", "count": 99999999999}"#,
            422,
            "invalid",
        ),
        ("text/plain", r#"{"name": "a"}"#, 415, "not_json"),
    ] {
        let refused = app
            .post("/api/counters")
            .header(CONTENT_TYPE, content)
            .body(body)
            .await;
        assert_eq!(refused.status(), status, "{body}");
        let error: Value = refused.json();
        assert_eq!(error["error"]["code"], code, "{body}: {error}");
        assert_ne!(error["error"]["message"], "", "{body}");
    }
}

#[tokio::test]
async fn a_wrong_path_is_refused_with_the_reason() {
    let app = TestApp::new(app).await;
    for (method, path, status, code) in [
        (Method::DELETE, "/api/counters/9", 404, "not_found"),
        (Method::GET, "/api/counters/9", 404, "not_found"),
        (Method::GET, "/api/counters/nine", 400, "invalid_path"),
        (
            Method::GET,
            "/api/counters/99999999999999999999",
            400,
            "invalid_path",
        ),
        (Method::GET, "/api/counters/1?with=colours", 422, "invalid"),
        (Method::GET, "/api/nothing", 404, "unknown_route"),
        (Method::GET, "/nothing", 404, "unknown_route"),
        (Method::PATCH, "/api/counters/1", 405, "wrong_method"),
    ] {
        let refused = app.request(method.clone(), path).await;
        assert_eq!(refused.status(), status, "{method} {path}");
        assert_eq!(
            refused.json::<Value>()["error"]["code"],
            code,
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn the_page_works_without_a_script_and_escapes_what_it_shows() {
    let app = TestApp::new(app).await;
    let form = app
        .post("/counters")
        .form(&[("name", "<script>alert(1)</script>")]);
    let created = form.await;
    assert_eq!(
        (created.status(), created.header(LOCATION)),
        (StatusCode::SEE_OTHER, "/")
    );
    app.post("/counters/1/increments")
        .form(&[("amount", "1")])
        .await;
    let page = app.get("/").await;
    let page = page.text();
    assert!(
        page.contains("<strong>1</strong>")
            && page.contains("&lt;script&gt;alert(1)")
            && !page.contains("<script>"),
        "{page}"
    );
}

#[tokio::test]
async fn a_form_without_a_name_is_refused_as_a_page() {
    let app = TestApp::new(app).await;
    let refused = app.post("/counters").form(&[("name", " ")]).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        refused.text().contains("1 to 100 characters"),
        "{}",
        refused.text()
    );
}
