//! Folders and the objects below a prefix.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::PathBuf;

use super::errands::{Errands, Outcome};
use super::names::{Filter, folder_prefix, path_of};
use super::nested::Nested;
use super::same::SameContent;
use super::sync_report::{SyncAction, SyncInterrupted, SyncReport};
use super::{
    DeleteMany, DeleteOptions, DeleteReport, Download, DownloadOptions, Progress, Upload, UploadFailure,
    UploadOptions,
};
use crate::client::polled_after_done;
use crate::files::{DirEntry, DirEntryKind, FileInfo, FileReply, FileTask, is_part_name};
use crate::machine::{Answer, BodyPlan, Instant, Machine, Now, Step, TaskId};
use crate::ops::{DeleteObjects, GetObject, ListObjectsV2, Object, ObjectIdentifier, PutObject};
use crate::pages::Entries;
use crate::session::Session;
use crate::{Error, ErrorKind, Payload};

/// Which way the content goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the folder to the bucket.
    Upload,
    /// From the bucket to the folder.
    Download,
}

/// When a file and an object of the same name are taken to be the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compare {
    /// Never: everything is transferred.
    Never,
    /// If they are equally long, and that at the destination is not older.
    #[default]
    SizeAndTime,
    /// If they are equally long and the file has the checksum of the object, or its ETag as MD5; an object with
    /// neither is transferred. It takes a HeadObject, and reading the file.
    Checksum,
}

/// How folders are transferred. Plain data: change any field.
///
/// In patterns `?` is any character but a slash, `*` any number of them, and `**` any number of any characters.
/// One with a slash must match the whole name, from the folder on; one without any of its parts, so that
/// `target` is all that is in a folder of that name.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SyncOptions {
    /// What is left as it is.
    pub compare: Compare,
    /// Whether what is at the destination alone is deleted. It is not if a folder could not be read, nor what the
    /// patterns leave out. Default: no.
    pub delete: bool,
    /// Whether to find out only what would be done. Default: no.
    pub dry_run: bool,
    /// Only names that match one of these take part; with none, all do.
    pub include: Vec<String>,
    /// Names that match one of these do not take part.
    pub exclude: Vec<String>,
    /// Whether symbolic links are followed. Default: no; then none is uploaded, and nothing is written through one.
    pub follow_links: bool,
    /// How many objects are under way at once. Default 8.
    pub objects: usize,
    /// How each file is uploaded. Its concurrency is 4 by default here, and there is no checkpoint.
    pub upload: UploadOptions,
    /// How each object is downloaded. Its concurrency is 4 by default here, and there is no checkpoint.
    pub download: DownloadOptions,
}

impl Default for SyncOptions {
    fn default() -> Self {
        let (mut upload, mut download) = (UploadOptions::default(), DownloadOptions::default());
        (upload.concurrency, download.concurrency) = (4, 4);
        Self {
            compare: Compare::default(),
            delete: false,
            dry_run: false,
            include: Vec::new(),
            exclude: Vec::new(),
            follow_links: false,
            objects: 8,
            upload,
            download,
        }
    }
}

/// How many names wait for their turn before more are looked for.
const ENOUGH: usize = 1_000;

/// How deep folders are walked.
const MAX_DEPTH: usize = 64;

/// Makes the objects below a prefix the same as the files of a folder, or the other way round.
///
/// An object's key is the prefix, with a slash at its end, and the path of the file from the folder on, with slashes.
/// Objects whose keys end in a slash and which are empty stand for folders and are left out. A key that makes no safe
/// file name (such as one with `..`, a drive letter, or nothing between two slashes, and on Windows one that means
/// another file there, such as `NUL`, `a:b` or `a.`) is a failure of that object, as is one whose file or folder is in
/// the way of another; whatever fails, the others go on.
///
/// What is there alone is deleted after everything else. The names of the folder's files are held in memory
/// where the two sides are compared.
///
/// Its items are [`Progress`], with the number of objects. Cancelled, or when the list fails, it ends what is under way,
/// with its clean-up, and the error tells what was done ([`Error::sync_interrupted`]).
pub struct Sync {
    session: Session,
    direction: Direction,
    root: PathBuf,
    bucket: String,
    prefix: String,
    options: SyncOptions,
    filter: Filter,
    errands: Errands<Errand>,
    /// Folders to read, by their names.
    folders: VecDeque<(String, usize)>,
    /// Files that wait to be compared, by their names.
    local: BTreeMap<String, FileInfo>,
    /// Links that are not followed.
    links: BTreeSet<String>,
    walk_failed: bool,
    listing: Option<Nested<Entries<ListObjectsV2>>>,
    todo: VecDeque<Todo>,
    jobs: Vec<Running>,
    doomed: Vec<String>,
    deletion: Option<Nested<DeleteMany>>,
    stage: Stage,
    last_id: u32,
    report: SyncReport,
    progress: Progress,
    items: VecDeque<Progress>,
    failure: Option<Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Reading the folder, all of it if it is to be compared.
    Walking,
    /// Reading the list of objects.
    Listing,
    /// All is known; what is there alone comes last.
    Finishing,
    Deleting,
    Over,
}

enum Errand {
    Folder(String, usize),
    Remove(String),
}

/// What is to be done with one name.
struct Todo {
    name: String,
    path: PathBuf,
    size: u64,
    /// Compare the content first.
    compare: bool,
}

struct Running {
    todo: Todo,
    job: Job,
    /// Bytes that have come or gone.
    bytes: u64,
}

enum Job {
    Compare(Box<Nested<SameContent>>),
    Upload(Box<Nested<Upload>>),
    Download(Box<Nested<Download>>),
}

impl Sync {
    /// One that has not begun.
    pub fn new(
        session: Session,
        direction: Direction,
        folder: impl Into<PathBuf>,
        bucket: impl Into<String>,
        prefix: &str,
        options: SyncOptions,
    ) -> Self {
        let mut options = options;
        (options.upload.checkpoint, options.download.checkpoint) = (None, None);
        Self {
            session,
            direction,
            root: folder.into(),
            bucket: bucket.into(),
            prefix: folder_prefix(prefix),
            filter: Filter::new(&options.include, &options.exclude),
            options,
            errands: Errands::new(4),
            folders: [(String::new(), 0)].into(),
            local: BTreeMap::new(),
            links: BTreeSet::new(),
            walk_failed: false,
            listing: None,
            todo: VecDeque::new(),
            jobs: Vec::new(),
            doomed: Vec::new(),
            deletion: None,
            stage: Stage::Walking,
            last_id: 0,
            report: SyncReport::default(),
            progress: Progress::default(),
            items: VecDeque::new(),
            failure: None,
        }
    }

    /// Whether the two sides are looked at together.
    fn is_comparing(&self) -> bool {
        self.options.compare != Compare::Never || self.options.delete
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// A folder was read.
    fn walked(
        &mut self,
        folder: &str,
        depth: usize,
        listed: std::io::Result<Vec<DirEntry>>,
    ) -> Result<(), Error> {
        let entries = match listed {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && self.may_be_missing(folder) => {
                return Ok(());
            }
            Err(error) => {
                self.walk_failed = true;
                let path = self.root.join(folder);
                let what = format_args!("reading the folder {} failed", path.display());
                let error = Error::local_io(what, error);
                if folder.is_empty() {
                    return Err(error);
                }
                self.report.fail(folder.to_owned(), error);
                return Ok(());
            }
        };
        for DirEntry { name, kind, info } in entries {
            let Some(name) = name.to_str() else {
                self.walk_failed = true;
                let name = format!("{folder}/{}", name.to_string_lossy());
                let error = Error::invalid_input("the file's name is not UTF-8, as keys are");
                self.report.fail(name, error);
                continue;
            };
            if kind == DirEntryKind::File && is_part_name(name) {
                continue;
            }
            let name = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            match kind {
                DirEntryKind::File => self.found(name, info),
                DirEntryKind::LinkToFile if self.options.follow_links => self.found(name, info),
                DirEntryKind::Dir => self.descend(name, depth),
                DirEntryKind::LinkToDir if self.options.follow_links => self.descend(name, depth),
                DirEntryKind::LinkToFile | DirEntryKind::LinkToDir | DirEntryKind::Other => {
                    if self.direction == Direction::Download {
                        self.links.insert(name);
                    }
                }
            }
        }
        Ok(())
    }

    /// A folder to download into need not be there.
    fn may_be_missing(&self, folder: &str) -> bool {
        self.direction == Direction::Download && folder.is_empty()
    }

    fn descend(&mut self, folder: String, depth: usize) {
        if depth < MAX_DEPTH {
            self.folders.push_back((folder, depth + 1));
        } else {
            self.walk_failed = true;
            let message = format!("folders are more than {MAX_DEPTH} deep: is there a link that leads back?");
            self.report.fail(folder, Error::invalid_input(message));
        }
    }

    /// There is a file.
    fn found(&mut self, name: String, info: FileInfo) {
        if !self.filter.lets_through(&name) {
            // Objects are counted where they are the source.
            self.report.left_out += u64::from(self.direction == Direction::Upload);
        } else if self.is_comparing() {
            self.local.insert(name, info);
        } else if self.direction == Direction::Upload {
            self.transfer(name, info.len, false);
        }
    }

    /// There is an object.
    fn listed(&mut self, object: Object) {
        let Some(name) = object.key.strip_prefix(&self.prefix) else {
            let error = Error::new(ErrorKind::MalformedResponse, "the list has a key of another prefix");
            return self.report.fail(object.key, error);
        };
        let is_folder = object.size == 0 && (name.is_empty() || name.ends_with('/'));
        if is_folder {
            return;
        }
        let name = name.to_owned();
        if !self.filter.lets_through(&name) {
            self.report.left_out += u64::from(self.direction == Direction::Download);
            return;
        }
        match self.local.remove(&name) {
            None if self.direction == Direction::Upload => {
                if self.options.delete {
                    self.doomed.push(name);
                }
            }
            None => self.transfer(name, object.size, false),
            Some(file) => {
                let size = match self.direction {
                    Direction::Upload => file.len,
                    Direction::Download => object.size,
                };
                let same_size = file.len == object.size;
                match self.options.compare {
                    Compare::SizeAndTime if same_size && !self.is_source_newer(&file, &object) => {
                        self.report.unchanged += 1;
                    }
                    Compare::Checksum if same_size => self.transfer(name, size, true),
                    _ => self.transfer(name, size, false),
                }
            }
        }
    }

    /// Also if it is not known.
    fn is_source_newer(&self, file: &FileInfo, object: &Object) -> bool {
        match (file.modified, object.last_modified, self.direction) {
            (Some(file), Some(object), Direction::Upload) => file > object,
            (Some(file), Some(object), Direction::Download) => object > file,
            _ => true,
        }
    }

    /// Notes that this is to be transferred, unless there is no safe way.
    fn transfer(&mut self, name: String, size: u64, compare: bool) {
        let path = match self.direction {
            Direction::Upload => Ok(self.root.join(&name)),
            Direction::Download => self.safe_path(&name),
        };
        match path {
            Ok(path) => self.todo.push_back(Todo { name, path, size, compare }),
            Err(error) => {
                let key = self.key(&name);
                self.report.fail(name, error.with_target("GetObject", Some(&self.bucket), Some(&key)));
            }
        }
    }

    fn safe_path(&self, name: &str) -> Result<PathBuf, Error> {
        let path = path_of(&self.root, name)?;
        let folders = name.match_indices('/').filter_map(|(at, _)| name.get(..at));
        match folders.into_iter().find(|folder| self.links.contains(*folder)) {
            None => Ok(path),
            Some(link) => {
                let message =
                    format!("'{link}' is a symbolic link, or no folder, and is not written through");
                Err(Error::new(ErrorKind::LocalIo, message))
            }
        }
    }

    /// Starts what waits, as long as there is room.
    fn start_jobs(&mut self) -> bool {
        let mut started = false;
        while self.jobs.len() < self.options.objects.max(1) {
            let Some(todo) = self.todo.pop_front() else { break };
            started = true;
            if todo.compare {
                let key = self.key(&todo.name);
                let same = SameContent::new(self.session.clone(), &self.bucket, &key, todo.path.clone());
                self.jobs.push(Running { todo, job: Job::Compare(Box::new(Nested::new(same))), bytes: 0 });
            } else {
                self.start_transfer(todo);
            }
        }
        started
    }

    fn start_transfer(&mut self, todo: Todo) {
        if self.options.dry_run {
            self.report.would(SyncAction::Transfer(todo.name.clone()));
            return self.transferred(&todo);
        }
        let (session, key) = (self.session.clone(), self.key(&todo.name));
        let path = todo.path.clone();
        let job = match self.direction {
            Direction::Upload => {
                let put = PutObject::new(self.bucket.as_str(), key, Payload::Empty);
                let upload = Upload::file(session, put, path, self.options.upload.clone());
                Job::Upload(Box::new(Nested::new(upload)))
            }
            Direction::Download => {
                let get = GetObject::new(self.bucket.as_str(), key);
                Job::Download(Box::new(Nested::new(Download::new(
                    session,
                    get,
                    path,
                    &self.options.download,
                ))))
            }
        };
        self.jobs.push(Running { todo, job, bytes: 0 });
    }

    fn transferred(&mut self, todo: &Todo) {
        self.report.transferred += 1;
        self.report.bytes += todo.size;
        self.tell();
    }

    fn tell(&mut self) {
        let under_way: u64 = self.jobs.iter().map(|running| running.bytes).sum();
        self.progress.bytes = self.report.bytes + under_way;
        self.progress.objects = self.report.transferred + self.report.unchanged + self.report.failed;
        self.items.push_back(self.progress);
    }

    /// Lets all jobs go on; the first step that concerns the driver comes back, or when to look again.
    fn poll_jobs(&mut self, now: Now) -> Step<(), ()> {
        let mut until: Option<Instant> = None;
        let mut index = 0;
        while index < self.jobs.len() {
            let last_id = &mut self.last_id;
            let new_id = || next_id(last_id);
            let Some(running) = self.jobs.get_mut(index) else { break };
            // How it ended: `Some(true)` if there is nothing more to do.
            let step = match &mut running.job {
                Job::Compare(job) => job.poll(now, new_id).map_item(|()| None),
                Job::Upload(job) => job.poll(now, new_id).map_item(Some).map_done(|done| done.map(|_| true)),
                Job::Download(job) => {
                    job.poll(now, new_id).map_item(Some).map_done(|done| done.map(|_| true))
                }
            };
            match step {
                Step::Start(id, task) => return Step::Start(id, task),
                Step::Cancel(id) => return Step::Cancel(id),
                Step::Item(progress) => {
                    running.bytes = progress.map_or(running.bytes, |progress| progress.bytes);
                    self.tell();
                }
                Step::Wait(time) => {
                    until = [until, time].into_iter().flatten().min();
                    index += 1;
                }
                Step::Done(result) => {
                    let Running { todo, job, .. } = self.jobs.remove(index);
                    self.job_done(todo, &job, result);
                }
            }
        }
        Step::Wait(until)
    }

    fn job_done(&mut self, todo: Todo, job: &Job, result: Result<bool, Error>) {
        match (job, result) {
            (Job::Compare(_), Ok(true)) => {
                self.report.unchanged += 1;
                self.tell();
            }
            (Job::Compare(_), Ok(false)) if self.failure.is_some() => {}
            (Job::Compare(_), Ok(false)) => self.start_transfer(todo),
            // We ended it. What it could not put in order is told all the same.
            (_, Err(error))
                if self.failure.is_some()
                    && error.kind() == ErrorKind::Cancelled
                    && !error.upload_failure().is_some_and(UploadFailure::is_left) => {}
            (_, Ok(_)) => self.transferred(&todo),
            (_, Err(error)) => {
                self.report.fail(todo.name, error);
                self.tell();
            }
        }
    }

    /// Goes on to what comes next; whether there was something to do.
    fn advance(&mut self) -> bool {
        if self.failure.is_some() {
            return false;
        }
        let has_room = self.todo.len() < ENOUGH || (self.stage == Stage::Walking && self.is_comparing());
        match self.stage {
            Stage::Walking if has_room && !self.folders.is_empty() => {
                if let Some((folder, depth)) = self.folders.pop_front() {
                    let path = if folder.is_empty() { self.root.clone() } else { self.root.join(&folder) };
                    self.errands.file(Errand::Folder(folder, depth), FileTask::List { path });
                }
                true
            }
            Stage::Walking if self.folders.is_empty() && self.errands.is_idle() => {
                self.stage = Stage::Finishing;
                if self.direction == Direction::Download || self.is_comparing() {
                    let mut list = ListObjectsV2::new(self.bucket.as_str());
                    list.prefix = Some(self.prefix.clone()).filter(|prefix| !prefix.is_empty());
                    self.listing = Some(Nested::new(Entries::new(self.session.clone(), list)));
                    self.stage = Stage::Listing;
                }
                true
            }
            Stage::Finishing if self.todo.is_empty() && self.jobs.is_empty() && self.errands.is_idle() => {
                self.delete();
                true
            }
            Stage::Walking | Stage::Listing | Stage::Finishing => self.start_jobs(),
            _ => false,
        }
    }

    /// All objects are known: what is only in the folder is uploaded, or else deleted.
    fn all_listed(&mut self) {
        self.stage = Stage::Finishing;
        let local = std::mem::take(&mut self.local);
        if self.direction == Direction::Upload {
            for (name, info) in local {
                self.transfer(name, info.len, false);
            }
        } else if self.options.delete {
            self.doomed = local.into_keys().collect();
        }
    }

    /// Deletes what is at the destination alone.
    fn delete(&mut self) {
        self.stage = Stage::Deleting;
        let doomed = std::mem::take(&mut self.doomed);
        if doomed.is_empty() {
            return;
        }
        if self.walk_failed {
            tracing::warn!(
                count = doomed.len(),
                "nothing is deleted, as not all of the folder could be read"
            );
            return;
        }
        if self.options.dry_run {
            for name in doomed {
                self.report.deleted += 1;
                self.report.would(SyncAction::Delete(name));
            }
            return;
        }
        match self.direction {
            Direction::Upload => {
                let objects: Vec<_> =
                    doomed.iter().map(|name| ObjectIdentifier::new(self.key(name))).collect();
                let op = DeleteObjects::new(self.bucket.as_str(), objects);
                let deletion = DeleteMany::new(self.session.clone(), op, DeleteOptions::default());
                self.deletion = Some(Nested::new(deletion));
            }
            Direction::Download => {
                for name in doomed {
                    let path = self.root.join(&name);
                    self.errands.file(Errand::Remove(name), FileTask::Remove { path });
                }
            }
        }
    }

    fn filed(&mut self, errand: Errand, outcome: Outcome) -> Result<(), Error> {
        match (errand, outcome) {
            (Errand::Folder(..), _) if self.failure.is_some() => {}
            (Errand::Folder(name, depth), Outcome::Filed(result)) => match result {
                Ok(FileReply::Listed(entries)) => return self.walked(&name, depth, Ok(entries)),
                Ok(_) => return Err(Error::misfit()),
                Err(error) => return self.walked(&name, depth, Err(error)),
            },
            (Errand::Remove(_), Outcome::Filed(Ok(_))) => self.report.deleted += 1,
            (Errand::Remove(name), Outcome::Filed(Err(error))) => {
                let error = Error::local_io(format_args!("removing {name} failed"), error);
                self.report.fail(name, error);
            }
            _ => return Err(Error::misfit()),
        }
        Ok(())
    }

    fn poll_listing(&mut self, now: Now) -> Step<(), ()> {
        let is_full = self.todo.len() >= ENOUGH && self.failure.is_none();
        let Some(listing) = self.listing.as_mut().filter(|_| !is_full) else { return Step::Wait(None) };
        let last_id = &mut self.last_id;
        let step = listing.poll(now, || next_id(last_id));
        match step {
            Step::Item(object) => {
                if self.failure.is_none() {
                    self.listed(object);
                }
                Step::Item(())
            }
            Step::Done(result) => {
                self.listing = None;
                match result {
                    Ok(()) if self.failure.is_none() => self.all_listed(),
                    Ok(()) => {}
                    Err(error) => self.fail(now, error),
                }
                Step::Item(())
            }
            step => step.map_item(drop),
        }
    }

    fn poll_deletion(&mut self, now: Now) -> Step<(), ()> {
        let Some(deletion) = &mut self.deletion else { return Step::Wait(None) };
        let last_id = &mut self.last_id;
        let step = deletion.poll(now, || next_id(last_id));
        match step {
            Step::Done(result) => {
                self.deletion = None;
                match result {
                    Ok(report) => self.deleted(report),
                    Err(error) => {
                        if let Some(failure) = error.delete_failure() {
                            self.deleted(failure.report.clone());
                        }
                        self.fail(now, error);
                    }
                }
                Step::Item(())
            }
            step => step.map_item(drop).map_done(|done| done.map(drop)),
        }
    }

    /// So many objects were deleted.
    fn deleted(&mut self, report: DeleteReport) {
        self.report.deleted += report.deleted;
        self.report.failed += report.failed.saturating_sub(report.failures.len() as u64);
        for failure in report.failures {
            let name = failure.key.strip_prefix(&self.prefix).unwrap_or(&failure.key).to_owned();
            self.report.fail(name, failure.error);
        }
    }

    /// Ends all that is under way, and then with this.
    fn fail(&mut self, now: Now, error: Error) {
        if self.failure.is_some() || self.stage == Stage::Over {
            return;
        }
        self.failure = Some(error);
        self.todo.clear();
        self.folders.clear();
        self.errands.forget(|errand| matches!(errand, Errand::Remove(_)));
        self.items.clear();
        for running in &mut self.jobs {
            match &mut running.job {
                Job::Compare(job) => job.cancel(now),
                Job::Upload(job) => job.cancel(now),
                Job::Download(job) => job.cancel(now),
            }
        }
        if let Some(listing) = &mut self.listing {
            listing.cancel(now);
        }
        if let Some(deletion) = &mut self.deletion {
            deletion.cancel(now);
        }
    }

    fn is_idle(&self) -> bool {
        self.jobs.is_empty() && self.listing.is_none() && self.deletion.is_none() && self.errands.is_idle()
    }
}

fn next_id(last: &mut u32) -> TaskId {
    *last += 1;
    TaskId::new(*last)
}

impl Machine for Sync {
    type Item = Progress;
    type Output = SyncReport;

    fn poll(&mut self, now: Now) -> Step<Progress, SyncReport> {
        loop {
            if self.stage == Stage::Over {
                return Step::Done(Err(polled_after_done()));
            }
            if let Some((errand, outcome)) = self.errands.next_done() {
                if let Err(error) = self.filed(errand, outcome) {
                    self.fail(now, error);
                }
                continue;
            }
            let last_id = &mut self.last_id;
            if let Some(step) = self.errands.poll(|| next_id(last_id)) {
                return step;
            }
            if let Some(progress) = self.items.pop_front() {
                return Step::Item(progress);
            }
            let mut until = None;
            for poll in [Self::poll_jobs, Self::poll_listing, Self::poll_deletion] {
                match poll(self, now) {
                    Step::Start(id, task) => return Step::Start(id, task),
                    Step::Cancel(id) => return Step::Cancel(id),
                    Step::Wait(time) => until = [until, time].into_iter().flatten().min(),
                    Step::Item(()) | Step::Done(_) => until = Some(now.mono),
                }
            }
            // Something has happened: look again before waiting.
            if self.advance() || !self.items.is_empty() || until.is_some_and(|until| until <= now.mono) {
                continue;
            }
            if self.is_idle() && (self.failure.is_some() || self.stage == Stage::Deleting) {
                self.stage = Stage::Over;
                let report = std::mem::take(&mut self.report);
                return Step::Done(match self.failure.take() {
                    None => Ok(report),
                    Some(cause) => Err(cause.clone().with_cause(SyncInterrupted { report, cause })),
                });
            }
            return Step::Wait(until);
        }
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        for running in &mut self.jobs {
            match &mut running.job {
                Job::Compare(job) if job.owns(id) => return job.answer(now, id, answer),
                Job::Upload(job) if job.owns(id) => return job.answer(now, id, answer),
                Job::Download(job) if job.owns(id) => return job.answer(now, id, answer),
                _ => {}
            }
        }
        if let Some(listing) = self.listing.as_mut().filter(|listing| listing.owns(id)) {
            return listing.answer(now, id, answer);
        }
        if let Some(deletion) = self.deletion.as_mut().filter(|deletion| deletion.owns(id)) {
            return deletion.answer(now, id, answer);
        }
        self.errands.take(id, answer);
        BodyPlan::Discard
    }

    fn cancel(&mut self, now: Now) {
        self.fail(now, Error::cancelled());
    }
}

impl fmt::Debug for Sync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sync")
            .field("direction", &self.direction)
            .field("root", &self.root)
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
