//! The limits for clients, tested on real sockets.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// Only guards against hanging.
const LIMIT: Duration = Duration::from_secs(60);

/// A server: its address, how many requests it has answered, and the token that stops it.
async fn server(
    connections: usize,
    silence: Duration,
) -> (SocketAddr, Arc<AtomicUsize>, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let (answered, stop) = (Arc::<AtomicUsize>::default(), CancellationToken::new());
    let counted = answered.clone();
    let answer: Answer = Arc::new(move |_, _| {
        counted.fetch_add(1, SeqCst);
        async { Response::new(Body::from("here")) }.boxed()
    });
    let limits = Limits {
        places: Places::new(connections, "of the test"),
        silence,
        drain: Duration::ZERO,
        idle: Duration::ZERO,
        upgraded: false,
    };
    let until = stop.clone();
    tokio::spawn(async move { serve(&listener, answer, until, limits).await });
    (address, answered, stop)
}

async fn within<T>(what: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, wait).await.expect(what)
}

/// Sends a request on an open connection and waits for the answer.
async fn ask(stream: &mut TcpStream) {
    stream.write_all(REQUEST).await.expect("it is open");
    let (mut said, mut piece) = (String::new(), [0; 512]);
    while !said.ends_with("here") {
        let read = within("an answer", stream.read(&mut piece)).await;
        said.push_str(&String::from_utf8_lossy(
            &piece[..read.expect("it is open")],
        ));
    }
}

#[tokio::test]
async fn a_connection_that_says_too_little_is_closed() {
    let (address, answered, _stop) = server(10, Duration::from_secs(2)).await;
    let beginnings: [&[u8]; 4] = [b"", b"PRI * HT", b"GET / HTTP/1.1\r\nHost: local", REQUEST];
    let silent = beginnings.map(async |said| {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(said).await.expect("it is open");
        let mut rest = Vec::new();
        let closed = within("the end", stream.read_to_end(&mut rest)).await;
        closed.expect("an orderly end");
    });
    futures_util::future::join_all(silent).await;
    assert_eq!(answered.load(SeqCst), 1);
}

#[tokio::test]
async fn beyond_the_limit_a_client_waits_for_a_place() {
    let (address, answered, _stop) = server(1, LIMIT).await;
    let mut first = TcpStream::connect(address).await.expect("it listens");
    ask(&mut first).await;
    let mut second = TcpStream::connect(address)
        .await
        .expect("the kernel queues");
    second
        .write_all(REQUEST)
        .await
        .expect("the kernel keeps it");
    for _ in 0..50 {
        ask(&mut first).await;
    }
    assert_eq!(answered.load(SeqCst), 51, "none of the second");
    drop(first);
    let mut piece = [0; 512];
    let read = within("the second's answer", second.read(&mut piece)).await;
    assert!(
        String::from_utf8_lossy(&piece[..read.expect("it is open")]).starts_with("HTTP/1.1 200")
    );
}
