//! A PostgreSQL of a test's own: on a Unix socket, and on loopback with passwords and TLS. Nothing but tests uses it.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod programs;

use std::{fs, path::Path, process::Child, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rcgen::{CertificateParams, KeyPair};
use shared_db::{DatabaseUrl, DbConfig, connect};
use tempfile::TempDir;
use tokio_postgres::Client;

pub use programs::{cluster, free_port, give_away, new_folder, program, serve};

/// Of the roles `plain` and `secure`, of which the second comes in with TLS only. `open` needs none.
const PASSWORD: &str = "correct horse";
const HBA: &str = "local all all trust
hostssl all secure 127.0.0.1/32 scram-sha-256
host all plain 127.0.0.1/32 scram-sha-256
host all open 127.0.0.1/32 trust
";

/// Guards against hanging only.
const LIMIT: Duration = Duration::from_secs(60);

/// It ends with this value.
pub struct Server {
    process: Child,
    /// Of both addresses.
    pub port: u16,
    folder: TempDir,
}

impl Server {
    /// Starts it, and waits until it answers.
    ///
    /// # Panics
    ///
    /// Like all here: if anything fails.
    pub async fn start() -> Self {
        let folder = cluster(HBA);
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = certificate.self_signed(&key).unwrap();
        let [certificate_file, key_file] = ["root.pem", "key.pem"].map(|it| folder.path().join(it));
        fs::write(&certificate_file, certificate.pem()).unwrap();
        fs::write(&key_file, key.serialize_pem()).unwrap();
        give_away(&key_file, 0o600);
        let port = free_port();
        let setting = |name: &str, value: &Path| format!("{name}={}", value.display());
        let process = serve(
            folder.path(),
            port,
            &[
                "ssl=on",
                &setting("ssl_cert_file", &certificate_file),
                &setting("ssl_key_file", &key_file),
            ],
        );
        let server = Self {
            process,
            port,
            folder,
        };
        eventually("the server", async || server.try_client().await).await;
        let client = server.client().await;
        for role in ["plain", "secure", "open"] {
            let make = format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'");
            client.batch_execute(&make).await.unwrap();
        }
        server
    }

    /// Through the socket, as the superuser.
    pub fn config(&self) -> DbConfig {
        let url = DatabaseUrl::socket(self.folder.path(), self.port, "postgres", "postgres");
        DbConfig::new(url, "test".to_owned())
    }

    /// The same for any driver.
    pub fn url(&self) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{folder}:{}/postgres", self.port)
    }

    /// Over TCP, as `role`; `where_to` is the rest of the URL.
    pub fn at(&self, role: &str, where_to: &str) -> DbConfig {
        let password = PASSWORD.replace(' ', "%20");
        let url = format!("postgres://{role}:{password}@{where_to}");
        DbConfig::new(DatabaseUrl::parse(&url).unwrap(), "test".to_owned())
    }

    /// Of a server certificate that vouches for itself.
    pub fn root(&self) -> String {
        self.folder.path().join("root.pem").display().to_string()
    }

    /// A connection beside those of the test.
    pub async fn client(&self) -> Client {
        self.try_client().await.unwrap()
    }

    async fn try_client(&self) -> Option<Client> {
        let (client, connection) = connect(&self.config()).await.ok()?;
        tokio::spawn(connection);
        Some(client)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            eprintln!("--- PostgreSQL\n{log}\n---");
        }
        let pid = Pid::from_raw(self.process.id().cast_signed());
        kill(pid, Signal::SIGINT).unwrap();
        self.process.wait().unwrap();
    }
}

/// Asks again until there is an answer.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let asked = tokio::time::timeout(LIMIT, asking).await;
    asked.unwrap_or_else(|_| panic!("waited too long for {what}"))
}
