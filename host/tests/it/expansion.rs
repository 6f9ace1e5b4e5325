//! Macros that ask the database while they expand: `sqlx::query!`, on tables that migrations make.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::{
    projects::edit,
    support::{DEPENDENCIES, Foreign, Host, eventually, give_back},
};

const COUNT: &str = r#"SELECT count(*) AS "count!" FROM item"#;

/// The queries of which there is offline data. `None` while a compiler is writing it.
fn prepared(host: &Host) -> Option<BTreeSet<String>> {
    let files = fs::read_dir(host.checkout.path(".sqlx")).ok()?;
    let query = |file: fs::DirEntry| {
        let data: Value = serde_json::from_slice(&fs::read(file.path()).ok()?).ok()?;
        Some(data["query"].as_str()?.to_owned())
    };
    files.map(|file| query(file.unwrap())).collect()
}

/// Waits for the offline data of these queries, and no others.
async fn until_prepared(host: &Host, queries: BTreeSet<String>) {
    let what = format!("offline data of {queries:?}");
    eventually(&what, async || (prepared(host)? == queries).then_some(())).await;
}

/// `cargo dev` is the first command ever run in this project, and nothing else has made the table.
#[tokio::test]
async fn queries_of_every_crate_find_their_tables_and_leave_offline_data_in_the_project() {
    let member = |name: &str, dependencies: &str| {
        format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\n{dependencies}"
        )
    };
    let sqlx = DEPENDENCIES.lines().find(|line| line.starts_with("sqlx"));
    let project = Foreign::new(&[
        (
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n",
        ),
        ("crates/domain/Cargo.toml", &member("domain", sqlx.unwrap())),
        (
            "crates/domain/src/lib.rs",
            &r#"
pub async fn count(pool: &sqlx::PgPool) -> i64 {
    sqlx::query_scalar!(r"COUNT").fetch_one(pool).await.unwrap()
}
"#
            .replace("r\"COUNT\"", &format!("r#\"{COUNT}\"#")),
        ),
        (
            "crates/web/Cargo.toml",
            &member(
                "web",
                &format!("domain = {{ path = \"../domain\" }}{DEPENDENCIES}"),
            ),
        ),
        (
            "crates/web/src/lib.rs",
            r#"
use axum::{Router, extract::State, routing::get};
use sqlx::PgPool;

pub fn router(pool: PgPool) -> Router {
    Router::new().route("/", get(items)).with_state(pool)
}

async fn items(State(pool): State<PgPool>) -> String {
    let first = sqlx::query!("SELECT id FROM item WHERE id > 0 ORDER BY id").fetch_one(&pool).await.unwrap();
    format!("{} of {}", first.id, domain::count(&pool).await)
}
"#,
        ),
        (
            "migrations/20240101000000_add_item.sql",
            "CREATE TABLE item (id bigint NOT NULL);\nINSERT INTO item VALUES (1), (2);\n",
        ),
        (".env", "SQLX_OFFLINE_DIR=.sqlx\n"),
    ]);
    project.adopt();
    project.write(".git/info/exclude", ".sqlx\n");
    let host = project.serve().await;
    assert_eq!(host.text("/").await, "1 of 2");
    let query = |id: i32| format!("SELECT id FROM item WHERE id > {id} ORDER BY id");
    let of = |ids: &[i32]| {
        let queries = ids.iter().map(|id| query(*id));
        BTreeSet::from_iter(queries.chain([COUNT.to_owned()]))
    };
    until_prepared(&host, of(&[0])).await;

    // By cargo, or already by rustc alone.
    edit(
        &host,
        "crates/web/src/lib.rs",
        "id > 0",
        "id > 1",
        "/",
        "2 of 2",
    )
    .await;
    until_prepared(&host, of(&[0, 1])).await;
    host.until("rustc alone", |status| status.0["replays"] == true)
        .await;
    // What was there is only written again by an expansion.
    fs::remove_dir_all(host.checkout.path(".sqlx")).unwrap();
    let file = "crates/web/src/lib.rs";
    let last = edit(&host, file, "id > 1", "id > -1", "/", "1 of 2").await;
    assert_eq!(last["compiler"], "rustc");
    until_prepared(&host, BTreeSet::from([query(-1)])).await;
    give_back(host, &[file]).await;
}
