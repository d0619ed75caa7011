//! Transfers in the fluent form, the same in every driver.

use std::fmt;
use std::path::PathBuf;

use super::progress::{OnProgress, Watched};
use super::{Copy, CopyOptions, CopyReport, Upload, UploadOptions, UploadReport};
use crate::checksum::ChecksumAlgorithm;
use crate::client::{Client, Data, Driver};
use crate::etag::ETag;
use crate::ops::{CopyObject, CopySource, PutObject, StorageClass};

/// What all transfers on their way have in common.
macro_rules! transfer_requests {
    ($($request:ty => $output:ty;)*) => {$(
        impl<D: $crate::client::Driver> $request {
            /// Is told how far it is whenever something has changed. It holds the transfer up for as long as it takes.
            pub fn on_progress(mut self, tell: impl FnMut(&super::Progress) + Send + 'static) -> Self {
                self.on_progress = Some(Box::new(tell));
                self
            }
        }

        impl<D: $crate::client::Driver> std::future::IntoFuture for $request
        where
            D::Sent<$output>: Future<Output = Result<$output, $crate::Error>>,
        {
            type Output = Result<$output, $crate::Error>;
            type IntoFuture = D::Sent<$output>;

            fn into_future(self) -> Self::IntoFuture {
                self.send()
            }
        }
    )*};
}
pub(super) use transfer_requests;

impl<D: Driver> Client<D> {
    /// Uploads a file of any size, in parts side by side if it is large. See [`Upload`].
    ///
    /// Dropping the future of an async driver half-way leaves the upload with its parts at the service, which are paid
    /// for until it is aborted. The driver's `Cancel` ends it in order.
    pub fn upload_file(
        &self,
        bucket: impl Into<String>,
        key: impl Into<String>,
        path: impl Into<PathBuf>,
    ) -> UploadRequest<D> {
        self.upload_of(PutObject::new(bucket, key, crate::Payload::Empty), Some(path.into()), None)
    }

    /// Uploads data of any size, in parts side by side if it is large: bytes in memory, or a source. See
    /// [`Upload`], and [`upload_file`](Self::upload_file) for what dropping it leaves.
    pub fn upload(
        &self,
        bucket: impl Into<String>,
        key: impl Into<String>,
        data: impl Into<Data<D::Source>>,
    ) -> UploadRequest<D> {
        let (payload, source) = data.into().into_payload();
        self.upload_of(PutObject::new(bucket, key, payload), None, source)
    }

    /// Uploads from a source, which need not know how long it is. Of one that can be read only once, as many
    /// parts are held in memory as may be in flight.
    ///
    /// If it does not say how long it is, it may have as many bytes as 10,000 [parts](UploadRequest::part_size) at most,
    /// which is 78 GiB by default: set a larger part size for more. See [`Upload`], and
    /// [`upload_file`](Self::upload_file) for what dropping it leaves.
    pub fn upload_stream(
        &self,
        bucket: impl Into<String>,
        key: impl Into<String>,
        source: impl Into<D::Source>,
    ) -> UploadRequest<D> {
        self.upload(bucket, key, Data::Source(source.into()))
    }

    /// Copies an object of any size inside of the service, with metadata and tags. See [`struct@Copy`], and
    /// [`upload_file`](Self::upload_file) for what dropping it leaves.
    pub fn copy(
        &self,
        bucket: impl Into<String>,
        key: impl Into<String>,
        source: impl Into<CopySource>,
    ) -> CopyRequest<D> {
        CopyRequest {
            op: CopyObject::new(bucket, key, source),
            options: CopyOptions::default(),
            driver: self.driver().clone(),
            on_progress: None,
        }
    }

    fn upload_of(&self, op: PutObject, file: Option<PathBuf>, source: Option<D::Source>) -> UploadRequest<D> {
        let (options, driver) = (UploadOptions::default(), self.driver().clone());
        UploadRequest { op, options, file, driver, source, on_progress: None }
    }
}

/// An upload on its way: set what you like, then [`send`](Self::send) or `.await` it.
#[must_use = "an upload does nothing until it is sent"]
pub struct UploadRequest<D: Driver> {
    /// What is set for the object. Its payload is taken from the data or the file of the upload.
    pub op: PutObject,
    /// How it is carried out.
    pub options: UploadOptions,
    file: Option<PathBuf>,
    driver: D,
    source: Option<D::Source>,
    on_progress: Option<OnProgress>,
}

impl<D: Driver> UploadRequest<D> {
    /// Sets any member of PutObject; it reaches the calls that are made, whichever they are.
    pub fn with(mut self, set: impl FnOnce(&mut PutObject)) -> Self {
        set(&mut self.op);
        self
    }

    /// The media type (`Content-Type`).
    pub fn content_type(self, value: impl Into<String>) -> Self {
        self.with(|put| put.content_type = Some(value.into()))
    }

    /// Adds an entry of user metadata; the name goes without the prefix `x-amz-meta-`.
    pub fn metadata(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|put| drop(put.metadata.insert(name.into(), value.into())))
    }

    /// The tags, as a URL query: `a=1&b=2`.
    pub fn tagging(self, tags: impl Into<String>) -> Self {
        self.with(|put| put.tagging = Some(tags.into()))
    }

    /// The storage class.
    pub fn storage_class(self, class: impl Into<StorageClass>) -> Self {
        self.with(|put| put.storage_class = Some(class.into()))
    }

    /// The algorithm of the checksum that is computed and sent. CRCs are of the whole object, others of its
    /// parts' checksums if it goes in parts. Default: CRC64NVME where the store knows it.
    pub fn checksum_algorithm(self, algorithm: impl Into<ChecksumAlgorithm>) -> Self {
        self.with(|put| put.checksum_algorithm = Some(algorithm.into()))
    }

    /// Only if the object has this ETag now; otherwise `PreconditionFailed`.
    pub fn if_match(self, etag: impl Into<ETag>) -> Self {
        self.with(|put| put.if_match = Some(etag.into()))
    }

    /// Only if the object has another ETag; `ETag::ANY`: only if there is none.
    pub fn if_none_match(self, etag: impl Into<ETag>) -> Self {
        self.with(|put| put.if_none_match = Some(etag.into()))
    }

    /// Up to how many bytes it goes in one request: see [`UploadOptions::threshold`].
    pub fn threshold(mut self, bytes: u64) -> Self {
        self.options.threshold = bytes;
        self
    }

    /// Bytes of each part but the last, of which there are 10,000 at most: that limits a source that does not say how
    /// long it is. See [`UploadOptions::part_size`].
    pub fn part_size(mut self, bytes: u64) -> Self {
        self.options.part_size = bytes;
        self
    }

    /// How many parts may be in flight: see [`UploadOptions::concurrency`].
    pub fn concurrency(mut self, parts: usize) -> Self {
        self.options.concurrency = parts;
        self
    }

    /// Keeps a checkpoint in this file until the upload has succeeded, and goes on from there if there is one.
    pub fn checkpoint(mut self, path: impl Into<PathBuf>) -> Self {
        self.options.checkpoint = Some(path.into());
        self
    }

    /// Whether a multipart upload that fails is kept: see [`UploadOptions::keep_on_failure`].
    pub fn keep_on_failure(mut self, keep: bool) -> Self {
        self.options.keep_on_failure = Some(keep);
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// Whatever [`Error`](crate::Error) describes. If parts are involved,
    /// [`Error::upload_failure`](crate::Error::upload_failure) says which failed, which
    /// are there, and what has become of the upload.
    pub fn send(self) -> D::Sent<UploadReport> {
        let session = self.driver.session().clone();
        let machine = match self.file {
            Some(path) => Upload::file(session, self.op, path, self.options),
            None => Upload::new(session, self.op, self.options),
        };
        self.driver.run(Watched::new(machine, self.on_progress), self.source)
    }
}

/// A copy on its way: set what you like, then [`send`](Self::send) or `.await` it.
#[must_use = "a copy does nothing until it is sent"]
pub struct CopyRequest<D: Driver> {
    /// What is copied, and what is set for the copy.
    pub op: CopyObject,
    /// How it is carried out.
    pub options: CopyOptions,
    driver: D,
    on_progress: Option<OnProgress>,
}

impl<D: Driver> CopyRequest<D> {
    /// Sets any member of CopyObject; it reaches the calls that are made, whichever they are.
    pub fn with(mut self, set: impl FnOnce(&mut CopyObject)) -> Self {
        set(&mut self.op);
        self
    }

    /// Up to how many bytes one request copies it: see [`CopyOptions::threshold`].
    pub fn threshold(mut self, bytes: u64) -> Self {
        self.options.threshold = bytes;
        self
    }

    /// Bytes of each part but the last: see [`CopyOptions::part_size`].
    pub fn part_size(mut self, bytes: u64) -> Self {
        self.options.part_size = bytes;
        self
    }

    /// How many parts may be in flight: see [`CopyOptions::concurrency`].
    pub fn concurrency(mut self, parts: usize) -> Self {
        self.options.concurrency = parts;
        self
    }

    /// Whether a multipart upload that fails is kept: see [`CopyOptions::keep_on_failure`].
    pub fn keep_on_failure(mut self, keep: bool) -> Self {
        self.options.keep_on_failure = keep;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// As [`UploadRequest::send`].
    pub fn send(self) -> D::Sent<CopyReport> {
        let machine = Copy::new(self.driver.session().clone(), self.op, self.options);
        self.driver.run(Watched::new(machine, self.on_progress), None)
    }
}

transfer_requests! {
    UploadRequest<D> => UploadReport;
    CopyRequest<D> => CopyReport;
}

impl<D: Driver> fmt::Debug for UploadRequest<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { op, options, file, .. } = self;
        f.debug_struct("UploadRequest")
            .field("op", op)
            .field("options", options)
            .field("file", file)
            .finish_non_exhaustive()
    }
}

impl<D: Driver> fmt::Debug for CopyRequest<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { op, options, .. } = self;
        f.debug_struct("CopyRequest").field("op", op).field("options", options).finish_non_exhaustive()
    }
}
