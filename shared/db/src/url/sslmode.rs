//! `sslmode` and its companions, as libpq reads them: whether to encrypt, and what to check.
//!
//! Where libpq would silently check less than the URL suggests, the URL is refused.

use std::path::Path;

use tokio_postgres::config::SslMode;

use crate::tls::{Check, Tls};

/// The TLS settings of the URL.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct SslSettings {
    pub(super) mode: Option<String>,
    pub(super) root: Option<String>,
}

impl SslSettings {
    pub(super) fn resolve(&self) -> Result<(SslMode, Tls), String> {
        let file = self.root.as_deref().filter(|root| *root != "system");
        let system = self.root.is_some() && file.is_none();
        let verified = |check| Ok((SslMode::Require, Tls::verified(check, file.map(Path::new))?));
        match self.mode.as_deref() {
            Some("disable") => Ok((SslMode::Disable, Tls::unverified())),
            None if system => verified(Check::ChainAndName),
            None | Some("prefer" | "allow") if self.root.is_some() => {
                Err("sslrootcert, and an sslmode that does not check it: add sslmode=verify-full, or verify-ca to leave the name out".into())
            }
            None | Some("prefer" | "allow") => Ok((SslMode::Prefer, Tls::unverified())),
            Some(mode @ ("require" | "verify-ca")) if system => Err(format!(
                "sslmode={mode} with sslrootcert=system would trust any server with a certificate: use sslmode=verify-full"
            )),
            // As in libpq: with a root certificate, `require` checks the chain.
            Some("require") if file.is_some() => verified(Check::Chain),
            Some("require") => Ok((SslMode::Require, Tls::unverified())),
            Some("verify-ca") if file.is_none() => Err(
                "sslmode=verify-ca needs the root certificate: sslrootcert=/path/root.pem, or sslmode=verify-full for those of the system".into(),
            ),
            Some("verify-ca") => verified(Check::Chain),
            Some("verify-full") => verified(Check::ChainAndName),
            Some(other) => Err(format!(
                "sslmode={other} is none of disable, prefer, require, verify-ca, verify-full"
            )),
        }
    }

    /// Made explicit for libpq, which has no default roots.
    pub(super) fn to_libpq(&self) -> (&str, Option<&str>) {
        let (mode, root) = (self.mode.as_deref(), self.root.as_deref());
        match (mode, root) {
            (None, Some(_)) | (Some("verify-full"), None) => ("verify-full", Some("system")),
            (mode, root) => (mode.unwrap_or("prefer"), root),
        }
    }
}
