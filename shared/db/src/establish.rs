//! Opens connections whose stream can be handed on.
//!
//! The startup is tokio-postgres's own; the socket is ours. Addresses, limits and the words of failures are those of
//! [`connect`](super::connect()).

use std::io;

use tokio_postgres::{Client, Config, Connection, config::TargetSessionAttrs};

use super::{
    cancel::Cancel,
    config::DbConfig,
    connect::at_first_address,
    demoted::says_on,
    failed_attempts::{ConnectError, ConnectFailure, FailedAttempts, wrong_role},
    relay::{Established, Relay},
    socket::{Place, hosts},
    tap::Tap,
    tls::Tls,
};

/// Opens a connection outside any pool, on the current runtime, and hands it over as it is after its startup.
///
/// # Errors
///
/// [`ConnectError`], which names the server and what to do.
pub async fn establish(config: &DbConfig) -> Result<Established, ConnectError> {
    let opened = open(&config.connection(), config.url.tls()).await;
    let opened = opened.map_err(|tried| ConnectError::new(&config.url, tried))?;
    Ok(opened.hand_over())
}

pub(super) struct Opened {
    pub(super) client: Client,
    pub(super) connection: Connection<Tap, Tap>,
    pub(super) tap: Tap,
    cancel: Cancel,
}

impl Opened {
    /// Gives the server's stream to `relay`; the client goes on over the relay's.
    pub(super) fn lead_through(&self, relay: &dyn Relay) {
        let stream = relay.take(self.hand_over());
        self.tap.put(stream);
    }

    fn hand_over(&self) -> Established {
        let (stream, greeting) = self.tap.take();
        Established {
            stream,
            greeting,
            cancel: self.cancel.clone(),
        }
    }
}

pub(super) async fn open(config: &Config, tls: &Tls) -> Result<Opened, FailedAttempts> {
    at_first_address(config, |address| at_address(address, tls.clone())).await
}

/// Tries the addresses that its host has, and with `load_balance_hosts=random` those of all hosts.
async fn at_address(config: Config, tls: Tls) -> Result<Opened, ConnectFailure> {
    let mut last = None;
    for host in hosts(&config)? {
        match host.places().await {
            Err(error) => last = Some(error.into()),
            Ok(places) => {
                for place in places {
                    match at_place(place, &config, &tls).await {
                        Ok(opened) => return Ok(opened),
                        Err(failure) => last = Some(failure),
                    }
                }
            }
        }
    }
    Err(last.expect("there is a host, and each has a place or an error"))
}

async fn at_place(place: Place, config: &Config, tls: &Tls) -> Result<Opened, ConnectFailure> {
    let tap = place.open().await?;
    let handshake = tls.handshake(place.hostname());
    let (client, mut connection) = config.connect_raw(tap.clone(), handshake).await?;
    let wanted = config.get_target_session_attrs();
    if wanted != TargetSessionAttrs::Any {
        check_role(&client, &mut connection, wanted).await?;
    }
    Ok(Opened {
        cancel: Cancel::at(place, &client, tls),
        client,
        connection,
        tap,
    })
}

async fn check_role(
    client: &Client,
    connection: &mut Connection<Tap, Tap>,
    wanted: TargetSessionAttrs,
) -> Result<(), ConnectFailure> {
    let said = tokio::select! {
        said = client.simple_query("SHOW transaction_read_only") => said?,
        ended = connection => {
            ended?;
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "connection closed").into());
        }
    };
    match says_on(&said) == (wanted == TargetSessionAttrs::ReadOnly) {
        true => Ok(()),
        false => Err(wrong_role().into()),
    }
}
