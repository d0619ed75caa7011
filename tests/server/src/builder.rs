//! How a server is made.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use crate::auth::{Credentials, Keys};
use crate::server::Server;
use crate::service::{CompleteWhitespace, Service, Settings, WrongRegion};
use crate::store::{Clock, Store, StoreConfig};

/// Makes a [`Server`], or a [`Service`] without a socket.
#[derive(Debug, Default)]
#[must_use]
pub struct Builder {
    credentials: Vec<Credentials>,
    anonymous: bool,
    enforce_region: Option<WrongRegion>,
    domain: Option<String>,
    whitespace: CompleteWhitespace,
    config: StoreConfig,
    store: Option<Store>,
    port: u16,
}

impl Builder {
    /// Adds a key pair. Without any, and without [`Builder::anonymous`], all requests are refused.
    pub fn credentials(self, access_key_id: &str, secret_access_key: &str) -> Self {
        self.add_credentials(Credentials::new(access_key_id, secret_access_key))
    }

    /// Adds a key pair, perhaps a temporary one.
    pub fn add_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials.push(credentials);
        self
    }

    /// Takes requests without a signature, too. A signature that is there is still checked.
    pub fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// Region of buckets that are created without one; `us-east-1` if not called.
    pub fn region(mut self, region: &str) -> Self {
        region.clone_into(&mut self.config.region);
        self
    }

    /// Refuses signatures for another region than that of the bucket. If not called, any region will do.
    pub fn enforce_region(mut self, how: WrongRegion) -> Self {
        self.enforce_region = Some(how);
        self
    }

    /// The domain whose subdomains name buckets; `localhost` if not called.
    pub fn domain(mut self, domain: &str) -> Self {
        self.domain = Some(domain.to_owned());
        self
    }

    /// The clock for dates, conditions, signatures and expiry; the system's if not called.
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.config.clock = Arc::new(clock);
        self
    }

    /// Seed of all ids that the server gives out; 0 if not called.
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.seed = seed;
        self
    }

    /// Least size in bytes of all parts but the last; 5 MiB if not called.
    pub fn min_part_size(mut self, bytes: u64) -> Self {
        self.config.min_part_size = bytes;
        self
    }

    /// Largest body in bytes of a PutObject or UploadPart; 5 GiB if not called.
    pub fn max_put_size(mut self, bytes: u64) -> Self {
        self.config.max_put_size = bytes;
        self
    }

    /// Objects of more bytes than this are held in a temporary file; 8 MiB if not called.
    pub fn spill_over(mut self, bytes: u64) -> Self {
        self.config.spill_over = bytes;
        self
    }

    /// What answers of CompleteMultipartUpload begin with; nothing if not called.
    pub fn complete_whitespace(mut self, whitespace: CompleteWhitespace) -> Self {
        self.whitespace = whitespace;
        self
    }

    /// Serves the objects of a store that is there already. Its own clock, region and sizes hold for them.
    pub fn store(mut self, store: Store) -> Self {
        self.store = Some(store);
        self
    }

    /// The port to listen on; any free one if not called.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The service without a socket.
    pub fn service(self) -> Service {
        let clock: Clock = Arc::clone(&self.config.clock);
        let seed = self.config.seed;
        let keys = Keys::default();
        keys.set(self.credentials);
        Service::new(Settings {
            store: self.store.unwrap_or_else(|| Store::new(self.config)),
            keys: Arc::new(keys),
            anonymous: self.anonymous,
            enforce_region: self.enforce_region,
            domain: self.domain.unwrap_or_else(|| "localhost".to_owned()),
            clock,
            seed,
            whitespace: self.whitespace,
        })
    }

    /// Starts the server in tasks of the current tokio runtime. Fails when the port cannot be bound.
    pub async fn start(self) -> io::Result<Server> {
        let port = self.port;
        Server::start(self.service(), port).await
    }

    /// Starts the server in a thread of its own, for tests that block. Fails when the port cannot be bound.
    pub fn start_in_thread(self) -> io::Result<Server> {
        let port = self.port;
        Server::start_in_thread(self.service(), port)
    }
}
