//! Routes whose handlers have lost their types answer as axum's own do.

use crate::support::{Host, lab};

/// The same routes twice: written against axum, and against `shared::routing`.
const ROUTES: &str = r#"(
    Router::new()
        .route("/", get(async || "get").post(async |body: String| body).merge(delete(async || StatusCode::NO_CONTENT)))
        .route("/on", on(MethodFilter::PUT.or(MethodFilter::PATCH), async || "on").fallback(async |method: Method| method.to_string()))
        .route("/any/{id}", any(async |Path(id): Path<i64>| id.to_string()))
        .route("/layered", get(async || "x").layer(axum::middleware::map_response(async |answer: axum::response::Response| ([("x-layer", "method")], answer))))
        .route("/state", get(async |State(app): State<AppState>, Query(q): Query<std::collections::HashMap<String, String>>| format!("{} {q:?}", app.generation)))
        .nest("/inner", Router::new().route("/x", get("constant")).route_layer(axum::middleware::map_response(async |answer: axum::response::Response| ([("x-layer", "route")], answer))))
        .nest_service("/service", axum::Router::<()>::new().fallback(async |uri: Uri| uri.path().to_owned()))
        .layer(axum::middleware::map_response(async |answer: axum::response::Response| ([("x-outer", "yes")], answer)))
        .fallback(async |uri: Uri| (StatusCode::NOT_FOUND, format!("no {}", uri.path().len())))
        .method_not_allowed_fallback(async || (StatusCode::METHOD_NOT_ALLOWED, "not so"))
)"#;

#[tokio::test]
async fn routes_without_handler_types_answer_as_axum_does() {
    let host = Host::with_built_lab(lab!(format!(
        "fn plain() -> Router<AppState> {{ {ROUTES} }}\n\
         fn erased() -> shared::routing::Router<AppState> {{ use shared::routing::*; {ROUTES} }}\n\
         Router::new().nest(\"/axum\", plain()).nest(\"/ours\", erased().into())"
    )))
    .await;
    let asked = [
        "GET /",
        "HEAD /",
        "POST /",
        "DELETE /",
        "PUT /",
        "PUT /on",
        "PATCH /on",
        "GET /on",
        "TRACE /any/7",
        "GET /any/x",
        "GET /layered",
        "POST /layered",
        "GET /state?a=b",
        "GET /inner/x",
        "POST /inner/x",
        "GET /inner/y",
        "GET /service/deep/er",
        "GET /nowhere",
    ];
    let mut seen = std::collections::BTreeSet::new();
    for asked in asked {
        let (method, path) = asked.split_once(' ').unwrap();
        let [plain, ours] = ["axum", "ours"].map(async |prefix| {
            let url = host.url(&format!(
                "/{prefix}{}",
                path.strip_suffix("/").unwrap_or(path)
            ));
            let request = host.client.request(method.parse().unwrap(), url);
            let answer = request.body("a body").send().await.unwrap();
            let (status, mut headers) = (answer.status(), answer.headers().clone());
            // Those of this request alone.
            for name in ["date", "server-timing", "x-request-id"] {
                headers.remove(name);
            }
            (status, headers, answer.text().await.unwrap())
        });
        let (plain, ours) = (plain.await, ours.await);
        assert_eq!(plain, ours, "{asked}");
        seen.insert(plain.0.as_u16());
    }
    assert_eq!(seen, [200, 204, 400, 404, 405].into(), "each way out of it");
}
