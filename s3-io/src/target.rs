//! Where a connection leads.

use std::time::Duration;

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

/// How long the next of `addresses` is tried, of the time that is left for all of them. Those that do not answer leave the
/// others their share, but what comes to less than a second is no fair try: the first are given that then.
pub fn share(left: Duration, addresses: usize) -> Duration {
    const LEAST: Duration = Duration::from_secs(1);
    let share = left / u32::try_from(addresses.max(1)).unwrap_or(u32::MAX);
    share.max(LEAST).min(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_is_given_a_fair_try_while_there_is_time() {
        let millis = Duration::from_millis;
        for (left, addresses, expected) in
            [(5000, 1, 5000), (5000, 2, 2500), (5000, 8, 1000), (1500, 2, 1000), (500, 2, 500), (0, 3, 0)]
        {
            assert_eq!(share(millis(left), addresses), millis(expected), "{left} for {addresses}");
        }
    }
}
