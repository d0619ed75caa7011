//! Downloads and mass deletion in the fluent form, the same in every driver.

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;

use super::fluent::transfer_requests;
use super::progress::{OnProgress, Watched};
use super::{
    DeleteMany, DeleteOptions, DeleteReport, Download, DownloadOptions, DownloadReport, DownloadStream,
    DownloadToMemory, Downloaded,
};
use crate::client::{Client, Driver};
use crate::etag::ETag;
use crate::ops::{ByteRange, Delete, DeleteObjects, GetObject, ObjectIdentifier, SseCustomerKey};

impl<D: Driver> Client<D> {
    /// Downloads an object of any size into a file, in parts side by side if it is large. See [`Download`].
    pub fn download_file(
        &self,
        bucket: impl Into<String>,
        key: impl Into<String>,
        path: impl Into<PathBuf>,
    ) -> DownloadRequest<D, ToFile> {
        self.download_of(bucket.into(), key.into(), ToFile(path.into()))
    }

    /// Downloads an object of any size as bytes in their order, read ahead in parts side by side. See
    /// [`DownloadStream`].
    pub fn download_stream(
        &self,
        bucket: impl Into<String>,
        key: impl Into<String>,
    ) -> DownloadRequest<D, ToStream> {
        self.download_of(bucket.into(), key.into(), ToStream)
    }

    /// Downloads an object into memory, in parts side by side if it is large. See [`DownloadToMemory`].
    pub fn download(
        &self,
        bucket: impl Into<String>,
        key: impl Into<String>,
    ) -> DownloadRequest<D, ToMemory> {
        self.download_of(bucket.into(), key.into(), ToMemory)
    }

    fn download_of<T>(&self, bucket: String, key: String, to: T) -> DownloadRequest<D, T> {
        DownloadRequest {
            op: GetObject::new(bucket, key),
            options: DownloadOptions::default(),
            to,
            driver: self.driver().clone(),
            on_progress: None,
        }
    }

    /// Deletes any number of objects, 1,000 in a request: keys, or [`ObjectIdentifier`]s with versions. See
    /// [`DeleteMany`].
    pub fn delete_many<O: Into<ObjectIdentifier>>(
        &self,
        bucket: impl Into<String>,
        objects: impl IntoIterator<Item = O>,
    ) -> DeleteRequest<D> {
        let objects: Vec<ObjectIdentifier> = objects.into_iter().map(Into::into).collect();
        self.delete_of(DeleteObjects::new(bucket, objects), None)
    }

    /// Deletes all objects whose keys begin with `prefix`; with an empty one, all of the bucket. See
    /// [`DeleteMany`].
    pub fn delete_prefix(&self, bucket: impl Into<String>, prefix: impl Into<String>) -> DeleteRequest<D> {
        self.delete_of(DeleteObjects::new(bucket, Delete::from(Vec::new())), Some(prefix.into()))
    }

    fn delete_of(&self, op: DeleteObjects, prefix: Option<String>) -> DeleteRequest<D> {
        let (options, driver) = (DeleteOptions::default(), self.driver().clone());
        DeleteRequest { op, options, prefix, driver, on_progress: None }
    }
}

/// A download into a file.
#[derive(Clone, Debug)]
pub struct ToFile(PathBuf);

/// A download as bytes in their order.
#[derive(Clone, Copy, Debug)]
pub struct ToStream;

/// A download into memory.
#[derive(Clone, Copy, Debug)]
pub struct ToMemory;

/// A download on its way: set what you like, then `send` or `.await` it.
#[must_use = "a download does nothing until it is sent"]
pub struct DownloadRequest<D, T> {
    /// What is downloaded: object, version, range, and what else goes with the requests.
    pub op: GetObject,
    /// How it is carried out.
    pub options: DownloadOptions,
    to: T,
    driver: D,
    on_progress: Option<OnProgress>,
}

impl<D: Driver, T> DownloadRequest<D, T> {
    /// Sets any member of GetObject.
    pub fn with(mut self, set: impl FnOnce(&mut GetObject)) -> Self {
        set(&mut self.op);
        self
    }

    /// The version of the object.
    pub fn version_id(self, id: impl Into<String>) -> Self {
        self.with(|get| get.version_id = Some(id.into()))
    }

    /// Only these bytes, from a place that is counted from the beginning. They are not compared with a
    /// checksum, as there is none of a range.
    pub fn range(self, range: impl Into<ByteRange>) -> Self {
        self.with(|get| get.range = Some(range.into()))
    }

    /// Only if the object has this ETag; otherwise `PreconditionFailed`.
    pub fn if_match(self, etag: impl Into<ETag>) -> Self {
        self.with(|get| get.if_match = Some(etag.into()))
    }

    /// The key of your own that the service encrypts the object with (SSE-C).
    pub fn sse_customer_key(self, key: impl Into<SseCustomerKey>) -> Self {
        self.with(|get| get.sse_customer_key = Some(key.into()))
    }

    /// Bytes of a part: see [`DownloadOptions::part_size`].
    pub fn part_size(mut self, bytes: u64) -> Self {
        self.options.part_size = bytes;
        self
    }

    /// How many parts may be in flight: see [`DownloadOptions::concurrency`].
    pub fn concurrency(mut self, parts: usize) -> Self {
        self.options.concurrency = parts;
        self
    }
}

impl<D: Driver> DownloadRequest<D, ToFile> {
    /// Keeps a checkpoint in this file until the download has succeeded, and goes on from there if there is one.
    pub fn checkpoint(mut self, path: impl Into<PathBuf>) -> Self {
        self.options.checkpoint = Some(path.into());
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed) if the object changes meanwhile,
    /// [`ChecksumMismatch`](crate::ErrorKind::ChecksumMismatch) if something else came than is stored,
    /// [`LocalIo`](crate::ErrorKind::LocalIo) for the file, and whatever else [`Error`](crate::Error) describes.
    pub fn send(self) -> D::Sent<DownloadReport> {
        let Self { op, options, to, driver, on_progress } = self;
        let machine = Download::new(driver.session().clone(), op, to.0, &options);
        driver.run(Watched::new(machine, on_progress), None)
    }
}

impl<D: Driver> DownloadRequest<D, ToStream> {
    /// Starts it. What it yields are pieces of the object in their order, or an error at the end.
    pub fn send(self) -> D::Items<Bytes> {
        let machine = DownloadStream::new(self.driver.session().clone(), self.op, &self.options);
        self.driver.items(machine)
    }
}

impl<D: Driver> DownloadRequest<D, ToMemory> {
    /// The most bytes that are taken; an object that is longer is an error. Default 1 GiB.
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.options.max_in_memory = bytes;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// As for a file, and [`InvalidInput`](crate::ErrorKind::InvalidInput) if the object is too long.
    pub fn send(self) -> D::Sent<Downloaded> {
        let machine = DownloadToMemory::new(self.driver.session().clone(), self.op, &self.options);
        self.driver.run(Watched::new(machine, self.on_progress), None)
    }
}

/// A mass deletion on its way: set what you like, then [`send`](Self::send) or `.await` it.
#[must_use = "nothing is deleted until it is sent"]
pub struct DeleteRequest<D> {
    /// What is deleted, unless it is given by prefix, and what else goes with each request.
    pub op: DeleteObjects,
    /// How it is carried out.
    pub options: DeleteOptions,
    prefix: Option<String>,
    driver: D,
    on_progress: Option<OnProgress>,
}

impl<D: Driver> DeleteRequest<D> {
    /// Sets any member of DeleteObjects.
    pub fn with(mut self, set: impl FnOnce(&mut DeleteObjects)) -> Self {
        set(&mut self.op);
        self
    }

    /// By prefix: whether every version and delete marker is deleted too, for good.
    pub fn versions(mut self, all: bool) -> Self {
        self.options.versions = all;
        self
    }

    /// How many requests may be in flight: see [`DeleteOptions::concurrency`].
    pub fn concurrency(mut self, requests: usize) -> Self {
        self.options.concurrency = requests;
        self
    }

    /// How many objects go into a request: see [`DeleteOptions::batch`].
    pub fn batch(mut self, objects: usize) -> Self {
        self.options.batch = objects;
        self
    }

    /// Starts it. Objects that could not be deleted are in the report: look at it, or use
    /// [`into_result`](DeleteReport::into_result).
    ///
    /// # Errors
    /// When a request fails as a whole, or the list.
    pub fn send(self) -> D::Sent<DeleteReport> {
        let session = self.driver.session().clone();
        let machine = match &self.prefix {
            Some(prefix) => DeleteMany::prefix(session, self.op, prefix, self.options),
            None => DeleteMany::new(session, self.op, self.options),
        };
        self.driver.run(Watched::new(machine, self.on_progress), None)
    }
}

transfer_requests! {
    DownloadRequest<D, ToFile> => DownloadReport;
    DownloadRequest<D, ToMemory> => Downloaded;
    DeleteRequest<D> => DeleteReport;
}

impl<D, T: fmt::Debug> fmt::Debug for DownloadRequest<D, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { op, options, to, .. } = self;
        f.debug_struct("DownloadRequest")
            .field("op", op)
            .field("options", options)
            .field("to", to)
            .finish_non_exhaustive()
    }
}

impl<D> fmt::Debug for DeleteRequest<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { op, options, prefix, .. } = self;
        f.debug_struct("DeleteRequest")
            .field("op", op)
            .field("options", options)
            .field("prefix", prefix)
            .finish_non_exhaustive()
    }
}
