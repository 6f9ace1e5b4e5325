//! TLS as libpq's `sslmode` defines it: what a server must prove before it is trusted.
//!
//! Owns the connector that every connection and cancel uses, and the messages for failed handshakes. Whether TLS is
//! tried at all is decided by tokio-postgres's `SslMode`. Client certificates are not supported.

use std::{fmt, io, path::Path, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore,
    SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{stream::Stream, tap::Handshake};

/// How a server is verified. Built once per URL and used for every connection to it.
#[derive(Clone)]
pub(super) struct Tls {
    /// Two values are equal if they check the same.
    checks: (Check, Vec<CertificateDer<'static>>),
    connector: MakeRustlsConnect,
}

/// What is checked of the server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// Only that the server has the certificate's key. Stops eavesdroppers but not an impostor, as `sslmode=require`
    /// promises.
    Key,
    /// Also that a trusted root signed it: `verify-ca`.
    Chain,
    /// Also that it is for the host name we connected to: `verify-full`.
    ChainAndName,
}

impl Tls {
    /// Encrypts and accepts any certificate.
    pub(super) fn unverified() -> Self {
        Self::of(Check::Key, Vec::new(), RootCertStore::empty())
    }

    /// Trusts the root certificates in `file`, or the system's.
    pub(super) fn verified(check: Check, file: Option<&Path>) -> Result<Self, String> {
        let certificates = match file {
            Some(file) => in_file(file)?,
            None => of_the_system()?,
        };
        let mut roots = RootCertStore::empty();
        // A system's store may contain a few that cannot be parsed; a file that the user names may not.
        let (_, bad) = roots.add_parsable_certificates(certificates.iter().cloned());
        match file {
            Some(file) if bad > 0 => Err(format!(
                "sslrootcert={}: a certificate in it is not a root in X.509 version 3",
                file.display()
            )),
            _ => Ok(Self::of(check, certificates, roots)),
        }
    }

    fn of(check: Check, certificates: Vec<CertificateDer<'static>>, roots: RootCertStore) -> Self {
        let provider = Arc::new(ring::default_provider());
        let verifier = Verifier {
            provider: provider.clone(),
            check,
            roots,
            pinned: certificates.clone(),
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has cipher suites for TLS 1.2 and 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        // PostgreSQL 17 demands it for `sslnegotiation=direct`; servers without ALPN ignore it.
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Self {
            checks: (check, certificates),
            connector: MakeRustlsConnect::new(config),
        }
    }

    pub(super) fn connector(&self) -> MakeRustlsConnect {
        self.connector.clone()
    }

    /// The same over a socket of ours.
    pub(super) fn handshake(&self, hostname: Option<&str>) -> Handshake {
        let (mut maker, has_name) = (self.connector(), hostname.is_some());
        let hostname = hostname.unwrap_or_default();
        match MakeTlsConnect::<Box<dyn Stream>>::make_tls_connect(&mut maker, hostname) {
            Ok(connector) => Handshake {
                connector,
                has_name,
            },
            Err(never) => match never {},
        }
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.checks == other.checks
    }
}

impl Eq for Tls {}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.checks.0).finish()
    }
}

fn in_file(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let fail = |error: &dyn fmt::Display| {
        format!(
            "sslrootcert={}: {error}; it names a PEM file with root certificates, or is `system`",
            file.display()
        )
    };
    let found: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| match error {
            rustls::pki_types::pem::Error::Io(error) => fail(&error),
            other => fail(&other),
        })?;
    if found.is_empty() {
        return Err(fail(&"no certificate in it"));
    }
    Ok(found)
}

fn of_the_system() -> Result<Vec<CertificateDer<'static>>, String> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err("this system has no root certificates: install ca-certificates, or name the server's root with sslrootcert=/path/root.pem".into());
    }
    Ok(found.certs)
}

/// The three checks. All of them verify the server's signature of the handshake: without it an impostor could present
/// the server's own certificate, and channel binding would prove nothing.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    check: Check,
    roots: RootCertStore,
    /// Server certificates that are trusted directly, in place of a root.
    pinned: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.check == Check::Key {
            return Ok(ServerCertVerified::assertion());
        }
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let chain = verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        );
        match chain {
            // A certificate made by `openssl req -x509` is marked as an authority and is its own root. Its dates have
            // been checked before this error is raised.
            Err(Error::InvalidCertificate(CertificateError::Other(OtherError(why))))
                if why.to_string() == "CaUsedAsEndEntity" && self.pinned.contains(end_entity) => {}
            other => other?,
        }
        if self.check == Check::ChainAndName {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// What went wrong with TLS and what to do; `None` for any other error.
pub(super) fn in_words(error: &tokio_postgres::Error) -> Option<String> {
    let source = std::error::Error::source(error)?;
    match source.to_string().as_str() {
        "server does not support TLS" => {
            return Some("the server does not speak TLS, and sslmode asks for it: switch it on there (`ssl = on`), or set sslmode=disable".into());
        }
        "server did not use channel binding" => {
            return Some("the server offers no channel binding, and channel_binding=require asks for it: it needs TLS, a scram-sha-256 password, and a certificate that is not signed with Ed25519".into());
        }
        _ => {}
    }
    let inner = source.downcast_ref::<io::Error>()?.get_ref()?;
    Some(match inner.downcast_ref::<Error>()? {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => "the server's certificate is not signed by a root that is trusted: name its root with sslrootcert=/path/root.pem".into(),
        Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            expected,
            presented,
        }) => {
            let names = if presented.is_empty() { "no name in subjectAltName".to_owned() } else { names(presented) };
            format!("the server's certificate is for {names} and not for {}: connect by a name it has, or set sslmode=verify-ca, which does not look at the name", expected.to_str())
        }
        Error::InvalidCertificate(why) => format!("the server's certificate is not accepted: {why}"),
        other => format!("TLS with the server failed: {other}"),
    })
}

/// rustls formats them as `DnsName("localhost")`.
fn names(presented: &[String]) -> String {
    let names: Vec<&str> = presented
        .iter()
        .map(|name| name.split('"').nth(1).unwrap_or(name))
        .collect();
    names.join(", ")
}
