//! [`Client`], and what only a driver can be told.

use std::fmt;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use s3_io::clock::Clock;
use s3_io::{Cancel, PoolStats, Settings, connection_setters, environment, no_certificates, session};
use s3_proto::credentials::Environment;
use s3_proto::{Config, Error, LoadConfig};

use crate::driver::{Blocking, finish};
use crate::run::Run;
use crate::transport::{Options, Resolve, Transport};

/// An S3 client that blocks. All operations are those of the core's [`Client`](s3_proto::client::Client), which
/// it derefs to. Cloning it is cheap; clones share connections and caches, also between threads.
///
/// ```no_run
/// # fn f() -> Result<(), s3_blocking::Error> {
/// let client = s3_blocking::Client::from_env()?;
/// client.put_object("bucket", "hello.txt", "Hello!").content_type("text/plain").send()?;
/// let body = client.get_object("bucket", "hello.txt").send()?.body.collect()?;
/// assert_eq!(body, "Hello!");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Client(s3_proto::client::Client<Blocking>);

impl Client {
    /// A client with default connections.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](s3_proto::ErrorKind::Configuration) if TLS cannot be set up.
    pub fn new(config: Config) -> Result<Self, Error> {
        Self::builder(config).build()
    }

    /// Sets what concerns connections.
    pub fn builder(config: Config) -> Builder {
        Builder { config, options: Options { settings: Settings::from_env(), ..Options::default() } }
    }

    /// A client that is configured as AWS's tools are: by environment variables and the shared files.
    ///
    /// # Errors
    /// Settings that are contradictory or cannot be understood.
    pub fn from_env() -> Result<Self, Error> {
        Self::new(load_config(environment())?)
    }

    /// A client whose calls end when `cancel` is used, and bodies and lists that they returned with them. It
    /// shares connections and caches with this one.
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self(s3_proto::client::Client::new(self.driver().with_cancel(cancel)))
    }

    /// Opens up to `connections` connections to where the objects of `bucket` are, finds credentials, and
    /// asks nothing but whether the bucket is there. What the service says is no matter.
    ///
    /// # Errors
    /// When it cannot be reached, or there are no credentials.
    pub fn warmup(&self, bucket: &str, connections: usize) -> Result<(), Error> {
        let answers: Vec<_> = thread::scope(|scope| {
            let asked: Vec<_> =
                (0..connections).map(|_| scope.spawn(|| self.head_bucket(bucket).send())).collect();
            // Nothing in it panics.
            asked.into_iter().filter_map(|asked| asked.join().ok()).collect()
        });
        let unreached = answers.into_iter().filter_map(Result::err).find(|error| error.status().is_none());
        unreached.map_or(Ok(()), Err)
    }

    /// How many connections there are now. Those that nobody uses are closed when the next request is sent.
    pub fn pool_stats(&self) -> PoolStats {
        self.driver().pool_stats()
    }
}

impl Deref for Client {
    type Target = s3_proto::client::Client<Blocking>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// What these environment variables, and the profile files that they name, say about a client.
///
/// ```no_run
/// # fn f() -> Result<(), s3_blocking::Error> {
/// use s3_blocking::Client;
///
/// let environment = std::env::vars().collect();
/// let config = s3_blocking::load_config(environment)?.with_max_attempts(5);
/// let client = Client::builder(config).max_connections_per_host(16).build()?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// Settings that are contradictory or cannot be understood, or no region.
pub fn load_config(environment: Environment) -> Result<Config, Error> {
    let transport = Arc::new(Transport::new(Options::default())?);
    finish(Run::new(LoadConfig::new(environment), transport, Clock::start(), None, None, false))
}

/// Settings of connections.
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    config: Config,
    options: Options,
}

impl Builder {
    connection_setters!();

    /// Looks up host names otherwise than the system does.
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.options.resolver = Arc::new(resolver);
        self
    }

    /// [`root_certificates`](Self::root_certificates) from a file.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](s3_proto::ErrorKind::Configuration) when it cannot be read.
    pub fn root_certificates_file(self, path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let pem = std::fs::read(path);
        pem.map(|pem| self.root_certificates(pem)).map_err(|error| no_certificates(path, error))
    }

    /// The client.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](s3_proto::ErrorKind::Configuration) if TLS cannot be set up as asked, or the proxy is none that can be used.
    pub fn build(self) -> Result<Client, Error> {
        let transport = Arc::new(Transport::new(self.options)?);
        Ok(Client(s3_proto::client::Client::new(Blocking::new(
            session(self.config),
            transport,
            Clock::start(),
        ))))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("config", &self.config).finish_non_exhaustive()
    }
}
