//! The objects, and what S3 does with them.

mod buckets;
mod conditions;
mod copy;
mod delete;
mod listing;
mod model;
mod multipart;
mod objects;
mod operations;
pub(crate) mod receive;
mod tagging;
mod versions;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use s3s::dto::Owner;
use s3s::{S3Error, S3Result, s3_error};

use self::model::{Attributes, Bucket, Content, Encryption, Object, State};
use crate::blob::Blob;
use crate::checksum::{Algorithm, Checksum, Kind, base64, hex, md5};
use crate::ids::Ids;

/// Tells the time; see [`Builder::clock`](crate::Builder::clock).
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// What a [`Store`] is made with.
#[derive(Clone)]
pub struct StoreConfig {
    /// Seed of upload ids and version ids. The same seed and the same requests give the same ids.
    pub seed: u64,
    /// The time for `Last-Modified` and conditions; the system's by default.
    pub clock: Clock,
    /// Least size in bytes of all parts but the last; 5 MiB as in S3 by default.
    pub min_part_size: u64,
    /// Largest body in bytes of one PutObject or UploadPart, and source of one CopyObject; 5 GiB by default.
    pub max_put_size: u64,
    /// Objects and parts of more bytes than this are held in a temporary file; 8 MiB by default.
    pub spill_over: u64,
    /// Region of buckets created without a LocationConstraint; `us-east-1` by default.
    pub region: String,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            clock: Arc::new(SystemTime::now),
            min_part_size: 5 << 20,
            max_put_size: 5 << 30,
            spill_over: 8 << 20,
            region: "us-east-1".to_owned(),
        }
    }
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig")
            .field("seed", &self.seed)
            .field("min_part_size", &self.min_part_size)
            .field("max_put_size", &self.max_put_size)
            .field("spill_over", &self.spill_over)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// An in-memory S3 store; clones share the contents.
///
/// It implements [`s3s::S3`]. The methods here look behind the API, so that a test need not trust the client that
/// it tests.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    config: StoreConfig,
    ids: Ids,
    state: Mutex<State>,
    failing_completes: AtomicUsize,
    failing_copies: AtomicUsize,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

impl Default for Store {
    fn default() -> Self {
        Self::new(StoreConfig::default())
    }
}

impl Store {
    /// An empty store.
    pub fn new(config: StoreConfig) -> Self {
        let inner = Inner {
            ids: Ids::new(config.seed),
            config,
            state: Mutex::default(),
            failing_completes: AtomicUsize::new(0),
            failing_copies: AtomicUsize::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Creates a bucket, in the region of the configuration if none is given. Does nothing when it exists.
    pub fn create_bucket(&self, name: &str, region: Option<&str>) {
        let region = region.unwrap_or(&self.inner.config.region).to_owned();
        let created = self.now();
        self.state().buckets.entry(name.to_owned()).or_insert_with(|| Bucket::new(region, created));
    }

    /// Stores an object as a plain PutObject would; creates the bucket when it is missing.
    pub fn put(&self, bucket: &str, key: &str, data: impl Into<Bytes>) {
        self.create_bucket(bucket, None);
        let data = data.into();
        let checksum = Checksum {
            algorithm: Algorithm::Crc64Nvme,
            value: base64(&Algorithm::Crc64Nvme.digest(&data)),
            kind: Kind::FullObject,
        };
        let object = Object {
            etag: hex(&md5(&data)),
            blob: Blob::from(data),
            checksum: Some(checksum),
            attributes: Attributes::default(),
            encryption: Encryption::default(),
            parts: Vec::new(),
        };
        let (now, id) = (self.now(), self.inner.ids.version());
        if let Some(bucket) = self.state().buckets.get_mut(bucket) {
            bucket.insert(key, Content::Object(Arc::new(object)), Vec::new(), now, id);
        }
    }

    /// The bytes of the current version of an object.
    pub fn read(&self, bucket: &str, key: &str) -> Option<Bytes> {
        let object = {
            let state = self.state();
            Arc::clone(state.buckets.get(bucket)?.current(key)?.object()?)
        };
        object.blob.read().ok()
    }

    /// The ETag, without quotes, of the current version of an object.
    pub fn etag(&self, bucket: &str, key: &str) -> Option<String> {
        let state = self.state();
        Some(state.buckets.get(bucket)?.current(key)?.object()?.etag.clone())
    }

    /// The keys of a bucket in order; none when the bucket is missing.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let state = self.state();
        let Some(bucket) = state.buckets.get(bucket) else { return Vec::new() };
        bucket.objects().map(|(key, ..)| key.to_owned()).collect()
    }

    /// The names of all buckets in order.
    pub fn buckets(&self) -> Vec<String> {
        self.state().buckets.keys().cloned().collect()
    }

    /// The region of a bucket.
    pub fn bucket_region(&self, bucket: &str) -> Option<String> {
        self.state().buckets.get(bucket).map(|b| b.region.clone())
    }

    /// Key and upload id of the multipart uploads in progress.
    pub fn uploads(&self, bucket: &str) -> Vec<(String, String)> {
        let state = self.state();
        state.buckets.get(bucket).map(|b| b.uploads.keys().cloned().collect()).unwrap_or_default()
    }

    /// The next `count` CompleteMultipartUpload calls answer 200 with an `InternalError` in the body, and do nothing.
    pub fn fail_next_completes(&self, count: usize) {
        self.inner.failing_completes.store(count, Ordering::SeqCst);
    }

    /// The next `count` CopyObject and UploadPartCopy calls answer 200 with an `InternalError` in the body, and do
    /// nothing.
    pub fn fail_next_copies(&self, count: usize) {
        self.inner.failing_copies.store(count, Ordering::SeqCst);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In whole seconds, as S3 keeps it.
    fn now(&self) -> SystemTime {
        let now = (self.inner.config.clock)();
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
    }

    fn with_bucket<T>(&self, name: &str, f: impl FnOnce(&mut Bucket) -> S3Result<T>) -> S3Result<T> {
        match self.state().buckets.get_mut(name) {
            Some(bucket) => f(bucket),
            None => Err(s3_error!(NoSuchBucket)),
        }
    }
}

/// The error in a 200 answer, while any is left to give.
fn injected(count: &AtomicUsize) -> S3Result<()> {
    let taken = count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
    if taken.is_err() {
        return Ok(());
    }
    let mut error = s3_error!(InternalError, "We encountered an internal error. Please try again.");
    error.set_status_code(http::StatusCode::OK);
    Err(error)
}

fn owner() -> Owner {
    Owner { display_name: Some("owner".to_owned()), id: Some(OWNER_ID.to_owned()) }
}

/// The canonical user id of the one account that there is.
const OWNER_ID: &str = "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a";

fn io_error(error: std::io::Error) -> S3Error {
    S3Error::internal_error(error)
}

fn invalid_argument(message: impl Into<std::borrow::Cow<'static, str>>) -> S3Error {
    S3Error::with_message(s3s::S3ErrorCode::InvalidArgument, message)
}

fn invalid_request(message: impl Into<std::borrow::Cow<'static, str>>) -> S3Error {
    S3Error::with_message(s3s::S3ErrorCode::InvalidRequest, message)
}

fn as_i64(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn as_i32(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// An error that the protocol front has no code for.
fn custom(code: &'static str, status: http::StatusCode, message: &'static str) -> S3Error {
    let mut error = S3Error::with_message(s3s::S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(status);
    error
}
