//! What the machines are asked to do, and how it is known that they have done it.

use bytes::Bytes;
use s3_proto::call::Stream;
use s3_proto::checksum::Checksum;
use s3_proto::ops::{
    CopyObject, CopySource, DeleteObject, DeleteObjects, GetObject, ListObjectsV2, ObjectIdentifier,
    PutObject,
};
use s3_proto::transfer::{
    Copy, CopyOptions, DeleteMany, DeleteOptions, DeleteReport, Direction, Download, DownloadOptions,
    DownloadStream, DownloadToMemory, SyncReport, Upload, UploadOptions,
};
use s3_proto::{Answer, BodyPlan, Call, ETag, Machine, Now, Pages, Payload, Session, Step, TaskId};

use crate::cloud::{Cloud, Refusal};
use crate::content::{content, crc, is};
use crate::disk::{Disk, File};
use crate::folder::Folder;
use crate::rng::Rng;

pub(crate) const BUCKET: &str = "bkt";
const PART: usize = 5 << 20;
/// How often something is tried.
pub(crate) const ATTEMPTS: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Put,
    PutIfNone,
    Get,
    List,
    UploadMemory,
    UploadFile,
    UploadRanges,
    UploadStream,
    DownloadFile,
    DownloadStream,
    DownloadMemory,
    Copy,
    Delete,
    DeleteKeys,
    DeletePrefix,
    SyncUp,
    SyncDown,
}

const KINDS: &[Kind] = &[
    Kind::Put,
    Kind::PutIfNone,
    Kind::Get,
    Kind::List,
    Kind::UploadMemory,
    Kind::UploadFile,
    Kind::UploadRanges,
    Kind::UploadStream,
    Kind::DownloadFile,
    Kind::DownloadFile,
    Kind::DownloadStream,
    Kind::DownloadMemory,
    Kind::Copy,
    Kind::Delete,
    Kind::DeleteKeys,
    Kind::DeletePrefix,
    Kind::SyncUp,
    Kind::SyncDown,
];

#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) kind: Kind,
    pub(crate) key: String,
    /// What is uploaded, or lies in the bucket.
    pub(crate) content: Bytes,
    /// What replaces it there meanwhile.
    pub(crate) other: Option<Bytes>,
    pub(crate) concurrency: usize,
    pub(crate) checkpoint: bool,
    part_size: usize,
    /// How many objects there are to list or delete.
    pub(crate) count: usize,
    /// The version that is read.
    pub(crate) version: Option<String>,
    /// What is to be deleted: objects, or versions of them.
    doomed: Vec<Target>,
    /// By prefix: with all versions.
    purges: bool,
    /// Objects and versions that must stay.
    kept: Vec<Target>,
    /// What is made the same.
    pub(crate) folder: Option<Folder>,
}

/// A key, and the version if it is about that alone.
type Target = (String, Option<String>);

fn is_there((key, version): &Target, cloud: &Cloud) -> bool {
    match (version, &cloud.versions) {
        (Some(id), Some(versions)) => versions.get(key, id).is_some(),
        _ => cloud.objects.contains_key(key),
    }
}

/// What a machine yields.
pub(crate) enum Yield {
    Other,
    Bytes(Bytes),
    Keys(Vec<String>),
}

/// What a machine comes to.
pub(crate) enum Output {
    Nothing,
    Put { version: Option<String> },
    Sent { bytes: u64, checksum: Option<Checksum>, version: Option<String> },
    Came { bytes: u64 },
    Memory(Bytes),
    Deleted(DeleteReport),
    Synced(SyncReport),
}

pub(crate) type Running = Box<dyn Machine<Item = Yield, Output = Output>>;

/// A machine whose items and end are told in our own terms.
struct Adapter<M: Machine> {
    machine: M,
    item: fn(M::Item) -> Yield,
    output: fn(M::Output) -> Output,
}

impl<M: Machine> Machine for Adapter<M> {
    type Item = Yield;
    type Output = Output;

    fn poll(&mut self, now: Now) -> Step<Yield, Output> {
        let output = self.output;
        self.machine.poll(now).map_item(self.item).map_done(|result| result.map(output))
    }

    fn take_item(&mut self) -> Option<Yield> {
        self.machine.take_item().map(self.item)
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        self.machine.answer(now, id, answer)
    }

    fn cancel(&mut self, now: Now) {
        self.machine.cancel(now);
    }
}

fn boxed<M: Machine + 'static>(
    machine: M,
    item: fn(M::Item) -> Yield,
    output: fn(M::Output) -> Output,
) -> Running {
    Box::new(Adapter { machine, item, output })
}

impl Job {
    /// Draws the `n`th, and puts into the world what it needs.
    pub(crate) fn draw(n: usize, rng: &mut Rng, large: bool, cloud: &mut Cloud, disk: &mut Disk) -> Self {
        let kind = if large {
            rng.pick(&[
                Kind::UploadMemory,
                Kind::UploadFile,
                Kind::UploadFile,
                Kind::UploadFile,
                Kind::UploadRanges,
                Kind::UploadStream,
                Kind::Copy,
                Kind::Copy,
                Kind::SyncUp,
            ])
        } else {
            rng.pick(KINDS)
        };
        let len = if large {
            rng.between(1, 2) * PART + rng.pick(&[0, 1, 1_000])
        } else {
            match rng.below(8) {
                0 => rng.below(3),
                _ => rng.between(1_000, 60_000),
            }
        };
        let which = if large { rng.below(4) } else { rng.below(64) };
        let mut job = Self {
            kind,
            key: format!("k{n}"),
            content: content(which, len),
            other: None,
            concurrency: rng.between(1, 4),
            checkpoint: rng.chance(600) && matches!(kind, Kind::UploadFile | Kind::DownloadFile),
            part_size: rng.between(3_000, 30_000),
            count: if kind == Kind::Delete { 1 } else { rng.below(30) },
            version: None,
            doomed: Vec::new(),
            purges: false,
            kept: Vec::new(),
            folder: None,
        };
        match kind {
            Kind::Get | Kind::DownloadFile | Kind::DownloadStream | Kind::DownloadMemory => {
                job.draw_source(&job.key.clone(), rng, cloud);
                if rng.chance(100) {
                    let len = if rng.chance(500) { len } else { rng.between(1_000, 60_000) };
                    job.other = Some(content(which + 1, len));
                }
            }
            Kind::Copy => job.draw_source(&job.source(), rng, cloud),
            Kind::UploadFile => {
                drop(disk.files.insert(job.source_path().into(), File::Given(job.content.clone())));
            }
            Kind::List => {
                for key in job.keys() {
                    cloud.store(&key, vec![content(0, 10)]);
                }
            }
            Kind::Delete | Kind::DeleteKeys | Kind::DeletePrefix => job.draw_doomed(rng, cloud),
            Kind::SyncUp | Kind::SyncDown => job.draw_folder(rng, cloud, disk),
            _ => {}
        }
        job
    }

    /// What is read; where there are versions, it may be one that is no longer the current one.
    fn draw_source(&mut self, key: &str, rng: &mut Rng, cloud: &mut Cloud) {
        let version = cloud.store(key, vec![self.content.clone()]).version;
        self.version = version.filter(|_| rng.chance(700));
        self.kept.extend(self.version.iter().map(|id| (key.to_owned(), Some(id.clone()))));
        if self.version.is_some() {
            match rng.below(3) {
                0 => drop(cloud.store(key, vec![content(99, self.content.len())])),
                1 => cloud.remove(key, None),
                _ => {}
            }
        }
    }

    /// What is deleted, what stays, and what cannot be deleted.
    fn draw_doomed(&mut self, rng: &mut Rng, cloud: &mut Cloud) {
        let by_prefix = self.kind == Kind::DeletePrefix;
        self.purges = by_prefix && cloud.versions.is_some() && rng.chance(500);
        let is_refused = self.kind != Kind::Delete && rng.chance(400);
        for key in self.keys() {
            let mut ids = Vec::new();
            for n in 0..rng.between(1, if cloud.versions.is_some() { 3 } else { 1 }) {
                ids.extend(cloud.store(&key, vec![content(n, 10)]).version);
            }
            let is_hidden = cloud.versions.is_some() && rng.chance(200);
            if is_hidden {
                cloud.remove(&key, None);
            }
            let one =
                if ids.is_empty() || by_prefix || rng.chance(500) { None } else { Some(rng.pick_ref(&ids)) };
            if !(self.purges || by_prefix && is_hidden) {
                self.doomed.push((key.clone(), one.cloned()));
            }
            let kept = ids.iter().filter(|id| !self.purges && Some(*id) != one);
            self.kept.extend(kept.map(|id| (key.clone(), Some(id.clone()))));
            if is_refused && !is_hidden && rng.chance(150) {
                let times = if rng.chance(500) { None } else { u32::try_from(rng.between(1, 4)).ok() };
                cloud.refusals.insert(key, Refusal { times, made: 0 });
            }
        }
        if let Some(versions) = cloud.versions.as_ref().filter(|_| self.purges) {
            let all = versions.list(&self.key, ("", ""));
            self.doomed = all.map(|(key, id, _)| (key.to_owned(), Some(id))).collect();
        }
        self.keep_neighbour(cloud);
    }

    fn draw_folder(&mut self, rng: &mut Rng, cloud: &mut Cloud, disk: &mut Disk) {
        let direction = if self.kind == Kind::SyncUp { Direction::Upload } else { Direction::Download };
        let folder = Folder::draw(direction, &self.key, &self.content, rng, cloud, disk);
        for key in folder.doomed_objects() {
            if rng.chance(100) {
                cloud.refusals.insert(key.clone(), Refusal { times: None, made: 0 });
            }
            self.doomed.push((key, None));
        }
        if let Some(versions) = &cloud.versions {
            let all = versions.list(&self.key, ("", ""));
            self.kept = all.map(|(key, id, _)| (key.to_owned(), Some(id))).collect();
        }
        self.folder = Some(folder);
        self.keep_neighbour(cloud);
    }

    /// The next key after those with the prefix is somebody else's.
    fn keep_neighbour(&mut self, cloud: &mut Cloud) {
        let neighbour = format!("{}0", self.key);
        cloud.store(&neighbour, vec![content(0, 10)]);
        self.kept.push((neighbour, None));
    }

    fn source(&self) -> String {
        self.key.replace('k', "src")
    }

    pub(crate) fn source_path(&self) -> String {
        format!("/in/{}", self.key)
    }

    pub(crate) fn path(&self) -> String {
        format!("/out/{}", self.key)
    }

    pub(crate) fn state_path(&self) -> String {
        format!("/state/{}", self.key)
    }

    fn prefix(&self) -> String {
        format!("{}/", self.key)
    }

    /// The objects to list or delete.
    pub(crate) fn keys(&self) -> Vec<String> {
        (0..self.count).map(|n| format!("{}/{n:03}", self.key)).collect()
    }

    pub(crate) fn deletes(&self) -> bool {
        matches!(self.kind, Kind::Delete | Kind::DeleteKeys | Kind::DeletePrefix)
    }

    /// How many requests it may have in flight.
    pub(crate) fn most_requests(&self) -> usize {
        self.folder.as_ref().map_or(self.concurrency, |folder| folder.most_requests(self.concurrency))
    }

    /// Whether it is one operation that ends with its answer.
    pub(crate) fn is_call(&self) -> bool {
        matches!(self.kind, Kind::Put | Kind::Delete)
    }

    pub(crate) fn start(&self, session: &Session) -> Running {
        let session = session.clone();
        let put = || PutObject::new(BUCKET, &self.key, self.content.clone());
        let get = || {
            let mut get = GetObject::new(BUCKET, &self.key);
            get.version_id.clone_from(&self.version);
            get
        };
        let state = self.checkpoint.then(|| self.state_path().into());
        let mut up = UploadOptions::default();
        (up.threshold, up.part_size, up.concurrency) = (PART as u64, PART as u64, self.concurrency);
        up.checkpoint.clone_from(&state);
        let mut down = DownloadOptions::default();
        (down.part_size, down.concurrency, down.checkpoint) =
            (self.part_size as u64, self.concurrency, state);
        let len = self.content.len() as u64;
        let upload = |machine| {
            boxed::<Upload>(
                machine,
                |_| Yield::Other,
                |r| Output::Sent { bytes: r.bytes, checksum: r.checksum, version: r.version_id },
            )
        };
        match self.kind {
            Kind::Put => {
                boxed(Call::new(session, put()), |()| Yield::Other, |r| Output::Put { version: r.version_id })
            }
            Kind::PutIfNone => {
                let mut put = put();
                put.if_none_match = Some(ETag::ANY);
                upload(Upload::new(session, put, up))
            }
            Kind::Get => boxed(Stream::new(session, get()), |_| Yield::Other, |()| Output::Nothing),
            Kind::List => {
                let mut list = ListObjectsV2::new(BUCKET);
                list.prefix = Some(self.prefix());
                let keys = |page: s3_proto::ops::ListObjectsV2Output| {
                    Yield::Keys(page.contents.into_iter().map(|object| object.key).collect())
                };
                boxed(Pages::new(session, list), keys, |()| Output::Nothing)
            }
            Kind::UploadMemory => upload(Upload::new(session, put(), up)),
            Kind::UploadFile => upload(Upload::file(session, put(), self.source_path(), up)),
            Kind::UploadRanges => {
                let put = PutObject::new(BUCKET, &self.key, Payload::source(len, true));
                upload(Upload::new(session, put, up))
            }
            Kind::UploadStream => {
                let put = PutObject::new(BUCKET, &self.key, Payload::Unsized);
                upload(Upload::new(session, put, up))
            }
            Kind::DownloadFile => boxed(
                Download::new(session, get(), self.path(), &down),
                |_| Yield::Other,
                |r| Output::Came { bytes: r.bytes },
            ),
            Kind::DownloadStream => {
                boxed(DownloadStream::new(session, get(), &down), Yield::Bytes, |()| Output::Nothing)
            }
            Kind::DownloadMemory => boxed(
                DownloadToMemory::new(session, get(), &down),
                |_| Yield::Other,
                |d| Output::Memory(d.bytes),
            ),
            Kind::Copy => {
                let mut source = CopySource::new(BUCKET, self.source());
                if let Some(id) = &self.version {
                    source = source.version_id(id);
                }
                let copy = CopyObject::new(BUCKET, &self.key, source);
                let mut options = CopyOptions::default();
                (options.threshold, options.part_size) = (PART as u64, PART as u64);
                options.concurrency = self.concurrency;
                boxed(
                    Copy::new(session, copy, options),
                    |_| Yield::Other,
                    |r| Output::Sent { bytes: r.bytes, checksum: r.checksum, version: r.version_id },
                )
            }
            Kind::Delete => {
                let mut delete = DeleteObject::new(BUCKET, &self.key);
                if let Some((key, version)) = self.doomed.first() {
                    (delete.key, delete.version_id) = (key.clone(), version.clone());
                }
                boxed(
                    Call::new(session, delete),
                    |()| Yield::Other,
                    |_| {
                        let mut report = DeleteReport::default();
                        report.deleted = 1;
                        Output::Deleted(report)
                    },
                )
            }
            Kind::DeleteKeys | Kind::DeletePrefix => {
                let mut options = DeleteOptions::default();
                (options.batch, options.concurrency) = (7, self.concurrency);
                options.versions = self.purges;
                let machine = if self.kind == Kind::DeleteKeys {
                    let object = |(key, version_id): Target| {
                        let mut object = ObjectIdentifier::new(key);
                        object.version_id = version_id;
                        object
                    };
                    let objects: Vec<_> = self.doomed.iter().cloned().map(object).collect();
                    DeleteMany::new(session, DeleteObjects::new(BUCKET, objects), options)
                } else {
                    let op = DeleteObjects::new(BUCKET, Vec::<ObjectIdentifier>::new());
                    DeleteMany::prefix(session, op, &self.prefix(), options)
                };
                boxed(machine, |_| Yield::Other, Output::Deleted)
            }
            Kind::SyncUp | Kind::SyncDown => {
                let folder = self.folder.as_ref().expect("it was drawn");
                boxed(folder.start(session, up, down), |_| Yield::Other, Output::Synced)
            }
        }
    }

    /// Whether these bytes are what lies, or lay, in the bucket.
    fn is_whole(&self, bytes: &[u8]) -> bool {
        is(std::slice::from_ref(&self.content), bytes)
            || (self.version.is_none() && self.other.as_deref() == Some(bytes))
    }

    /// Whether what is acknowledged is there, whole and equal.
    pub(crate) fn check(
        &self,
        output: &Output,
        received: &[u8],
        listed: &[String],
        cloud: &Cloud,
        disk: &Disk,
        runs: u32,
    ) -> Result<(), String> {
        let stored = || match cloud.objects.get(&self.key) {
            None => Err(format!("{} was acknowledged, but is not there", self.key)),
            Some(object) if is(&object.pieces, &self.content) => Ok(()),
            Some(_) => Err(format!("{} was acknowledged, but has another content", self.key)),
        };
        let ensure =
            |holds: bool, what: &str| if holds { Ok(()) } else { Err(format!("{}: {what}", self.key)) };
        match output {
            Output::Put { version } => stored().and_then(|()| self.check_version(version.as_deref(), cloud)),
            Output::Sent { bytes, checksum, version } => {
                stored()?;
                self.check_version(version.as_deref(), cloud)?;
                ensure(*bytes == self.content.len() as u64, "another length was reported")?;
                let right = checksum.as_ref().is_none_or(|sum| *sum == crc(&self.content));
                ensure(right, "another checksum was reported")
            }
            Output::Came { bytes } => {
                let path = self.path();
                let file = disk.files.get(std::path::Path::new(&path)).map(File::bytes);
                let file = file.ok_or_else(|| format!("{path} is done, but is not there"))?;
                ensure(self.is_whole(file), "the file has another content")?;
                ensure(*bytes == file.len() as u64, "another length was reported")
            }
            Output::Memory(bytes) => ensure(self.is_whole(bytes), "other bytes came into memory"),
            Output::Deleted(report) => {
                self.check_deleted(report, cloud)?;
                let is_reported = |target: &Target| {
                    report.failures.iter().any(|f| f.key == target.0 && f.version_id == target.1)
                };
                let left = self.doomed.iter().find(|target| is_there(target, cloud) && !is_reported(target));
                ensure(left.is_none(), "an object is still there, and no failure was reported")?;
                // An earlier run may have deleted some, which are no longer there to be listed.
                let (done, all) = (report.deleted + report.failed, self.doomed.len() as u64);
                ensure(done == all || (runs > 1 && done < all), "another number was reported as deleted")
            }
            Output::Synced(report) => {
                let folder = self.folder.as_ref().expect("it was drawn");
                folder.check(report, cloud, disk, runs).map_err(|what| format!("{}: {what}", self.key))
            }
            Output::Nothing if self.kind == Kind::List => {
                ensure(*listed == *self.keys(), "the list is not what is in the bucket")
            }
            Output::Nothing => ensure(self.is_whole(received), "other bytes were read"),
        }
    }

    /// Whether the version of which was told is what was sent.
    fn check_version(&self, version: Option<&str>, cloud: &Cloud) -> Result<(), String> {
        let Some(versions) = &cloud.versions else { return Ok(()) };
        match version.and_then(|id| versions.get(&self.key, id)) {
            Some(Some(object)) if is(&object.pieces, &self.content) => Ok(()),
            _ => Err(format!("{}: the version {version:?} is not what was sent", self.key)),
        }
    }

    /// Whether so much was deleted, and the failures are those of the service.
    pub(crate) fn check_deleted(&self, report: &DeleteReport, cloud: &Cloud) -> Result<(), String> {
        let ensure =
            |holds: bool, what: &str| if holds { Ok(()) } else { Err(format!("{}: {what}", self.key)) };
        let gone = self.doomed.iter().filter(|target| !is_there(target, cloud)).count() as u64;
        ensure(report.deleted <= gone, "more was reported as deleted than is gone")?;
        ensure(report.failed == report.failures.len() as u64, "the failures are not as many as reported")?;
        for failure in &report.failures {
            let target = (failure.key.clone(), failure.version_id.clone());
            ensure(self.doomed.contains(&target), "what failed was not to be deleted")?;
            let refusal = cloud.refusals.get(&failure.key);
            let refusal = refusal.filter(|refusal| failure.error.code() == Some(refusal.code()));
            let refusal = refusal.ok_or_else(|| format!("{target:?} was not refused so"))?;
            // One for a while may be over when a repetition comes late.
            ensure(refusal.times.is_some() || is_there(&target, cloud), "what was refused is gone")?;
            let is_tried = refusal.times.is_none() || refusal.made >= ATTEMPTS;
            ensure(is_tried, "what failed for a while was not tried again")?;
        }
        Ok(())
    }

    /// Whether what nobody wanted to delete is there.
    pub(crate) fn check_kept(&self, cloud: &Cloud) -> Result<(), String> {
        let lost = self.kept.iter().find(|target| !is_there(target, cloud));
        lost.map_or(Ok(()), |lost| Err(format!("{lost:?} is gone, but was not to be deleted")))
    }
}
