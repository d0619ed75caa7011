//! A folder and the objects below a prefix, one of which is to become as the other.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use s3_proto::transfer::{Compare, Direction, DownloadOptions, Sync, SyncOptions, SyncReport, UploadOptions};
use s3_proto::{Session, Timestamp};

use crate::cloud::Cloud;
use crate::content::{content, is};
use crate::disk::{Disk, File};
use crate::jobs::BUCKET;
use crate::rng::Rng;

/// No file is where another has a folder.
const NAMES: &[&str] = &["a", "b/1", "b/2", "b/c/x", "d.txt", "e/f", "g", "h", "keep", "b/keep/1"];
/// What is called so takes no part.
const EXCLUDED: &str = "keep";

#[derive(Clone, Debug)]
pub(crate) struct Folder {
    direction: Direction,
    key: String,
    compare: Compare,
    delete: bool,
    objects: usize,
    source: BTreeMap<String, Bytes>,
    /// What the destination had.
    before: BTreeMap<String, Bytes>,
    /// How many need no transfer.
    same: u64,
}

fn is_excluded(name: &str) -> bool {
    name.split('/').any(|part| part == EXCLUDED)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds, 0).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl Folder {
    /// Draws one, with at least one file, which has this content.
    pub(crate) fn draw(
        direction: Direction,
        key: &str,
        first: &Bytes,
        rng: &mut Rng,
        cloud: &mut Cloud,
        disk: &mut Disk,
    ) -> Self {
        let mut folder = Self {
            direction,
            key: key.to_owned(),
            compare: rng.pick(&[Compare::Never, Compare::SizeAndTime, Compare::Checksum]),
            delete: rng.chance(500),
            objects: rng.between(1, 4),
            source: BTreeMap::new(),
            before: BTreeMap::new(),
            same: 0,
        };
        for (n, name) in NAMES.iter().enumerate() {
            let (is_source, is_before) = (n == 0 || rng.chance(600), rng.chance(600));
            let bytes = if n == 0 { first.clone() } else { content(rng.below(64), rng.between(0, 20_000)) };
            let (ours, theirs) = (rng.pick(&[1_000, 2_000]), rng.pick(&[1_000, 2_000]));
            let is_newer = ours > theirs;
            let mut other = bytes.clone();
            // One that is as long and not older is taken to be the same.
            if rng.chance(500) && (is_newer || folder.compare != Compare::SizeAndTime) {
                other = content(100, bytes.len());
            } else if rng.chance(300) {
                other = content(100, bytes.len() + 1);
            }
            let is_same = other == bytes
                && match folder.compare {
                    Compare::SizeAndTime => !is_newer,
                    compare => compare == Compare::Checksum,
                };
            folder.same += u64::from(is_source && is_before && is_same && !is_excluded(name));
            if is_source {
                folder.put(direction == Direction::Upload, name, &bytes, at(ours), cloud, disk);
                folder.source.insert((*name).to_owned(), bytes);
            }
            if is_before {
                folder.put(direction == Direction::Download, name, &other, at(theirs), cloud, disk);
                folder.before.insert((*name).to_owned(), other);
            }
        }
        folder
    }

    fn put(&self, local: bool, name: &str, bytes: &Bytes, at: Timestamp, cloud: &mut Cloud, disk: &mut Disk) {
        if local {
            disk.times.insert(self.path(name), at);
            disk.files.insert(self.path(name), File::Given(bytes.clone()));
        } else {
            cloud.now = at;
            cloud.store(&self.object(name), vec![bytes.clone()]);
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        format!("/dir/{}/{name}", self.key).into()
    }

    fn object(&self, name: &str) -> String {
        format!("{}/{name}", self.key)
    }

    /// What is at the destination alone, and deleted.
    fn doomed(&self) -> impl Iterator<Item = &str> {
        let names = self.before.keys().map(String::as_str).filter(|_| self.delete);
        names.filter(|name| !self.source.contains_key(*name) && !is_excluded(name))
    }

    /// The objects that are deleted.
    pub(crate) fn doomed_objects(&self) -> Vec<String> {
        let names = self.doomed().filter(|_| self.direction == Direction::Upload);
        names.map(|name| self.object(name)).collect()
    }

    /// How many requests may be in flight, if there may be so many for the parts of each object, which may be
    /// looked at beside them.
    pub(crate) fn most_requests(&self, parts: usize) -> usize {
        self.objects * (parts + 1)
    }

    pub(crate) fn start(&self, session: Session, upload: UploadOptions, download: DownloadOptions) -> Sync {
        let mut options = SyncOptions::default();
        (options.compare, options.delete, options.objects) = (self.compare, self.delete, self.objects);
        (options.upload, options.download) = (upload, download);
        options.exclude.push(EXCLUDED.to_owned());
        Sync::new(session, self.direction, format!("/dir/{}", self.key), BUCKET, &self.key, options)
    }

    /// Whether what is on a side under this name is `expected`, which may be nothing.
    fn has(&self, local: bool, name: &str, expected: Option<&Bytes>, cloud: &Cloud, disk: &Disk) -> bool {
        if local {
            match (disk.files.get(&self.path(name)), expected) {
                (Some(file), Some(expected)) => is(std::slice::from_ref(expected), file.bytes()),
                (found, expected) => found.is_none() && expected.is_none(),
            }
        } else {
            match (cloud.objects.get(&self.object(name)), expected) {
                (Some(object), Some(expected)) => is(&object.pieces, expected),
                (found, expected) => found.is_none() && expected.is_none(),
            }
        }
    }

    /// Whether nothing is there, at any time, that does not belong there, and nothing is gone.
    pub(crate) fn check_between(&self, cloud: &Cloud, disk: &Disk) -> Result<(), String> {
        let uploads = self.direction == Direction::Upload;
        for name in NAMES {
            let (source, before) = (self.source.get(*name), self.before.get(*name));
            if !self.has(uploads, name, source, cloud, disk) {
                return Err(format!("{name} of the source has changed"));
            }
            let may_be = |expected| self.has(!uploads, name, expected, cloud, disk);
            let is_right = may_be(before)
                || (source.is_some() && !is_excluded(name) && may_be(source))
                || (self.doomed().any(|doomed| doomed == *name) && may_be(None));
            if !is_right {
                return Err(format!(
                    "{name} of the destination is neither what it was nor what it was to be"
                ));
            }
        }
        Ok(())
    }

    /// Whether all is as reported.
    pub(crate) fn check(
        &self,
        report: &SyncReport,
        cloud: &Cloud,
        disk: &Disk,
        runs: u32,
    ) -> Result<(), String> {
        self.check_between(cloud, disk)?;
        let ensure = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
        ensure(report.failed == report.failures.len() as u64, "the failures are not as many as reported")?;
        let has_failed = |name: &str| report.failures.iter().any(|failure| failure.name == name);
        let local = self.direction == Direction::Download;
        let sources: Vec<_> = self.source.iter().filter(|(name, _)| !is_excluded(name)).collect();
        for (name, content) in &sources {
            if !has_failed(name) && !self.has(local, name, Some(content), cloud, disk) {
                return Err(format!("{name} is not the same at the destination"));
            }
        }
        for name in self.doomed() {
            if !has_failed(name) && !self.has(local, name, None, cloud, disk) {
                return Err(format!("{name} is still there"));
            }
        }
        let (doomed, failed) = (self.doomed().count() as u64, report.failed);
        let all = sources.len() as u64 + doomed;
        let told = report.transferred + report.unchanged + report.deleted + failed;
        // What an earlier run did is no longer to be done.
        ensure(told == all || (runs > 1 && told < all && told + doomed >= all), "the counts do not add up")?;
        let same = report.unchanged;
        ensure(
            same == self.same || (same < self.same && failed > 0) || (same > self.same && runs > 1),
            "another number was left as it was",
        )
    }
}
