//! The production binary, built once for all tests: the sample with a lab, and with what an app may do at its start.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use crate::support::Checkout;

/// Slow requests, one of them in a transaction, a path that production has too, and a log as an app may set it up.
const LAB: &str = r#"
        Router::new().route("/slow", get(async || { std::fs::write("entered", "").unwrap(); gate("open").await; "finished" }))
            .route("/healthz", get(async || "the app's own"))
            .route("/item/{id}", get(async || "an item"))
            .route("/panic", get(async || { if true { panic!("as it may") } }))
            .route("/streamed", get(async || Body::from_stream(futures_util::stream::unfold(0, async |n| match n {
                0 => Some((Ok::<_, std::io::Error>("first"), 1)),
                1 => { gate("open").await; Some((Ok("last"), 2)) }
                _ => None,
            }))))
            .route("/socket", get(async |State(app): State<AppState>, upgrade: ws::WebSocketUpgrade| upgrade.on_upgrade(async move |mut socket| {
                app.shutdown.cancelled().await;
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                drop(socket.send(ws::Message::text("goodbye")).await);
            })))
            .route("/transaction", get(in_a_transaction))
    }

    async fn in_a_transaction(State(state): State<AppState>) -> &'static str {
        let done = state.db.transaction(|tx| Box::pin(async move {
            let row = tx.query_one("SELECT pg_backend_pid()", &[]).await?;
            std::fs::write("inside.new", row.get::<_, i32>(0).to_string()).unwrap();
            std::fs::rename("inside.new", "inside").unwrap();
            gate("open").await;
            Ok::<_, shared::db::DbError>("committed")
        }));
        done.await.unwrap()
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

/// The binary, and the checkout that it was built in, which is never given back. Most is compiled there already.
pub(super) fn built() -> (&'static Checkout, &'static Path) {
    static BUILT: Built = Built::new();
    built_once(&BUILT, "host/bundled-app")
}

/// The same with traces. In a checkout of its own: the other one's is in use.
pub(super) fn built_with_traces() -> (&'static Checkout, &'static Path) {
    static BUILT: Built = Built::new();
    built_once(&BUILT, "host/bundled-app,host/otlp")
}

type Built = OnceLock<(Checkout, PathBuf)>;

fn built_once(built: &'static Built, features: &str) -> (&'static Checkout, &'static Path) {
    let (checkout, binary) = built.get_or_init(|| {
        let checkout = Checkout::new();
        build(&checkout, features);
        let binary = checkout.path("target/hot/host");
        (checkout, binary)
    });
    (checkout, binary)
}

fn build(checkout: &Checkout, features: &str) {
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
    add_union(checkout);
    let mut build = checkout.command("cargo");
    build.args(["build", "--profile", "hot", "--package", "host"]);
    build.args(["--no-default-features", "--features", features]);
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
}

/// A package that depends on what the dev server does. Selected beside the host, though not built, it gives all
/// dependencies the features with which they are compiled already; `just lint` compiles the host without it.
fn add_union(checkout: &Checkout) {
    let manifest = std::fs::read_to_string(checkout.path("host/Cargo.toml")).unwrap();
    let of_the_dev_server: String = manifest
        .split_inclusive('\n')
        .filter(|line| line.contains(", optional = true"))
        .filter(|line| !line.starts_with("app_lib") && !line.starts_with("shared_dylib"))
        .filter(|line| !line.contains("opentelemetry")) // nothing of it is compiled
        .filter(|line| !line.contains("path = ")) // of the workspace
        .map(|line| line.replace(", optional = true", ""))
        .collect();
    std::fs::create_dir_all(checkout.path("union/src")).unwrap();
    checkout.write("union/src/lib.rs", "");
    let package = "[package]\nname = \"union\"\n\n[dependencies]\n";
    checkout.write("union/Cargo.toml", &format!("{package}{of_the_dev_server}"));
    checkout.edit("Cargo.toml", "members = [", "members = [\"union\", ");
}
