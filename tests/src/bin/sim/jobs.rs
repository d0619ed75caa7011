//! What the machines are asked to do, and how it is known that they have done it.

use bytes::Bytes;
use s3_proto::call::Stream;
use s3_proto::checksum::Checksum;
use s3_proto::ops::{CopyObject, CopySource, Delete, DeleteObjects, GetObject, ListObjectsV2, PutObject};
use s3_proto::transfer::{
    Copy, CopyOptions, DeleteMany, DeleteOptions, Download, DownloadOptions, DownloadStream,
    DownloadToMemory, Upload, UploadOptions,
};
use s3_proto::{Answer, BodyPlan, Call, ETag, Machine, Now, Pages, Payload, Session, Step, TaskId};

use crate::cloud::Cloud;
use crate::content::{content, crc, is};
use crate::disk::{Disk, File};
use crate::rng::Rng;

pub(crate) const BUCKET: &str = "bkt";
const PART: usize = 5 << 20;

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
    DeleteKeys,
    DeletePrefix,
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
    Kind::DeleteKeys,
    Kind::DeletePrefix,
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
    Put,
    Sent { bytes: u64, checksum: Option<Checksum> },
    Came { bytes: u64 },
    Memory(Bytes),
    Deleted { deleted: u64, failed: u64 },
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
                Kind::UploadRanges,
                Kind::UploadStream,
                Kind::Copy,
                Kind::Copy,
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
            count: rng.below(30),
        };
        match kind {
            Kind::Get | Kind::DownloadFile | Kind::DownloadStream | Kind::DownloadMemory => {
                cloud.store(&job.key, vec![job.content.clone()]);
                if rng.chance(100) {
                    let len = if rng.chance(500) { len } else { rng.between(1_000, 60_000) };
                    job.other = Some(content(which + 1, len));
                }
            }
            Kind::Copy => drop(cloud.store(&format!("src{n}"), vec![job.content.clone()])),
            Kind::UploadFile => {
                drop(disk.files.insert(job.source_path().into(), File::Given(job.content.clone())));
            }
            Kind::List | Kind::DeleteKeys | Kind::DeletePrefix => {
                for key in job.keys() {
                    cloud.store(&key, vec![content(0, 10)]);
                }
            }
            _ => {}
        }
        job
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
        matches!(self.kind, Kind::DeleteKeys | Kind::DeletePrefix)
    }

    /// Whether it is one operation that ends with its answer.
    pub(crate) fn is_call(&self) -> bool {
        self.kind == Kind::Put
    }

    pub(crate) fn start(&self, session: &Session) -> Running {
        let session = session.clone();
        let put = || PutObject::new(BUCKET, &self.key, self.content.clone());
        let get = || GetObject::new(BUCKET, &self.key);
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
                |r| Output::Sent { bytes: r.bytes, checksum: r.checksum },
            )
        };
        match self.kind {
            Kind::Put => boxed(Call::new(session, put()), |()| Yield::Other, |_| Output::Put),
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
                let copy = CopyObject::new(BUCKET, &self.key, CopySource::new(BUCKET, self.source()));
                let mut options = CopyOptions::default();
                (options.threshold, options.part_size) = (PART as u64, PART as u64);
                options.concurrency = self.concurrency;
                boxed(
                    Copy::new(session, copy, options),
                    |_| Yield::Other,
                    |r| Output::Sent { bytes: r.bytes, checksum: r.checksum },
                )
            }
            Kind::DeleteKeys | Kind::DeletePrefix => {
                let mut options = DeleteOptions::default();
                (options.batch, options.concurrency) = (7, self.concurrency);
                let machine = if self.kind == Kind::DeleteKeys {
                    DeleteMany::new(session, DeleteObjects::new(BUCKET, Delete::keys(self.keys())), options)
                } else {
                    let op = DeleteObjects::new(BUCKET, Delete::keys(Vec::<String>::new()));
                    DeleteMany::prefix(session, op, &self.prefix(), options)
                };
                boxed(machine, |_| Yield::Other, |r| Output::Deleted { deleted: r.deleted, failed: r.failed })
            }
        }
    }

    /// Whether these bytes are what lies, or lay, in the bucket.
    fn is_whole(&self, bytes: &[u8]) -> bool {
        is(std::slice::from_ref(&self.content), bytes) || self.other.as_deref() == Some(bytes)
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
            Output::Put => stored(),
            Output::Sent { bytes, checksum } => {
                stored()?;
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
            Output::Deleted { deleted, failed } => {
                ensure(*failed == 0, "objects could not be deleted")?;
                let left = self.keys().iter().any(|key| cloud.objects.contains_key(key));
                ensure(!left, "an object is still there")?;
                // An earlier run may have deleted some, which are no longer there to be listed.
                let right = *deleted == self.count as u64 || (runs > 1 && *deleted < self.count as u64);
                ensure(right, "another number was reported as deleted")
            }
            Output::Nothing if self.kind == Kind::List => {
                ensure(*listed == *self.keys(), "the list is not what is in the bucket")
            }
            Output::Nothing => ensure(self.is_whole(received), "other bytes were read"),
        }
    }
}
