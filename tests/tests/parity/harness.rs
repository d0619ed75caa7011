//! What a scenario needs of a driver, and the world that it runs in.

use std::env;
use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use s3_io::{Cancel, PoolStats};
use s3_proto::client::{Answered, Client, Driver, Request};
use s3_proto::ops::{Delete, Operation};
use s3_proto::{Config, Credentials, Error, ErrorKind};
use s3_test_server::Server;

/// The errors that a scenario does not expect; what it expects, it asserts.
pub(crate) type Outcome = Result<(), Error>;
/// Its name, as that of its function.
pub(crate) type Scenario<H> = (&'static str, fn(&World<H>) -> Outcome);

pub(crate) type Sent<H, T> = <<H as Harness>::Driver as Driver>::Sent<T>;
pub(crate) type Items<H, T> = <<H as Harness>::Driver as Driver>::Items<T>;
pub(crate) type Body<H> = <<H as Harness>::Driver as Driver>::Body;
pub(crate) type Source<H> = <<H as Harness>::Driver as Driver>::Source;

/// Lists the scenarios of a file.
#[allow(unused_macros, reason = "the parity suite alone has scenarios")]
macro_rules! scenarios {
    ($($name:ident,)*) => {
        pub(crate) fn scenarios<H: Harness>() -> Vec<crate::harness::Scenario<H>> {
            vec![$((stringify!($name), $name::<H>),)*]
        }
    };
}
#[allow(unused_imports, reason = "the same")]
pub(crate) use scenarios;

/// Settings of connections, which the core knows nothing of.
#[derive(Clone, Default)]
pub(crate) struct Options {
    pub(crate) max_connections: Option<usize>,
    pub(crate) cancel: Option<Cancel>,
}

/// A driver that is made to wait: scenarios are written once, without async.
pub(crate) trait Harness: Sized + 'static {
    const NAME: &'static str;
    type Driver: Driver;
    type Client: Deref<Target = Client<Self::Driver>> + Clone + Send + Sync + 'static;

    fn client(config: Config, options: &Options) -> Result<Self::Client, Error>;
    /// What the driver's own reading of these variables and of the files that they name comes to.
    fn load_config(environment: &[(&str, &str)]) -> Result<Config, Error>;
    fn wait<T: Send + 'static>(sent: Sent<Self, T>) -> Result<T, Error>;
    /// Sends all at once.
    fn send_all<O: Operation>(
        requests: Vec<Request<O, Self::Driver>>,
    ) -> Vec<Result<Answered<O, Self::Driver>, Error>>;
    fn next<T: Send + 'static>(items: &mut Items<Self, T>) -> Option<Result<T, Error>>;
    fn chunk(body: &mut Body<Self>) -> Option<Result<Bytes, Error>>;
    fn file(path: &Path) -> Source<Self>;
    fn pieces(pieces: impl Iterator<Item = Bytes> + Send + 'static, len: u64) -> Source<Self>;
    fn pool_stats(client: &Self::Client) -> PoolStats;
}

/// An empty bucket, and a client for it.
pub(crate) struct World<H: Harness> {
    pub(crate) client: H::Client,
    pub(crate) bucket: String,
    pub(crate) config: Config,
    pub(crate) credentials: Credentials,
    pub(crate) region: String,
    /// Whether the store is not the embedded one.
    pub(crate) external: bool,
    server: Option<Server>,
}

pub(crate) const HOUR: Duration = Duration::from_hours(1);

impl<H: Harness> World<H> {
    /// On a server of its own, or on the one at `S3_ENDPOINT_URL`.
    pub(crate) fn new() -> Self {
        let variable = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
        let (server, endpoint, credentials, region) = if let Ok(url) = env::var("S3_ENDPOINT_URL") {
            let (id, secret) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"));
            (None, url, Credentials::new(id, secret).unwrap(), variable("AWS_REGION"))
        } else {
            let server = Server::builder().credentials("AKID", "SECRET").start_in_thread().unwrap();
            let url = server.endpoint();
            (Some(server), url, Credentials::new("AKID", "SECRET").unwrap(), "us-east-1".to_owned())
        };
        let config = Config::new(&region).unwrap().with_endpoint(endpoint).unwrap();
        let config = config.with_credentials(credentials.clone());
        let client = H::client(config.clone(), &Options::default()).unwrap();
        let bucket = unique();
        H::wait(client.create_bucket(&bucket).send()).unwrap();
        if let Some(server) = &server {
            server.clear_requests();
        }
        let external = server.is_none();
        Self { client, bucket, config, credentials, region, external, server }
    }

    /// The embedded server, for scenarios that are for it alone.
    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// Another client of the same server.
    pub(crate) fn client_with(&self, change: impl FnOnce(&mut Config, &mut Options)) -> H::Client {
        let (mut config, mut options) = (self.config.clone(), Options::default());
        change(&mut config, &mut options);
        H::client(config, &options).unwrap()
    }

    /// A client like the scenario's, but with this secret.
    pub(crate) fn with_secret(&self, secret: &str) -> H::Client {
        let credentials = Credentials::new(self.credentials.access_key_id(), secret).unwrap();
        self.client_with(|config, _| *config = config.clone().with_credentials(credentials))
    }

    pub(crate) fn send<O: Operation>(
        &self,
        request: Request<O, H::Driver>,
    ) -> Result<Answered<O, H::Driver>, Error> {
        H::wait(request.send())
    }

    pub(crate) fn wait<T: Send + 'static>(&self, sent: Sent<H, T>) -> Result<T, Error> {
        H::wait(sent)
    }

    /// All items.
    pub(crate) fn all<T: Send + 'static>(&self, mut items: Items<H, T>) -> Result<Vec<T>, Error> {
        std::iter::from_fn(|| H::next(&mut items)).collect()
    }

    /// All of a body.
    pub(crate) fn read(&self, mut body: Body<H>) -> Result<Bytes, Error> {
        let mut all = Vec::new();
        while let Some(chunk) = H::chunk(&mut body) {
            all.extend_from_slice(&chunk?);
        }
        Ok(all.into())
    }

    pub(crate) fn put(&self, key: &str, data: &'static str) -> Result<(), Error> {
        self.send(self.client.put_object(&self.bucket, key, data)).map(drop)
    }

    pub(crate) fn get(&self, key: &str) -> Result<Bytes, Error> {
        self.read(self.send(self.client.get_object(&self.bucket, key))?.body)
    }

    pub(crate) fn keys(&self) -> Result<Vec<String>, Error> {
        let all = self.all(self.client.list_all_objects(&self.bucket))?;
        Ok(all.into_iter().map(|object| object.key).collect())
    }

    /// What an operation answers; from another store also nothing, if that makes no sense, which is printed.
    pub(crate) fn if_sound<T>(&self, result: Result<T, Error>) -> Result<Option<T>, Error> {
        match result {
            Err(e) if self.external && e.kind() == ErrorKind::MalformedResponse => {
                println!("not as S3 does it: {e}");
                Ok(None)
            }
            result => result.map(Some),
        }
    }

    /// Leaves nothing behind in a store that others use.
    pub(crate) fn clean_up(&self) {
        if self.external {
            self.remove(&self.bucket).unwrap();
        }
    }

    /// Removes a bucket with all that is in it.
    pub(crate) fn remove(&self, bucket: &str) -> Result<(), Error> {
        let uploads = self.all(self.client.list_multipart_uploads(bucket).entries());
        for upload in uploads.unwrap_or_default() {
            self.send(self.client.abort_multipart_upload(bucket, upload.key, upload.upload_id))?;
        }
        let objects = self.all(self.client.list_all_objects(bucket))?;
        if !objects.is_empty() {
            let keys = objects.into_iter().map(|object| object.key);
            self.send(self.client.delete_objects(bucket, Delete::keys(keys)))?;
        }
        self.send(self.client.delete_bucket(bucket)).map(drop)
    }
}

/// A name that no bucket has yet.
pub(crate) fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let time = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    format!("test-{}-{time}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Whether this is how a store says that there is no such object; an answer to HEAD has no code.
pub(crate) fn is_missing(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NoSuchKey | ErrorKind::NotFound)
}

pub(crate) fn data(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect()
}
