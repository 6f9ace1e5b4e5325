//! Files of `migrations/`, saved while the host runs.

use serde_json::json;

use crate::support::{Checkout, Chromium, Host, Status, eventually, lab};

async fn columns(host: &Host) -> Vec<String> {
    let sql =
        "SELECT column_name::text FROM information_schema.columns WHERE table_name = 'counter'";
    let rows = host.observe().await.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn a_new_file_is_applied_before_the_code_that_needs_it_on_the_same_connection() {
    let host = Host::with_built_lab(lab!("Router::new()")).await;
    let backend = host.backend().await;
    host.checkout.write(
        "migrations/V3__colour.sql",
        "ALTER TABLE counter ADD colour text NOT NULL DEFAULT 'red'",
    );
    host.checkout.write_lab(
        r#"Router::new().route("/colour", get(async |State(app): State<AppState>| {
            app.db.query("SELECT colour FROM counter", &[]).await.map(|rows| format!("{} rows", rows.len())).unwrap_or_else(|error| error.to_string())
        }))"#,
    );
    host.until_generation(2).await;
    assert_eq!(host.text("/colour").await, "0 rows");
    assert_eq!(host.backend().await, backend);
    assert!(host.log().contains("migrated V3__colour"), "{}", host.log());
}

#[tokio::test]
async fn a_failing_file_is_rolled_back_and_shown_until_it_is_mended() {
    let host = Host::start().await;
    let backend = host.backend().await;
    let file = "migrations/V3__colour.sql";
    host.checkout
        .write(file, "ALTER TABLE counter ADD colour text;\nSELEC 1;\n");
    let status = host
        .until("the failure", |status| {
            !status.0["schema"]["failure"].is_null()
        })
        .await;
    let failure = &status.0["schema"]["failure"];
    assert_eq!(
        (&failure["file"], &failure["line"]),
        (&file.into(), &2.into())
    );
    assert!(
        failure["message"].as_str().unwrap().contains("42601"),
        "{failure}"
    );
    assert!(!columns(&host).await.contains(&"colour".to_owned()));
    let answer = host.get("/api/counters").await;
    assert_eq!(answer.status(), 503);
    let json: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(json["error"]["code"], "migration_failed");

    host.checkout
        .write(file, "ALTER TABLE counter ADD colour text;\n");
    host.until("the fixed file", |status| {
        status.0["schema"]["failure"].is_null()
    })
    .await;
    assert_eq!(host.get("/api/counters").await.status(), 200);
    assert!(columns(&host).await.contains(&"colour".to_owned()));
    assert_eq!(host.backend().await, backend);

    // What is applied is history.
    host.checkout
        .write(file, "ALTER TABLE counter ADD color text;\n");
    let status = host
        .until("the divergence", |status| {
            !status.0["schema"]["failure"].is_null()
        })
        .await;
    let said = status.0["schema"]["failure"]["message"].as_str().unwrap();
    assert!(
        said.contains("was changed after") && said.contains("cargo host db-reset"),
        "{said}"
    );
    std::fs::remove_file(host.checkout.path(file)).unwrap();
    host.until("that it is gone", |status| {
        let said = status.0["schema"]["failure"]["message"].as_str();
        said.is_some_and(|said| said.contains("its file is gone"))
    })
    .await;

    // Another branch has given its number to another file.
    let other = "migrations/V3__size.sql";
    let add = "ALTER TABLE counter ADD size int;\n";
    host.checkout.write(other, add);
    let of_other = |status: &Status| status.0["schema"]["failure"]["file"] == other;
    let status = host.until("the other file", of_other).await;
    let said = status.0["schema"]["failure"]["message"].as_str().unwrap();
    for part in [
        "takes the number of V3__colour, which is applied and whose file is gone",
        "bring migrations/V3__colour.sql back",
        "cargo host db-reset",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // Both branches merged.
    host.checkout
        .write(file, "ALTER TABLE counter ADD colour text;\n");
    host.until("both", |status| {
        let said = status.0["schema"]["failure"]["message"].as_str();
        of_other(status)
            && said.is_some_and(|said| {
                said.contains(&format!("has the same number as {file}: "))
                    && said.contains("number 4")
            })
    })
    .await;
    let renumbered = "migrations/V4__size.sql";
    std::fs::rename(host.checkout.path(other), host.checkout.path(renumbered)).unwrap();
    host.until("the renumbered file", |status| {
        status.0["schema"]["applied"][3] == "V4__size" && status.0["schema"]["failure"].is_null()
    })
    .await;
}

#[tokio::test]
async fn a_misnamed_file_is_named_and_stops_only_a_folder_without_others() {
    let checkout = Checkout::new();
    checkout.write("migrations/next.sql", "SELECT 1");
    let host = Host::start_in(checkout, &[]).await;
    assert_eq!(host.get("/api/counters").await.status(), 200);
    let status = host.status().await;
    assert_eq!(
        status.0["schema"]["ignored"][0]["file"],
        "migrations/next.sql"
    );
    let said = "migrations/next.sql is not applied: it is not named as refinery names migrations, for example V3__";
    if let Some(browser) = Chromium::start().await {
        browser.open(&host.url("/__dev/database")).await;
        let shown = format!("document.querySelector('#ignored').textContent.includes('{said}')");
        browser.until("the file", &shown).await;
        browser.close().await;
    }
    host.checkout
        .write("migrations/V3__more.sql", "CREATE TABLE more ();");
    host.until("the new file", |status| {
        status.0["schema"]["applied"][2] == "V3__more"
    })
    .await;
    let log = host.log();
    assert_eq!(log.matches(said).count(), 1, "{log}");
    let asked = host.checkout.host().arg("migrate").output().unwrap();
    let asked = String::from_utf8(asked.stdout).unwrap();
    let left_out = "left out: migrations/next.sql is not named as";
    assert!(asked.contains(left_out), "{asked}");

    // Another tool's beside them.
    let other = "migrations/20260131120000_size.sql";
    host.checkout.write(other, "SELECT 1");
    let failure = async |part: &str| {
        host.until(part, |status| {
            let said = status.0["schema"]["failure"]["message"].as_str();
            said.is_some_and(|said| said.contains(part))
        })
        .await;
        host.text("/").await
    };
    let text = failure("several tools").await;
    for part in [
        "V1__create_counter.sql of refinery",
        "20260131120000_size.sql of sqlx",
        "style = \"refinery\"",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // As it says; a save of that line is enough.
    let described = "[workspace.metadata.host]\n";
    let declare = |before: &str, after: &str| {
        let line = |style: &str| format!("{described}{style}");
        let (before, after) = (line(before), line(after));
        host.checkout.edit("Cargo.toml", &before, &after);
    };
    declare("", "style = \"refinry\"\n");
    let text = failure("style = \"refinry\" names no tool").await;
    let manifest = std::fs::read_to_string(host.checkout.path("Cargo.toml")).unwrap();
    let before = manifest.split("style = \"refinry\"").next().unwrap();
    let number = 1 + before.matches('\n').count();
    assert!(text.contains(&format!("Cargo.toml:{number}")), "{text}");
    declare("style = \"refinry\"\n", "style = \"refinery\"\n");
    host.until("the declared style", |status| {
        status.0["schema"]["failure"].is_null()
    })
    .await;
    eventually("its line", async || {
        host.log().contains("Migrations up to date").then_some(())
    })
    .await;
    declare("style = \"refinery\"\n", "");
    failure("several tools").await;
    // None of which any tool would find.
    for file in std::fs::read_dir(host.checkout.path("migrations")).unwrap() {
        let file = file.unwrap();
        if file.file_name() != "next.sql" {
            std::fs::remove_file(file.path()).unwrap();
        }
    }
    let text = failure("is not named as a migration").await;
    assert!(
        text.contains("migrations/next.sql: ") && text.contains("--migrations none"),
        "{text}"
    );
}

#[tokio::test]
async fn asked_first_what_is_pending_waits_for_the_button() {
    let host = Host::start_in(Checkout::new(), &[("HOST_MIGRATE", "ask")]).await;
    // A fresh database lacks everything.
    let answer = host.get("/api/counters").await;
    assert_eq!(answer.status(), 503);
    let json: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(
        (&json["error"]["code"], &json["error"]["files"][0]),
        (&"pending_migrations".into(), &"V1__create_counter".into())
    );
    let page = host.client.get(host.url("/")).header("accept", "text/html");
    let page = page.send().await.unwrap().text().await.unwrap();
    let (_, rest) = page.split_once("name=\"token\" value=\"").unwrap();
    let form = [
        ("token", rest.split_once('"').unwrap().0),
        ("back", "/?from=page"),
    ];
    // As the form does it, without a script; followed to the page it came from.
    let pressed = host
        .client
        .post(host.url("/__dev/actions/migrate"))
        .form(&form)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (pressed.status().as_u16(), pressed.url().query()),
        (200, Some("from=page"))
    );
    assert_eq!(host.get("/api/counters").await.status(), 200);
}

#[tokio::test]
async fn a_statement_that_allows_no_transaction_has_a_way() {
    let host = Host::start().await;
    host.backend().await;
    host.checkout.write(
        "migrations/V3__index.sql",
        "-- no-transaction\nCREATE INDEX CONCURRENTLY by_name ON counter (name)",
    );
    let status = host
        .until("the index", |status| {
            status.0["schema"]["applied"].as_array().unwrap().len() == 3
                || !status.0["schema"]["failure"].is_null()
        })
        .await;
    assert!(
        status.0["schema"]["failure"].is_null(),
        "{}",
        status.0["schema"]
    );
    let sql = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_name'::regclass";
    let row = host.observe().await.query_one(sql, &[]).await.unwrap();
    assert!(row.get::<_, bool>(0));
}

#[tokio::test]
async fn two_that_migrate_at_once_do_not_collide() {
    let host = Host::start_in(Checkout::new(), &[("HOST_MIGRATE", "ask")]).await;
    let mut others: Vec<_> = (0..3)
        .map(|_| host.checkout.host().arg("migrate").spawn().unwrap())
        .collect();
    for other in &mut others {
        assert!(other.wait().unwrap().success());
    }
    let sql = "SELECT count(*) FROM refinery_schema_history";
    let row = host.observe().await.query_one(sql, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 2);
    // And the host, which was not asked, finds out.
    eventually("the app", async || {
        (host.get("/api/counters").await.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_next_file_has_the_next_number_and_counts_once_it_is_written() {
    let host = Host::start().await;
    let make = |name: &str| {
        host.checkout
            .host()
            .args(["migration", name])
            .output()
            .unwrap()
    };
    assert!(make("add_colour").status.success());
    let file = "migrations/V3__add_colour.sql";
    assert_eq!(std::fs::read(host.checkout.path(file)).unwrap(), b"");
    assert!(!make("Add Colour").status.success());
    assert!(
        make("more").status.success() && host.checkout.path("migrations/V4__more.sql").exists()
    );
    // Seen, and not applied: else what is written into it now would come too late.
    host.checkout
        .write(file, "ALTER TABLE counter ADD colour text;\n");
    host.until("the file", |status| {
        status.0["schema"]["applied"][2] == "V3__add_colour"
    })
    .await;
    assert!(host.status().await.0["schema"]["failure"].is_null());
}

#[tokio::test]
async fn without_the_folder_there_are_none_until_it_appears() {
    let checkout = Checkout::new();
    let folder = checkout.path("migrations");
    std::fs::remove_dir_all(&folder).unwrap();
    let host = Host::start_in(checkout, &[]).await;
    assert_eq!(host.get("/api/ping").await.status(), 200);
    let status = host.status().await;
    let schema = &status.0["schema"];
    assert_eq!(
        (&schema["applied"], &schema["pending"], &schema["failure"]),
        (&json!([]), &json!([]), &json!(null))
    );
    assert!(!host.log().contains("migration"), "{}", host.log());
    let sql = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    let tables = host.observe().await.query_one(sql, &[]).await.unwrap();
    assert_eq!(tables.get::<_, i64>(0), 0, "nothing is made for nothing");
    let asked = host.checkout.host().arg("migrate").output().unwrap();
    assert!(asked.status.success(), "{asked:?}");

    // As `git checkout` of a branch that has it.
    let made = host.checkout.host().args(["migration", "first"]).output();
    assert!(made.unwrap().status.success());
    host.checkout
        .write("migrations/V1__first.sql", "CREATE TABLE first ();");
    host.until("the first file", |status| {
        status.0["schema"]["applied"] == json!(["V1__first"])
    })
    .await;
    assert_eq!(host.get("/api/ping").await.status(), 200);
    std::fs::remove_dir_all(&folder).unwrap();
    let status = host
        .until("that it is gone", |status| {
            !status.0["schema"]["failure"].is_null()
        })
        .await;
    let failure = &status.0["schema"]["failure"];
    assert_eq!(failure["file"], "migrations/V1__first.sql");
    let said = failure["message"].as_str().unwrap();
    assert!(said.contains("its file is gone"), "{said}");
}

#[tokio::test]
async fn the_folder_is_the_one_that_is_set_and_none_leaves_the_tables_alone() {
    let checkout = Checkout::new();
    std::fs::create_dir(checkout.path("db")).unwrap();
    std::fs::rename(checkout.path("migrations"), checkout.path("db/schema")).unwrap();
    let set = [("HOST_MIGRATIONS", "db/schema")];
    let host = Host::start_in(checkout, &set).await;
    let mut next = host.checkout.host();
    let made = next.envs(set).args(["migration", "colour"]).output();
    assert!(made.unwrap().status.success());
    let file = "db/schema/V3__colour.sql";
    host.checkout.write(file, "SELEC 1;\n");
    let status = host
        .until("the failure", |status| {
            !status.0["schema"]["failure"].is_null()
        })
        .await;
    let schema = &status.0["schema"];
    assert_eq!(schema["failure"]["file"], file);
    assert_eq!(schema["applied"].as_array().unwrap().len(), 2);

    let (_, checkout) = host.stop().await;
    let host = Host::start_in(checkout, &[("HOST_MIGRATIONS", "none")]).await;
    assert_eq!(host.get("/api/counters").await.status(), 200);
    let status = host.status().await;
    let schema = &status.0["schema"];
    assert_eq!(
        (&schema["applied"], &schema["failure"]),
        (&json!([]), &json!(null))
    );
}
