//! A server that is known to be down, seen through a door that counts who knocks.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use futures_util::future::join_all;
use tokio::{
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
};

use crate::support::{Checkout, Host, eventually, lab};

const LAB: &str = r#"Router::new().route("/one", get(async |State(app): State<AppState>| {
    match app.db.query("SELECT 1", &[]).await {
        Ok(_) => (StatusCode::OK, "ok".to_owned()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}))"#;

/// A way to the cluster of another host. While it is shut it accepts and says nothing.
struct Door {
    port: u16,
    open: watch::Sender<bool>,
    /// Connections of the pool since it was last opened or shut.
    knocks: Arc<AtomicUsize>,
}

impl Door {
    async fn to(owner: &Host) -> Self {
        let socket = owner.checkout.path(".dev/postgres/socket/.s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (open, state) = watch::channel(true);
        let knocks = Arc::<AtomicUsize>::default();
        let counted = knocks.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (socket, mut state, counted) = (socket.clone(), state.clone(), counted.clone());
                tokio::spawn(async move {
                    if is_the_pool_s(&near).await {
                        counted.fetch_add(1, Relaxed);
                    }
                    let open = *state.borrow_and_update();
                    tokio::select! {
                        _ = pass(near, &socket, open) => {}
                        // A connection ends when the door moves.
                        _ = state.changed() => {}
                    }
                });
            }
        });
        Self { port, open, knocks }
    }

    fn set_open(&self, open: bool) {
        self.knocks.store(0, Relaxed);
        self.open.send_replace(open);
    }
}

/// Its name is in the first packet; the host's other connections have another.
async fn is_the_pool_s(near: &TcpStream) -> bool {
    let mut packet = [0; 512];
    let length = near.peek(&mut packet).await.unwrap_or(0);
    String::from_utf8_lossy(&packet[..length]).contains("host-dev:")
}

async fn pass(mut near: TcpStream, socket: &std::path::Path, open: bool) {
    if !open {
        return std::future::pending().await;
    }
    let mut far = UnixStream::connect(socket).await.unwrap();
    // Either side may end it.
    drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
}

#[tokio::test]
async fn many_who_want_a_server_that_is_down_make_one_attempt() {
    let owner = Host::start().await;
    let door = Door::to(&owner).await;
    let url = format!(
        "postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable",
        door.port
    );
    let checkout = Checkout::new();
    checkout.add_built_lab(lab!(LAB));
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("DATABASE_CONNECT_TIMEOUT_MS", "5000"),
        // Opening has a limit of its own: this one is for waiting while others use the connection.
        ("DATABASE_WAIT_TIMEOUT_MS", "10000"),
    ];
    let host = Host::start_in(checkout, &settings).await;
    assert_eq!(host.text("/one").await, "ok");
    let ask_many = || join_all((0..16).map(|_| host.get("/one")));

    // Lost, and given time to come back: all wait for the one attempt.
    door.set_open(false);
    // Not by status.json, which asks over the same connection.
    eventually("the loss", async || {
        let log = host.log();
        log.contains("the database connection ended").then_some(())
    })
    .await;
    for answer in ask_many().await {
        assert_eq!(answer.status(), 503);
        let told = answer.text().await.unwrap();
        assert!(told.contains("no answer within 5000 ms"), "{told}");
    }
    assert_eq!(door.knocks.load(Relaxed), 1);

    // Known to be down: one tries, the others are told before it has its answer.
    let trying = eventually("an attempt", async || {
        let asked = tokio::spawn(host.client.get(host.url("/one")).send());
        eventually("an answer, or an attempt", async || {
            (asked.is_finished() || door.knocks.load(Relaxed) > 1).then_some(())
        })
        .await;
        (door.knocks.load(Relaxed) > 1).then_some(asked)
    })
    .await;
    for answer in ask_many().await {
        assert_eq!(answer.status(), 503);
    }
    assert!(!trying.is_finished(), "told at once");
    assert_eq!(door.knocks.load(Relaxed), 2);

    // Back again: who waits or comes next gets an answer, all of them through one connection.
    door.set_open(true);
    trying.await.unwrap().unwrap();
    eventually("an answer", async || {
        (host.text("/one").await == "ok").then_some(())
    })
    .await;
    for answer in ask_many().await {
        assert_eq!(answer.status(), 200);
    }
    let status = host.status().await;
    assert_eq!(status.number("/db/opened_total"), 2);
    assert_eq!(status.number("/db/backends"), 1);
}
