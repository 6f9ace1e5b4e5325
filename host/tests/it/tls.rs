//! A PostgreSQL that speaks TLS, one that does not, and what `sslmode` makes of both.

use crate::support::{Checkout, Host, Server, eventually, lab, migrate};

#[tokio::test]
async fn each_sslmode_checks_what_it_promises_and_no_less() {
    let (server, checkout) = (Server::start().await, Checkout::new());
    let try_it = |role: &str, host: &str, parameters: &str| {
        migrate(&checkout, &server.url(role, host, parameters))
    };
    let root = |name: &str| format!("&sslrootcert={}", server.file(name));
    let refused = |role: &str, host: &str, parameters: &str, words: &str| {
        let said = try_it(role, host, parameters).expect_err(parameters);
        assert!(said.contains(words), "{parameters}: {said}");
    };

    // Without TLS.
    for mode in ["disable", "allow", "prefer"] {
        try_it("plain", "localhost", &format!("sslmode={mode}")).unwrap();
    }
    for mode in [
        "sslmode=require".to_owned(),
        format!("sslmode=verify-full{}", root("ca")),
    ] {
        refused("plain", "localhost", &mode, "does not speak TLS");
    }
    refused(
        "plain",
        "localhost",
        "channel_binding=require",
        "no channel binding",
    );

    // With it. The role `secure` is let in over TLS only.
    server.speak_tls("localhost").await;
    refused("secure", "localhost", "sslmode=disable", "no encryption");
    try_it("plain", "localhost", "sslmode=disable").unwrap();
    for unverified in [
        "",
        "sslmode=allow",
        "sslmode=prefer",
        "sslmode=require",
        "ssl=true",
        "channel_binding=require",
    ] {
        try_it("secure", "127.0.0.1", unverified).unwrap();
    }

    // The right root, by a name that the certificate has and by one that it has not.
    for mode in ["require", "verify-ca"] {
        try_it(
            "secure",
            "127.0.0.1",
            &format!("sslmode={mode}{}", root("ca")),
        )
        .unwrap();
    }
    let full = format!("sslmode=verify-full{}", root("ca"));
    try_it("secure", "localhost", &full).unwrap();
    try_it(
        "secure",
        "localhost",
        &format!("{full}&channel_binding=require"),
    )
    .unwrap();
    refused(
        "secure",
        "127.0.0.1",
        &full,
        "for localhost and not for 127.0.0.1",
    );

    // Another root, and those of the system, which has never heard of it.
    for mode in ["require", "verify-ca", "verify-full"] {
        let other = format!("sslmode={mode}{}", root("other-ca"));
        refused(
            "secure",
            "localhost",
            &other,
            "not signed by a root that is trusted",
        );
    }

    // A certificate that vouches for itself, as `openssl req -x509` makes it.
    server.speak_tls("self-signed").await;
    let itself = format!("sslmode=verify-full{}", root("self-signed"));
    try_it("secure", "localhost", &itself).unwrap();
    refused(
        "secure",
        "127.0.0.1",
        &itself,
        "for localhost and not for 127.0.0.1",
    );
    refused("secure", "localhost", &full, "certificate is not");
}

#[tokio::test]
async fn the_app_s_connection_and_its_cancel_go_through_tls_after_another_url_too() {
    const ROUTES: &str = r#"Router::new().route("/tls", get(async |State(app): State<AppState>| {
            let seen = "SELECT coalesce(version, 'in the clear') FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
            app.db.query_one(seen, &[]).await.map_or_else(|error| error.to_string(), |row| row.get::<_, String>(0))
        })).route("/transaction", get(async |State(app): State<AppState>| {
            use futures_util::FutureExt;
            drop(app.db.transaction(|tx| async move { tx.query("SELECT pg_sleep(600)", &[]).await }.boxed()).await)
        }))"#;
    let (server, checkout) = (Server::start().await, Checkout::new());
    server.speak_tls("localhost").await;
    checkout.add_built_lab(lab!(ROUTES));
    let dotenv = |url: String| format!("DATABASE_URL='{url}'\n");
    checkout.write(
        ".env",
        &dotenv(server.url("plain", "localhost", "sslmode=disable")),
    );
    // Without a limit of its own only the cancel can end the statement.
    let patient = [
        ("DATABASE_STATEMENT_TIMEOUT_MS", "0"),
        ("DATABASE_WAIT_TIMEOUT_MS", "60000"),
    ];
    let host = Host::start_in(checkout, &patient).await;
    assert_eq!(host.text("/tls").await, "in the clear");

    let full = format!("sslmode=verify-full&sslrootcert={}", server.file("ca"));
    host.checkout
        .write(".env", &dotenv(server.url("secure", "localhost", &full)));
    eventually("TLS after the change", async || {
        (host.text("/tls").await == "TLSv1.3").then_some(())
    })
    .await;

    let (backend, observer) = (host.backend().await, server.connect().await.unwrap());
    let leaving = tokio::spawn(host.client.get(host.url("/transaction")).send());
    let running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(600)'";
    eventually("the statement to run", async || {
        let row = observer.query_one(running, &[]).await.unwrap();
        (row.get::<_, i64>(0) == 1).then_some(())
    })
    .await;
    leaving.abort();
    assert_eq!(host.backend().await, backend, "cancelled, and not replaced");
    assert_eq!(host.text("/tls").await, "TLSv1.3");

    // A server that does not prove who it is does not get the connection.
    host.checkout
        .write(".env", &dotenv(server.url("secure", "127.0.0.1", &full)));
    eventually("the refusal", async || {
        host.log()
            .contains("keeping the previous settings")
            .then_some(())
    })
    .await;
    assert!(host.log().contains("for localhost and not for 127.0.0.1"));
    assert_eq!(host.backend().await, backend);
}
