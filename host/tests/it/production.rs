//! `host serve`: the same app, linked in, and nothing of the dev server.

use std::{path::Path, process::Stdio};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::io::AsyncBufReadExt;

use crate::support::{Checkout, Host, client, eventually};

/// A slow request, and a log as an app may set it up.
const LAB: &str = r#"
        Router::new().route("/slow", get(async || { std::fs::write("entered", "").unwrap(); gate("open").await; "finished" }))
    }

    pub(crate) async fn set_up_log() {
        tracing::info!("at first");
        if std::env::var("LOG_OF_THE_APP").is_ok_and(|wanted| !wanted.is_empty()) {
            tracing::subscriber::set_global_default(Own).unwrap();
        }
        tokio::task::yield_now().await;
        tracing::info!("in app()");
    }

    struct Own;

    impl tracing::Subscriber for Own {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool { true }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id { tracing::span::Id::from_u64(1) }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) { event.record(&mut Words) }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }

    struct Words;

    impl tracing::field::Visit for Words {
        fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
            if field.name() == "message" { eprintln!("own: {value:?}") }
        }
"#;

#[tokio::test]
async fn the_production_binary_serves_alone_and_ends_orderly() {
    // A dev host for its database, and a checkout of its own to build in, where most is compiled already.
    let (dev, checkout) = (Host::start().await, Checkout::new());
    checkout.add_lab(LAB);
    checkout.edit(
        "app_lib/src/lib.rs",
        "    let state = AppState {",
        "    if std::env::var_os(\"WORKERS\").is_some() { state.env.own(|own| (own.required::<String>(\"API_KEY\", \"sk-123\"), own.or::<u16>(\"WORKERS\", \"4\")))?; }\n    if std::env::var_os(\"WANTS_A_FILE\").is_some() { std::fs::read(\"pages/home.html\")?; }\n    let starts = std::env::var(\"STARTS\").unwrap_or_default();\n    if !starts.is_empty() { std::fs::write(&starts, \"\")?; }\n    if starts == \"awaiting\" { std::future::pending::<()>().await; }\n    while starts == \"blocking\" { std::thread::park(); }\n    let state = AppState {",
    );
    checkout.edit(
        "app_lib/src/lib.rs",
        "    let state = AppState {",
        "    lab::set_up_log().await;\n    let state = AppState {",
    );
    checkout.edit(
        "host/src/main.rs",
        "fn main() -> ExitCode {",
        "fn main() -> ExitCode {\n    if std::env::var_os(\"LOG_OF_MAIN\").is_some() { tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::new()).unwrap(); }",
    );
    add_union(&checkout);
    let mut build = checkout.command("cargo");
    build.args(["build", "--profile", "hot", "--package", "host"]);
    build.args(["--no-default-features", "--features", "host/bundled-app"]);
    build.args(["--package", "union", "--bin", "host", "--offline"]);
    // As in a release: what is not code is in the binary.
    for package in ["app_lib", "rust-embed", "rust-embed-utils"] {
        let setting = format!("profile.hot.package.{package}.debug-assertions=false");
        build.args(["--config", &setting]);
    }
    let built = build.output().unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let binary = checkout.path("target/hot/host");

    let bytes = std::fs::read(&binary).unwrap();
    for trace in ["/__dev", "shared_dylib", "hot-lib-reloader", "initdb"] {
        assert!(
            !bytes
                .windows(trace.len())
                .any(|window| window == trace.as_bytes()),
            "{trace} is in the production binary"
        );
    }

    let refused = checkout
        .command(&binary)
        .args(["serve", "--port", "0"])
        .envs([("PGHOST", "db.example"), ("LOG_OF_MAIN", "1")])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("DATABASE_URL is not set") && said.contains("PGHOST is set and not read"),
        "{said}"
    );

    let url = format!(
        "postgres://postgres@/postgres?host={}",
        dev.checkout.path(".dev/postgres/socket").display()
    );
    let elsewhere = tempfile::TempDir::new().unwrap();
    let refused = checkout
        .command(&binary)
        .args(["serve", "--port", "0"])
        .env("DATABASE_URL", &url)
        .env("WANTS_A_FILE", "1")
        .current_dir(elsewhere.path())
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    let wanted = format!(
        "app() failed: No such file or directory (os error 2); relative paths begin in the working directory, {}",
        elsewhere.path().display()
    );
    assert!(said.contains(&wanted), "{said}");
    let refused = checkout
        .command(&binary)
        .args(["serve", "--port", "0"])
        .envs([("DATABASE_URL", &*url), ("WORKERS", "hunter2")])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    let wanted = "app() failed: 2 settings are wrong:\n\n  API_KEY\n    is not set\n    example: API_KEY=sk-123\n\n  \
         WORKERS (from the environment)\n    does not parse: invalid digit found in string\n    example: WORKERS=4";
    assert!(said.contains(wanted) && !said.contains("hunter2"), "{said}");
    for starts in ["awaiting", "blocking"] {
        let mut process = tokio::process::Command::from(checkout.command(&binary))
            .args(["serve", "--port", "0"])
            .envs([("DATABASE_URL", &*url), ("STARTS", starts)])
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        eventually("app() to begin", async || {
            checkout.path(starts).exists().then_some(())
        })
        .await;
        terminate(&process);
        assert_eq!(process.wait().await.unwrap().code(), Some(0), "{starts}");
    }
    shows_its_own_log(&checkout, &binary, &url).await;
    let mut command = tokio::process::Command::from(checkout.command(&binary));
    command
        .args(["serve", "--port", "0"])
        .env("DATABASE_URL", url)
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut process = command.spawn().unwrap();
    let mut said = tokio::io::BufReader::new(process.stderr.take().unwrap()).lines();
    let base = loop {
        let line = said
            .next_line()
            .await
            .unwrap()
            .expect("it says where it serves");
        if let Some((_, address)) = line.split_once("serving on ") {
            break address.trim_end_matches('/').to_owned();
        }
    };

    let client = client();
    for folder in ["templates", "static"] {
        std::fs::remove_dir_all(checkout.path("app_lib").join(folder)).unwrap();
    }
    for (path, holds) in [("/", "<h1>Counters</h1>"), ("/static/style.css", "body {")] {
        let answer = client.get(format!("{base}{path}")).send().await.unwrap();
        let text = answer.text().await.unwrap();
        assert!(text.contains(holds), "{path}: {text}");
    }
    let ping: serde_json::Value = client
        .get(format!("{base}/api/ping"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(ping["generation"], 1);
    assert_eq!(
        client
            .get(format!("{base}/__dev/status.json"))
            .send()
            .await
            .unwrap()
            .status(),
        404
    );

    let slow = tokio::spawn(client.get(format!("{base}/slow")).send());
    eventually("the request inside", async || {
        checkout.path("entered").exists().then_some(())
    })
    .await;
    terminate(&process);
    checkout.write("open", "");
    assert_eq!(
        slow.await.unwrap().unwrap().text().await.unwrap(),
        "finished"
    );
    assert_eq!(process.wait().await.unwrap().code(), Some(0));
}

/// What is set up in `app()` gets the host's lines too; before, and without it, the host shows the app's.
async fn shows_its_own_log(checkout: &Checkout, binary: &Path, url: &str) {
    for (own, set_up, serving) in [
        ("1", "own: in app()", "own: serving on "),
        ("", "INFO app_lib::lab: in app()", "INFO serving on "),
    ] {
        let mut process = tokio::process::Command::from(checkout.command(binary))
            .args(["serve", "--port", "0"])
            .envs([("DATABASE_URL", url), ("LOG_OF_THE_APP", own)])
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = tokio::io::BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("serving on ") {
                terminate(&process);
            }
            said += &format!("{line}\n");
        }
        assert_eq!(process.wait().await.unwrap().code(), Some(0), "{said}");
        for line in ["INFO app_lib::lab: at first", set_up, serving] {
            assert!(said.contains(line), "{line}: {said}");
        }
    }
}

fn terminate(process: &tokio::process::Child) {
    let pid = Pid::from_raw(process.id().unwrap().cast_signed());
    kill(pid, Signal::SIGTERM).unwrap();
}

/// A package that depends on what the dev server does. Selected beside the host, though not built, it gives all
/// dependencies the features with which they are compiled already; `just lint` compiles the host without it.
fn add_union(checkout: &Checkout) {
    let manifest = std::fs::read_to_string(checkout.path("host/Cargo.toml")).unwrap();
    let of_the_dev_server: String = manifest
        .split_inclusive('\n')
        .filter(|line| line.contains(", optional = true"))
        .filter(|line| !line.starts_with("app_lib") && !line.starts_with("shared_dylib"))
        .filter(|line| !line.contains("path = ")) // of the workspace
        .map(|line| line.replace(", optional = true", ""))
        .collect();
    std::fs::create_dir_all(checkout.path("union/src")).unwrap();
    checkout.write("union/src/lib.rs", "");
    let package = "[package]\nname = \"union\"\n\n[dependencies]\n";
    checkout.write("union/Cargo.toml", &format!("{package}{of_the_dev_server}"));
    checkout.edit("Cargo.toml", "members = [", "members = [\"union\", ");
}
