//! A bucket for each test, on whatever store there is.

use std::env;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use s3_test_server::Server;
use s3_tokio::s3_proto::ops::Delete;
use s3_tokio::{Client, Config, Credentials, Error, ErrorKind};

pub(crate) const HOUR: Duration = Duration::from_hours(1);

/// What a test works with.
#[derive(Clone)]
pub(crate) struct Test {
    pub(crate) client: Client,
    /// A bucket that is empty at the start and removed at the end.
    pub(crate) bucket: String,
    pub(crate) config: Config,
    pub(crate) credentials: Credentials,
    pub(crate) region: String,
    /// Whether the store is not the embedded one.
    pub(crate) external: bool,
}

impl Test {
    pub(crate) async fn put(&self, key: &str, data: &'static str) -> Result<(), Error> {
        self.client.put_object(&self.bucket, key, data).await.map(drop)
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Vec<u8>, Error> {
        Ok(self.client.get_object(&self.bucket, key).await?.body.collect().await?.to_vec())
    }

    pub(crate) async fn keys(&self) -> Result<Vec<String>, Error> {
        let all = self.client.list_all_objects(&self.bucket).collect().await?;
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

    /// A client like the test's, but with this secret.
    pub(crate) fn with_secret(&self, secret: &str) -> Client {
        let credentials = Credentials::new(self.credentials.access_key_id(), secret).unwrap();
        Client::new(self.config.clone().with_credentials(credentials)).unwrap()
    }
}

/// Runs a test on a bucket of its own, which is removed also when the test fails.
///
/// The test returns the errors that it does not expect.
pub(crate) async fn run<F>(test: impl FnOnce(Test) -> F)
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let variable = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let (server, endpoint, credentials, region) = if let Ok(url) = env::var("S3_ENDPOINT_URL") {
        let (id, secret) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"));
        (None, url, Credentials::new(id, secret).unwrap(), variable("AWS_REGION"))
    } else {
        let server = Server::builder().credentials("AKID", "SECRET").start().await.unwrap();
        let url = server.endpoint();
        (Some(server), url, Credentials::new("AKID", "SECRET").unwrap(), "us-east-1".to_owned())
    };
    let config =
        Config::new(&region).unwrap().with_endpoint(endpoint).unwrap().with_credentials(credentials.clone());
    let client = Client::new(config.clone()).unwrap();
    let bucket = unique();
    client.create_bucket(&bucket).await.unwrap();
    let external = server.is_none();
    let this = Test { client, bucket, config, credentials, region, external };

    let result = tokio::spawn(test(this.clone())).await;
    let cleaned = remove(&this.client, &this.bucket).await;
    match result {
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        Ok(Err(e)) if external && e.kind() == ErrorKind::NotImplemented => {
            println!("not implemented by this store: {}", e.operation().unwrap_or("an operation"));
        }
        Ok(result) => result.unwrap(),
    }
    cleaned.unwrap();
}

/// A name that no bucket has yet.
pub(crate) fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let time = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    format!("test-{}-{time}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Removes a bucket with all that is in it.
pub(crate) async fn remove(client: &Client, bucket: &str) -> Result<(), Error> {
    for upload in client.list_multipart_uploads(bucket).entries().collect().await.unwrap_or_default() {
        client.abort_multipart_upload(bucket, upload.key, upload.upload_id).await?;
    }
    let keys: Vec<_> =
        client.list_all_objects(bucket).collect().await?.into_iter().map(|object| object.key).collect();
    if !keys.is_empty() {
        client.delete_objects(bucket, Delete::keys(keys)).await?;
    }
    client.delete_bucket(bucket).await.map(drop)
}

/// Whether this is how a store says that there is no such object; an answer to HEAD has no code.
pub(crate) fn is_missing(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NoSuchKey | ErrorKind::NotFound)
}

pub(crate) fn data(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect()
}
