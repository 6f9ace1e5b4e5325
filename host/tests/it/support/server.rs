//! A foreign PostgreSQL: on TCP, with passwords, and with TLS if a test asks for it.

use std::{fs, path::Path, process::Child};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use test_postgres::{cluster, free_port, give_away, new_folder, program, serve};

use super::{Checkout, eventually};

/// Every special character that a URL knows, and some that it does not.
pub(crate) const PASSWORD: &str = r#"p@:/?#[]%&=+ $!'"\ü"#;
/// The same, as it stands in a URL.
pub(crate) const ENCODED: &str = "p%40%3A%2F%3F%23%5B%5D%25%26%3D%2B%20%24%21%27%22%5C%C3%BC";

/// `secure` may come with TLS only, `plain` either way; both with [`PASSWORD`]. Through the socket everybody may, and
/// the superuser.
const HBA: &str = "local all all trust
host all postgres 127.0.0.1/32 trust
local replication all trust
hostssl all secure 127.0.0.1/32 scram-sha-256
host all plain 127.0.0.1/32 scram-sha-256
";

pub(crate) struct Server {
    process: Child,
    pub(crate) port: u16,
    folder: TempDir,
}

impl Server {
    /// Without TLS.
    pub(crate) async fn start() -> Self {
        let (folder, port) = (cluster(HBA), free_port());
        certificates(folder.path());
        let server = Self {
            process: serve(folder.path(), port, &[]),
            port,
            folder,
        };
        let password = PASSWORD.replace('\'', "''");
        let client = eventually("the server", async || server.connect().await.ok()).await;
        for role in ["secure", "plain"] {
            let make = format!("CREATE ROLE {role} SUPERUSER LOGIN PASSWORD '{password}'");
            client.batch_execute(&make).await.unwrap();
        }
        server
    }

    /// A hot standby that follows this one through its socket.
    pub(crate) async fn standby(&self) -> Self {
        let (folder, port) = (new_folder(), free_port());
        let copied = program("pg_basebackup")
            .arg("-D")
            .arg(folder.path().join("data"))
            .arg("-h")
            .arg(self.socket())
            .args(["-p", &self.port.to_string(), "-U", "postgres"])
            .args(["-R", "-X", "stream", "-c", "fast", "--no-sync"])
            .output()
            .unwrap();
        assert!(copied.status.success(), "{copied:?}");
        let standby = Self {
            process: serve(folder.path(), port, &[]),
            port,
            folder,
        };
        eventually("the standby", async || standby.connect().await.ok()).await;
        standby
    }

    /// Waits until `standby` has all that is here.
    pub(crate) async fn caught_up(&self, standby: &Self) {
        let client = self.connect().await.unwrap();
        let row = client
            .query_one("SELECT pg_current_wal_lsn()::text", &[])
            .await
            .unwrap();
        let here: String = row.get(0);
        let there = standby.connect().await.unwrap();
        let has = format!("SELECT pg_last_wal_replay_lsn() >= '{here}'::pg_lsn");
        eventually("the standby to catch up", async || {
            let row = there.query_one(&has, &[]).await.unwrap();
            row.get::<_, bool>(0).then_some(())
        })
        .await;
    }

    pub(crate) fn promote(&self) {
        let promoted = program("pg_ctl")
            .arg("promote")
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .output()
            .unwrap();
        assert!(promoted.status.success(), "{promoted:?}");
    }

    /// As a machine that is gone; its files stay until the value is dropped.
    pub(crate) fn stop_immediately(&mut self) {
        self.signal(Signal::SIGQUIT);
        self.process.wait().unwrap();
    }

    /// From the next transaction on, in the sessions that there are too.
    pub(crate) async fn read_only(&self, on: bool) {
        let client = self.connect().await.unwrap();
        for statement in [
            &format!("ALTER SYSTEM SET default_transaction_read_only = {on}"),
            "SELECT pg_reload_conf()",
        ] {
            client.batch_execute(statement).await.unwrap();
        }
        let said = "SHOW default_transaction_read_only";
        eventually("the setting", async || {
            let session = self.connect().await.unwrap();
            let row = session.query_one(said, &[]).await.unwrap();
            ((row.get::<_, String>(0) == "on") == on).then_some(())
        })
        .await;
    }

    /// After [`stop_immediately`](Self::stop_immediately), on the same port.
    pub(crate) fn start_again(&mut self) {
        self.process = serve(self.folder.path(), self.port, &[]);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.process.id().cast_signed());
        kill(pid, signal).unwrap();
    }

    /// Switches TLS on, with one of the certificates in [`Self::file`].
    pub(crate) async fn speak_tls(&self, certificate: &str) {
        let (file, key) = (
            self.file(certificate),
            self.file(&format!("{certificate}.key")),
        );
        let client = self.connect().await.unwrap();
        for statement in [
            format!("ALTER SYSTEM SET ssl_cert_file = '{file}'"),
            format!("ALTER SYSTEM SET ssl_key_file = '{key}'"),
            "ALTER SYSTEM SET ssl = on".to_owned(),
            "SELECT pg_reload_conf()".to_owned(),
        ] {
            client.batch_execute(&statement).await.unwrap();
        }
        // A new session has what the postmaster has.
        let said = "SELECT current_setting('ssl') || current_setting('ssl_cert_file')";
        eventually("TLS", async || {
            let session = self.connect().await.unwrap();
            let row = session.query_one(said, &[]).await.unwrap();
            (row.get::<_, String>(0) == format!("on{file}")).then_some(())
        })
        .await;
    }

    /// `ca`, `other-ca`, `localhost` (signed by the first), `self-signed`.
    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub(crate) fn socket(&self) -> &Path {
        self.folder.path()
    }

    /// As the superuser, through the socket.
    pub(crate) async fn connect(&self) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host_path(self.socket()).port(self.port);
        config.user("postgres").dbname("postgres");
        let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// `role` with its password, at a name of this machine.
    pub(crate) fn url(&self, role: &str, host: &str, parameters: &str) -> String {
        let port = self.port;
        format!("postgres://{role}:{ENCODED}@{host}:{port}/postgres?{parameters}")
    }
}

/// Whether `host migrate` can work there, or what it says.
pub(crate) fn migrate(checkout: &Checkout, url: &str) -> Result<(), String> {
    let ended = checkout
        .host()
        .arg("migrate")
        .env("DATABASE_URL", url)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(
        !said.contains(PASSWORD) && !said.contains(ENCODED),
        "{said}"
    );
    if ended.status.success() {
        Ok(())
    } else {
        Err(said)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.file("log")).unwrap_or_default();
            eprintln!("--- PostgreSQL\n{log}\n---");
        }
        if self.process.try_wait().unwrap().is_none() {
            self.signal(Signal::SIGINT);
        }
        self.process.wait().unwrap();
    }
}

fn certificates(folder: &Path) {
    let authority = |name: &str| {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        write(folder, name, &certificate.pem(), &key);
        Issuer::new(params, key)
    };
    let ca = authority("ca");
    authority("other-ca");
    authority("self-signed");
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &ca).unwrap();
    write(folder, "localhost", &certificate.pem(), &key);
}

fn write(folder: &Path, name: &str, certificate: &str, key: &KeyPair) {
    fs::write(folder.join(name), certificate).unwrap();
    let file = folder.join(format!("{name}.key"));
    fs::write(&file, key.serialize_pem()).unwrap();
    give_away(&file, 0o600);
}
