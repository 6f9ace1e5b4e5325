//! Requests to the app, without a server. Each test has a database of its own, with all migrations.

use axum::http::{StatusCode, header::LOCATION};
use serde_json::{Value, json};
use shared_test::TestApp;

use crate::app;

/// Adds a note.
async fn add(app: &TestApp, text: &str) {
    let added = app.post("/api/notes").json(&json!({ "text": text })).await;
    assert_eq!(added.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn there_are_no_notes_at_first() {
    let app = TestApp::new(app).await;
    let notes: Value = app.get("/api/notes").await.json();
    assert_eq!(notes, json!([]));
}

#[tokio::test]
async fn a_note_is_added() {
    let app = TestApp::new(app).await;
    let added = app.post("/api/notes").json(&json!({ "text": "tea" })).await;
    assert_eq!(added.status(), StatusCode::CREATED);
    assert_eq!(added.json::<Value>(), json!({ "id": 1, "text": "tea" }));
}

#[tokio::test]
async fn the_newest_note_comes_first() {
    let app = TestApp::new(app).await;
    add(&app, "milk").await;
    add(&app, "tea").await;
    let notes: Value = app.get("/api/notes").await.json();
    assert_eq!(notes[0]["text"], "tea");
}

#[tokio::test]
async fn spaces_around_a_text_are_not_kept() {
    let app = TestApp::new(app).await;
    add(&app, "  tea ").await;
    let row = app.db().query_one("SELECT text FROM note", &[]).await;
    let text: String = row.expect("one note").get(0);
    assert_eq!(text, "tea");
}

#[tokio::test]
async fn a_note_needs_a_text() {
    let app = TestApp::new(app).await;
    let refused = app.post("/api/notes").json(&json!({ "text": " " })).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn the_page_escapes_what_it_shows() {
    let app = TestApp::new(app).await;
    add(&app, "milk & bread").await;
    let page = app.get("/").await;
    assert!(page.text().contains("milk &amp; bread"), "{}", page.text());
}

#[tokio::test]
async fn the_form_leads_back_to_the_page() {
    let app = TestApp::new(app).await;
    let sent = app.post("/notes").form(&[("text", "tea")]).await;
    assert_eq!(sent.status(), StatusCode::SEE_OTHER);
    assert_eq!(sent.header(LOCATION), "/");
    assert!(app.get("/").await.text().contains("tea"));
}

#[tokio::test]
async fn the_form_needs_a_text() {
    let app = TestApp::new(app).await;
    let refused = app.post("/notes").form(&[("text", " ")]).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn the_stylesheet_is_served() {
    let app = TestApp::new(app).await;
    let sheet = app.get("/static/style.css").await;
    assert_eq!(sheet.status(), StatusCode::OK);
    assert!(sheet.text().contains("font-family"));
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let app = TestApp::new(app).await;
    for path in ["/static/none.css", "/nothing"] {
        assert_eq!(
            app.get(path).await.status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}
