//! Where a server is, and how a socket to it is opened: as tokio-postgres does it, which keeps its own to itself.

use std::{
    hash::{BuildHasher, RandomState},
    io,
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio_postgres::{
    Config,
    config::{Host, LoadBalanceHosts, SslMode, SslNegotiation},
};

use super::{farewell::Farewell, stream::Stream, tap::Tap};

/// One address of a server.
#[derive(Clone)]
pub(super) struct Place {
    at: At,
    /// Of its certificate; none for a Unix socket.
    hostname: Option<String>,
    /// For opening the socket.
    limit: Duration,
    user_timeout: Option<Duration>,
    keepalive: Option<TcpKeepalive>,
    /// What is sent first is the question whether the server speaks TLS.
    asks_for_tls: bool,
}

#[derive(Clone)]
enum At {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A host of a configuration, not looked up yet.
pub(super) struct ServerHost<'a> {
    config: &'a Config,
    host: Host,
    hostname: Option<String>,
    port: u16,
}

/// In the order in which they are tried.
pub(super) fn hosts(config: &Config) -> io::Result<Vec<ServerHost<'_>>> {
    let (names, addresses, ports) = (
        config.get_hosts(),
        config.get_hostaddrs(),
        config.get_ports(),
    );
    let count = names.len().max(addresses.len());
    let refuse = |why: &str| {
        let why = format!("invalid configuration: {why}");
        Err(io::Error::new(io::ErrorKind::InvalidInput, why))
    };
    if count == 0 {
        return refuse("both host and hostaddr are missing");
    }
    if !names.is_empty() && !addresses.is_empty() && names.len() != addresses.len() {
        let (names, addresses) = (names.len(), addresses.len());
        return refuse(&format!(
            "number of hosts ({names}) is different from number of hostaddrs ({addresses})"
        ));
    }
    if ports.len() > 1 && ports.len() != count {
        return refuse("invalid number of ports");
    }
    let hosts = (0..count).filter_map(|i| {
        let (name, address) = (names.get(i), addresses.get(i));
        Some(ServerHost {
            config,
            host: address
                .map(|ip| Host::Tcp(ip.to_string()))
                .or(name.cloned())?,
            hostname: match name {
                Some(Host::Tcp(name)) => Some(name.clone()),
                _ => None,
            },
            port: ports.get(i).or(ports.first()).copied().unwrap_or(5432),
        })
    });
    Ok(in_turn(config, hosts.collect()))
}

impl ServerHost<'_> {
    /// Its addresses, in the order in which they are tried.
    pub(super) async fn places(self) -> io::Result<Vec<Place>> {
        let found = match &self.host {
            Host::Tcp(name) => {
                let found = lookup_host((&**name, self.port)).await?;
                in_turn(self.config, found.map(At::Tcp).collect())
            }
            Host::Unix(folder) => vec![At::Unix(folder.join(format!(".s.PGSQL.{}", self.port)))],
        };
        if found.is_empty() {
            let why = "could not resolve any addresses";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let config = self.config;
        let keepalive = config.get_keepalives().then(|| {
            let mut keepalive = TcpKeepalive::new().with_time(config.get_keepalives_idle());
            if let Some(interval) = config.get_keepalives_interval() {
                keepalive = keepalive.with_interval(interval);
            }
            if let Some(retries) = config.get_keepalives_retries() {
                keepalive = keepalive.with_retries(retries);
            }
            keepalive
        });
        let place = |at| Place {
            at,
            hostname: self.hostname.clone(),
            limit: config
                .get_connect_timeout()
                .copied()
                .unwrap_or(Duration::MAX),
            user_timeout: config.get_tcp_user_timeout().copied(),
            keepalive: keepalive.clone(),
            asks_for_tls: config.get_ssl_mode() != SslMode::Disable
                && config.get_ssl_negotiation() == SslNegotiation::Postgres,
        };
        Ok(found.into_iter().map(place).collect())
    }
}

impl Place {
    pub(super) fn hostname(&self) -> Option<&str> {
        self.hostname.as_deref()
    }

    pub(super) async fn open(&self) -> io::Result<Tap> {
        Ok(Tap::new(self.opened().await?, self.asks_for_tls))
    }

    /// For a cancel: its end waits until the server has handled it.
    pub(super) async fn open_for_a_cancel(&self) -> io::Result<Tap> {
        let farewell = Farewell {
            socket: self.opened().await?,
            is_shut: false,
        };
        Ok(Tap::new(Box::new(farewell), self.asks_for_tls))
    }

    async fn opened(&self) -> io::Result<Box<dyn Stream>> {
        let opened = tokio::time::timeout(self.limit, self.connect()).await;
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "connection timed out");
        opened.map_err(late)?
    }

    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let address = match &self.at {
            At::Tcp(address) => address,
            At::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
        };
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let options = SockRef::from(&socket);
        #[cfg(target_os = "linux")]
        if let Some(limit) = self.user_timeout {
            options.set_tcp_user_timeout(Some(limit))?;
        }
        if let Some(keepalive) = &self.keepalive {
            options.set_tcp_keepalive(keepalive)?;
        }
        Ok(Box::new(socket))
    }
}

/// As given; with `load_balance_hosts=random`, shuffled.
fn in_turn<T>(config: &Config, mut all: Vec<T>) -> Vec<T> {
    if config.get_load_balance_hosts() == LoadBalanceHosts::Random {
        let (random, mut count) = (RandomState::new(), 0_u32);
        all.sort_by_cached_key(|_| {
            count += 1;
            random.hash_one(count)
        });
    }
    all
}
