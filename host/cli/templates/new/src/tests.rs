//! Requests to the app, without a server. `database` gives a test a database of its own.

use axum::{
    body::Body,
    http::{Request, StatusCode, header::CONTENT_TYPE},
};
use http_body_util::BodyExt;
use shared::{
    Db,
    db::{DatabaseUrl, DbConfig},
};
use tower::ServiceExt;

use crate::router;

#[tokio::test]
async fn the_stylesheet_is_served() {
    let db = connect("postgres://localhost/none");
    let (status, text) = answer(&db, Request::get("/static/style.css"), "").await;
    assert_eq!(status, StatusCode::OK);
    assert!(text.contains("font-family"));
    let (status, _) = answer(&db, Request::get("/static/none.css"), "").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn notes_are_added_and_listed() {
    database("notes", async |db| {
        let json = Request::post("/api/notes").header(CONTENT_TYPE, "application/json");
        let (status, text) = answer(&db, json, r#"{"text":"milk & bread"}"#).await;
        assert_eq!(
            (status, &*text),
            (StatusCode::CREATED, r#"{"id":1,"text":"milk & bread"}"#)
        );

        let form =
            Request::post("/notes").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let (status, _) = answer(&db, form, "text=tea").await;
        assert_eq!(status, StatusCode::SEE_OTHER);

        let (_, page) = answer(&db, Request::get("/"), "").await;
        assert!(
            page.contains("milk &amp; bread") && page.contains("tea"),
            "{page}"
        );
        let empty =
            Request::post("/notes").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let (status, _) = answer(&db, empty, "text=+").await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    })
    .await;
}

async fn answer(
    db: &Db,
    request: axum::http::request::Builder,
    body: &'static str,
) -> (StatusCode, String) {
    let request = request.body(Body::from(body)).unwrap();
    let answer = router(db.clone()).oneshot(request).await.unwrap();
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status, String::from_utf8(body.to_vec()).unwrap())
}

/// Runs a test on a schema of its own, with all migrations. Says so and passes if there is no database.
async fn database(name: &str, test: impl AsyncFnOnce(Db)) {
    let Ok(url) = std::env::var("TEST_DATABASE_URL") else {
        eprintln!("{name}: skipped, since TEST_DATABASE_URL is not set");
        return;
    };
    let schema = format!("test_{name}_{}", std::process::id());
    let admin = connect(&url);
    admin
        .execute(&format!("CREATE SCHEMA {schema}"), &[])
        .await
        .unwrap();

    let and = if url.contains('?') { '&' } else { '?' };
    let db = connect(&format!("{url}{and}schema={schema}"));
    let checkout = db.checkout().await.unwrap();
    for migration in migrations() {
        checkout.client().batch_execute(&migration).await.unwrap();
    }
    drop(checkout);
    test(db).await;

    admin
        .execute(&format!("DROP SCHEMA {schema} CASCADE"), &[])
        .await
        .unwrap();
}

/// Opens nothing before the first statement.
fn connect(url: &str) -> Db {
    let url = DatabaseUrl::parse(url).unwrap();
    Db::new(&DbConfig::new(url, "test".to_owned()))
}

/// The files in `migrations/`, by their numbers.
fn migrations() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut files: Vec<_> = files.collect();
    files.sort_by_key(|file| {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let number = name
            .trim_start_matches('V')
            .split("__")
            .next()
            .unwrap()
            .parse::<u64>();
        number.unwrap()
    });
    files
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect()
}
