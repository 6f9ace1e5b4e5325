//! A PostgreSQL of somebody else's: on TCP, with passwords, and with TLS once it is told so.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid, User},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::{Checkout, eventually};

/// Every special character that a URL knows, and some that it does not.
pub(crate) const PASSWORD: &str = r#"p@:/?#[]%&=+ $!'"\ü"#;
/// The same, as it stands in a URL.
pub(crate) const ENCODED: &str = "p%40%3A%2F%3F%23%5B%5D%25%26%3D%2B%20%24%21%27%22%5C%C3%BC";

/// `secure` may come with TLS only, `plain` either way; both with [`PASSWORD`]. Through the socket everybody may.
const HBA: &str = "local all all trust
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
        let folder = TempDir::new().unwrap();
        let port = {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port()
        };
        give_away(folder.path(), 0o755);
        let data = folder.path().join("data");
        let made = run("initdb")
            .arg("-D")
            .arg(&data)
            .args(["-U", "postgres", "-A", "trust", "--no-sync", "--locale=C"])
            .args(["--encoding=UTF8", "--no-instructions"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        fs::write(data.join("pg_hba.conf"), HBA).unwrap();
        certificates(folder.path());
        let process = run("postgres")
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "fsync=off", "-c", "logging_collector=off"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let server = Self {
            process,
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
        kill(
            Pid::from_raw(self.process.id().cast_signed()),
            Signal::SIGINT,
        )
        .unwrap();
        self.process.wait().unwrap();
    }
}

/// PostgreSQL refuses to run as root.
fn stand_in() -> Option<User> {
    let root = Uid::effective().is_root();
    root.then(|| {
        User::from_name("nobody")
            .unwrap()
            .expect("every system has nobody")
    })
}

fn run(program: &str) -> Command {
    let mut command = Command::new(binaries().join(program));
    command.current_dir("/").process_group(0);
    if let Some(user) = stand_in() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

/// From `PGBIN`, the path, or where Debian has them.
fn binaries() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::var_os("PGBIN").map(PathBuf::from);
    let packaged = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    named
        .into_iter()
        .chain(std::env::split_paths(&path))
        .chain(packaged.map(|version| version.unwrap().path().join("bin")))
        .find(|folder| folder.join("initdb").is_file())
        .expect("PostgreSQL's binaries")
        .canonicalize()
        .unwrap()
}

fn give_away(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    if let Some(user) = stand_in() {
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
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
