//! What can be set of connections, whoever makes them.

use std::io;
use std::path::Path;
use std::time::Duration;

use s3_proto::credentials::Environment;
use s3_proto::{Config, Error, ErrorKind, Session};

use crate::clock;
use crate::proxy::Proxy;
use crate::tls::Trust;

/// Settings of connections that all drivers have.
#[derive(Debug)]
pub struct Settings {
    /// Whom to trust.
    pub trust: Trust,
    /// What HTTPS is reached through, or why it cannot be.
    pub proxy: Result<Option<Proxy>, Error>,
    /// The most connections to one host at a time.
    pub connections: usize,
    /// How long a connection is kept that nobody uses.
    pub idle_connections: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            trust: Trust::default(),
            proxy: Ok(None),
            connections: 64,
            // S3 closes connections that have been idle for some 20 s; one that we close first is not used at
            // the very moment at which it goes away.
            idle_connections: Duration::from_secs(15),
        }
    }
}

impl Settings {
    /// What the environment says, as far as connections go.
    pub fn from_env() -> Self {
        Self { proxy: Proxy::from_env(), ..Self::default() }
    }
}

/// The session of a new client: with a seed of its own unless it was given one.
pub fn session(mut config: Config) -> Session {
    if config.seed == 0 {
        config.seed = clock::seed();
    }
    Session::new(config)
}

/// The environment's variables. Those that are not text are none that we know.
pub fn environment() -> Environment {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// Certificates could not be read from a file.
pub fn no_certificates(path: &Path, error: io::Error) -> Error {
    let message = format!("reading the certificates in {} failed: {error}", path.display());
    Error::new(ErrorKind::Configuration, message).with_source(error)
}

/// Setters for a builder that has [`Settings`] as `self.options.settings`.
#[macro_export]
macro_rules! connection_setters {
    () => {
        /// The most connections to one host at a time; 64 by default. On HTTP/1.1 a request has a connection of
        /// its own until its answer is read.
        pub fn max_connections_per_host(mut self, connections: usize) -> Self {
            self.options.settings.connections = connections.max(1);
            self
        }

        /// How long a connection is kept that nobody uses; 15 s by default.
        pub fn idle_connections(mut self, keep: ::std::time::Duration) -> Self {
            self.options.settings.idle_connections = keep;
            self
        }

        /// Trusts these certificates, in PEM, beside the usual roots.
        pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
            self.options.settings.trust.extra_roots.push(pem.into());
            self
        }

        /// Accepts any certificate, also a false one. Whoever is on the way can then read and change
        /// everything: for test servers only. It is logged as a warning.
        pub fn danger_accept_invalid_certs(mut self, accept: bool) -> Self {
            self.options.settings.trust.accept_invalid = accept;
            self
        }

        /// The HTTP proxy for HTTPS, such as `http://user:password@proxy:3128`, and the hosts that are reached
        /// without it: names, with all below them, addresses, `address/bits`, or `*`, separated by commas. By
        /// default the environment variables `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` say so, and one that cannot
        /// be used is an error. This machine and its instance's services (loopback and link-local addresses) are
        /// never reached through a proxy.
        pub fn https_proxy(mut self, proxy: &str, except: &str) -> Self {
            self.options.settings.proxy = $crate::proxy::Proxy::new(proxy, except).map(Some);
            self
        }

        /// No proxy, whatever the environment says.
        pub fn no_proxy(mut self) -> Self {
            self.options.settings.proxy = Ok(None);
            self
        }
    };
}
