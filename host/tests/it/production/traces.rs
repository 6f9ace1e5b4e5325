//! Traces: what a collector gets of a request, and that nobody waits for it.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{built_with_traces, serving::Serving};
use crate::support::{Server, client};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// The bodies of what came to `/v1/traces`.
type Received = Arc<Mutex<Vec<u8>>>;

/// A collector that answers, or one that never does.
async fn collector(answers: bool) -> (String, Received) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let received = Received::default();
    let kept = received.clone();
    tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            match answers {
                true => drop(tokio::spawn(receive(stream, kept.clone()))),
                false => {
                    stream.read_u8().await.unwrap();
                    kept.lock().unwrap().push(1);
                    open.push(stream);
                }
            }
        }
    });
    (endpoint, received)
}

async fn receive(mut stream: TcpStream, kept: Received) {
    let (mut said, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut piece).await.unwrap();
        if read == 0 {
            return;
        }
        said.extend(&piece[..read]);
        let Some(end) = find(&said, b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8(said[..end].to_vec()).unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let whole = end + 4 + length.expect("it has a length").parse::<usize>().unwrap();
        if said.len() < whole {
            continue;
        }
        assert!(head.starts_with("POST /v1/traces HTTP/1.1"), "{head}");
        assert!(
            head.contains("content-type: application/x-protobuf"),
            "{head}"
        );
        kept.lock().unwrap().extend(&said[end + 4..whole]);
        said.drain(..whole);
        let answer =
            b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len())
        .position(|window| window == wanted)
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = (0..hex.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

async fn traced(server: &Server, endpoint: &str) -> Serving {
    let (checkout, binary) = built_with_traces();
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_SERVICE_NAME", "the shop"),
    ];
    Serving::start_by(checkout.command(binary), server, &settings).await
}

async fn ask(serving: &Serving, path: &str) -> u16 {
    let request = client().get(format!("{}{path}", serving.base));
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let answer = request.header("traceparent", traceparent).send().await;
    answer.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_collector_gets_a_span_for_each_request_by_the_end() {
    let server = Server::start().await;
    let (endpoint, received) = collector(true).await;
    let endpoint = endpoint.replace("://", "://me:hunter2@");
    let serving = traced(&server, &endpoint).await;
    assert_eq!(ask(&serving, "/item/7?key=secret").await, 200);
    assert_eq!(ask(&serving, "/panic").await, 500);
    let made_up = reqwest::Method::from_bytes(b"MADEUP").unwrap();
    let made_up = client().request(made_up, format!("{}/item/3", serving.base));
    assert_eq!(made_up.send().await.unwrap().status(), 405);
    serving.terminate(); // before the next batch
    let (status, said) = serving.ended().await;
    assert!(status.success(), "{said}");
    let received = received.lock().unwrap();
    let text = String::from_utf8_lossy(&received);
    for wanted in [
        "the shop",
        "GET /item/{id}",
        "GET /panic",
        "HTTP /item/{id}",
        "_OTHER",
        "error.type",
        "url.scheme",
        "http.request.method",
        "http.route",
        "url.path",
        "/item/7",
    ] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
    // A key, and its value as protobuf writes an integer.
    for (code, value) in [
        (200, [0x12, 0x03, 0x18, 0xc8, 0x01]),
        (500, [0x12, 0x03, 0x18, 0xf4, 0x03]),
    ] {
        let attribute = [&b"http.response.status_code"[..], &value].concat();
        assert!(find(&received, &attribute).is_some(), "{code} in {text}");
    }
    for (what, hex) in [("trace", TRACE), ("parent", PARENT)] {
        assert!(
            find(&received, &bytes(hex)).is_some(),
            "the {what} of the client: {text}"
        );
    }
    // Field 6 of a span: 2 is a server.
    assert!(find(&received, &[0x30, 0x02]).is_some(), "{text}");
    assert!(!text.contains("secret"), "{text}");
    assert!(!said.contains("hunter2"), "{said}");
    // What a handler logs belongs to its span, and the log shows it as without traces.
    assert!(said.contains("INFO app_lib::lab: in app()"), "{said}");
}

#[tokio::test]
async fn a_collector_that_does_not_answer_holds_nobody_up() {
    let server = Server::start().await;
    let (endpoint, received) = collector(false).await;
    let serving = traced(&server, &endpoint).await;
    assert_eq!(ask(&serving, "/item/7").await, 200);
    let since = Instant::now();
    serving.terminate();
    let (status, said) = serving.ended().await;
    assert!(status.success(), "{said}");
    assert!(since.elapsed() < Duration::from_secs(20), "{said}");
    assert!(!received.lock().unwrap().is_empty(), "it was asked");
    assert!(
        said.contains("the last traces may not have reached the collector"),
        "{said}"
    );
}

#[tokio::test]
async fn without_the_feature_the_variable_is_a_warning() {
    let server = Server::start().await;
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")];
    let serving = Serving::start(&server, &settings).await;
    let said = serving.said();
    let wanted = "OTEL_EXPORTER_OTLP_ENDPOINT is set, but no traces are sent: build the package host with its feature `otlp`";
    assert!(said.contains(wanted), "{said}");
}
