//! Parsers for values. Each error is worded to follow the variable's name.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
    time::Duration,
};

use super::{AppEnv, LogFormat};

impl FromStr for AppEnv {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        match value {
            "development" => Ok(Self::Development),
            "test" => Ok(Self::Test),
            "production" => Ok(Self::Production),
            other => Err(format!(
                "`{other}` is none of development, test, production"
            )),
        }
    }
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        match value {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(format!("`{other}` is neither text nor json")),
        }
    }
}

pub(super) fn address(value: &str) -> Result<IpAddr, String> {
    if value == "localhost" {
        return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    value
        .parse()
        .map_err(|_| format!("`{value}` is not an IP address to listen on"))
}

/// Nothing, or where to listen.
pub(super) fn address_with_port(value: &str) -> Result<Option<SocketAddr>, String> {
    if value.is_empty() {
        return Ok(None);
    }
    let address = value.parse().map(Some);
    address.map_err(|_| format!("`{value}` is not an IP address with a port to listen on"))
}

/// A URL as it may be shown: without the user and the password that it may name.
///
/// ```
/// use shared::env::without_user;
///
/// assert_eq!(without_user("http://me:p@ss@collector:4318"), "http://***@collector:4318");
/// assert_eq!(without_user("http://collector:4318/v1"), "http://collector:4318/v1");
/// ```
#[must_use]
pub fn without_user(url: &str) -> String {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = url.split_at(after_scheme);
    // The last one: a password in which nothing is escaped may contain all of these.
    match rest.rfind('@') {
        Some(at) => format!("{scheme}***{}", &rest[at..]),
        None => url.to_owned(),
    }
}

/// `on` or `off`.
///
/// # Errors
///
/// For anything else.
pub fn on_or_off(value: &str) -> Result<bool, String> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        other => Err(format!("`{other}` is neither on nor off")),
    }
}

/// A number of connections, from 1 to `most`.
pub(super) fn up_to(most: usize) -> impl Fn(&str) -> Result<usize, String> {
    move |value| {
        let number = value.parse().ok().filter(|n| (1..=most).contains(n));
        number.ok_or_else(|| format!("`{value}` is not a number of connections from 1 to {most}"))
    }
}

/// A number of milliseconds, from `least` to an hour.
pub fn milliseconds(least: u64) -> impl Fn(&str) -> Result<Duration, String> {
    move |value| {
        let number = value.parse().ok();
        let number = number.filter(|ms| (least..=3_600_000).contains(ms));
        number.map(Duration::from_millis).ok_or_else(|| {
            format!("`{value}` is not a number of milliseconds from {least} to 3600000 (an hour)")
        })
    }
}
