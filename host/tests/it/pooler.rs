//! Behind PgBouncer in transaction mode, where a session is lent for one transaction at a time.
//!
//! With the real one, where it is installed (`apt-get install pgbouncer`); else it says so.

use std::{
    fs::{self, Permissions},
    io::Write,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::{Child, Command},
};

use tokio::net::{TcpListener, TcpStream, UnixStream};

use crate::support::{Checkout, Host, eventually, lab};

const LAB: &str = r#"Router::new()
    .route("/read/{m}", get(async |State(app): State<AppState>, Path(m): Path<String>| {
        app.db.query_one("SELECT $1::text, count(*) FROM counter", &[&m]).await.map_or_else(|error| error.to_string(), |row| row.get(0))
    }))
    .route("/own/{type}/{m}", get(async |State(app): State<AppState>, Path((own, m)): Path<(String, String)>| {
        let sql = format!("SELECT $1::text, ARRAY['x']::{own}[]");
        app.db.query_one(&sql, &[&m]).await.map_or_else(|error| error.to_string(), |row| row.get(0))
    }))
    .route("/row-of/{table}/{m}", get(async |State(app): State<AppState>, Path((table, m)): Path<(String, String)>| {
        let sql = format!("SELECT $1::text, whole FROM {table} whole LIMIT 1");
        app.db.query_one(&sql, &[&m]).await.map_or_else(|error| error.to_string(), |row| row.get(0))
    }))
    .route("/own-tx/{type}/{m}", get(async |State(app): State<AppState>, Path((own, m)): Path<(String, String)>| {
        app.db.transaction(|tx| async move {
            let row = tx.query_one(&format!("SELECT $1::text, 'x'::{own}"), &[&m]).await?;
            Ok::<String, shared::DbError>(row.get(0))
        }.boxed()).await.unwrap_or_else(|error| error.to_string())
    }))
    .route("/tx/{m}", get(async |State(app): State<AppState>, Path(m): Path<String>| {
        app.db.transaction(|tx| async move {
            tx.execute("INSERT INTO counter (name) VALUES ($1)", &[&m]).await?;
            let row = tx.query_one("DELETE FROM counter WHERE name = $1 RETURNING name", &[&m]).await?;
            Ok::<String, shared::DbError>(row.get(0))
        }.boxed()).await.unwrap_or_else(|error| error.to_string())
    }))"#;

struct PgBouncer {
    process: Child,
    port: u16,
    /// Its settings, which it reads when it likes, and its log.
    folder: tempfile::TempDir,
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// A way to the private cluster for a process that is not root and may not enter its folder.
async fn door_to(host: &Host) -> u16 {
    let socket = host.checkout.path(".dev/postgres/socket/.s.PGSQL.5432");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let socket = socket.clone();
            tokio::spawn(async move {
                let mut far = UnixStream::connect(socket).await?;
                tokio::io::copy_bidirectional(&mut near, &mut far).await
            });
        }
    });
    port
}

/// `None`: there is none here. Ends with the value.
async fn pgbouncer(server: u16) -> Option<PgBouncer> {
    // Another process may take a port between our choice and its use; then another one is tried.
    for _ in 0..5 {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let Some(mut bouncer) = start(server, port) else {
            let mut stderr = std::io::stderr();
            writeln!(stderr, "skipped: no pgbouncer; apt-get install pgbouncer").unwrap();
            return None;
        };
        let listens = eventually("pgbouncer to listen, or to end", async || {
            // It listens and it runs, so the port is its own.
            let reached = TcpStream::connect(("127.0.0.1", port)).await.is_ok();
            let log = fs::read_to_string(bouncer.folder.path().join("log")).unwrap();
            match bouncer.process.try_wait().unwrap() {
                Some(_) => Some(false),
                None => (reached && log.contains("process up")).then_some(true),
            }
        });
        if listens.await {
            return Some(bouncer);
        }
    }
    panic!("pgbouncer does not find a port");
}

fn start(server: u16, port: u16) -> Option<PgBouncer> {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let settings = format!(
        "[databases]\npostgres = host=127.0.0.1 port={server} dbname=postgres user=postgres\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
         pool_mode = transaction\ndefault_pool_size = 3\n"
    );
    let file = folder.path().join("pgbouncer.ini");
    fs::write(&file, settings).unwrap();
    let log = fs::File::create(folder.path().join("log")).unwrap();
    let mut command = Command::new("/usr/sbin/pgbouncer");
    if nix::unistd::geteuid().is_root() {
        let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
        command.uid(nobody.uid.as_raw()).gid(nobody.gid.as_raw());
    }
    let process = command.arg(file).stderr(log).spawn().ok()?;
    Some(PgBouncer {
        process,
        port,
        folder,
    })
}

#[tokio::test]
async fn many_processes_behind_a_transaction_pooler_get_their_own_answers() {
    let owner = Host::start().await;
    let Some(bouncer) = pgbouncer(door_to(&owner).await).await else {
        return;
    };
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", bouncer.port);
    let mut hosts = Vec::new();
    for _ in 0..2 {
        let checkout = Checkout::new();
        checkout.add_built_lab(lab!(format!("use futures_util::FutureExt; {LAB}")));
        let settings = [
            ("DATABASE_URL", url.as_str()),
            ("DATABASE_PIPELINE", "off"),
            ("DATABASE_MAX_CONNECTIONS", "4"),
        ];
        hosts.push(Host::start_in(checkout, &settings).await);
    }
    // More than the three connections that the pooler has, and statements of both hosts with the same names.
    let asked = (0..240).map(|n| {
        let host = &hosts[n % 2];
        let (kind, marker) = (["read", "tx", "read"][n % 3], format!("m{n}"));
        let request = host.client.get(host.url(&format!("/{kind}/{marker}")));
        async move { (marker, request.send().await.unwrap().text().await.unwrap()) }
    });
    for (marker, answer) in futures_util::future::join_all(asked).await {
        assert_eq!(answer, marker);
    }
    drop(hosts);
}

#[tokio::test]
async fn types_of_the_database_s_own_are_known_to_every_connection() {
    let owner = Host::start().await;
    let Some(bouncer) = pgbouncer(door_to(&owner).await).await else {
        return;
    };
    let observer = owner.observe().await;
    let make = "CREATE TYPE mood AS ENUM ('x'); CREATE TYPE colour AS ENUM ('x'); CREATE DOMAIN label AS text";
    observer.batch_execute(make).await.unwrap();
    let checkout = Checkout::new();
    checkout.add_built_lab(lab!(format!("use futures_util::FutureExt; {LAB}")));
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", bouncer.port);
    let settings = [("DATABASE_URL", url.as_str()), ("DATABASE_PIPELINE", "off")];
    let host = Host::start_in(checkout, &settings).await;
    for path in [
        "/own-tx/mood/m",
        "/own-tx/colour/m",
        "/own-tx/label/m",
        "/own/mood/m",
        "/own/colour/m",
    ] {
        assert_eq!(host.text(path).await, "m", "{path}");
    }
    assert_eq!(host.status().await.number("/db/opened_total"), 1);

    // What is made while the connection is open costs it, and no request. So does what is in no list.
    for late in ["late", "later"] {
        let make = format!("CREATE TYPE {late} AS ENUM ('x')");
        observer.batch_execute(&make).await.unwrap();
        assert_eq!(host.text(&format!("/own/{late}/m")).await, "m");
        assert_eq!(host.text(&format!("/own-tx/{late}/m")).await, "m");
    }
    for _ in 0..2 {
        assert_eq!(host.text("/row-of/pg_am/m").await, "m");
        assert_eq!(host.text("/row-of/pg_namespace/m").await, "m");
    }
    assert_eq!(host.status().await.number("/db/opened_total"), 1 + 2 + 2);
}
