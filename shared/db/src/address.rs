//! The servers of a URL, one by one: a configuration for each, and a name to display.
//!
//! Each is tried separately. tokio-postgres limits only the TCP connect, so a server that accepts and never answers
//! would block the next one; and it reports only the last error.

use tokio_postgres::{
    Config,
    config::{Host, LoadBalanceHosts},
};

pub(super) struct Address {
    /// Host and port, as in the URL.
    pub(super) name: String,
    /// With this address only.
    pub(super) config: Config,
}

/// In the order in which they are tried. With `load_balance_hosts=random` they stay together, and tokio-postgres picks
/// one.
pub(super) fn addresses(config: &Config) -> Vec<Address> {
    let names = names(config);
    if names.len() < 2 || config.get_load_balance_hosts() == LoadBalanceHosts::Random {
        return vec![Address {
            name: names.join(","),
            config: config.clone(),
        }];
    }
    let alone = |(i, name)| Address {
        name,
        config: alone(config, i),
    };
    names.into_iter().enumerate().map(alone).collect()
}

/// Without the default port.
pub(super) fn names(config: &Config) -> Vec<String> {
    let hosts = config.get_hosts().iter().enumerate();
    let named = hosts.map(|(i, host)| {
        let port = port(config, i).filter(|port| *port != 5432);
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        match host {
            Host::Tcp(name) => format!("{name}{port}"),
            #[cfg(unix)]
            Host::Unix(path) => format!("{}{port}", path.display()),
        }
    });
    named.collect()
}

fn port(config: &Config, i: usize) -> Option<u16> {
    let ports = config.get_ports();
    ports.get(i).or(ports.first()).copied()
}

/// A configuration cannot drop hosts, so this copies everything else into a new one.
fn alone(config: &Config, i: usize) -> Config {
    let mut one = Config::new();
    match config.get_hosts().get(i) {
        Some(Host::Tcp(name)) => one.host(name),
        #[cfg(unix)]
        Some(Host::Unix(path)) => one.host_path(path),
        None => &mut one,
    };
    config.get_hostaddrs().get(i).map(|ip| one.hostaddr(*ip));
    port(config, i).map(|port| one.port(port));
    config.get_user().map(|user| one.user(user));
    config.get_password().map(|password| one.password(password));
    config.get_dbname().map(|name| one.dbname(name));
    config.get_options().map(|options| one.options(options));
    config
        .get_application_name()
        .map(|name| one.application_name(name));
    config
        .get_connect_timeout()
        .map(|limit| one.connect_timeout(*limit));
    config
        .get_tcp_user_timeout()
        .map(|limit| one.tcp_user_timeout(*limit));
    config
        .get_keepalives_interval()
        .map(|interval| one.keepalives_interval(interval));
    config
        .get_keepalives_retries()
        .map(|retries| one.keepalives_retries(retries));
    one.keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .channel_binding(config.get_channel_binding())
        .target_session_attrs(config.get_target_session_attrs())
        .load_balance_hosts(config.get_load_balance_hosts());
    one
}

#[cfg(test)]
mod tests {
    use tokio_postgres::Config;

    use super::{addresses, alone};

    #[test]
    fn nothing_is_lost_on_the_way_to_one_address() {
        let all = "host=a hostaddr=10.0.0.1 port=5433 user=u password=p dbname=d options='-c a=b' application_name=n \
            sslmode=require sslnegotiation=direct connect_timeout=3 tcp_user_timeout=4 keepalives=0 keepalives_idle=5 \
            keepalives_interval=6 keepalives_retries=7 target_session_attrs=read-write channel_binding=require \
            load_balance_hosts=random";
        let config: Config = all.parse().expect("all of it is known");
        assert_eq!(alone(&config, 0), config);
        // A setting that is still None is new in tokio-postgres and missing above.
        let debug = format!("{config:?}");
        assert!(!debug.contains("None"), "{debug}");
    }

    #[test]
    fn each_address_has_its_own_port() {
        let named = |url: &str| -> Vec<String> {
            let config: Config = url.parse().expect("a URL");
            let all = addresses(&config).into_iter();
            all.map(|one| format!("{} {:?}", one.name, one.config.get_ports()))
                .collect()
        };
        assert_eq!(
            named("postgres://u@a:1,b:2/d"),
            ["a:1 [1]", "b:2 [2]"],
            "one for each"
        );
        assert_eq!(named("host=a,b port=7"), ["a:7 [7]", "b:7 [7]"], "for all");
        assert_eq!(named("host=a,b"), ["a []", "b []"]);
        assert_eq!(
            named("postgres://u@a,b/d?load_balance_hosts=random"),
            ["a,b [5432, 5432]"]
        );
    }
}
