//! The URLs that people have: passwords, sockets, several servers, other clients' parameters, libpq's variables.

use crate::support::{Checkout, ENCODED, Host, Server, migrate};

#[tokio::test]
async fn passwords_sockets_and_several_servers_reach_the_database() {
    let (server, checkout) = (Server::start().await, Checkout::new());
    let port = server.port;
    let socket = server.socket().display().to_string();
    let encoded = socket.replace('/', "%2F");
    // Nothing listens on port 1.
    let two = format!("postgres://plain:{ENCODED}@127.0.0.1:1,127.0.0.1:{port}/postgres");
    for url in [
        server.url("plain", "127.0.0.1", ""),
        format!(
            "host=127.0.0.1 port={port} user=plain dbname=postgres password='p@:/?#[]%&=+ $!\\'\"\\\\ü'"
        ),
        format!("host={socket} port={port} user=postgres"),
        format!("postgres:///postgres?user=postgres&port={port}&host={socket}"),
        format!("postgres://postgres@{encoded}:{port}/postgres"),
        // libpq overlooks sslmode on a socket.
        format!("postgres://postgres@{encoded}:{port}/postgres?sslmode=require"),
        format!("{two}?target_session_attrs=read-write"),
        format!(
            "{two}?target_session_attrs=any&keepalives_count=3&gssencmode=prefer&sslcompression=0"
        ),
    ] {
        migrate(&checkout, &url).unwrap_or_else(|said| panic!("{url}: {said}"));
    }
    let said = migrate(&checkout, &format!("{two}?target_session_attrs=read-only")).unwrap_err();
    assert!(
        said.contains("no server that is read-only was found"),
        "{said}"
    );
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_by_name_and_shows_no_password() {
    let checkout = Checkout::new();
    for (url, words) in [
        ("postgres://me:xy@zzy@localhost/app", "%40"),
        ("postgres://me:xy/zzy@localhost/app", "%2F"),
        ("postgres://me:xy?zzy@localhost/app", "%3F"),
        ("postgres://me:xy%zzy@localhost/app", "%25"),
        ("me:xyzzy@localhost/app", "postgres://"),
        ("mysql://me:xyzzy@localhost/app", "mysql://"),
        ("postgres://me:xyzzy@/app", "no host in it"),
        (
            "postgres://me:xyzzy@localhost/app?sslmode=no-verify",
            "sslmode=no-verify is none of",
        ),
        (
            "postgres://me:xyzzy@localhost/app?sslmode=verify-ca",
            "sslrootcert=/path",
        ),
        (
            "postgres://me:xyzzy@localhost/app?sslrootcert=/nowhere.pem",
            "add sslmode=verify-full",
        ),
        (
            "postgres://me:xyzzy@localhost/app?sslmode=require&sslrootcert=system",
            "use sslmode=verify-full",
        ),
        (
            "postgres://me:xyzzy@localhost/app?sslmode=verify-full&sslrootcert=/nowhere.pem",
            "sslrootcert=/nowhere.pem: No such file",
        ),
        (
            "host=localhost password=xyzzy sslmode=verify-full sslrootcert=/nowhere.pem",
            "sslrootcert=/nowhere.pem: No such file",
        ),
        (
            "postgres://me:xyzzy@localhost/app?sslmode=disable&channel_binding=require",
            "channel_binding=require needs TLS",
        ),
        (
            "postgres://me:xyzzy@localhost/app?ssl=1",
            "ssl is another client's",
        ),
        (
            "postgres://me:xyzzy@localhost/app?sslcert=a.pem&sslkey=a.key",
            "sslcert: client certificates",
        ),
        (
            "postgres://me:xyzzy@localhost/app?service=mine",
            "service: files of libpq are not read",
        ),
        (
            "postgres://me:xyzzy@localhost/app?target_session_attrs=primary",
            "use read-write",
        ),
    ] {
        let said = migrate(&checkout, url).expect_err(url);
        assert!(said.contains(words), "{url}: {said}");
        assert!(!said.contains("zzy"), "{url}: {said}");
    }
}

#[tokio::test]
async fn variables_of_libpq_are_not_read_and_it_says_so() {
    let variables = [("PGHOST", "db.example"), ("PGSERVICE", "mine")];
    let host = Host::start_in(Checkout::new(), &variables).await;
    assert!(
        host.log()
            .contains("PGHOST, PGSERVICE are set and not read here: set DATABASE_URL"),
        "{}",
        host.log()
    );
    assert_eq!(host.get("/api/ping").await.status(), 200);
    // psql goes where the host went.
    let mut psql = host.checkout.host();
    psql.args(["psql", "-Atc", "SELECT count(*) FROM counter"])
        .envs(variables);
    let counted = psql.output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&counted.stdout).trim(),
        "0",
        "{}",
        String::from_utf8_lossy(&counted.stderr)
    );
}
