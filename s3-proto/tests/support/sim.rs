//! A model of a store and of a disk, and a driver that lets their answers come in any order.
#![allow(clippy::format_push_string, clippy::needless_pass_by_value, reason = "it reads better")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{Method, Request};
use s3_proto::checksum::{Checksum, ChecksumAlgorithm, Hasher};
use s3_proto::files::{DirEntry, DirEntryKind, FileId, FileInfo, FileReply, FileTask};
use s3_proto::{
    Answer, BodyCheck, BodyPlan, Error, Machine, Now, Payload, Phase, Secret, Sink, SourceId, Step, Task,
    TaskId, Timestamp, TransportError, TransportErrorKind,
};

use super::{World, error_document, head};

pub type Headers = Vec<(&'static str, String)>;

/// What a request is answered with.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
    /// The connection closes after so much of the body.
    pub breaks_at: Option<usize>,
    /// No answer at all.
    pub lost: bool,
}

impl Reply {
    pub fn new(status: u16, headers: Headers, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self { status, headers, body, breaks_at: None, lost: false }
    }

    pub fn error(status: u16, code: &str) -> Self {
        Self::new(status, Vec::new(), error_document(code, ""))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str())
    }

    pub fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.headers.retain(|(n, _)| *n != name);
        self.headers.push((name, value.into()));
    }
}

#[derive(Clone, Debug)]
pub struct Object {
    pub bytes: Vec<u8>,
    /// As it stands in the header; empty: none.
    pub etag: String,
    pub checksum: Option<Checksum>,
    /// The parts that it was uploaded in, for a composite checksum.
    pub parts: Vec<(u64, Checksum)>,
    pub modified: Timestamp,
}

pub fn sum(algorithm: &ChecksumAlgorithm, bytes: &[u8]) -> Checksum {
    let mut hasher = Hasher::new(algorithm).unwrap();
    hasher.update(bytes);
    hasher.finish()
}

pub fn modified_at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(super::START + seconds, 0).unwrap()
}

impl Object {
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let etag = format!("\"{}\"", sum(&ChecksumAlgorithm::Crc64Nvme, &bytes).to_string().replace('=', ""));
        Self { bytes, etag, checksum: None, parts: Vec::new(), modified: modified_at(0) }
    }

    pub fn with_checksum(mut self, algorithm: ChecksumAlgorithm) -> Self {
        self.checksum = Some(sum(&algorithm, &self.bytes));
        self
    }

    /// With a checksum of the checksums of parts of this length.
    pub fn with_composite(mut self, algorithm: &ChecksumAlgorithm, part: usize) -> Self {
        self.parts = self.bytes.chunks(part).map(|c| (c.len() as u64, sum(algorithm, c))).collect();
        let sums: Vec<_> = self.parts.iter().map(|(_, c)| c.clone()).collect();
        self.checksum = Some(Checksum::composite(&sums).unwrap());
        self
    }

    fn headers(&self, with_checksum: bool) -> Headers {
        let mut headers = vec![("last-modified", self.modified.http_date())];
        if !self.etag.is_empty() {
            headers.push(("etag", self.etag.clone()));
        }
        if let Some(checksum) = self.checksum.as_ref().filter(|_| with_checksum) {
            let name = match checksum.algorithm() {
                ChecksumAlgorithm::Crc32 => "x-amz-checksum-crc32",
                ChecksumAlgorithm::Crc32c => "x-amz-checksum-crc32c",
                ChecksumAlgorithm::Crc64Nvme => "x-amz-checksum-crc64nvme",
                ChecksumAlgorithm::Sha1 => "x-amz-checksum-sha1",
                _ => "x-amz-checksum-sha256",
            };
            headers.push((name, checksum.to_string()));
        }
        headers
    }
}

/// A bucket.
#[derive(Clone, Debug, Default)]
pub struct Store {
    pub objects: BTreeMap<String, Object>,
    /// Versions and delete markers, as key, id, and whether it is a marker.
    pub versions: Vec<(String, String, bool)>,
    /// How many entries a page of a list has.
    pub page: usize,
    /// Keys that cannot be deleted, and why.
    pub undeletable: BTreeMap<String, &'static str>,
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

/// The value of a query parameter, decoded.
pub fn query(request: &Request<Payload>, name: &str) -> Option<String> {
    let query = request.uri().query()?;
    let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.find(|(n, _)| *n == name).map(|(_, v)| decode(v))
}

pub fn key_of(request: &Request<Payload>) -> String {
    decode(&request.uri().path()[1..])
}

pub fn range_of(request: &Request<Payload>) -> Option<(u64, Option<u64>)> {
    let text = request.headers().get("range")?.to_str().unwrap().strip_prefix("bytes=").unwrap().to_owned();
    let (first, last) = text.split_once('-').unwrap();
    Some((first.parse().unwrap(), last.parse().ok()))
}

impl Store {
    pub fn with(key: &str, object: Object) -> Self {
        Self { objects: [(key.to_owned(), object)].into(), page: 1_000, ..Self::default() }
    }

    pub fn of(keys: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        let object = |(key, text): (&str, &str)| (key.to_owned(), Object::new(text.as_bytes()));
        Self { objects: keys.into_iter().map(object).collect(), page: 1_000, ..Self::default() }
    }

    /// Answers as S3 does.
    pub fn answer(&mut self, request: &Request<Payload>, data: &[u8]) -> Reply {
        let key = key_of(request);
        match (request.method(), key.as_str()) {
            (&Method::GET, "") if query(request, "versions").is_some() => self.list_versions(request),
            (&Method::GET, "") => self.list(request),
            (&Method::POST, "") => self.delete(request),
            (&Method::PUT, _) => self.put(data, key),
            (&Method::GET | &Method::HEAD, _) => self.get(request, &key),
            // Uploads in parts are for hooks to answer.
            (&Method::POST | &Method::DELETE, _) => Reply::error(501, "NotImplemented"),
            (method, _) => panic!("the model does not know {method} {}", request.uri()),
        }
    }

    fn put(&mut self, bytes: &[u8], key: String) -> Reply {
        let object = Object::new(bytes);
        let headers = object.headers(false);
        self.objects.insert(key, object);
        Reply::new(200, headers, "")
    }

    fn get(&self, request: &Request<Payload>, key: &str) -> Reply {
        let is_head = request.method() == Method::HEAD;
        let Some(object) = self.objects.get(key) else {
            return if is_head { Reply::new(404, Vec::new(), "") } else { Reply::error(404, "NoSuchKey") };
        };
        if request.headers().get("if-match").is_some_and(|etag| etag.to_str().unwrap() != object.etag) {
            return Reply::error(412, "PreconditionFailed");
        }
        if request.headers().get("if-none-match").is_some_and(|etag| etag.to_str().unwrap() == object.etag) {
            return Reply::new(304, Vec::new(), "");
        }
        if query(request, "attributes").is_some() {
            return attributes(request, object);
        }
        let size = object.bytes.len() as u64;
        let wants_checksum = request.headers().contains_key("x-amz-checksum-mode");
        let Some((first, last)) = range_of(request) else {
            let mut headers = object.headers(wants_checksum);
            headers.push(("content-length", size.to_string()));
            return Reply::new(200, headers, if is_head { Vec::new() } else { object.bytes.clone() });
        };
        if first >= size {
            return Reply::error(416, "InvalidRange");
        }
        let last = last.unwrap_or(u64::MAX).min(size - 1);
        let bytes = &object.bytes[usize::try_from(first).unwrap()..=usize::try_from(last).unwrap()];
        // As S3: with a range comes no checksum, also if it is all of the object.
        let mut headers = object.headers(false);
        headers.push(("content-length", bytes.len().to_string()));
        headers.push(("content-range", format!("bytes {first}-{last}/{size}")));
        Reply::new(206, headers, bytes)
    }

    fn list(&self, request: &Request<Payload>) -> Reply {
        let prefix = query(request, "prefix").unwrap_or_default();
        let after =
            query(request, "continuation-token").or(query(request, "start-after")).unwrap_or_default();
        let all: Vec<_> =
            self.objects.iter().filter(|(key, _)| key.starts_with(&prefix) && **key > after).collect();
        let mut text = String::from("<ListBucketResult><EncodingType>url</EncodingType>");
        let page = self.page.max(1).min(all.len());
        for (key, object) in &all[..page] {
            let key = s3_proto::encode::uri_encode(key);
            let etag = object.etag.replace('"', "&quot;");
            let size = object.bytes.len();
            let modified = object.modified.to_string();
            text += &format!(
                "<Contents><Key>{key}</Key><LastModified>{modified}</LastModified><ETag>{etag}</ETag><Size>{size}</Size></Contents>"
            );
        }
        text += &format!("<IsTruncated>{}</IsTruncated>", page < all.len());
        if page < all.len() {
            let token = &all[page - 1].0.replace('&', "&amp;").replace('<', "&lt;");
            text += &format!("<NextContinuationToken>{token}</NextContinuationToken>");
        }
        Reply::new(200, Vec::new(), text + "</ListBucketResult>")
    }

    fn list_versions(&self, request: &Request<Payload>) -> Reply {
        let prefix = query(request, "prefix").unwrap_or_default();
        let after = (
            query(request, "key-marker").unwrap_or_default(),
            query(request, "version-id-marker").unwrap_or_default(),
        );
        let is_after =
            |v: &&(String, String, bool)| v.0.starts_with(&prefix) && (v.0.clone(), v.1.clone()) > after;
        let all: Vec<_> = self.versions.iter().filter(is_after).collect();
        let page = self.page.max(1).min(all.len());
        let mut text = String::from("<ListVersionsResult>");
        for (key, id, is_marker) in all[..page].iter().copied() {
            let (name, size) = if *is_marker { ("DeleteMarker", "") } else { ("Version", "<Size>1</Size>") };
            text += &format!("<{name}><Key>{key}</Key><VersionId>{id}</VersionId>{size}</{name}>");
        }
        text += &format!("<IsTruncated>{}</IsTruncated>", page < all.len());
        if page < all.len() {
            let (key, id, _) = all[page - 1];
            text += &format!(
                "<NextKeyMarker>{key}</NextKeyMarker><NextVersionIdMarker>{id}</NextVersionIdMarker>"
            );
        }
        Reply::new(200, Vec::new(), text + "</ListVersionsResult>")
    }

    fn delete(&mut self, request: &Request<Payload>) -> Reply {
        let Payload::Bytes(body) = request.body() else { panic!("no body") };
        let mut text = String::from("<DeleteResult>");
        let mut xml = s3_proto::xml::Reader::new(body);
        xml.root().unwrap();
        let mut count = 0;
        while let Some(name) = xml.child().unwrap() {
            if name != "Object" {
                xml.skip().unwrap();
                continue;
            }
            count += 1;
            let (mut key, mut version) = (String::new(), None);
            while let Some(name) = xml.child().unwrap() {
                match name {
                    "Key" => key = xml.text().unwrap().into_owned(),
                    "VersionId" => version = Some(xml.text().unwrap().into_owned()),
                    _ => xml.skip().unwrap(),
                }
            }
            let shown = key.replace('&', "&amp;").replace('<', "&lt;");
            if let Some(code) = self.undeletable.get(&key) {
                text += &format!("<Error><Key>{shown}</Key><Code>{code}</Code><Message>no</Message></Error>");
                continue;
            }
            match &version {
                Some(id) => self.versions.retain(|(k, v, _)| (k, v) != (&key, id)),
                None => drop(self.objects.remove(&key)),
            }
            text += &format!("<Deleted><Key>{shown}</Key></Deleted>");
        }
        assert!((1..=1_000).contains(&count), "{count} keys in one request");
        Reply::new(200, Vec::new(), text + "</DeleteResult>")
    }
}

fn attributes(request: &Request<Payload>, object: &Object) -> Reply {
    let marker = request.headers().get("x-amz-part-number-marker");
    let after: usize = marker.map_or(0, |v| v.to_str().unwrap().parse().unwrap());
    let page: Vec<_> = object.parts.iter().enumerate().skip(after).take(3).collect();
    let mut text = String::from("<GetObjectAttributesResponse><ObjectParts>");
    let more = after + page.len() < object.parts.len();
    text += &format!("<IsTruncated>{more}</IsTruncated>");
    text += &format!("<NextPartNumberMarker>{}</NextPartNumberMarker>", after + page.len());
    for (index, (size, checksum)) in page {
        let name = format!("Checksum{}", checksum.algorithm());
        let number = index + 1;
        text += &format!(
            "<Part><PartNumber>{number}</PartNumber><Size>{size}</Size><{name}>{checksum}</{name}></Part>"
        );
    }
    text += "</ObjectParts>";
    text += &format!("<ETag>{}</ETag></GetObjectAttributesResponse>", object.etag.trim_matches('"'));
    Reply::new(200, Vec::new(), text)
}

/// What is on the disk, and what is open.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    pub modified: BTreeMap<PathBuf, Timestamp>,
    /// Symbolic links to files and folders.
    pub links: BTreeMap<PathBuf, PathBuf>,
    /// Folders without a file in them.
    pub folders: BTreeSet<PathBuf>,
    open: BTreeMap<FileId, (PathBuf, bool)>,
    /// Folders that cannot be read.
    pub unreadable: BTreeSet<PathBuf>,
    /// Files that cannot be written to.
    pub read_only: BTreeSet<PathBuf>,
    /// How often anything was hashed.
    pub hashed: usize,
}

impl Disk {
    pub fn with(files: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        let file = |(path, text): (&str, &str)| (PathBuf::from(path), text.as_bytes().to_vec());
        Self { files: files.into_iter().map(file).collect(), ..Self::default() }
    }

    /// The process is gone: nothing is open any more. Temporary files stay only if it was killed.
    pub fn closed(mut self, killed: bool) -> Self {
        for (_, (path, temporary)) in std::mem::take(&mut self.open) {
            if temporary && !killed {
                self.files.remove(&path);
            }
        }
        self
    }

    pub fn names(&self) -> Vec<&str> {
        self.files.keys().map(|path| path.to_str().unwrap()).collect()
    }

    fn write(&mut self, id: FileId, offset: u64, bytes: &[u8]) {
        let Some((path, _)) = self.open.get(&id) else { return };
        let file = self.files.entry(path.clone()).or_default();
        let start = usize::try_from(offset).unwrap();
        if file.len() < start + bytes.len() {
            file.resize(start + bytes.len(), 0);
        }
        file[start..start + bytes.len()].copy_from_slice(bytes);
    }

    /// What a request sends, without its framing.
    fn data(&self, payload: &Payload) -> Vec<u8> {
        match payload {
            Payload::Bytes(bytes) => bytes.to_vec(),
            Payload::Source { from: SourceId::File(id), offset, len, .. } => {
                let range = usize::try_from(*offset).unwrap()..usize::try_from(offset + len).unwrap();
                self.files[&self.open[id].0][range].to_vec()
            }
            _ => Vec::new(),
        }
    }

    fn info(&self, path: &Path) -> FileInfo {
        let path = self.links.get(path).map_or(path, PathBuf::as_path);
        FileInfo {
            len: self.files.get(path).map_or(0, |file| file.len() as u64),
            modified: Some(self.modified.get(path).copied().unwrap_or(modified_at(0))),
        }
    }

    /// The path without links in it.
    fn resolved(&self, path: &Path) -> PathBuf {
        let mut resolved = PathBuf::new();
        for component in path.components() {
            resolved.push(component);
            if let Some(target) = self.links.get(&resolved) {
                resolved.clone_from(target);
            }
        }
        resolved
    }

    fn is_dir(&self, path: &Path) -> bool {
        let mut all = self.files.keys().chain(self.links.keys());
        self.folders.contains(path) || all.any(|file| file != path && file.starts_with(path))
    }

    fn carry_out(&mut self, task: FileTask) -> std::io::Result<FileReply> {
        use std::io::{Error, ErrorKind};
        let missing = || Error::from(ErrorKind::NotFound);
        Ok(match task {
            FileTask::Open { id, path } => {
                let target = self.resolved(&path);
                self.files.get(&target).ok_or_else(missing)?;
                let info = self.info(&target);
                self.open.insert(id, (target, false));
                FileReply::Opened(info)
            }
            FileTask::Create { id, path, keep, temporary } => {
                let parents = path.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty());
                if parents.into_iter().any(|parent| self.files.contains_key(parent)) {
                    return Err(Error::from(ErrorKind::NotADirectory));
                }
                let before = self.info(&path);
                let file = self.files.entry(path.clone()).or_default();
                if !keep {
                    file.clear();
                }
                self.open.insert(id, (path, temporary));
                FileReply::Opened(before)
            }
            FileTask::Resize { id, len } => {
                let (path, _) = self.open.get(&id).ok_or_else(missing)?;
                self.files.get_mut(path).unwrap().resize(usize::try_from(len).unwrap(), 0);
                FileReply::Done
            }
            FileTask::Hash { id, offset, len, algorithm } => {
                self.hashed += 1;
                let (path, _) = self.open.get(&id).ok_or_else(missing)?;
                let range = usize::try_from(offset).unwrap()..usize::try_from(offset + len).unwrap();
                let bytes =
                    self.files[path].get(range).ok_or_else(|| Error::from(ErrorKind::UnexpectedEof))?;
                FileReply::Hashed(sum(&algorithm, bytes))
            }
            FileTask::Commit { id, from, to } => {
                self.open.remove(&id).ok_or_else(missing)?;
                if self.read_only.contains(&to) {
                    return Err(Error::from(ErrorKind::PermissionDenied));
                }
                if self.is_dir(&to) {
                    return Err(Error::from(ErrorKind::IsADirectory));
                }
                let file = self.files.remove(&from).ok_or_else(missing)?;
                self.files.insert(to, file);
                FileReply::Done
            }
            FileTask::Close { id } => {
                self.open.remove(&id);
                FileReply::Done
            }
            FileTask::Save { path, content } => {
                if self.read_only.contains(&path) {
                    return Err(Error::from(ErrorKind::PermissionDenied));
                }
                self.files.insert(path, content.expose().clone());
                FileReply::Done
            }
            FileTask::Remove { path } => {
                self.files.remove(&path);
                FileReply::Done
            }
            FileTask::List { path } => FileReply::Listed(self.list(&path)?),
            task => panic!("unknown task {task:?}"),
        })
    }

    fn list(&self, folder: &Path) -> std::io::Result<Vec<DirEntry>> {
        if self.unreadable.contains(folder) {
            return Err(std::io::Error::from(std::io::ErrorKind::PermissionDenied));
        }
        let folder = &self.resolved(folder);
        if !self.is_dir(folder) {
            return Err(std::io::Error::from(std::io::ErrorKind::NotFound));
        }
        let mut names: BTreeMap<OsString, DirEntryKind> = BTreeMap::new();
        let paths = self.files.keys().chain(self.links.keys()).chain(&self.folders);
        for path in paths {
            let Ok(rest) = path.strip_prefix(folder) else { continue };
            let mut components = rest.components();
            let Some(name) = components.next() else { continue };
            let is_last = components.next().is_none();
            let target = self.links.get(path).filter(|_| is_last);
            let kind = match target {
                Some(target) if self.files.contains_key(target) => DirEntryKind::LinkToFile,
                Some(target) if self.is_dir(target) => DirEntryKind::LinkToDir,
                Some(_) => DirEntryKind::Other,
                None if is_last && self.files.contains_key(path) => DirEntryKind::File,
                None => DirEntryKind::Dir,
            };
            names.insert(name.as_os_str().to_owned(), kind);
        }
        let entry = |(name, kind): (OsString, DirEntryKind)| {
            let info = self.info(&folder.join(&name));
            DirEntry { name, kind, info }
        };
        Ok(names.into_iter().map(entry).collect())
    }
}

enum Pending {
    Http(Reply),
    /// A body that is delivered: where, how much of it is there.
    Body {
        reply: Reply,
        sink: Sink,
        offset: u64,
        at: usize,
        check: Box<BodyCheck>,
    },
    File(FileTask),
    Read(PathBuf),
}

/// How a run ended.
#[derive(Debug)]
pub enum End<T> {
    Done(Result<T, Error>),
    /// It was stopped after so many steps.
    Stopped,
}

impl<T: std::fmt::Debug> End<T> {
    pub fn result(self) -> Result<T, Error> {
        match self {
            Self::Done(result) => result,
            Self::Stopped => panic!("it was stopped"),
        }
    }

    pub fn output(self) -> T {
        self.result().unwrap()
    }

    pub fn error(self) -> Error {
        self.result().unwrap_err()
    }
}

/// What a hook sees and may change of an answer.
type Meddle<'a> = Box<dyn FnMut(&Request<Payload>, &mut Store, &mut Reply) + 'a>;

/// The driver.
pub struct Sim<'a> {
    pub world: World,
    pub store: Store,
    pub disk: Disk,
    /// Every request, as method, target and range.
    pub requests: Vec<String>,
    /// Draws the order in which answers come.
    pub seed: u64,
    /// Changes answers.
    pub meddle: Option<Meddle<'a>>,
    /// Stops after so many answers, or cancels.
    pub stop_after: Option<usize>,
    pub cancel_after: Option<usize>,
    /// How many answers were given.
    pub steps: usize,
    /// The most requests that were in flight.
    pub most_in_flight: usize,
    pub in_flight: usize,
    /// Bytes of bodies that came.
    pub received: u64,
}

impl<'a> Sim<'a> {
    pub fn new(store: Store) -> Self {
        Self {
            world: World::default(),
            store,
            disk: Disk::default(),
            requests: Vec::new(),
            seed: 0,
            meddle: None,
            stop_after: None,
            cancel_after: None,
            steps: 0,
            most_in_flight: 0,
            in_flight: 0,
            received: 0,
        }
    }

    pub fn seeded(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    pub fn with_disk(mut self, disk: Disk) -> Self {
        self.disk = disk;
        self
    }

    pub fn meddling(mut self, hook: impl FnMut(&Request<Payload>, &mut Store, &mut Reply) + 'a) -> Self {
        self.meddle = Some(Box::new(hook));
        self
    }

    fn draw(&mut self, below: usize) -> usize {
        if self.seed == 0 {
            return 0;
        }
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.seed >> 33).unwrap() % below
    }

    pub fn run<M: Machine>(&mut self, mut machine: M) -> End<M::Output> {
        self.run_with(&mut machine, |_| {})
    }

    pub fn run_with<M: Machine>(&mut self, machine: &mut M, mut item: impl FnMut(M::Item)) -> End<M::Output> {
        let mut pending: Vec<(TaskId, Pending)> = Vec::new();
        for _ in 0..200_000 {
            if self.stop_after == Some(self.steps) {
                return End::Stopped;
            }
            if self.cancel_after == Some(self.steps) {
                self.cancel_after = None;
                machine.cancel(self.world.now);
            }
            self.in_flight =
                pending.iter().filter(|(_, p)| matches!(p, Pending::Http(_) | Pending::Body { .. })).count();
            self.most_in_flight = self.most_in_flight.max(self.in_flight);
            match machine.poll(self.world.now) {
                Step::Start(id, Task::Http(task)) => {
                    let request = &task.request;
                    let range = request.headers().get("range").map_or("", |v| v.to_str().unwrap());
                    self.requests.push(format!(
                        "{} {} {range}",
                        request.method(),
                        request.uri().path_and_query().unwrap()
                    ));
                    let data = self.disk.data(request.body());
                    let mut reply = self.store.answer(request, &data);
                    if let Some(meddle) = &mut self.meddle {
                        meddle(request, &mut self.store, &mut reply);
                    }
                    pending.push((id, Pending::Http(reply)));
                }
                Step::Start(id, Task::File(task)) => pending.push((id, Pending::File(task))),
                Step::Start(id, Task::ReadFile(path)) => pending.push((id, Pending::Read(path))),
                Step::Start(_, task) => panic!("unknown task {task:?}"),
                Step::Cancel(id) => pending.retain(|(other, _)| *other != id),
                Step::Item(value) => item(value),
                Step::Done(result) => {
                    assert!(pending.is_empty(), "it is done while {} tasks are under way", pending.len());
                    return End::Done(result);
                }
                Step::Wait(until) => {
                    if pending.is_empty() {
                        let until = until.expect("waits for nothing, for ever");
                        assert!(until > self.world.now.mono, "the wait lies in the past");
                        self.world.pass(until.since(self.world.now.mono));
                    } else {
                        self.steps += 1;
                        self.world.pass(Duration::from_millis(50));
                        let index = self.draw(pending.len());
                        let (id, task) = pending.remove(index);
                        if let Some(task) = self.serve(machine, id, task) {
                            pending.insert(index, (id, task));
                        }
                    }
                }
            }
        }
        panic!("the machine goes round in circles");
    }

    /// Gives one answer; what of the task is left comes back.
    fn serve<M: Machine>(&mut self, machine: &mut M, id: TaskId, task: Pending) -> Option<Pending> {
        let now: Now = self.world.now;
        let broken = || TransportError::new(TransportErrorKind::Closed, "broken");
        match task {
            Pending::File(task) => {
                let result = self.disk.carry_out(task);
                let _ = machine.answer(now, id, Answer::Filed(result));
                None
            }
            Pending::Read(path) => {
                let content = self.disk.files.get(&path).cloned().map(Secret::new);
                let _ = machine.answer(now, id, Answer::File(Ok(content)));
                None
            }
            Pending::Http(reply) if reply.lost => {
                let _ = machine.answer(now, id, Answer::Failed { phase: Phase::Wait, cause: broken() });
                None
            }
            Pending::Http(reply) => {
                match machine.answer(now, id, Answer::Head(head(reply.status, &reply.headers).into())) {
                    BodyPlan::Discard => None,
                    BodyPlan::Deliver { to, offset, check } => {
                        Some(Pending::Body { reply, sink: to, offset, at: 0, check })
                    }
                    BodyPlan::Collect => {
                        let len = reply.breaks_at.unwrap_or(reply.body.len()).min(reply.body.len());
                        self.received += len as u64;
                        for chunk in reply.body[..len].chunks(len / 2 + 1) {
                            if matches!(machine.answer(now, id, Answer::Chunk(chunk)), BodyPlan::Discard) {
                                return None;
                            }
                        }
                        let end = match reply.breaks_at {
                            Some(_) => Answer::Failed { phase: Phase::Body, cause: broken() },
                            None => Answer::End(None),
                        };
                        let _ = machine.answer(now, id, end);
                        None
                    }
                }
            }
            Pending::Body { reply, sink, offset, at, mut check } => {
                let Sink::File(file) = sink else { panic!("the body is for the user") };
                let len = reply.breaks_at.unwrap_or(reply.body.len()).min(reply.body.len());
                if at == len {
                    let end = match reply.breaks_at {
                        Some(_) => Answer::Broken { check, cause: broken() },
                        None => Answer::End(Some(check)),
                    };
                    let _ = machine.answer(now, id, end);
                    return None;
                }
                let chunk = &reply.body[at..len.min(at + reply.body.len() / 3 + 1)];
                if check.update(chunk).is_err() {
                    let _ = machine.answer(now, id, Answer::End(Some(check)));
                    return None;
                }
                self.disk.write(file, offset + at as u64, chunk);
                self.received += chunk.len() as u64;
                let at = at + chunk.len();
                Some(Pending::Body { reply, sink, offset, at, check })
            }
        }
    }
}
