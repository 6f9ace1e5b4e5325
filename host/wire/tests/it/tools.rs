//! psql and pg_dump, as a user runs them at the socket.

use std::{fs, process::Stdio, time::Duration};

use tokio::process::Command;

use crate::{
    endings::{is_as_new, runs},
    stand::{Stand, pid},
};

/// What a tool prints, or why it fails.
async fn output(tool: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(tool).args(arguments).output();
    let output = tokio::time::timeout(Duration::from_secs(60), output).await;
    let output = output.expect("it ends").unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

#[tokio::test]
async fn psql_and_pg_dump_work() {
    let stand = Stand::new().await;
    let client = stand.client().await;
    let backend = pid(&client).await;
    let tables = "CREATE TABLE item (id int PRIMARY KEY, name text); CREATE VIEW named AS SELECT name FROM item";
    client.batch_execute(tables).await.unwrap();
    let (url, direct) = (stand.url(), stand.server.url());
    for command in ["\\d", "\\d item", "\\dt+", "\\l", "\\df pg_catalog.now"] {
        let arguments = |url| ["-X", "-v", "ON_ERROR_STOP=1", url, "-c", command];
        let through = output("psql", &arguments(&url)).await;
        assert_eq!(
            through,
            output("psql", &arguments(&direct)).await,
            "{command}"
        );
        assert!(through.is_ok(), "{through:?}");
    }
    for arguments in [&["--schema-only"][..], &["--data-only", "--inserts"]] {
        let dump = async |url| output("pg_dump", &[arguments, &["-d", url]].concat()).await;
        let through = dump(&*url).await.map(without_key);
        assert_eq!(through, dump(&*direct).await.map(without_key));
        assert!(through.is_ok(), "{through:?}");
    }

    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| folder.path().join(name).display().to_string());
    let rows: String = (0..20_000).map(|id| format!("{id}\tof {id}\n")).collect();
    fs::write(&from, &rows).unwrap();
    for command in [
        format!("\\copy item FROM '{from}'"),
        format!("\\copy (SELECT * FROM item ORDER BY id) TO '{to}'"),
    ] {
        let said = output("psql", &["-X", &url, "-c", &command]).await;
        assert_eq!(said.as_deref(), Ok("COPY 20000\n"));
    }
    assert_eq!(fs::read_to_string(to).unwrap(), rows);

    // Ctrl-C.
    let psql = Command::new("psql")
        .args(["-X", &url, "-c", "SELECT pg_sleep(600)"])
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    runs(&stand, "pg_sleep(600)").await;
    let process = i32::try_from(psql.id().unwrap()).unwrap();
    let interrupted = output("kill", &["-INT", &process.to_string()]).await;
    interrupted.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(60), psql.wait_with_output()).await;
    let said = String::from_utf8(ended.expect("it ends").unwrap().stderr).unwrap();
    assert!(
        said.contains("canceling statement due to user request"),
        "{said}"
    );
    is_as_new(&stand, backend).await;
    assert_eq!(pid(&client).await, backend);
}

/// Newer versions of pg_dump put a key of their own into each dump.
fn without_key(dump: String) -> String {
    let lines = dump
        .lines()
        .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
    lines.collect::<Vec<_>>().join("\n")
}
