//! Users' projects adopt the dev server, reload each of their files, and remove it again without a trace.

use std::fs;

use serde_json::Value;

use crate::support::{DEPENDENCIES, Foreign, Host, eventually, give_back, manifest};

/// Replaces `from` in a file of the project and waits until the path answers with `now`.
pub(crate) async fn edit(
    host: &Host,
    file: &str,
    from: &str,
    to: &str,
    path: &str,
    now: &str,
) -> Value {
    let id = host.status().await.generation();
    host.checkout.edit(file, from, to);
    let status = host
        .until(&format!("{file} to be live"), |status| {
            status.phase() == "active" && status.generation() > id
        })
        .await;
    assert_eq!(host.text(path).await, now);
    assert_eq!(status.number("/restarts"), 0);
    status.0["last_reload"].clone()
}

/// Waits until open pages were told to reload, without a build.
async fn edit_of_a_runtime_file(host: &Host, file: &str, text: &str) {
    let before = host.status().await;
    host.checkout.write(file, text);
    let after = host
        .until("pages to reload", |status| {
            status.number("/revision") > before.number("/revision")
        })
        .await;
    assert_eq!(after.generation(), before.generation());
}

#[tokio::test]
async fn an_app_with_sqlx_reloads_and_reaches_the_private_database() {
    let project = Foreign::new(&[
        ("Cargo.toml", &manifest("shop")),
        (
            "src/lib.rs",
            r#"
use axum::{Router, extract::State, routing::get};
use sqlx::PgPool;

pub fn router(pool: PgPool) -> Router {
    Router::new()
        .route("/", get(count))
        .route("/rows", get(rows))
        .route("/again", get(again))
        .route("/reset", get(reset))
        .with_state(pool)
}

/// What sqlx itself says of what is applied.
async fn again(State(pool): State<PgPool>) -> String {
    let migrator = sqlx::migrate::Migrator::new(std::path::Path::new("migrations")).await.unwrap();
    format!("{:?}", migrator.run(&pool).await)
}

/// Applied by sqlx itself.
async fn reset(state: State<PgPool>) -> String {
    sqlx::raw_sql("DROP TABLE item, _sqlx_migrations").execute(&*state).await.unwrap();
    again(state).await
}

async fn rows(State(pool): State<PgPool>) -> String {
    let sql = "SELECT string_agg(concat_ws('|', version, description, success, checksum, execution_time > 0), '; ' ORDER BY version)
               FROM _sqlx_migrations";
    sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap()
}

async fn count(State(pool): State<PgPool>) -> String {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM item").fetch_one(&pool).await.unwrap();
    format!("{count} items")
}
"#,
        ),
        (
            "src/main.rs",
            r#"
#[tokio::main]
async fn main() {
    let pool = sqlx::PgPool::connect(&std::env::var("DATABASE_URL").unwrap()).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    axum::serve(listener, shop::router(pool)).await.unwrap();
}
"#,
        ),
        (
            "migrations/20240101000000_add_item.sql",
            "CREATE TABLE item (id bigint);\nINSERT INTO item VALUES (1), (2);\n",
        ),
        ("static/page.css", "p { color: red }"),
    ]);
    project.adopt();
    let host = project.serve().await;
    assert_eq!(host.text("/").await, "2 items");
    edit(&host, "src/lib.rs", "items\"", "things\"", "/", "2 things").await;
    edit_of_a_runtime_file(&host, "static/page.css", "p { color: blue }").await;
    let more = "migrations/20240102000000_more.sql";
    host.checkout.write(more, "INSERT INTO item VALUES (3);\n");
    eventually("the migration", async || {
        (host.text("/").await == "3 things").then_some(())
    })
    .await;
    // sqlx accepts what the host has applied, applies the same, and the host accepts that.
    assert_eq!(host.text("/again").await, "Ok(())");
    let rows = host.text("/rows").await;
    assert!(rows.starts_with("20240101000000|add item|t|"), "{rows}");
    assert_eq!(host.text("/reset").await, "Ok(())");
    assert_eq!(host.text("/rows").await, rows);
    let host_too = host
        .checkout
        .command("cargo")
        .args(["host", "migrate"])
        .output()
        .unwrap();
    assert!(host_too.status.success(), "{host_too:?}");
    fs::remove_file(host.checkout.path(more)).unwrap();
    give_back(host, &["src/lib.rs", "static/page.css"]).await;
}

#[tokio::test]
async fn every_crate_of_a_workspace_reloads_on_one_backend() {
    let member = |name: &str, dependencies: &str| {
        format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\n{dependencies}"
        )
    };
    let shared = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared");
    let project = Foreign::new(&[
        (
            "Cargo.toml",
            &format!(
                "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n[workspace.dependencies]\ndomain = {{ path = \"crates/domain\" }}\nshared = {{ path = \"{shared}\" }}"
            ),
        ),
        ("crates/domain/Cargo.toml", &member("domain", "")),
        (
            "crates/domain/src/lib.rs",
            "pub fn greeting() -> &'static str { \"hello\" }\n",
        ),
        ("crates/tool/Cargo.toml", &member("tool", "")),
        ("crates/tool/src/main.rs", "fn main() {}\n"),
        (
            "crates/web/Cargo.toml",
            &member(
                "web",
                &format!("domain.workspace = true\nshared.workspace = true{DEPENDENCIES}"),
            ),
        ),
        (
            "crates/web/src/lib.rs",
            r#"
use askama::Template;
use axum::{Router, extract::State, routing::get};
use shared::AppState;
use tower_http::services::ServeDir;

#[derive(Template)]
#[template(path = "page.txt")]
struct Page { greeting: &'static str }

pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/", get(async || Page { greeting: domain::greeting() }.render().unwrap()))
        .route("/pid", get(pid))
        .route("/agent", get(async || agent()))
        .route("/kept", get(kept))
        .nest_service("/static", ServeDir::new("static"))
        .with_state(state)
}

fn agent() -> &'static str { "one" }

async fn kept(State(state): State<AppState>) -> String {
    let client = state.keep("client", || async { Ok(reqwest::Client::new()) }).await;
    client.unwrap_err().to_string()
}

async fn pid(State(state): State<AppState>) -> String {
    let row = state.db.query_one("SELECT pg_backend_pid()", &[]).await.unwrap();
    row.get::<_, i32>(0).to_string()
}
"#,
        ),
        ("crates/web/templates/page.txt", "{{ greeting }}, world"),
        ("static/page.css", "one"),
    ]);
    project.adopt();
    let host = project.serve().await;
    assert_eq!(host.text("/").await, "hello, world");
    let pid = host.text("/pid").await;
    let refused = host.text("/kept").await;
    let remedy = format!("add it to {shared}/Cargo.toml").replace("/host/..", "");
    assert!(
        refused.contains("each generation has its own copy of `reqwest`")
            && refused.contains(&remedy),
        "{refused}"
    );

    edit(
        &host,
        "crates/domain/src/lib.rs",
        "hello",
        "hi",
        "/",
        "hi, world",
    )
    .await;
    edit(
        &host,
        "crates/web/src/lib.rs",
        "\"one\"",
        "\"two\"",
        "/agent",
        "two",
    )
    .await;
    edit(
        &host,
        "crates/web/templates/page.txt",
        "world",
        "there",
        "/",
        "hi, there",
    )
    .await;
    // By rustc alone, from here on: a crate and what depends on it.
    host.until("rustc alone", |status| status.0["replays"] == true)
        .await;
    let last = edit(
        &host,
        "crates/domain/src/lib.rs",
        "hi",
        "hey",
        "/",
        "hey, there",
    )
    .await;
    assert_eq!(last["compiler"], "rustc");
    assert_eq!(
        last["files"],
        serde_json::json!(["crates/domain/src/lib.rs"])
    );
    let last = edit(
        &host,
        "crates/web/src/lib.rs",
        "\"two\"",
        "\"three\"",
        "/agent",
        "three",
    )
    .await;
    assert_eq!(last["compiler"], "rustc");
    assert_eq!(host.text("/").await, "hey, there");

    edit_of_a_runtime_file(&host, "static/page.css", "two").await;
    assert_eq!(host.text("/static/page.css").await, "two");
    assert_eq!(host.text("/pid").await, pid);

    // An error names the file by its path in the project.
    host.checkout
        .edit("crates/domain/src/lib.rs", "\"hey\"", "hey");
    let failed = host
        .until("the failed build", |status| {
            status.phase() == "build_failed"
        })
        .await;
    assert_eq!(
        failed.0["build"]["diagnostics"][0]["file"],
        "crates/domain/src/lib.rs"
    );
    host.checkout
        .edit("crates/domain/src/lib.rs", "{ hey }", "{ \"hey\" }");
    host.until("all of it to be as before", |status| {
        status.phase() == "active"
    })
    .await;
    give_back(host, &["crates", "static"]).await;
}

#[tokio::test]
async fn an_app_that_is_only_a_binary_is_told_what_to_move() {
    let main = r#"use axum::{Router, routing::get};

fn router() -> Router {
    Router::new().route("/", get(async || "one"))
}

#[tokio::main]
async fn main() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    axum::serve(listener, router()).await.unwrap();
}
"#;
    let project = Foreign::new(&[("Cargo.toml", &manifest("tiny")), ("src/main.rs", main)]);
    let (succeeded, said) = project.init(&["--yes"]);
    assert!(
        !succeeded && said.contains("src/main.rs") && said.contains("src/lib.rs"),
        "{said}"
    );
    assert_eq!(
        project.git(&["status", "--porcelain"]),
        "",
        "nothing was written"
    );

    // As it says.
    let (head, rest) = main.split_once("#[tokio::main]").unwrap();
    project.write("src/lib.rs", &head.replace("fn router", "pub fn router"));
    project.write(
        "src/main.rs",
        &format!(
            "#[tokio::main]{}",
            rest.replace("router()", "tiny::router()")
        ),
    );
    project.commit();
    project.adopt();
    let host = project.serve().await;
    edit(&host, "src/lib.rs", "one", "two", "/", "two").await;
    give_back(host, &["src/lib.rs"]).await;
}
