//! What the host adds to pages, and what it tells the script in them.

use serde_json::Value;

use crate::support::{Checkout, Host, Lab, lab};

const PAGES: &str = r#"Router::new()
    .route("/page", get(async || Html("<!doctype html><html><body><p>GEN</p></BODY></html>")))
    .route("/fragment", get(async || Html("<p>GEN</p>")))
    .route("/tagged", get(async || ([("etag", "\"x\"")], Html("<body></body>"))))
    .route("/policy", get(async || ([("content-security-policy", "script-src 'nonce-abc123=='")], Html("<body></body>"))))
    .route("/encoded", get(async || ([("content-encoding", "gzip"), ("content-type", "text/html")], "<body></body>")))
    .route("/text", get(async || "<body></body>"))
    .route("/attached", get(async || ([("content-disposition", "attachment")], Html("<body></body>"))))
    .route("/part", get(async || (StatusCode::PARTIAL_CONTENT, Html("<body></body>"))))"#;

/// Without the bar, whose numbers differ from page to page.
async fn start_with(lab: Lab) -> Host {
    let checkout = Checkout::new();
    checkout.add_built_lab(lab);
    Host::start_in(checkout, &[("HOST_BAR", "off")]).await
}

/// What is added to the beginning of a page of generation 1.
fn first_tag(number: u64, more: &str) -> String {
    format!(
        "<script src=\"/__dev/errors.js\" data-generation=\"1\" data-request=\"{number}\"{more}></script>"
    )
}

/// What is added to its end.
fn tag_with(host: &Host, more: &str) -> String {
    let pid = host.pid();
    format!(
        "<script src=\"/__dev/browser.js\" data-host=\"{pid}\" data-generation=\"1\"{more} defer></script>"
    )
}

#[tokio::test]
async fn whole_pages_get_the_script_and_nothing_else_is_touched() {
    let host = start_with(lab!(PAGES)).await;
    let page = host.get("/page").await;
    let length = page.content_length();
    let text = page.text().await.unwrap();
    assert_eq!(length, Some(text.len() as u64));
    let (first, tag) = (first_tag(1, ""), tag_with(&host, ""));
    assert_eq!(
        text,
        format!("<!doctype html><html>{first}<body><p>GEN</p></BODY></html>{tag}")
    );
    // It has no place at the beginning.
    let policy = host.text("/policy").await;
    let nonce = " nonce=\"abc123==\"";
    let tags = first_tag(2, nonce) + &tag_with(&host, nonce);
    assert_eq!(policy, format!("<body></body>{tags}"));

    // With it, "not modified" would bring back the script of an old page.
    assert!(host.get("/tagged").await.headers().get("etag").is_none());

    assert_eq!(host.text("/fragment").await, "<p>GEN</p>");
    for path in ["/encoded", "/text", "/attached", "/part"] {
        assert_eq!(host.text(path).await, "<body></body>", "{path}");
    }
    let head = host.client.head(host.url("/page")).send().await.unwrap();
    assert!(head.text().await.unwrap().is_empty());
    for (header, value) in [("hx-request", "true"), ("sec-fetch-dest", "empty")] {
        let part = host
            .client
            .get(host.url("/page"))
            .header(header, value)
            .send()
            .await
            .unwrap();
        assert!(!part.text().await.unwrap().contains("__dev"), "{header}");
    }
    assert!(host.text("/__dev/browser.js").await.contains("EventSource"));
}

/// A page in two chunks, the second of which waits for a file `go`; and a file as servers of static files and layers
/// that compress answer with it.
const STREAMS: &str = r#"{
    use futures_util::{StreamExt, stream};
    async fn slow() -> impl IntoResponse {
        let first = stream::iter(["<!doctype html><p>first</p>"]);
        let second = stream::once(async { gate("go").await; "<p>second</p>" });
        ([("content-type", "text/html")], Body::from_stream(first.chain(second).map(Ok::<_, std::io::Error>)))
    }
    async fn file(asked: HeaderMap) -> Response {
        if asked.contains_key("if-modified-since") || asked.contains_key("if-none-match") {
            return StatusCode::NOT_MODIFIED.into_response();
        }
        if asked.contains_key("accept-encoding") {
            return ([("content-encoding", "gzip"), ("content-type", "text/html")], "not really").into_response();
        }
        let headers = [
            ("content-type", "text/html"), ("content-length", "20"), ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
            ("accept-ranges", "bytes"), ("cache-control", "max-age=60"),
        ];
        let chunks = ["<p>a</p", ">", "</body></ht", "m"].map(Ok::<_, std::io::Error>);
        (headers, Body::from_stream(stream::iter(chunks))).into_response()
    }
    Router::new().route("/slow", get(slow)).route("/file", get(file))
}"#;

#[tokio::test]
async fn pages_that_stream_or_could_be_cached_or_compressed_get_the_script() {
    let host = start_with(lab!(STREAMS)).await;
    let tag = tag_with(&host, "");

    let mut slow = host.get("/slow").await;
    let first = slow.chunk().await.unwrap().unwrap();
    let expected = format!("<!doctype html>{}<p>first</p>", first_tag(1, ""));
    assert_eq!(first, expected.as_bytes(), "it is not held back");
    host.checkout.write("go", "");
    assert_eq!(slow.text().await.unwrap(), format!("<p>second</p>{tag}"));

    let ask = async |accept: &str, kept: &str| {
        let file = host.client.get(host.url("/file")).header("accept", accept);
        let file = file.header("sec-fetch-dest", "document");
        let file = file.header(kept, "gzip").send().await.unwrap();
        (
            file.status().as_u16(),
            file.headers().clone(),
            file.text().await.unwrap(),
        )
    };
    for (number, kept) in (2..).zip(["if-modified-since", "if-none-match", "accept-encoding"]) {
        let (status, headers, page) = ask("text/html,*/*", kept).await;
        let expected = format!("<p>a</p></body></htm{}{tag}", first_tag(number, ""));
        assert_eq!(headers["content-length"], expected.len().to_string());
        assert_eq!((status, page), (200, expected), "{kept}");
        assert_eq!(headers["cache-control"], "no-store");
        for gone in ["last-modified", "accept-ranges"] {
            assert!(
                !headers.contains_key(gone),
                "{gone} is of the page without the script"
            );
        }
    }
    // A program gets what it asks for.
    assert_eq!(ask("*/*", "if-modified-since").await.0, 304);
    assert_eq!(ask("*/*", "accept-encoding").await.2, "not really");
}

#[tokio::test]
async fn the_script_is_told_of_swaps_and_failures() {
    let host = Host::with_built_lab(lab!(PAGES)).await;
    let mut events = host.get("/__dev/events").await;
    // Events come one to a chunk; a keep-alive is none.
    let mut next = async || loop {
        let chunk = events.chunk().await.unwrap().expect("the stream goes on");
        let text = String::from_utf8_lossy(&chunk);
        if let Some(json) = text.lines().find_map(|line| line.strip_prefix("data: ")) {
            return serde_json::from_str::<Value>(json).unwrap();
        }
    };
    let mut until = async |phase: &str| loop {
        let news = next().await;
        if news["phase"] == phase {
            return news;
        }
    };
    assert_eq!(until("active").await["generation"], 1);
    host.checkout.write_lab("no_such_thing");
    let failed = until("build_failed").await;
    assert_eq!(
        (&failed["generation"], &failed["diagnostics"][0]["file"]),
        (&1.into(), &"app_lib/src/lab.rs".into())
    );
    assert!(
        failed["diagnostics"][0]["rendered"]
            .as_str()
            .unwrap()
            .contains('\u{1b}'),
        "with its colours"
    );
    host.checkout.write_lab(&PAGES.replace("GEN", "2"));
    assert_eq!(until("active").await["generation"], 2);
}

#[tokio::test]
async fn dev_pages_answer_to_local_names_only() {
    let checkout = Checkout::new();
    let host = Host::start_in(checkout, &[]).await;
    let ask = async |name: &str| {
        let request = host
            .client
            .get(host.url("/__dev/status.json"))
            .header("host", name);
        request.send().await.unwrap().status().as_u16()
    };
    for (name, status) in [
        ("localhost", 200),
        ("LOCALHOST:3000", 200),
        ("127.0.0.1", 200),
        ("[::1]:3000", 200),
        ("rebound.example", 403),
        ("localhost.example", 403),
        ("192.0.2.7", 403),
    ] {
        assert_eq!(ask(name).await, status, "{name}");
    }
}
