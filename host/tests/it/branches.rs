//! A database for each branch, snapshots, and what fills an empty database.

use std::{
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use serde_json::json;
use tokio::task::JoinHandle;

use crate::support::{Checkout, Host, eventually};

/// git in this checkout, with an identity of its own.
fn git(checkout: &Checkout, arguments: &[&str]) {
    let ran = checkout
        .command("git")
        .args(["-c", "user.name=me", "-c", "user.email=me@localhost"])
        .args([
            "-c",
            "init.defaultBranch=main",
            "-c",
            "commit.gpgsign=false",
        ])
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "git {arguments:?}: {said}");
}

/// A checkout in a repository, on `main`.
fn repository() -> Checkout {
    let checkout = Checkout::new();
    git(&checkout, &["init", "-q"]);
    git(&checkout, &["add", "app_lib", "migrations"]);
    git(&checkout, &["commit", "-q", "-m", "first"]);
    checkout
}

async fn add(host: &Host, name: &str) {
    let created = host
        .client
        .post(host.url("/api/counters"))
        .json(&json!({ "name": name }))
        .send()
        .await
        .unwrap();
    assert_eq!(created.status(), 201);
}

async fn names(host: &Host) -> Vec<String> {
    let counters = host.json("/api/counters").await;
    let mut names: Vec<String> = counters
        .as_array()
        .unwrap()
        .iter()
        .map(|counter| counter["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

async fn until_branch(host: &Host, branch: &str) {
    host.until(branch, |status| {
        status.0["schema"]["branch"] == branch
            && status.0["schema"]["applying"].is_null()
            && status.phase() == "active"
    })
    .await;
}

fn ran(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    output
}

/// Requests without a pause, and a look at the backends beside them.
struct Load {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    fn on(host: &Host) -> Self {
        let (over, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let tasks = (0..2).map(|_| {
            let (over, answered) = (over.clone(), answered.clone());
            let (client, url) = (host.client.clone(), host.url("/api/counters"));
            tokio::spawn(async move {
                while !over.load(Relaxed) {
                    let answer = client.get(&url).send().await.unwrap();
                    let status = answer.status();
                    assert_eq!(status, 200, "{}", answer.text().await.unwrap());
                    answered.fetch_add(1, Relaxed);
                }
            })
        });
        let tasks = tasks.collect();
        Self {
            over,
            answered,
            tasks,
        }
    }

    async fn end(self) -> u64 {
        self.over.store(true, Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.answered.load(Relaxed)
    }
}

/// A transaction of another driver, at the dev server's socket.
async fn transaction(host: &Host) -> tokio_postgres::Client {
    let url = ran(host.checkout.host().arg("url")).stdout;
    let url = String::from_utf8(url).unwrap();
    let (client, connection) = tokio_postgres::connect(url.trim(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let begin = "BEGIN; INSERT INTO counter (name) VALUES ('of a driver')";
    client.batch_execute(begin).await.unwrap();
    client
}

/// Backends of the dev server's own, seen from a database that is never copied.
async fn backends(host: &Host) -> i64 {
    let counted = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'host-dev:%'";
    let observer = host.observe_from("template1").await;
    observer.query_one(counted, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_checkout_brings_schema_and_data_of_its_branch_and_loses_no_request() {
    let host = Host::start_in(repository(), &[("HOST_BRANCH_DATABASES", "on")]).await;
    until_branch(&host, "main").await;
    add(&host, "both").await;
    let load = Load::on(&host);

    git(&host.checkout, &["switch", "-q", "-c", "feature/size"]);
    until_branch(&host, "feature/size").await;
    assert_eq!(names(&host).await, ["both"], "a copy");
    add(&host, "of the feature").await;
    let file = "migrations/V3__size.sql";
    host.checkout
        .write(file, "ALTER TABLE counter ADD size int;\n");
    host.until("the migration", |status| {
        status.0["schema"]["applied"][2] == "V3__size"
    })
    .await;
    git(&host.checkout, &["add", file]);
    git(&host.checkout, &["commit", "-q", "-m", "size"]);

    for _ in 0..2 {
        git(&host.checkout, &["checkout", "-q", "main"]);
        until_branch(&host, "main").await;
        assert_eq!(names(&host).await, ["both"]);
        let schema = host.status().await.0["schema"].clone();
        assert_eq!(schema["applied"].as_array().unwrap().len(), 2, "{schema}");
        assert!(schema["failure"].is_null(), "{schema}");
        assert!(backends(&host).await <= 1);

        git(&host.checkout, &["checkout", "-q", "-"]);
        until_branch(&host, "feature/size").await;
        assert_eq!(names(&host).await, ["both", "of the feature"]);
        let schema = host.status().await.0["schema"].clone();
        assert_eq!(schema["applied"][2], "V3__size", "{schema}");
        assert!(schema["failure"].is_null(), "{schema}");
        assert!(backends(&host).await <= 1);
    }
    assert!(load.end().await > 0);
    // The middle of a rebase is no branch: what it brings is not applied by itself.
    git(&host.checkout, &["checkout", "-q", "--detach"]);
    let other = "migrations/V4__weight.sql";
    host.checkout
        .write(other, "ALTER TABLE counter ADD weight int;\n");
    host.until("what is pending", |status| {
        status.0["schema"]["pending"][0] == "V4__weight"
    })
    .await;
    std::fs::remove_file(host.checkout.path(other)).unwrap();
    host.until("that nothing is", |status| {
        status.0["schema"]["pending"] == json!([])
    })
    .await;
    // A server has no room for them.
    host.checkout
        .write(".env", "DATABASE_URL=postgres://me@localhost/mine\n");
    eventually("the refusal", async || {
        host.log()
            .contains("DATABASE_URL names a server")
            .then_some(())
    })
    .await;
    std::fs::remove_file(host.checkout.path(".env")).unwrap();
    let log = host.log();
    for line in [
        "branch main: the database belongs to it from now on",
        "branch feature/size: its database is a copy of that of main",
        "branch main: its database is in use again",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }

    // Another time, while no host runs.
    let (_, checkout) = host.stop().await;
    git(&checkout, &["checkout", "-q", "-f", "main"]);
    let mut psql = checkout.host();
    psql.env("HOST_BRANCH_DATABASES", "on")
        .args(["psql", "-At", "-c", "SELECT name FROM counter"]);
    assert!(ran(&mut psql).stdout.ends_with(b"both\n"));
    let mut list = checkout.host();
    list.env("HOST_BRANCH_DATABASES", "on").arg("db-list");
    let listed = String::from_utf8(ran(&mut list).stdout).unwrap();
    assert!(listed.contains("branch feature/size"), "{listed}");
    let line = listed.lines().find(|line| line.contains("branch main"));
    assert!(
        line.is_some_and(|line| line.ends_with("in use")),
        "{listed}"
    );
    let mut forget = checkout.host();
    ran(forget.args(["db-drop", "--branch", "feature/size"]));
    let mut list = checkout.host();
    let listed = String::from_utf8(ran(list.arg("db-list")).stdout).unwrap();
    assert!(!listed.contains("feature"), "{listed}");
}

#[tokio::test]
async fn a_snapshot_comes_back_with_and_without_a_host() {
    let host = Host::start().await;
    add(&host, "kept").await;
    let load = Load::on(&host);
    let made = ran(host.checkout.host().args(["db-snapshot", "before"]));
    assert!(String::from_utf8_lossy(&made.stdout).contains("snapshot before is made"));
    add(&host, "later").await;
    ran(host.checkout.host().args(["db-restore", "before"]));
    assert_eq!(names(&host).await, ["kept"]);
    assert!(backends(&host).await <= 1);
    assert!(load.end().await > 0);
    // It stays, and can be made again under its name, also while something of an earlier one is left.
    add(&host, "second").await;
    let leftover = r#"CREATE DATABASE "host: replaced""#;
    let observer = host.observe_from("template1").await;
    observer.batch_execute(leftover).await.unwrap();
    drop(observer);
    // What another driver has begun is waited for.
    let driver = transaction(&host).await;
    let mut command = host.checkout.host();
    let making = std::thread::spawn(move || ran(command.args(["db-snapshot", "before"])));
    host.until("the wait", |status| {
        !status.0["schema"]["applying"]["instead"].is_null()
    })
    .await;
    driver.batch_execute("COMMIT").await.unwrap();
    making.join().unwrap();

    let other = host
        .checkout
        .host()
        .args(["db-restore", "nothing"])
        .output();
    let other = other.unwrap();
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(!other.status.success());
    assert!(
        said.contains("no snapshot nothing; there are: snapshot before"),
        "{said}"
    );

    let (_, checkout) = host.stop().await;
    ran(checkout.host().args(["db-reset"]));
    ran(checkout.host().args(["db-restore", "before"]));
    let mut psql = checkout.host();
    psql.args(["psql", "-At", "-c", "SELECT name FROM counter ORDER BY 1"]);
    assert_eq!(ran(&mut psql).stdout, b"kept\nof a driver\nsecond\n");
}

#[tokio::test]
async fn seeds_fill_a_new_database_and_one_that_was_reset() {
    let checkout = Checkout::new();
    std::fs::create_dir(checkout.path("seeds")).unwrap();
    checkout.write(
        "seeds/02_second.sql",
        "INSERT INTO counter (name) SELECT name || '+' FROM counter;",
    );
    checkout.write(
        "seeds/01_first.sql",
        "INSERT INTO counter (name) VALUES ('seeded');",
    );
    // No lent cluster: this one makes its own.
    let mut command = checkout.host();
    command
        .args(["dev", "--port", "0"])
        .env("HOST_REPLAY", "off");
    std::fs::create_dir_all(checkout.path(".dev/postgres")).unwrap();
    // Made by a command that needs no tables, and seeded when they are there.
    ran(checkout.host().args(["psql", "-c", "SELECT 1"]));
    let host = Host::start_by(checkout, command).await;
    assert_eq!(names(&host).await, ["seeded", "seeded+"]);
    add(&host, "mine").await;
    let reset = ran(host.checkout.host().arg("db-reset"));
    let said = String::from_utf8_lossy(&reset.stdout).into_owned();
    assert!(said.contains("seeded seeds/02_second.sql"), "{said}");
    assert_eq!(names(&host).await, ["seeded", "seeded+"]);

    host.checkout.write(
        "seeds/03_third.sql",
        "INSERT INTO counter\n(nome) VALUES ('x');",
    );
    let refused = host.checkout.host().arg("db-reset").output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success());
    assert!(said.contains("seeds/03_third.sql:2: "), "{said}");
}

#[tokio::test]
async fn branch_databases_need_the_private_cluster() {
    let checkout = Checkout::new();
    let refusal = |variables: &[(&str, &str)], flag: &[&str]| {
        let mut command = checkout.host();
        command.args(["dev", "--port", "0"]).args(flag);
        let output = command.envs(variables.iter().copied()).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let url = ("DATABASE_URL", "postgres://me@localhost/mine");
    for (variables, why) in [
        (vec![url], "DATABASE_URL names a server"),
        (vec![("HOST_DATABASE", "none")], "HOST_DATABASE is none"),
    ] {
        let said = refusal(&variables, &["--branch-databases"]);
        assert!(said.contains(why), "{why}: {said}");
    }
}
