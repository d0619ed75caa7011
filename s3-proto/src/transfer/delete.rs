//! Many objects deleted.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use super::Progress;
use super::failure::first_of;
use super::fleet::{self, Fleet};
use super::nested::Nested;
use super::requests::answer_of;
use super::window::Window;
use crate::Error;
use crate::client::polled_after_done;
use crate::error::kind_of_code;
use crate::exchange::{Exchange, Goal};
use crate::machine::{Answer, BodyPlan, Instant, Machine, Now, Step, TaskId};
use crate::ops::{
    Delete, DeleteError, DeleteObjects, ListObjectVersions, ListObjectsV2, ObjectIdentifier, Operation,
};
use crate::pages::Pages;
use crate::retry::{RetryReason, Rng, backoff};
use crate::session::Session;
use crate::validate::MAX_DELETE_KEYS;

/// How many objects are deleted. Plain data: change any field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteOptions {
    /// How many requests may be in flight; fewer for a while if the service asks to slow down. Default 4.
    pub concurrency: usize,
    /// How many objects go into a request, 1,000 at most. Default 1,000.
    pub batch: usize,
    /// By prefix: also every version and delete marker, for good. Default: no, so that a bucket with
    /// versions gets delete markers.
    pub versions: bool,
}

impl Default for DeleteOptions {
    fn default() -> Self {
        Self { concurrency: 4, batch: MAX_DELETE_KEYS, versions: false }
    }
}

/// What became of many objects that were to be deleted.
#[derive(Clone, Debug, Default)]
#[must_use = "some may not have been deleted"]
#[non_exhaustive]
pub struct DeleteReport {
    /// How many are deleted now, or were not there.
    pub deleted: u64,
    /// How many could not be deleted.
    pub failed: u64,
    /// Which these are and why: the first 1,000.
    pub failures: Vec<DeleteFailure>,
    /// How many requests had to be repeated, and objects had to be tried again.
    pub retries: u64,
}

/// An object that could not be deleted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeleteFailure {
    /// Its key.
    pub key: String,
    /// Its version, if one was to be deleted.
    pub version_id: Option<String>,
    /// Why; it has the service's code.
    pub error: Error,
}

/// What became of a mass deletion that ended with an error: see [`Error::delete_failure`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeleteManyFailure {
    /// What was done until then. Requests that were under way are not in it: they may have been carried out.
    pub report: DeleteReport,
    /// What ended it.
    pub cause: Error,
}

impl fmt::Display for DeleteManyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cause.message())
    }
}

impl std::error::Error for DeleteManyFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// The most failures that are kept.
const MAX_FAILURES: usize = 1_000;

impl DeleteReport {
    /// The first failure as an error, if there was one.
    ///
    /// # Errors
    /// The error of the first object that could not be deleted, which says how many more there are.
    pub fn into_result(self) -> Result<Self, Error> {
        let Some(first) = self.failures.first() else { return Ok(self) };
        Err(first_of(&first.error, first.error.message(), self.failed, "could not be deleted"))
    }
}

/// Deletes many objects, in batches side by side.
///
/// The objects are those that it is given, or all whose keys begin with a prefix: these are listed while the
/// first of them are deleted already. What the service could not delete in a batch for a passing reason is
/// tried again, up to the attempts of the configuration; what cannot be deleted is in the report, and the others
/// are deleted all the same. A request that fails as a whole ends it with its error, which has the report of what
/// was done until then ([`Error::delete_failure`]).
///
/// Its items are [`Progress`], with the number of objects. Cancelled, it starts no more batches; those under way
/// may be carried out all the same.
pub struct DeleteMany {
    session: Session,
    /// What else goes with each request.
    op: DeleteObjects,
    options: DeleteOptions,
    listing: Option<Listing>,
    waiting: VecDeque<Doomed>,
    /// To be tried again, not before a point in time.
    again: VecDeque<Doomed>,
    not_before: Option<Instant>,
    batches: BTreeMap<u64, Vec<Doomed>>,
    next_batch: u64,
    fleet: Fleet<u64>,
    window: Window,
    rng: Rng,
    report: DeleteReport,
    items: VecDeque<Progress>,
    failure: Option<Error>,
    over: bool,
}

/// An object that is to be deleted.
#[derive(Clone, Debug)]
struct Doomed {
    object: ObjectIdentifier,
    /// How often it was tried.
    tries: u32,
}

/// Where the objects come from, unless they are given.
enum Listing {
    Objects(Nested<Pages<ListObjectsV2>>),
    Versions(Nested<Pages<ListObjectVersions>>),
}

impl DeleteMany {
    /// The objects that the operation names, of which there may be any number. Its other members go with each
    /// request.
    pub fn new(session: Session, mut op: DeleteObjects, options: DeleteOptions) -> Self {
        let objects = std::mem::take(&mut op.delete.objects);
        let mut machine = Self::of(session, op, options);
        machine.waiting = objects.into_iter().map(|object| Doomed { object, tries: 0 }).collect();
        machine
    }

    /// All objects whose keys begin with `prefix`: with an empty one, all of the bucket. The operation's
    /// members but for its objects go with each request.
    pub fn prefix(session: Session, op: DeleteObjects, prefix: &str, options: DeleteOptions) -> Self {
        let mut machine = Self::of(session.clone(), op, options);
        let (bucket, prefix) = (machine.op.bucket.clone(), Some(prefix.to_owned()).filter(|p| !p.is_empty()));
        let owner = machine.op.expected_bucket_owner.clone();
        let payer = machine.op.request_payer.clone();
        machine.listing = Some(if machine.options.versions {
            let mut list = ListObjectVersions::new(bucket);
            (list.prefix, list.expected_bucket_owner, list.request_payer) = (prefix, owner, payer);
            Listing::Versions(Nested::new(Pages::new(session, list)))
        } else {
            let mut list = ListObjectsV2::new(bucket);
            (list.prefix, list.expected_bucket_owner, list.request_payer) = (prefix, owner, payer);
            Listing::Objects(Nested::new(Pages::new(session, list)))
        });
        machine
    }

    fn of(session: Session, mut op: DeleteObjects, options: DeleteOptions) -> Self {
        op.delete.objects.clear();
        Self {
            rng: session.rng(),
            session,
            op,
            window: Window::new(options.concurrency),
            options,
            listing: None,
            waiting: VecDeque::new(),
            again: VecDeque::new(),
            not_before: None,
            batches: BTreeMap::new(),
            next_batch: 0,
            fleet: Fleet::new(),
            report: DeleteReport::default(),
            items: VecDeque::new(),
            failure: None,
            over: false,
        }
    }

    fn batch_size(&self) -> usize {
        self.options.batch.clamp(1, MAX_DELETE_KEYS)
    }

    /// Starts a batch, if there is room and enough to put into it.
    fn start(&mut self, now: Now) -> bool {
        if self.failure.is_some() || self.fleet.len() >= self.window.allowed() {
            return false;
        }
        let most = self.batch_size();
        let is_due = self.not_before.is_none_or(|at| at <= now.mono);
        let queue = if is_due && !self.again.is_empty() { &mut self.again } else { &mut self.waiting };
        // More may come: a batch that is not full waits for it.
        let is_enough =
            queue.len() >= most || self.listing.is_none() || queue.front().is_some_and(|d| d.tries > 0);
        if queue.is_empty() || !is_enough {
            return false;
        }
        let batch: Vec<Doomed> = queue.drain(..most.min(queue.len())).collect();
        let mut op = self.op.clone();
        let objects = batch.iter().map(|doomed| doomed.object.clone()).collect();
        op.delete = Delete { objects, quiet: Some(true) };
        let exchange = Exchange::new(self.session.clone(), DeleteObjects::NAME, Goal::Collect, op.request());
        self.fleet.add(self.next_batch, exchange);
        self.batches.insert(self.next_batch, batch);
        self.next_batch += 1;
        true
    }

    /// A batch was answered.
    fn answered(&mut self, now: Now, batch: Vec<Doomed>, errors: Vec<DeleteError>) {
        let mut failed = 0;
        let mut by_name: BTreeMap<(String, Option<String>), Doomed> = BTreeMap::new();
        let len = batch.len() as u64;
        if !errors.is_empty() {
            let name = |d: &Doomed| (d.object.key.clone(), d.object.version_id.clone());
            by_name = batch.into_iter().map(|doomed| (name(&doomed), doomed)).collect();
        }
        for error in errors {
            let DeleteError { key, version_id, code, message, .. } = error;
            let version_id = version_id.filter(|id| !id.is_empty());
            let (key, code) = (key.unwrap_or_default(), code.unwrap_or_default());
            let doomed = by_name.remove(&(key.clone(), version_id.clone()));
            let error = Error::new(
                kind_of_code(&code, http::StatusCode::OK),
                message.unwrap_or_else(|| "the service does not say why".to_owned()),
            )
            .with_code(code)
            .with_target(DeleteObjects::NAME, Some(&self.op.bucket), Some(&key));
            failed += 1;
            match doomed {
                Some(doomed) if self.may_try_again(now, &doomed, &error) => {}
                _ => {
                    self.report.failed += 1;
                    if self.report.failures.len() < MAX_FAILURES {
                        self.report.failures.push(DeleteFailure { key, version_id, error });
                    }
                }
            }
        }
        self.report.deleted += len.saturating_sub(failed);
        let done = self.report.deleted + self.report.failed;
        self.items.push_back(Progress {
            objects: done,
            retries: u32::try_from(self.report.retries).unwrap_or(u32::MAX),
            ..Progress::default()
        });
    }

    /// Puts it aside to be tried again, if policy allows.
    fn may_try_again(&mut self, now: Now, doomed: &Doomed, error: &Error) -> bool {
        let config = &self.session.config().retry;
        let tries = doomed.tries + 1;
        let reason = self.session.config().reason_to_retry(error);
        let Some(reason) = reason.filter(|_| tries < config.attempts()) else { return false };
        if self.again.is_empty() {
            // One repetition is one request, however many objects it is for.
            if !self.session.quota().take(config.spec.cost(reason)) {
                return false;
            }
            let wait = backoff(config, reason, tries, self.rng.fraction(), None);
            self.not_before = Some(now.mono.saturating_add(wait));
        }
        if reason == RetryReason::Throttling {
            self.window.slow_down(now.mono);
        }
        self.report.retries += 1;
        self.again.push_back(Doomed { object: doomed.object.clone(), tries });
        true
    }

    /// Gives up: what is under way is left to the service.
    fn fail(&mut self, now: Now, error: Error) {
        if self.failure.is_some() || self.over {
            return;
        }
        match &mut self.listing {
            Some(Listing::Objects(pages)) => pages.cancel(now),
            Some(Listing::Versions(pages)) => pages.cancel(now),
            None => {}
        }
        let report = std::mem::take(&mut self.report);
        let DeleteReport { deleted, failed, .. } = report;
        let refused = if failed > 0 { format!(" and {failed} could not be") } else { String::new() };
        let message = format!("{} (after {deleted} objects were deleted{refused})", error.message());
        let error = error.with_target(DeleteObjects::NAME, Some(&self.op.bucket), None);
        let error = error.with_message(message);
        let cause = error.clone();
        self.failure = Some(error.with_cause(DeleteManyFailure { report, cause }));
        self.fleet.clear();
        self.waiting.clear();
        self.again.clear();
        self.items.clear();
    }

    fn list(&mut self, now: Now) -> Step<(), ()> {
        // As much as the batches in flight will take, and a page more.
        let enough = self.batch_size().saturating_mul(self.window.allowed() + 1);
        if self.waiting.len() > enough && self.failure.is_none() {
            return Step::Wait(None);
        }
        let fleet = &mut self.fleet;
        let step = match &mut self.listing {
            None => return Step::Wait(None),
            Some(Listing::Objects(pages)) => pages.poll(now, || fleet.new_id()).map_item(|page| {
                page.contents.into_iter().map(|object| ObjectIdentifier::new(object.key)).collect()
            }),
            Some(Listing::Versions(pages)) => pages.poll(now, || fleet.new_id()).map_item(|page| {
                let versions = page.versions.into_iter().map(|v| (v.key, v.version_id));
                let markers = page.delete_markers.into_iter().map(|m| (m.key, m.version_id));
                let object =
                    |(key, version_id)| ObjectIdentifier { version_id, ..ObjectIdentifier::new(key) };
                versions.chain(markers).map(object).collect::<Vec<_>>()
            }),
        };
        match step {
            Step::Item(objects) if self.failure.is_none() => {
                self.waiting.extend(objects.into_iter().map(|object| Doomed { object, tries: 0 }));
                Step::Item(())
            }
            Step::Item(_) => Step::Item(()),
            Step::Done(result) => {
                self.listing = None;
                if let Err(error) = result {
                    self.fail(now, error);
                }
                Step::Item(())
            }
            Step::Start(id, task) => Step::Start(id, task),
            Step::Cancel(id) => Step::Cancel(id),
            Step::Wait(until) => Step::Wait(until),
        }
    }
}

impl Machine for DeleteMany {
    type Item = Progress;
    type Output = DeleteReport;

    fn poll(&mut self, now: Now) -> Step<Progress, DeleteReport> {
        loop {
            if self.over {
                return Step::Done(Err(polled_after_done()));
            }
            let listed = match self.list(now) {
                Step::Start(id, task) => return Step::Start(id, task),
                Step::Cancel(id) => return Step::Cancel(id),
                Step::Wait(until) => until,
                _ => continue,
            };
            if self.fleet.take_throttled() {
                self.window.slow_down(now.mono);
            }
            if self.start(now) {
                continue;
            }
            let until = match self.fleet.poll(now) {
                fleet::Event::Start(id, task) => return Step::Start(id, task),
                fleet::Event::Cancel(id) => return Step::Cancel(id),
                fleet::Event::Head(..) => continue,
                fleet::Event::Done(number, exchange, result) => {
                    self.report.retries += u64::from(exchange.attempts().saturating_sub(1));
                    let batch = self.batches.remove(&number).unwrap_or_default();
                    match answer_of(&self.op, &exchange, result) {
                        Ok(answer) => {
                            self.window.went_well();
                            self.answered(now, batch, answer.errors);
                        }
                        Err(error) => self.fail(now, error),
                    }
                    continue;
                }
                fleet::Event::Wait(until) => until,
            };
            if let Some(progress) = self.items.pop_front() {
                return Step::Item(progress);
            }
            let is_idle = self.fleet.len() == 0 && self.waiting.is_empty() && self.again.is_empty();
            if is_idle && self.listing.is_none() {
                self.over = true;
                let report = std::mem::take(&mut self.report);
                return Step::Done(self.failure.take().map_or(Ok(report), Err));
            }
            let again = self.not_before.filter(|at| !self.again.is_empty() && *at > now.mono);
            return Step::Wait([listed, until, again].into_iter().flatten().min());
        }
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        match &mut self.listing {
            Some(Listing::Objects(pages)) if pages.owns(id) => pages.answer(now, id, answer),
            Some(Listing::Versions(pages)) if pages.owns(id) => pages.answer(now, id, answer),
            _ => self.fleet.answer(now, id, answer),
        }
    }

    fn cancel(&mut self, now: Now) {
        self.fail(now, Error::cancelled());
    }
}
