//! [`Client`], and what only a driver can be told.

use std::fmt;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use s3_io::{Cancel, PoolStats, clock};
use s3_proto::credentials::Environment;
use s3_proto::{Config, Error, ErrorKind, LoadConfig, Session};

use crate::clock::Clock;
use crate::driver::{Blocking, finish};
use crate::run::Run;
use crate::transport::{Options, Proxy, Resolve, Transport};

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
    /// [`ErrorKind::Configuration`] if TLS cannot be set up.
    pub fn new(config: Config) -> Result<Self, Error> {
        Self::builder(config).build()
    }

    /// Sets what concerns connections.
    pub fn builder(config: Config) -> Builder {
        Builder { config, options: Options::default(), proxy: Ok(Proxy::from_env()) }
    }

    /// A client that is configured as AWS's tools are: by environment variables and the shared files.
    ///
    /// # Errors
    /// Settings that are contradictory or cannot be understood.
    pub fn from_env() -> Result<Self, Error> {
        // Variables that are not text are none that we know.
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::new(load_config(variables.collect())?)
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
        match answers.into_iter().filter_map(Result::err).find(|error| error.status().is_none()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
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
    finish(Run::new(LoadConfig::new(environment), transport, Clock::new(), None, None, false))
}

/// Settings of connections.
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    config: Config,
    options: Options,
    proxy: Result<Option<Proxy>, Error>,
}

impl Builder {
    /// The most connections to one host at a time; 64 by default. A request has a connection of its own until
    /// its answer is read.
    pub fn max_connections_per_host(mut self, connections: usize) -> Self {
        self.options.connections = connections.max(1);
        self
    }

    /// How long a connection is kept that nobody uses; 15 s by default.
    pub fn idle_connections(mut self, keep: Duration) -> Self {
        self.options.idle_connections = keep;
        self
    }

    /// Looks up host names otherwise than the system does.
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.options.resolver = Arc::new(resolver);
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
    pub fn root_certificates_file(self, path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        match std::fs::read(path) {
            Ok(pem) => Ok(self.root_certificates(pem)),
            Err(error) => {
                let message = format!("reading the certificates in {} failed: {error}", path.display());
                Err(Error::new(ErrorKind::Configuration, message).with_source(error))
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
        self.proxy = Proxy::new(proxy, except).map(Some);
        self
    }

    /// No proxy, whatever the environment says.
    pub fn no_proxy(mut self) -> Self {
        self.proxy = Ok(None);
        self
    }

    /// The client.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if TLS cannot be set up as asked, or the proxy is none that can be used.
    pub fn build(mut self) -> Result<Client, Error> {
        self.options.proxy = self.proxy?;
        let transport = Arc::new(Transport::new(self.options)?);
        if self.config.seed == 0 {
            self.config.seed = clock::seed();
        }
        let session = Session::new(self.config);
        Ok(Client(s3_proto::client::Client::new(Blocking::new(session, transport, Clock::new()))))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("config", &self.config).finish_non_exhaustive()
    }
}
