//! Folders of sqlx and of diesel: applied as their own tools would, with the tables of those.

use std::fs;

use crate::support::{Checkout, Host, Status};

const ITEM: &str = "CREATE TABLE item (id bigint);\nINSERT INTO item VALUES (1), (2);\n";

/// What sqlx-core 0.9.0 computes for [`ITEM`].
const CHECKSUM: &str = "a4742aa10739bbfb312e8f92b033ce27cca44a1e96b680727c92a434a2e1b10065f89b0ee20ec684b483ecb49f4f4a14";

/// What sqlx-postgres 0.9.0 locks for a database of this name: 0x3d32ad9e times the CRC-32 of the name.
const LOCK_OF_SQLX: (&str, i64) = ("postgres", 368_907_709_894_077_238);

/// A checkout with these migrations only.
fn with(files: &[(&str, &str)]) -> Checkout {
    let checkout = Checkout::new();
    fs::remove_dir_all(checkout.path("migrations")).unwrap();
    for (file, text) in files {
        write(&checkout, file, text);
    }
    checkout
}

fn write(checkout: &Checkout, file: &str, text: &str) {
    let path = checkout.path("migrations").join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The first column of each row, as text.
async fn column(host: &Host, sql: &str) -> Vec<String> {
    let rows = host.observe().await.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn until_applied(host: &Host, names: &[&str]) {
    host.until(&format!("{names:?}"), |status| {
        status.0["schema"]["applied"] == serde_json::json!(names)
            && status.0["schema"]["failure"].is_null()
    })
    .await;
}

/// `host migration more`, and the files that it has made.
fn next(host: &Host) -> Vec<String> {
    let made = host.checkout.host().args(["migration", "more"]).output();
    let said = String::from_utf8(made.unwrap().stdout).unwrap();
    let words = said.split_whitespace();
    let files = words.filter(|word| word.starts_with("migrations/"));
    files.map(str::to_owned).collect()
}

#[tokio::test]
async fn the_files_of_sqlx_are_applied_as_sqlx_does_it() {
    let host = Host::start_in(
        with(&[
            ("20240101000000_add_item.sql", ITEM),
            (
                "20240301000000_more.up.sql",
                "ALTER TABLE item ADD size int",
            ),
            ("20240301000000_more.down.sql", "DROP TABLE item"),
        ]),
        &[],
    )
    .await;
    until_applied(&host, &["20240101000000_add_item", "20240301000000_more"]).await;
    let rows = "SELECT concat_ws('|', version, description, success, encode(checksum, 'hex')) FROM _sqlx_migrations \
                WHERE execution_time > 0 AND installed_on > now() - interval '1 hour' ORDER BY version";
    let found = column(&host, rows).await;
    assert_eq!(found[0], format!("20240101000000|add item|t|{CHECKSUM}"));
    assert!(found[1].starts_with("20240301000000|more|t|"), "{found:?}");

    // A version that comes late, and a statement that allows no transaction.
    write(
        &host.checkout,
        "20240201000000_index.sql",
        "-- no-transaction\nCREATE INDEX CONCURRENTLY by_id ON item (id)",
    );
    let three = [
        "20240101000000_add_item",
        "20240201000000_index",
        "20240301000000_more",
    ];
    until_applied(&host, &three).await;
    let valid = "SELECT indisvalid::text FROM pg_index WHERE indexrelid = 'by_id'::regclass";
    assert_eq!(column(&host, valid).await, ["true"]);
    assert_eq!(column(&host, rows).await.len(), 3);

    // Another process of sqlx's is at it, which has begun one and not ended it.
    let (database, key) = LOCK_OF_SQLX;
    let sqlx = host.observe().await;
    let row = sqlx.query_one("SELECT current_database()::text, pg_backend_pid()", &[]);
    let row = row.await.unwrap();
    assert_eq!(row.get::<_, String>(0), database);
    let pid: i32 = row.get(1);
    let lock = format!("SELECT pg_advisory_lock({key})");
    sqlx.batch_execute(&lock).await.unwrap();
    write(
        &host.checkout,
        "20240401000000_late.sql",
        "CREATE TABLE late ()",
    );
    let waits = |status: &Status| {
        let what = status.0["health"]["trouble"]["what"].as_str();
        what.is_some_and(|what| what.contains(&format!("waits for a lock of PID {pid} ")))
    };
    host.until("whom it waits for", waits).await;
    let half = "UPDATE _sqlx_migrations SET success = NOT success WHERE version = 20240301000000";
    sqlx.batch_execute(half).await.unwrap();
    let unlock = format!("SELECT pg_advisory_unlock({key})");
    sqlx.batch_execute(&unlock).await.unwrap();
    let status = host
        .until("the failure", |status| {
            !status.0["schema"]["failure"].is_null()
        })
        .await;
    let failure = &status.0["schema"]["failure"];
    assert_eq!(failure["file"], "migrations/20240301000000_more.up.sql");
    let said = failure["message"].as_str().unwrap();
    assert!(said.contains("was begun and not ended"), "{said}");
    sqlx.batch_execute(half).await.unwrap();
    write(
        &host.checkout,
        "20240401000000_late.sql",
        "CREATE TABLE late (); -- again",
    );
    let four = [&three[..], &["20240401000000_late"]].concat();
    until_applied(&host, &four).await;
    let held = "SELECT objid::text FROM pg_locks WHERE locktype = 'advisory'";
    assert_eq!(column(&host, held).await, [""; 0]);

    // The app's own migrator takes a file that is still empty.
    let late = "20240501000000_empty.sql";
    write(&host.checkout, late, "-- soon\n");
    let recorded = "INSERT INTO _sqlx_migrations VALUES (20240501000000, 'empty', now(), true, sha384(E'-- soon\\n'), 1)";
    sqlx.batch_execute(recorded).await.unwrap();
    write(&host.checkout, late, "-- soon\nCREATE TABLE soon ();");
    until_applied(&host, &[&four[..], &["20240501000000_empty"]].concat()).await;
    sqlx.batch_execute("TABLE soon").await.unwrap();

    // What is applied is history.
    write(&host.checkout, "20240101000000_add_item.sql", "SELECT 1");
    let status = host
        .until("the divergence", |status| {
            !status.0["schema"]["failure"].is_null()
        })
        .await;
    let failure = &status.0["schema"]["failure"];
    assert_eq!(failure["file"], "migrations/20240101000000_add_item.sql");
    let said = failure["message"].as_str().unwrap();
    assert!(said.contains("was changed after it was applied"), "{said}");

    let made = next(&host);
    assert!(
        made.len() == 1 && made[0].ends_with("_more.sql"),
        "{made:?}"
    );
    assert_eq!(made[0].len(), "migrations/20240101000000_more.sql".len());
}

#[tokio::test]
async fn the_folders_of_diesel_are_applied_as_diesel_does_it() {
    let host = Host::start_in(
        with(&[
            (
                "00000000000000_diesel_initial_setup/up.sql",
                "CREATE FUNCTION diesel_set() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            ),
            ("2024-02-01-000000_add_item/up.sql", ITEM),
            ("2024-02-01-000000_add_item/down.sql", "DROP TABLE item"),
        ]),
        &[],
    )
    .await;
    let item = "2024-02-01-000000_add_item";
    let two = ["00000000000000_diesel_initial_setup", item];
    until_applied(&host, &two).await;
    let rows = "SELECT version::text FROM __diesel_schema_migrations \
                WHERE run_on > CURRENT_TIMESTAMP - interval '1 hour' ORDER BY version";
    assert_eq!(
        column(&host, rows).await,
        ["00000000000000", "20240201000000"]
    );

    // In a new folder: with the file that allows no transaction, one that comes late and whose error is named.
    let index = "2024-01-01-000000_index";
    write(
        &host.checkout,
        &format!("{index}/metadata.toml"),
        "run_in_transaction = false",
    );
    write(
        &host.checkout,
        &format!("{index}/up.sql"),
        "\nCREATE INDEX CONCURRENTLY by_id ON item id",
    );
    let status = host
        .until("the failure", |status| {
            !status.0["schema"]["failure"].is_null()
        })
        .await;
    let schema = &status.0["schema"];
    assert_eq!(
        schema["failure"]["file"],
        format!("migrations/{index}/up.sql")
    );
    assert_eq!(schema["failure"]["line"], 2);
    let page = host.client.get(host.url("/")).header("accept", "text/html");
    let page = page.send().await.unwrap().text().await.unwrap();
    let shown = format!("<li><code>migrations/{index}/up.sql</code></li>");
    assert!(page.contains(&shown), "{page}");
    write(
        &host.checkout,
        &format!("{index}/up.sql"),
        "CREATE INDEX CONCURRENTLY by_id ON item (id)",
    );
    until_applied(&host, &[two[0], index, item]).await;

    // diesel does not mind a changed file, or one that is gone.
    write(&host.checkout, &format!("{index}/up.sql"), "SELECT 1");
    fs::remove_dir_all(host.checkout.path("migrations").join(two[0])).unwrap();
    until_applied(&host, &["00000000000000", index, item]).await;

    let made = next(&host);
    assert!(
        made.len() == 2 && made[0].ends_with("_more/up.sql") && made[1].ends_with("_more/down.sql"),
        "{made:?}"
    );
    assert_eq!(
        made[0].len(),
        "migrations/2024-01-01-000000_more/up.sql".len()
    );
}
