//! Folders in the fluent form, the same in every driver.

use std::fmt;
use std::path::PathBuf;

use super::fluent::transfer_requests;
use super::progress::{OnProgress, Watched};
use super::{Compare, Direction, Sync, SyncOptions, SyncReport};
use crate::client::{Client, Driver};

impl<D: Driver> Client<D> {
    /// Uploads all files of a folder and of those in it, under a prefix. See [`Sync`], and
    /// [`upload_file`](Self::upload_file) for what dropping it leaves.
    pub fn upload_dir(
        &self,
        bucket: impl Into<String>,
        prefix: impl Into<String>,
        folder: impl Into<PathBuf>,
    ) -> SyncRequest<D> {
        self.sync(Direction::Upload, bucket, prefix, folder).compare(Compare::Never)
    }

    /// Downloads all objects below a prefix into a folder. See [`Sync`].
    pub fn download_dir(
        &self,
        bucket: impl Into<String>,
        prefix: impl Into<String>,
        folder: impl Into<PathBuf>,
    ) -> SyncRequest<D> {
        self.sync(Direction::Download, bucket, prefix, folder).compare(Compare::Never)
    }

    /// Transfers what a folder and the objects below a prefix differ in. See [`Sync`], and
    /// [`upload_file`](Self::upload_file) for what dropping it leaves.
    pub fn sync(
        &self,
        direction: Direction,
        bucket: impl Into<String>,
        prefix: impl Into<String>,
        folder: impl Into<PathBuf>,
    ) -> SyncRequest<D> {
        SyncRequest {
            direction,
            bucket: bucket.into(),
            prefix: prefix.into(),
            folder: folder.into(),
            options: SyncOptions::default(),
            driver: self.driver().clone(),
            on_progress: None,
        }
    }
}

/// A transfer of folders on its way: set what you like, then [`send`](Self::send) or `.await` it.
#[must_use = "nothing is transferred until it is sent"]
pub struct SyncRequest<D> {
    /// How it is carried out.
    pub options: SyncOptions,
    direction: Direction,
    bucket: String,
    prefix: String,
    folder: PathBuf,
    driver: D,
    on_progress: Option<OnProgress>,
}

impl<D: Driver> SyncRequest<D> {
    /// What is left as it is.
    pub fn compare(mut self, how: Compare) -> Self {
        self.options.compare = how;
        self
    }

    /// Whether what is at the destination alone is deleted: see [`SyncOptions::delete`].
    pub fn delete(mut self, delete: bool) -> Self {
        self.options.delete = delete;
        self
    }

    /// Whether to find out only what would be done.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.options.dry_run = dry_run;
        self
    }

    /// Only names that match this, or another that is included, take part: see [`SyncOptions`].
    pub fn include(mut self, pattern: impl Into<String>) -> Self {
        self.options.include.push(pattern.into());
        self
    }

    /// Names that match this do not take part: see [`SyncOptions`].
    pub fn exclude(mut self, pattern: impl Into<String>) -> Self {
        self.options.exclude.push(pattern.into());
        self
    }

    /// Whether symbolic links are followed: see [`SyncOptions::follow_links`].
    pub fn follow_links(mut self, follow: bool) -> Self {
        self.options.follow_links = follow;
        self
    }

    /// How many objects are under way at once: see [`SyncOptions::objects`].
    pub fn objects(mut self, objects: usize) -> Self {
        self.options.objects = objects;
        self
    }

    /// Bytes of each part of an object.
    pub fn part_size(mut self, bytes: u64) -> Self {
        (self.options.upload.part_size, self.options.download.part_size) = (bytes, bytes);
        self
    }

    /// How many parts of each object may be in flight.
    pub fn concurrency(mut self, parts: usize) -> Self {
        (self.options.upload.concurrency, self.options.download.concurrency) = (parts, parts);
        self
    }

    /// Starts it. What could not be transferred is in the report: look at it, or use
    /// [`into_result`](SyncReport::into_result).
    ///
    /// # Errors
    /// If the folder itself cannot be read, or the list of objects.
    pub fn send(self) -> D::Sent<SyncReport> {
        let Self { options, direction, bucket, prefix, folder, driver, on_progress } = self;
        let machine = Sync::new(driver.session().clone(), direction, folder, bucket, &prefix, options);
        driver.run(Watched::new(machine, on_progress), None)
    }
}

transfer_requests! {
    SyncRequest<D> => SyncReport;
}

impl<D> fmt::Debug for SyncRequest<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, direction, bucket, prefix, folder, .. } = self;
        f.debug_struct("SyncRequest")
            .field("direction", direction)
            .field("bucket", bucket)
            .field("prefix", prefix)
            .field("folder", folder)
            .field("options", options)
            .finish_non_exhaustive()
    }
}
