//! The tables of the dashboard and its SQL console: what is read, what may be written, and that nothing of it stays in
//! the session.

use crate::{
    seen::next_after,
    support::{Chromium, Host},
    web::token,
};

/// Sends the form of the console.
async fn run(host: &Host, form: &[(&str, &str)]) -> (u16, String) {
    let post = host.client.post(host.url("/__dev/database/sql"));
    let answer = post.form(form).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn tables_are_read_by_the_page_and_sql_writes_only_if_it_may() {
    let host = Host::start().await;
    let observer = host.observe().await;
    let filled = "INSERT INTO counter (name, count) SELECT 'counter ' || i, i FROM generate_series(1, 120) i; \
        UPDATE counter SET name = repeat('long', 100) WHERE count = 120";
    observer.batch_execute(filled).await.unwrap();
    let counters = async || -> i64 {
        let sql = "SELECT count(*) FROM counter";
        observer.query_one(sql, &[]).await.unwrap().get(0)
    };
    let backend = host.backend().await;

    // Tables, without a script.
    let list = host.text("/__dev/database/tables").await;
    let counted = "public.counter</a></td><td>table</td><td class=\"n\">120</td>";
    assert!(list.contains(counted), "{list}");
    let table = "/__dev/database/tables/public.counter";
    let first = host.text(&format!("{table}?order=-count")).await;
    let name = format!("{}…", "long".repeat(30));
    for part in [
        name.as_str(),
        "counter 71<",
        "1–50 of 120",
        "page=2&amp;order=%2Dcount",
        "bigint",
    ] {
        assert!(first.contains(part), "{part}: {first}");
    }
    assert!(!first.contains("counter 70<"), "{first}");
    let last = host.text(&format!("{table}?page=3&order=-count")).await;
    assert!(
        last.contains("101–120 of 120") && !last.contains("page=4"),
        "{last}"
    );
    let gone = host.get("/__dev/database/tables/public.none").await;
    assert_eq!(gone.status(), 404);

    // SQL: what reads.
    let token = token(&host).await;
    let ask = async |sql: &str| run(&host, &[("token", &token), ("sql", sql)]).await.1;
    let refused = run(&host, &[("sql", "SELECT 1")]).await;
    assert_eq!(refused.0, 403, "a foreign page knows no token");
    for (sql, parts) in [
        (
            "SELECT count(*) AS all_of_them FROM counter",
            vec!["all_of_them", "<td>120</td>", "1 row<"],
        ),
        (
            "SELECT i FROM generate_series(1, 100000) i",
            vec!["The first 1000 rows; there are more"],
        ),
        ("EXPLAIN SELECT 1", vec!["QUERY PLAN"]),
        ("SELECT 'secret' AS password", vec!["<td>***</td>"]),
        // What is wrong, and where.
        (
            "SELECT\n  nam FROM counter",
            vec![
                "42703",
                "Perhaps you meant",
                "line 2, column 3",
                "<mark>nam</mark>",
            ],
        ),
        ("SELECT 1/0", vec!["22012"]),
        // What would write.
        ("DELETE FROM counter", vec!["25006", "allow writes"]),
        (
            "WITH gone AS (DELETE FROM counter RETURNING 1) SELECT * FROM gone",
            vec!["0A000"],
        ),
        (
            "SELECT set_config('transaction_read_only', 'off', false)",
            vec!["25001"],
        ),
        ("COMMIT; DELETE FROM counter", vec!["42601"]),
        ("COPY counter TO STDOUT", vec!["does not run COPY"]),
        (
            "DO $$ BEGIN EXECUTE 'COPY (SELECT 1) TO PROGRAM ''cat'''; END $$",
            vec!["more than read", "allow writes"],
        ),
        // Of more than there is room for, the first.
        (
            "SELECT repeat('x', 3000) FROM generate_series(1, 100)",
            vec!["there are more"],
        ),
    ] {
        let answer = ask(sql).await;
        for part in parts {
            assert!(answer.contains(part), "{sql}: {part}: {answer}");
        }
    }
    assert_eq!(counters().await, 120);

    // What is allowed to write; of a failure, nothing stays.
    let write = async |sql: &str| {
        run(
            &host,
            &[("token", &token), ("sql", sql), ("writes", "true")],
        )
        .await
        .1
    };
    let answer = write("DELETE FROM counter WHERE count > 100; SELECT count(*) FROM counter").await;
    for part in ["Done, 20 rows", "<td>100</td>", "writes were allowed"] {
        assert!(answer.contains(part), "{part}: {answer}");
    }
    let answer = write("DELETE FROM counter; SELECT 1/0").await;
    assert!(answer.contains("22012"), "{answer}");
    assert_eq!(counters().await, 100);
    let answer = write(
        "SET search_path TO nowhere; CREATE TEMP TABLE left_over (); SELECT pg_advisory_lock(7)",
    )
    .await;
    assert!(answer.contains("writes were allowed"), "{answer}");
    assert_eq!(host.get("/api/counters").await.status(), 200);
    let left = "SELECT (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory') \
        + (SELECT count(*) FROM pg_class WHERE relname = 'left_over')";
    let left: i64 = observer.query_one(left, &[]).await.unwrap().get(0);
    assert_eq!((left, host.backend().await), (0, backend));

    if let Some(browser) = Chromium::start().await {
        browser.open(&host.url("/__dev/database")).await;
        let drawn = "!document.querySelector('main').hidden";
        browser.until("the tab", drawn).await;
        browser
            .click("nav[aria-label=Database] [href$=\"/tables\"]")
            .await;
        browser
            .until("the tables", "document.querySelector('td a')")
            .await;
        browser
            .click("[href=\"/__dev/database/tables/public%2Ecounter\"]")
            .await;
        browser
            .until("the rows", "document.querySelector('.rows td')")
            .await;
        browser.click("[href$=\"order=count\"]").await;
        let ordered =
            "document.querySelector('[aria-sort=ascending] a')?.textContent.startsWith('count')";
        browser.until("the order", ordered).await;

        browser.open(&host.url("/__dev/database/sql")).await;
        let field = "document.querySelector('#sql')";
        browser.value(&format!("{field}.focus()")).await;
        let typed = "SELECT name FROM counter WHERE count = 7";
        browser.value(&format!("{field}.value = '{typed}'")).await;
        let enter =
            "new KeyboardEvent('keydown', { key: 'Enter', ctrlKey: true, cancelable: true })";
        browser
            .value(&format!("{field}.dispatchEvent({enter})"))
            .await;
        let answered = format!(
            "document.querySelector('#result')?.textContent.includes('counter 7') && {field}.value === '{typed}' \
             && !document.querySelector('#statements').hidden"
        );
        browser.until("the row", &answered).await;
        browser.open(&host.url("/__dev/database/sql")).await;
        browser
            .value("document.querySelector('#statements').open = true")
            .await;
        browser.click("#statements button").await;
        browser
            .until(
                "the statement again",
                &format!("{field}.value === '{typed}'"),
            )
            .await;
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser.close().await;
    }
}

/// Each host has a token of its own, and so a page of the one before has an old one.
#[tokio::test]
async fn a_statement_that_is_being_typed_outlives_the_host_and_runs_on_the_next_one() {
    const TYPED: &str = "SELECT 6 * 7 AS answer";
    let host = Host::start().await;
    let old = token(&host).await;
    let browser = Chromium::start().await;
    if let Some(browser) = &browser {
        browser.open(&host.url("/__dev/database/sql")).await;
        let typed = format!("[sql.value = '{TYPED}', window.same = true]");
        browser.value(&typed).await;
        let connected = "document.querySelector('#link').textContent === 'active'";
        browser.until("the stream", connected).await;
    }
    let host = next_after(host, |_| ()).await;
    host.until_generation(1).await;
    if let Some(browser) = browser {
        let fresh = format!(
            "document.querySelector('[name=token]').value === '{}'",
            token(&host).await
        );
        browser.until("the new token", &fresh).await;
        let kept = format!("window.same && sql.value === '{TYPED}'");
        assert_eq!(browser.value(&kept).await, true);
        browser.value("sql.form.requestSubmit()").await;
        let answered = "document.querySelector('#result td')?.textContent === '42'";
        browser.until("the result", answered).await;
        // A button that no form holds.
        browser.click("[data-action=rebuild]").await;
        let said = "document.querySelector('#news').textContent === 'rebuilding'";
        browser.until("the action", said).await;
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser.close().await;
    }

    // Sent without a script, or before the page has heard of the next host: not run, and not lost.
    let form = [("token", &*old), ("sql", TYPED), ("writes", "true")];
    let (status, page) = run(&host, &form).await;
    assert_eq!(status, 403);
    assert!(page.contains("Not run") && page.contains(TYPED), "{page}");
    assert!(!page.contains("42<"), "{page}");
    assert!(page.contains(&token(&host).await), "it can be sent now");
}
