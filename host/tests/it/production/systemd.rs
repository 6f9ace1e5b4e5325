//! As a unit of systemd: its socket, which outlives the process, and what the process says to it.

use std::{net::TcpListener, os::fd::OwnedFd, os::unix::net::UnixDatagram, process::Stdio};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{built, serving::Serving};
use crate::support::Server;

/// Passes its input as the first descriptor, as systemd does: to the process that it becomes.
const PASS: &str = r#"exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@""#;

async fn activated(listener: &TcpListener, server: &Server) -> Serving {
    let (checkout, binary) = built();
    let mut command = checkout.command("sh");
    command.args(["-c", PASS]).arg(binary);
    let socket = OwnedFd::from(listener.try_clone().unwrap());
    command.stdin(Stdio::from(socket));
    Serving::start_by(command, server, &[]).await
}

#[tokio::test]
async fn a_passed_socket_outlives_the_process() {
    let server = Server::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let first = activated(&listener, &server).await;
    assert_eq!(first.base, format!("http://{address}"));
    assert!(first.said().contains("the socket that systemd has passed"));
    assert_eq!(first.get("/healthz").await.0, 200);
    first.terminate();
    let (status, said) = first.ended().await;
    assert!(status.success(), "{said}");

    let mut waiting = TcpStream::connect(address).await.unwrap();
    let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    waiting.write_all(request).await.unwrap();
    let second = activated(&listener, &server).await;
    let mut said = String::new();
    waiting.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    assert_eq!(second.get("/healthz").await.0, 200);
}

#[tokio::test]
async fn systemd_is_told_when_it_serves_and_when_it_ends() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let socket = tokio::net::UnixDatagram::from_std(socket).unwrap();
    let settings = [("NOTIFY_SOCKET", path.to_str().unwrap())];
    let serving = Serving::start(&server, &settings).await;
    assert_eq!(next(&socket).await, "READY=1");
    serving.terminate();
    assert_eq!(next(&socket).await, "STOPPING=1");
    let (status, said) = serving.ended().await;
    assert!(status.success(), "{said}");
}

async fn next(socket: &tokio::net::UnixDatagram) -> String {
    let mut said = [0; 256];
    let limit = std::time::Duration::from_secs(60);
    let received = tokio::time::timeout(limit, socket.recv(&mut said)).await;
    let length = received.expect("a message for systemd").unwrap();
    String::from_utf8_lossy(&said[..length]).trim().to_owned()
}
