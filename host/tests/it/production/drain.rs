//! The end under load: whom the kernel has accepted gets an answer.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use futures_util::StreamExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use tokio_tungstenite::tungstenite::Message;

use super::serving::Serving;
use crate::support::{Server, eventually};

const PATH: &str = "/api/ping";

/// How a client uses its connections.
#[derive(Clone, Copy, Debug)]
enum Client {
    KeepsAlive,
    Closes,
    Http2,
}

#[tokio::test]
async fn a_signal_under_load_loses_no_request() {
    let server = Server::start().await;
    for round in 0..3 {
        // Nothing but the end of the requests ends it.
        let settings = [("DRAIN_TIMEOUT_MS", "3600000")];
        let serving = Serving::start(&server, &settings).await;
        let mut idle = TcpStream::connect(serving.address()).await.unwrap();
        assert!(!ask(&mut idle, "").await.expect("it serves"));
        let clients: Vec<_> = [Client::KeepsAlive, Client::Closes, Client::Http2]
            .into_iter()
            .flat_map(|client| [client; 8])
            .map(|client| {
                let answered = Arc::<AtomicUsize>::default();
                let load = load(client, serving.address().to_owned(), answered.clone());
                (tokio::spawn(load), answered)
            })
            .collect();
        eventually("all clients to be at it", async || {
            let is_busy = |it: &AtomicUsize| it.load(Relaxed) > 20;
            clients
                .iter()
                .all(|(_, answered)| is_busy(answered))
                .then_some(())
        })
        .await;
        serving.terminate();
        for (load, _) in clients {
            load.await
                .unwrap_or_else(|lost| panic!("round {round}: {lost}"));
        }
        let (status, said) = serving.ended().await;
        assert!(status.success() && !said.contains("cut off"), "{said}");
        let mut rest = Vec::new();
        assert_eq!(
            idle.read_to_end(&mut rest).await.unwrap(),
            0,
            "an orderly end"
        );
    }
}

#[tokio::test]
async fn a_websocket_may_say_goodbye() {
    let server = Server::start().await;
    for (limit, cut_off) in [("3600000", false), ("100", true)] {
        let serving = Serving::start(&server, &[("DRAIN_TIMEOUT_MS", limit)]).await;
        let url = format!("ws://{}/socket", serving.address());
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        serving.terminate();
        let said = eventually_said(socket.next()).await;
        match cut_off {
            true => assert!(!matches!(said, Some(Ok(_))), "{said:?}"),
            false => assert_eq!(said.unwrap().unwrap(), Message::text("goodbye")),
        }
        drop(socket);
        let (status, said) = serving.ended().await;
        assert!(status.success(), "{said}");
        let line = "1 connection cut off after 100 ms (DRAIN_TIMEOUT_MS)";
        assert_eq!(said.contains(line), cut_off, "{said}");
    }
}

/// Only guards against hanging.
async fn eventually_said<T>(said: impl Future<Output = T>) -> T {
    let limit = std::time::Duration::from_secs(60);
    tokio::time::timeout(limit, said)
        .await
        .expect("it ends or says something")
}

/// Asks until no connection can be opened any more, and panics if one was opened and there is no answer.
async fn load(client: Client, address: String, answered: Arc<AtomicUsize>) {
    if let Client::Http2 = client {
        let http2 = reqwest::Client::builder().http2_prior_knowledge();
        let http2 = http2.build().unwrap();
        loop {
            match http2.get(format!("http://{address}{PATH}")).send().await {
                Ok(answer) => assert_eq!(answer.status(), 200),
                Err(error) if error.is_connect() => return,
                Err(error) => panic!("{client:?}: {error:?}"),
            }
            answered.fetch_add(1, Relaxed);
        }
    }
    let header = match client {
        Client::Closes => "connection: close\r\n",
        _ => "",
    };
    while let Ok(mut stream) = TcpStream::connect(&address).await {
        loop {
            let closes = ask(&mut stream, header).await;
            let closes = closes.unwrap_or_else(|said| panic!("{client:?}: {said}"));
            answered.fetch_add(1, Relaxed);
            if closes {
                break;
            }
        }
    }
}

/// Sends a request and reads its answer; whether that is the connection's last.
async fn ask(stream: &mut TcpStream, header: &str) -> Result<bool, String> {
    let request = format!("GET {PATH} HTTP/1.1\r\nhost: localhost\r\n{header}\r\n");
    let sent = stream.write_all(request.as_bytes()).await;
    sent.map_err(|error| format!("not sent: {error}"))?;
    let (mut said, mut piece) = (String::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut piece).await;
        let read = read.map_err(|error| format!("{error} after {said:?}"))?;
        if read == 0 {
            return Err(format!("closed after {said:?}"));
        }
        said += &String::from_utf8_lossy(&piece[..read]);
        let Some((head, body)) = said.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        if body.len() == length.expect("it has a length").parse::<usize>().unwrap() {
            assert!(head.starts_with("HTTP/1.1 200"), "{said}");
            return Ok(head.contains("connection: close"));
        }
    }
}
