//! [`Client`], and what only an async driver can be told.

use std::fmt;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use s3_proto::credentials::Environment;
use s3_proto::{Config, Error, ErrorKind, LoadConfig, Session};

use super::engine::Engine;
use super::run::Run;
use super::runtime::Runtime;
use super::transport::{Options, Resolve, Transport};
use crate::{Cancel, PoolStats, clock};

/// An S3 client on the async runtime `R`. All operations are those of the core's
/// [`Client`](s3_proto::client::Client), which it derefs to. Cloning it is cheap; clones share connections and
/// caches.
#[derive(Clone, Debug)]
pub struct Client<R: Runtime>(s3_proto::client::Client<Engine<R>>);

impl<R: Runtime> Client<R> {
    /// A client with default connections.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if TLS cannot be set up.
    pub fn new(config: Config) -> Result<Self, Error> {
        Self::builder(config).build()
    }

    /// Sets what concerns connections.
    pub fn builder(config: Config) -> Builder<R> {
        Builder { config, options: Options::default(), no_proxy: false, runtime: R::default() }
    }

    /// A client that is configured as AWS's tools are: by environment variables and the shared files.
    ///
    /// # Errors
    /// Settings that are contradictory or cannot be understood.
    pub async fn from_env() -> Result<Self, Error> {
        // Variables that are not text are none that we know.
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::new(load_config::<R>(variables.collect()).await?)
    }

    /// Opens up to `connections` connections to where the objects of `bucket` are, finds credentials, and
    /// asks nothing but whether the bucket is there. What the service says is no matter.
    ///
    /// # Errors
    /// When it cannot be reached, or there are no credentials.
    pub async fn warmup(&self, bucket: &str, connections: usize) -> Result<(), Error> {
        let asked = (0..connections).map(|_| self.head_bucket(bucket).send());
        for answer in futures_util::future::join_all(asked).await {
            match answer {
                Err(error) if error.status().is_none() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// The same client, but its calls end when the handle is used: they put in order what has to be, then fail
    /// with [`ErrorKind::Cancelled`]. Bodies that are being read end likewise.
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self(s3_proto::client::Client::new(self.driver().with_cancel(cancel)))
    }

    /// How many connections there are now.
    pub fn pool_stats(&self) -> PoolStats {
        self.driver().transport().stats()
    }
}

impl<R: Runtime> Deref for Client<R> {
    type Target = s3_proto::client::Client<Engine<R>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// What these environment variables, and the profile files that they name, say about a client.
///
/// # Errors
/// Settings that are contradictory or cannot be understood, or no region.
pub async fn load_config<R: Runtime>(environment: Environment) -> Result<Config, Error> {
    let transport = Transport::<R>::new(R::default(), Options::default())?;
    Run::new(LoadConfig::new(environment), Arc::new(transport), None).finish().await
}

/// Settings of connections.
#[must_use = "a builder does nothing until `build`"]
pub struct Builder<R> {
    config: Config,
    options: Options,
    no_proxy: bool,
    runtime: R,
}

impl<R: Runtime> Builder<R> {
    /// The most connections to one host at a time; 64 by default. On HTTP/1.1 a request has a connection of
    /// its own until its answer is read.
    pub fn max_connections_per_host(mut self, connections: usize) -> Self {
        self.options.limits.connections = connections.max(1);
        self
    }

    /// The most requests to one host at a time where it speaks HTTP/2, in which they share connections; 128
    /// by default. A body that nobody reads takes up to 1 MiB.
    pub fn max_streams_per_host(mut self, streams: usize) -> Self {
        self.options.limits.streams = streams.max(1);
        self
    }

    /// How long a connection is kept that nobody uses; 15 s by default.
    pub fn idle_connections(mut self, keep: Duration) -> Self {
        self.options.idle_connections = keep;
        self
    }

    /// Whether to offer HTTP/2 to hosts with TLS, as is the default.
    pub fn http2(mut self, offer: bool) -> Self {
        self.options.h2 = offer;
        self
    }

    /// Looks up host names otherwise than the system does.
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.options.resolver = Some(Arc::new(resolver));
        self
    }

    /// Trusts these certificates, in PEM, beside the usual roots.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.options.trust.extra_roots.push(pem.into());
        self
    }

    /// [`root_certificates`](Self::root_certificates) from a file.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when it cannot be read.
    pub async fn root_certificates_file(self, path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        let what = format!("reading the certificates in {} failed", path.display());
        match R::blocking(move || std::fs::read(path)).await.flatten() {
            Ok(pem) => Ok(self.root_certificates(pem)),
            Err(error) => {
                let error =
                    Error::new(ErrorKind::Configuration, format!("{what}: {error}")).with_source(error);
                Err(error)
            }
        }
    }

    /// Accepts any certificate, also a false one. Whoever is on the way can then read and change everything:
    /// for test servers only. It is logged as a warning.
    pub fn danger_accept_invalid_certs(mut self, accept: bool) -> Self {
        self.options.trust.accept_invalid = accept;
        self
    }

    /// The proxy for HTTPS, such as `http://user:password@proxy:3128`, and the hosts that are reached without
    /// it, separated by commas. By default the environment variables `HTTPS_PROXY`, `ALL_PROXY` and
    /// `NO_PROXY` say so. This machine and its instance's services (loopback and link-local addresses) are never
    /// reached through a proxy.
    pub fn https_proxy(mut self, proxy: &str, except: &str) -> Self {
        self.options.proxies = Some(Arc::new(Matcher::builder().https(proxy).no(except).build()));
        self
    }

    /// No proxy, whatever the environment says.
    pub fn no_proxy(mut self) -> Self {
        self.no_proxy = true;
        self
    }

    /// The client.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if TLS cannot be set up as asked.
    pub fn build(mut self) -> Result<Client<R>, Error> {
        if self.no_proxy {
            self.options.proxies = None;
        } else if self.options.proxies.is_none() {
            self.options.proxies = Some(Arc::new(Matcher::from_env()));
        }
        let transport = Transport::new(self.runtime, self.options)?;
        if self.config.seed == 0 {
            self.config.seed = clock::seed();
        }
        let session = Session::new(self.config);
        Ok(Client(s3_proto::client::Client::new(Engine::new(session, transport))))
    }
}

impl<R> fmt::Debug for Builder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("config", &self.config).finish_non_exhaustive()
    }
}
