//! Where a connection leads.

use http::Uri;
use rustls::pki_types::ServerName;
use s3_proto::{Phase, TransportErrorKind};

use crate::Failure;

/// Where the connection for a URI leads.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Whether it speaks TLS.
    pub secure: bool,
    /// The name, or an address without brackets.
    pub host: &'a str,
    /// The port, which is by default that of the protocol.
    pub port: u16,
}

impl<'a> Target<'a> {
    /// Where the connection for `uri` leads.
    ///
    /// # Errors
    /// When it has no host name.
    pub fn of(uri: &'a Uri) -> Result<Self, Failure> {
        let host = uri.host().ok_or_else(|| {
            Failure::new(Phase::Resolve, TransportErrorKind::DnsNotFound, "the address has no host name")
        })?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let secure = uri.scheme_str() != Some("http");
        Ok(Self { secure, host, port: uri.port_u16().unwrap_or(if secure { 443 } else { 80 }) })
    }

    /// What the peer's certificate has to be for.
    ///
    /// # Errors
    /// When there is no certificate for such names.
    pub fn server_name(&self) -> Result<ServerName<'static>, Failure> {
        ServerName::try_from(self.host.to_owned()).map_err(|_| {
            let message = format!("no certificate can be for the host name {}", self.host);
            Failure::new(Phase::Connect, TransportErrorKind::TlsRejected, message)
        })
    }
}
