//! What a coding agent can find out: whether a save is live, what a request did, what is in the database.

use serde_json::{Value, json};

use crate::support::{Agent, Checkout, Host};

const PING: &str = "app_lib/src/ping.rs";

/// A message of the protocol, sent by hand with this header too.
async fn post(host: &Host, (name, value): (&str, &str)) -> (u16, String) {
    let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" }
    }});
    let post = host.client.post(host.url("/__dev/mcp")).json(&hello);
    let post = post.header("accept", "application/json, text/event-stream");
    let answer = post.header(name, value).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn only_programs_on_this_machine_may_ask_and_only_if_the_user_wants() {
    let host = Host::start().await;
    let (status, said) = post(&host, ("x-nothing", "")).await;
    assert!(status == 200 && said.contains("wait_until_live"), "{said}");
    for foreign in [
        ("origin", "http://evil.example"),
        ("origin", "http://localhost:1"),
        ("sec-fetch-site", "cross-site"),
        ("host", "evil.example"),
    ] {
        assert_eq!(post(&host, foreign).await.0, 403, "{foreign:?}");
    }
    let (_, checkout) = host.stop().await;
    let host = Host::start_in(checkout, &[("HOST_MCP", "off")]).await;
    assert_eq!(post(&host, ("x-nothing", "")).await.0, 404);
}

#[tokio::test]
async fn an_agent_is_told_whether_its_save_is_live() {
    let host = Host::start_in(Checkout::new(), &[]).await;
    let Some(mut agent) = Agent::meet(&host, "auto").await else {
        return;
    };
    let live = async |agent: &mut Agent| agent.call("wait_until_live", json!({})).await;
    let tools = agent.server["tools"].as_array().unwrap();
    let reads = |tool: &&Value| tool["annotations"]["readOnlyHint"] == true;
    assert_eq!(tools.iter().filter(reads).count(), tools.len() - 1);
    assert!(
        tools
            .iter()
            .all(|tool| tool["inputSchema"]["type"] == "object")
    );

    // No state from before a save counts, however soon the question follows.
    host.checkout
        .edit(PING, "generation: u64", "generation: String");
    let told = live(&mut agent).await;
    assert_eq!(told["outcome"], "failed", "{told}");
    assert_eq!(told["generation"], 1);
    let error = &told["build"]["diagnostics"][0];
    assert_eq!((&error["file"], &error["line"]), (&json!(PING), &json!(19)));
    assert_eq!(error["message"], "mismatched types");
    let rendered = error["rendered"].as_str().unwrap();
    assert!(
        rendered.starts_with("error[E0308]: mismatched types\n"),
        "{rendered}"
    );
    let errors = agent.call("errors", json!({})).await;
    assert_eq!(errors["build"]["errors"], 1);
    let status = agent.call("status", json!({})).await;
    assert_eq!(status["health"]["trouble"]["cause"], "build");

    host.checkout
        .edit(PING, "generation: String", "version: u64");
    host.checkout.edit(PING, "generation: app", "version: app");
    let told = live(&mut agent).await;
    assert_eq!(told["outcome"], "live", "{told}");
    assert_eq!(told["generation"], 2);
    assert_eq!(host.json("/api/ping").await["version"], 2);

    // What no compiler reads is live at once, what the settings change takes another generation.
    host.checkout
        .write("app_lib/static/style.css", "h1 { color: teal }");
    assert_eq!(live(&mut agent).await["generation"], 2);
    host.checkout.write(".env", "GREETING=hello\n");
    let told = live(&mut agent).await;
    assert_eq!(
        (&told["outcome"], &told["generation"]),
        (&json!("live"), &json!(3))
    );

    host.checkout
        .write(".env", "GREETING=hello\nDATABASE_WAIT_TIMEOUT_MS=soon\n");
    let told = live(&mut agent).await;
    assert_eq!(told["outcome"], "failed", "{told}");
    let refused = told["settings_refused"].as_str().unwrap();
    assert!(refused.contains("DATABASE_WAIT_TIMEOUT_MS"), "{refused}");
    host.checkout.write(".env", "GREETING=hello\n");
    let told = live(&mut agent).await;
    assert_eq!(
        (&told["outcome"], &told["settings_refused"]),
        (&json!("live"), &Value::Null)
    );

    host.checkout
        .write("migrations/V9__wrong.sql", "SELECT 1;\nSELECT wrong;\n");
    let told = live(&mut agent).await;
    assert_eq!(told["outcome"], "failed");
    let failure = &told["migrations"]["failure"];
    assert_eq!(
        (&failure["file"], &failure["line"]),
        (&json!("migrations/V9__wrong.sql"), &json!(2))
    );
    host.checkout
        .write("migrations/V9__wrong.sql", "SELECT 1;\n");
    assert_eq!(live(&mut agent).await["outcome"], "live");
    let migrations = agent.call("migrations", json!({})).await;
    assert_eq!(migrations["pending"], json!([]));
}

#[tokio::test]
async fn an_agent_sees_what_a_request_did_and_reads_the_database() {
    let host = Host::start().await;
    // As older clients do.
    let Some(mut agent) = Agent::meet(&host, "legacy").await else {
        return;
    };
    let sent = json!({
        "method": "post", "path": "/api/counters", "headers": { "content-type": "application/json" },
        "body": "{\"name\":\"by an agent\"}",
    });
    let answer = agent.call("send_request", sent).await;
    assert_eq!(answer["status"], 201, "{answer}");
    agent
        .call("send_request", json!({ "path": "/api/counters?page=1" }))
        .await;
    agent
        .refused("send_request", json!({ "path": "/__dev/status.json" }))
        .await;

    let listed = agent
        .call(
            "requests",
            json!({ "path": "/api/counters", "status": 201 }),
        )
        .await;
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["id"], answer["request"]);
    let trace = agent
        .call("request", json!({ "id": answer["request"] }))
        .await;
    let events = trace["events"].as_array().unwrap();
    let insert = events
        .iter()
        .position(|event| event["kind"] == "statement")
        .unwrap();
    assert!(
        events[insert]["text"]
            .as_str()
            .unwrap()
            .starts_with("INSERT INTO \"counter\""),
        "{trace}"
    );
    let name = events[insert]["params"][0].as_str().unwrap();
    assert!(name.contains("by an agent"), "{trace}");

    let rows = agent
        .call(
            "query",
            json!({ "sql": "SELECT name, count, NULL AS none FROM counter;" }),
        )
        .await;
    assert_eq!(rows["columns"], json!(["name", "count", "none"]));
    assert_eq!(rows["rows"], json!([["by an agent", "0", null]]));
    let rows = agent
        .call(
            "query",
            json!({ "sql": "SELECT 'a' AS token FROM generate_series(1, 300)", "max_rows": 250 }),
        )
        .await;
    assert_eq!(
        (rows["rows"].as_array().unwrap().len(), &rows["more"]),
        (250, &json!(true))
    );
    assert_eq!(rows["rows"][0], json!(["***"]));
    for sql in [
        "DELETE FROM counter",
        "WITH gone AS (DELETE FROM counter RETURNING 1) SELECT * FROM gone",
        "SELECT 1; DELETE FROM counter",
        "SELECT nextval('counter_id_seq')",
        "COPY counter TO PROGRAM 'cat'",
    ] {
        agent.refused("query", json!({ "sql": sql })).await;
    }
    let tables = agent.call("schema", json!({ "table": "increment" })).await;
    let keys = &tables["tables"][0]["foreign_keys"];
    assert!(
        keys[0]["definition"]
            .as_str()
            .unwrap()
            .contains("REFERENCES counter"),
        "{tables}"
    );

    let plan = agent
        .call("explain", json!({ "sql": "SELECT * FROM counter" }))
        .await;
    assert!(
        plan["was_run"] == true && plan["plan"].as_str().unwrap().contains("actual time"),
        "{plan}"
    );
    let plan = agent
        .call("explain", json!({ "sql": "DELETE FROM counter" }))
        .await;
    assert!(
        plan["was_run"] == false
            && plan["plan"]
                .as_str()
                .unwrap()
                .starts_with("Delete on counter"),
        "{plan}"
    );
    agent
        .refused("explain", json!({ "sql": "ANALYZE DELETE FROM counter" }))
        .await;
    let of_request = json!({ "request": answer["request"], "statement": insert });
    let why = agent.refused("explain", of_request).await;
    assert!(why.contains("writes"), "{why}");
    let counted = agent
        .call("query", json!({ "sql": "SELECT count(*) FROM counter" }))
        .await;
    assert_eq!(counted["rows"], json!([["1"]]), "nothing was changed");

    let failed = agent
        .refused("query", json!({ "sql": "SELECT pg_sleep(60)", "rows": 1 }))
        .await;
    assert!(failed.contains("unknown field `rows`"), "{failed}");
    let log = agent
        .call("logs", json!({ "from": "host", "request": 99 }))
        .await;
    assert_eq!(log, json!([]));
    host.checkout.write(".env", "RUST_LOG=shop=loud\n");
    agent.call("wait_until_live", json!({})).await;
    let log = agent
        .call("logs", json!({ "level": "warn", "text": "rust_log" }))
        .await;
    assert_eq!(
        (&log[0]["level"], &log[0]["from"]),
        (&json!("WARN"), &json!("host"))
    );
    let errors = agent.call("errors", json!({})).await;
    assert_eq!(errors["log"], json!([]), "a warning is no error");
}
