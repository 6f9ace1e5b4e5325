//! Traces of the dev server, as a collector gets them: what `/__dev/requests` shows, as spans.

use crate::support::{Checkout, Collector, Host, Span};

const ROUTES: &str = r#"
    Router::new()
        .route("/item/{id}", get(async |State(state): State<AppState>, Path(id): Path<i64>| {
            tracing::info!(id, "looking it up");
            state.db.query("SELECT $1::int8 AS looked_up", &[&id]).await.unwrap();
            "an item"
        }))
        .route("/wrong", get(async |State(state): State<AppState>| {
            state.db.query("SELECT wrong", &[]).await.map(|_| ()).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
        }))
        .route("/streamed", get(async |State(state): State<AppState>| {
            let rows = async move {
                gate("go-on").await;
                state.db.query("SELECT 'after the head'", &[]).await.unwrap();
                Ok::<_, std::io::Error>("last")
            };
            Body::from_stream(futures_util::stream::once(rows))
        }))
"#;

/// A host that is built with the feature, as a manifest asks for it.
fn checkout() -> Checkout {
    let checkout = Checkout::new();
    checkout.edit(
        "host/Cargo.toml",
        "default = [\"dev\"]",
        "default = [\"dev\", \"otlp\"]",
    );
    checkout.add_lab(ROUTES);
    let mut build = checkout.command("cargo");
    let built = build.args(["build", "--profile", "hot", "--offline"]);
    let built = built.output().unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}");
    checkout
}

fn children(collector: &Collector, parent: &Span) -> Vec<Span> {
    let mut spans = collector.spans();
    spans.retain(|span| span.parent == parent.id);
    spans.sort_by_key(|span| span.time);
    for span in &spans {
        assert_eq!(span.trace, parent.trace);
        let ((from, until), (began, ended)) = (span.time, parent.time);
        assert!(began <= from && from <= until && until <= ended, "{span:?}");
    }
    spans
}

#[tokio::test]
async fn a_collector_gets_requests_with_their_statements() {
    let (checkout, collector) = (checkout(), Collector::start(200).await);
    let endpoint = format!("OTEL_EXPORTER_OTLP_ENDPOINT={}\n", collector.endpoint);
    checkout.write(".env", &endpoint);
    let host = Host::start_in(checkout, &[]).await;
    assert_eq!(host.text("/item/7?key=hidden").await, "an item");
    assert_eq!(host.get("/wrong").await.status(), 500);
    let mut streamed = host.get("/streamed").await;
    host.checkout.write("go-on", "");
    assert_eq!(streamed.chunk().await.unwrap().unwrap(), "last");
    assert_eq!(streamed.chunk().await.unwrap(), None);
    host.get("/none").await;
    let (status, _checkout) = host.stop().await; // what is left is sent
    assert!(status.success());

    let item = collector.span("GET /item/{id}");
    assert_eq!((item.kind, &item.error), (2, &None));
    assert_eq!(item.events, ["looking it up id=7"]);
    for (key, value) in [
        ("dev.generation", "1"),
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("http.route", "/item/{id}"),
        ("url.path", "/item/7"),
    ] {
        assert_eq!(item.get(key), value);
    }
    let statements = children(&collector, &item);
    let looked_up = statements.last().unwrap();
    assert_eq!((&*looked_up.name, looked_up.kind), ("SELECT", 3));
    for (key, value) in [
        ("db.system.name", "postgresql"),
        ("db.query.text", "SELECT $1::int8 AS looked_up"),
        ("db.response.returned_rows", "1"),
    ] {
        assert_eq!(looked_up.get(key), value);
    }
    assert!(
        looked_up
            .get("code.file.path")
            .ends_with("app_lib/src/lab.rs")
    );

    let wrong = collector.span("GET /wrong");
    assert_eq!(wrong.get("error.type"), "500");
    let said = wrong.error.as_ref().unwrap();
    assert!(said.contains("column \"wrong\" does not exist"), "{said}");
    let statements = children(&collector, &wrong);
    let failed = statements.last().unwrap();
    assert_eq!(failed.get("error.type"), "42703");
    let said = failed.error.as_ref().unwrap();
    assert!(said.contains("column \"wrong\" does not exist"), "{said}");

    let statements = children(&collector, &collector.span("GET /streamed"));
    let text = statements.last().unwrap().get("db.query.text");
    assert_eq!(text, "SELECT 'after the head'");
    let nowhere = collector.span("GET");
    assert_eq!(nowhere.get("http.response.status_code"), "404");
    let all = format!("{:?}", collector.spans());
    assert!(!all.contains("hidden") && !all.contains("__dev"), "{all}");
}
