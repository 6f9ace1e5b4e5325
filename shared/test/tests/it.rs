//! Databases of tests, made and dropped by real processes on a real PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use shared::db::{DatabaseUrl, DbConfig, connect};
use shared_test::TestDatabase;

async fn client(url: &str) -> tokio_postgres::Client {
    let url = DatabaseUrl::parse(url).unwrap();
    let (client, connection) = connect(&DbConfig::new(url, "it".to_owned())).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn databases(client: &tokio_postgres::Client, like: &str) -> Vec<String> {
    let sql = "SELECT datname FROM pg_database WHERE datname LIKE $1";
    let rows = client.query(sql, &[&like]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// This program at another place, with a server of its own.
fn program(folder: &Path) -> PathBuf {
    let place = folder.join("debug/deps/it");
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    // Not by this process: another thread may just start a program, which would have the file open for writing.
    let copied = Command::new("cp")
        .arg(env::current_exe().unwrap())
        .arg(&place)
        .status();
    assert!(copied.unwrap().success());
    place
}

/// Runs one of the tests below that are for other processes.
fn running(program: &Path, test: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["--exact", test, "--ignored", "--nocapture"]);
    command.stdin(Stdio::null());
    command
}

fn succeeds(output: Output) {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn is_running(folder: &Path) -> bool {
    let pid_file = "test-postgres/cluster/data/postmaster.pid";
    folder.join(pid_file).exists()
}

/// Guards against hanging only.
fn until_stopped(folder: &Path) {
    let since = Instant::now();
    while is_running(folder) {
        assert!(
            since.elapsed() < Duration::from_mins(2),
            "PostgreSQL still runs"
        );
        sleep(Duration::from_millis(20));
    }
}

#[tokio::test]
#[ignore = "for other processes"]
async fn uses_a_database() {
    let database = TestDatabase::new().await;
    let client = client(database.url()).await;
    client.query("SELECT FROM counter", &[]).await.unwrap();
}

#[tokio::test]
#[ignore = "for other processes"]
async fn waits_for_ever() {
    let database = TestDatabase::new().await;
    eprintln!("\nwaits with {}", database.url());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_database_has_the_migrations_and_nobody_elses_rows_and_is_dropped_with_its_connections() {
    let (one, other) = (TestDatabase::new().await, TestDatabase::new().await);
    let (in_one, in_other) = (client(one.url()).await, client(other.url()).await);
    in_one
        .execute("INSERT INTO counter (name) VALUES ('mine')", &[])
        .await
        .unwrap();
    assert!(
        in_other
            .query("SELECT FROM counter", &[])
            .await
            .unwrap()
            .is_empty()
    );

    let name: String = in_one
        .query_one("SELECT current_database()", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(databases(&in_other, &name).await.len(), 1);
    drop(one);
    assert!(databases(&in_other, &name).await.is_empty());
    assert!(in_one.query("SELECT 1", &[]).await.is_err());
}

#[tokio::test]
async fn what_a_killed_test_has_left_is_dropped_by_a_later_run() {
    let database = TestDatabase::new().await;
    let client = client(database.url()).await;
    // Of a run long ago, and of one that may be going on.
    let soon = format!("shared_test_copy_{}_1_0", u32::MAX);
    for name in ["shared_test_copy_1_1_0", &soon] {
        let drop = format!("DROP DATABASE IF EXISTS {name}");
        client.batch_execute(&drop).await.unwrap();
        client
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await
            .unwrap();
    }
    succeeds(
        running(&env::current_exe().unwrap(), "uses_a_database")
            .output()
            .unwrap(),
    );
    let left = databases(&client, "shared\\_test\\_copy\\_%\\_1\\_0").await;
    client
        .batch_execute(&format!("DROP DATABASE {soon}"))
        .await
        .unwrap();
    assert_eq!(left, [soon]);
}

#[test]
fn the_server_stops_behind_its_last_user_also_a_killed_one() {
    let folder = tempfile::tempdir().unwrap();
    let program = program(folder.path());
    let both = [0, 1].map(|_| {
        let mut command = running(&program, "uses_a_database");
        command.stderr(Stdio::piped()).spawn().unwrap()
    });
    for process in both {
        succeeds(process.wait_with_output().unwrap());
    }
    until_stopped(folder.path());

    let mut killed = running(&program, "waits_for_ever");
    let mut killed = killed.stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(killed.stderr.take().unwrap()).lines();
    let waits = lines
        .map(Result::unwrap)
        .any(|line| line.starts_with("waits with"));
    assert!(waits);
    // Another one comes and goes.
    let output = running(&program, "uses_a_database").output();
    succeeds(output.unwrap());
    assert!(is_running(folder.path()), "while it is used");
    killed.kill().unwrap();
    killed.wait().unwrap();
    until_stopped(folder.path());
}

#[test]
fn a_migration_that_fails_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let broken = "CREATE TABLE a ();\nCREATE TABEL b ();\n";
    fs::write(folder.path().join("V1__broken.sql"), broken).unwrap();
    let mut command = running(&env::current_exe().unwrap(), "uses_a_database");
    let output = command
        .env("HOST_MIGRATIONS", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("V1__broken.sql:2: ") && said.contains("TABEL"),
        "{said}"
    );
}

#[test]
fn a_server_that_cannot_be_reached_is_named_without_its_password() {
    let mut command = running(&env::current_exe().unwrap(), "uses_a_database");
    let url = "postgres://me:hunter2@127.0.0.1:1/x";
    let output = command.env("TEST_DATABASE_URL", url).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("127.0.0.1:1") && !said.contains("hunter2"),
        "{said}"
    );
}
