//! [`Client`], and what only an async driver can be told.

use std::fmt;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use s3_proto::credentials::Environment;
use s3_proto::{Config, Error, LoadConfig};

use super::engine::Engine;
use super::run::Run;
use super::runtime::Runtime;
use super::transport::{Options, Resolve, Transport};
use crate::{Cancel, PoolStats, Settings, connection_setters, environment, no_certificates, session};

/// An S3 client on the async runtime `R`. All operations are those of the core's
/// [`Client`](s3_proto::client::Client), which it derefs to. Cloning it is cheap; clones share connections and
/// caches.
#[derive(Clone, Debug)]
pub struct Client<R: Runtime>(s3_proto::client::Client<Engine<R>>);

impl<R: Runtime> Client<R> {
    /// A client with default connections.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](s3_proto::ErrorKind::Configuration) if TLS cannot be set up.
    pub fn new(config: Config) -> Result<Self, Error> {
        Self::builder(config).build()
    }

    /// Sets what concerns connections.
    pub fn builder(config: Config) -> Builder<R> {
        let options = Options { settings: Settings::from_env(), ..Options::default() };
        Builder { config, options, runtime: R::default() }
    }

    /// A client that is configured as AWS's tools are: by environment variables and the shared files.
    ///
    /// # Errors
    /// Settings that are contradictory or cannot be understood.
    pub async fn from_env() -> Result<Self, Error> {
        Self::new(load_config::<R>(environment()).await?)
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
    /// with [`ErrorKind::Cancelled`](s3_proto::ErrorKind::Cancelled). Bodies that are being read end likewise.
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
    Run::new(LoadConfig::new(environment), Arc::new(transport), None, None, false).finish().await
}

/// Settings of connections.
#[must_use = "a builder does nothing until `build`"]
pub struct Builder<R> {
    config: Config,
    options: Options,
    runtime: R,
}

impl<R: Runtime> Builder<R> {
    connection_setters!();

    /// The most requests to one host at a time where it speaks HTTP/2, in which they share connections; 128
    /// by default. A body that nobody reads takes up to 1 MiB.
    pub fn max_streams_per_host(mut self, streams: usize) -> Self {
        self.options.streams = streams.max(1);
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

    /// [`root_certificates`](Self::root_certificates) from a file.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](s3_proto::ErrorKind::Configuration) when it cannot be read.
    pub async fn root_certificates_file(self, path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        let from = path.clone();
        let pem = R::blocking(move || std::fs::read(from)).await.flatten();
        pem.map(|pem| self.root_certificates(pem)).map_err(|error| no_certificates(&path, error))
    }

    /// The client.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](s3_proto::ErrorKind::Configuration) if TLS cannot be set up as asked, or the proxy is none that can be used.
    pub fn build(self) -> Result<Client<R>, Error> {
        let transport = Transport::new(self.runtime, self.options)?;
        Ok(Client(s3_proto::client::Client::new(Engine::new(session(self.config), transport))))
    }
}

impl<R> fmt::Debug for Builder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("config", &self.config).finish_non_exhaustive()
    }
}
