//! The requests of a download: first what tells of the object, then its parts.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use http::{StatusCode, response};

use super::fleet::{self, Fleet};
use super::known::{Expected, Known, malformed, replaced};
use super::window::Window;
use crate::checksum::{Checksum, ChecksumAlgorithm};
use crate::exchange::{Delivery, Exchange, Goal, Outcome, content_length, strong_etag};
use crate::files::FileId;
use crate::machine::{Answer, BodyPlan, Instant, Now, Sink, Task, TaskId};
use crate::ops::{
    ByteRange, ChecksumMode, Draft, FromHeaders, GetObject, GetObjectAttributes, GetObjectAttributesOutput,
    HeadObject, ObjectAttributes, Operation,
};
use crate::session::Session;
use crate::validate::MAX_PART_NUMBER;
use crate::{Error, ErrorKind, Phase};

/// Where the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    File(FileId),
    Memory,
}

pub(crate) enum Event {
    Start(TaskId, Task),
    Cancel(TaskId),
    Wait(Option<Instant>),
    /// The object is known, and what its content is compared with.
    Known,
    Part(Part),
    Failed(Error),
}

/// A part that has come.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) index: u64,
    /// The bytes, unless they are in a file.
    pub(crate) bytes: Bytes,
    /// Their checksum, if one was computed.
    pub(crate) checksum: Option<Checksum>,
}

/// How what is wanted of an object is cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// What is wanted of the object.
    pub(crate) wanted: Range<u64>,
    /// The length of the first part; it is asked for before the size is known.
    pub(crate) first: u64,
    /// The length of each other but the last.
    pub(crate) len: u64,
}

impl Layout {
    pub(crate) fn count(&self) -> u64 {
        let rest = self.total().saturating_sub(self.first);
        1 + rest.div_ceil(self.len.max(1))
    }

    pub(crate) fn total(&self) -> u64 {
        self.wanted.end - self.wanted.start
    }

    /// The part's place in the object.
    pub(crate) fn part(&self, index: u64) -> Range<u64> {
        let begin = |index: u64| match index.checked_sub(1) {
            None => self.wanted.start,
            Some(others) => {
                let offset = self.first.saturating_add(others.saturating_mul(self.len));
                self.wanted.start.saturating_add(offset).min(self.wanted.end)
            }
        };
        begin(index)..begin(index + 1)
    }

    /// The part's place in what is wanted.
    pub(crate) fn place(&self, index: u64) -> Range<u64> {
        let part = self.part(index);
        part.start - self.wanted.start..part.end - self.wanted.start
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    First,
    /// All that is wanted, in one request.
    Whole,
    Head,
    Attributes,
    Part(u64),
}

pub(crate) struct Ranges {
    refusal: Option<Error>,
    session: Session,
    op: GetObject,
    /// The operation for everything but the first request.
    later: GetObject,
    target: Target,
    /// What the user wants of the object; to the end if that is open.
    wanted: (u64, Option<u64>),
    part_size: u64,
    /// Compute a checksum of each part, also if the object has none to compare with.
    hash_parts: bool,
    hash: Option<ChecksumAlgorithm>,
    fleet: Fleet<Key>,
    window: Window,
    known: Option<Known>,
    layout: Layout,
    expected: Expected,
    /// The checksum of a multipart object, while those of its parts are asked for.
    composite: Option<(Checksum, Vec<(u64, Checksum)>)>,
    /// Whether [`Event::Known`] was yielded.
    settled: bool,
    ready: VecDeque<Event>,
    /// The first part, if it came before the object was known.
    early: Option<Part>,
    retries: u64,
    /// What it ends with once its requests are cancelled.
    failure: Option<Error>,
}

impl Ranges {
    pub(crate) fn new(
        session: Session,
        op: GetObject,
        target: Target,
        part_size: u64,
        concurrency: usize,
    ) -> Self {
        let (wanted, refusal) = match wanted(&op) {
            Ok(wanted) => (wanted, None),
            Err(error) => ((0, None), Some(error)),
        };
        Self {
            refusal,
            session,
            later: op.clone(),
            op,
            target,
            wanted,
            part_size: part_size.max(1),
            hash_parts: false,
            hash: Some(ChecksumAlgorithm::Crc64Nvme),
            fleet: Fleet::new(),
            window: Window::new(concurrency),
            known: None,
            layout: Layout::default(),
            expected: Expected::Nothing,
            composite: None,
            settled: false,
            ready: VecDeque::new(),
            early: None,
            retries: 0,
            failure: None,
        }
    }

    /// Why it cannot begin, if it cannot.
    pub(crate) fn take_refusal(&mut self) -> Option<Error> {
        self.refusal.take().map(|error| self.describe(error))
    }

    pub(crate) fn hash_parts(&mut self) {
        self.hash_parts = true;
    }

    /// Asks for the first part, which tells of the object too.
    pub(crate) fn begin(&mut self) {
        let (start, end) = self.wanted;
        let most = start.saturating_add(self.part_size);
        let range = start..end.map_or(most, |end| end.min(most));
        // Without a strong ETag there is no telling whether a second part belongs to the same content.
        let declines =
            |head: &response::Parts| strong_etag(&head.headers).is_none() && Known::is_a_piece(head);
        let op = self.op.clone();
        let exchange = self.get(&op, Some(range)).declining(declines);
        self.fleet.add(Key::First, exchange);
    }

    /// Asks what the object is, without any of its content: on the user's conditions, or else that it is still the same.
    pub(crate) fn look(&mut self) {
        let op = head_object(&self.later, self.session.config().verify_checksums);
        let exchange = Exchange::new(self.session.clone(), HeadObject::NAME, Goal::Collect, op.request());
        self.fleet.add(Key::Head, exchange);
    }

    /// Starts anew, with nothing known.
    pub(crate) fn forget(&mut self) {
        self.clear();
        self.known = None;
        self.later = self.op.clone();
        self.expected = Expected::Nothing;
        self.composite = None;
        self.settled = false;
    }

    fn whole(&mut self) {
        let (start, end) = self.wanted;
        let range = match (start, end) {
            (0, None) => None,
            (start, end) => Some(start..end.unwrap_or(u64::MAX)),
        };
        let op = self.op.clone();
        let exchange = self.get(&op, range);
        self.fleet.add(Key::Whole, exchange);
    }

    /// Asks for a part; its place is in the layout.
    pub(crate) fn fetch(&mut self, index: u64) {
        let op = self.later.clone();
        let exchange = self.get(&op, Some(self.layout.part(index)));
        self.fleet.add(Key::Part(index), exchange);
    }

    fn get(&self, op: &GetObject, range: Option<Range<u64>>) -> Exchange {
        let to_the_end = |r: &Range<u64>| r.end == u64::MAX;
        let len = range.as_ref().filter(|r| !to_the_end(r)).map(|r| r.end - r.start);
        let range = range.map(|r| if to_the_end(&r) { (r.start..).into() } else { ByteRange::from(r) });
        let op = GetObject { range, ..op.clone() };
        let draft = op.request().map(|draft| Draft { wants_checksum: true, ..draft });
        let goal = match self.target {
            Target::Memory => Goal::Collect,
            Target::File(id) => Goal::Stream(Delivery {
                to: Sink::File(id),
                base: self.wanted.0,
                hash: self.hash.clone(),
                is_part: false,
            }),
        };
        let exchange = Exchange::new(self.session.clone(), GetObject::NAME, goal, draft);
        match self.target {
            Target::Memory => {
                let most = self.session.config().max_response as u64;
                exchange.at_most(len.unwrap_or(most))
            }
            Target::File(_) => exchange,
        }
    }

    pub(crate) fn known(&self) -> Option<&Known> {
        self.known.as_ref()
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Goes on with parts as somebody else has cut them.
    pub(crate) fn set_layout(&mut self, layout: Layout) {
        self.layout = layout;
    }

    pub(crate) fn expected(&self) -> &Expected {
        &self.expected
    }

    /// What parts are hashed with, from when the object is known on.
    pub(crate) fn hash(&self) -> Option<&ChecksumAlgorithm> {
        self.hash.as_ref()
    }

    pub(crate) fn retries(&self) -> u64 {
        self.retries
    }

    /// Whether another part may be asked for.
    pub(crate) fn has_room(&self) -> bool {
        self.settled && self.fleet.len() < self.window.allowed()
    }

    pub(crate) fn new_id(&mut self) -> TaskId {
        self.fleet.new_id()
    }

    /// Drops all requests.
    pub(crate) fn clear(&mut self) {
        self.fleet.clear();
        self.ready.clear();
        self.early = None;
    }

    /// Drops all requests, and fails with this.
    pub(crate) fn stop(&mut self, error: Error) {
        self.clear();
        self.failure = Some(error);
    }

    pub(crate) fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        self.fleet.answer(now, id, answer)
    }

    pub(crate) fn poll(&mut self, now: Now) -> Event {
        loop {
            if self.fleet.take_throttled() {
                self.window.slow_down(now.mono);
            }
            if let Some(event) = self.ready.pop_front() {
                return event;
            }
            let result = match self.fleet.poll(now) {
                fleet::Event::Start(id, task) => return Event::Start(id, task),
                fleet::Event::Cancel(id) => return Event::Cancel(id),
                fleet::Event::Wait(until) => match self.failure.take() {
                    Some(error) => return Event::Failed(self.describe(error)),
                    None => return Event::Wait(until),
                },
                fleet::Event::Head(key, head) => self.headed(key, &head),
                fleet::Event::Done(key, exchange, result) => {
                    self.retries += u64::from(exchange.attempts().saturating_sub(1));
                    self.over(key, &exchange, result).map_err(|e| exchange.describe(e))
                }
            };
            if let Err(error) = result {
                self.stop(error);
            }
        }
    }

    /// Says what the error is about.
    pub(crate) fn describe(&self, error: Error) -> Error {
        error.with_target(GetObject::NAME, Some(&self.op.bucket), Some(&self.op.key))
    }

    fn headed(&mut self, key: Key, head: &response::Parts) -> Result<(), Error> {
        match (key, &self.known) {
            (Key::First | Key::Whole, _) => self.learn(key, head),
            (Key::Part(index), Some(known)) => known.check_range(head, &self.layout.part(index)),
            _ => Ok(()),
        }
    }

    fn over(&mut self, key: Key, exchange: &Exchange, result: Result<Outcome, Error>) -> Result<(), Error> {
        let outcome = match (key, result) {
            // There is no first byte of an empty object.
            (Key::First, Err(error))
                if error.kind() == ErrorKind::InvalidRange && self.wanted == (0, None) =>
            {
                self.whole();
                return Ok(());
            }
            (Key::Attributes, Err(error)) if !error.is_retryable() => {
                tracing::debug!(
                    error.kind = ?error.kind(),
                    error.code = error.code(),
                    "the checksums of the parts are not known"
                );
                self.composite = None;
                self.settle();
                return Ok(());
            }
            (Key::Part(_) | Key::Attributes | Key::Head, Err(error))
                if error.kind() == ErrorKind::PreconditionFailed && self.known.is_some() =>
            {
                return Err(replaced(error));
            }
            (_, Err(error)) => return Err(error),
            (_, Ok(outcome)) => outcome,
        };
        match (key, outcome) {
            (Key::First, Outcome::Head(head))
                if strong_etag(&head.headers).is_none() && Known::is_a_piece(&head) =>
            {
                self.whole();
                Ok(())
            }
            (Key::Whole, Outcome::Head(head)) => {
                let len = content_length(&head.headers).unwrap_or_default();
                let message = format!(
                    "the object has no strong ETag, without which it cannot be read in parts, and with {len} \
                     bytes it is too large to be held in memory: download it into a file, or use GetObject"
                );
                Err(Error::new(ErrorKind::NotImplemented, message))
            }
            (Key::First | Key::Whole, Outcome::Reply(head, bytes)) => {
                self.learn(key, &head)?;
                self.arrived(Part { index: 0, bytes, checksum: None })
            }
            (Key::First | Key::Whole, Outcome::Streamed) => {
                let checksum = exchange.received().cloned();
                self.arrived(Part { index: 0, bytes: Bytes::new(), checksum })
            }
            (Key::Part(index), Outcome::Streamed) => {
                let checksum = exchange.received().cloned();
                self.arrived(Part { index, bytes: Bytes::new(), checksum })
            }
            (Key::Part(index), Outcome::Reply(head, bytes)) => {
                self.headed(key, &head)?;
                self.arrived(Part { index, bytes, checksum: None })
            }
            (Key::Part(_) | Key::First, Outcome::Head(head)) => {
                self.headed(key, &head)?;
                malformed("the answer to a range does not say how long it is")
            }
            (Key::Head, Outcome::Reply(head, _)) => self.looked(&head),
            (Key::Attributes, Outcome::Reply(head, body)) => self.attributes(&head, &body),
            _ => Err(Error::new(ErrorKind::ApiMisuse, "an answer came that fits no request")),
        }
    }

    /// A part has come, and has the length that its head said.
    fn arrived(&mut self, part: Part) -> Result<(), Error> {
        let range = self.layout.part(part.index);
        if self.target == Target::Memory && part.bytes.len() as u64 != range.end - range.start {
            return malformed("the body is not as long as its head says");
        }
        self.window.went_well();
        if self.settled {
            self.ready.push_back(Event::Part(part));
        } else {
            self.early = Some(part);
        }
        Ok(())
    }

    /// Takes what the first answer says of the object.
    fn learn(&mut self, key: Key, head: &response::Parts) -> Result<(), Error> {
        let (start, end) = self.wanted;
        let (known, got) = match key {
            Key::Whole if (start, end) == (0, None) => {
                let known = Known::of_whole(&self.op, head)?;
                let all = 0..known.size;
                (known, all)
            }
            Key::Whole => Known::of_range(&self.op, head, &(start..end.unwrap_or(u64::MAX)))?,
            _ => {
                let most = start.saturating_add(self.part_size);
                Known::of_range(&self.op, head, &(start..end.map_or(most, |end| end.min(most))))?
            }
        };
        let wanted = start..end.unwrap_or(u64::MAX).min(known.size);
        let is_all = got.end == wanted.end;
        let first = got.end - got.start;
        self.cut(wanted, first);
        self.remember(known);
        if !self.session.config().verify_checksums || !self.wants_all() {
            self.settle();
            Ok(())
        } else if is_all && (head.status != StatusCode::PARTIAL_CONTENT || checksum_of(head)?.is_some()) {
            self.compare_with(head)
        } else {
            // A checksum that comes with a range need not be that of the object, and with one that happens to be
            // all of the object comes none from Amazon S3.
            self.look();
            Ok(())
        }
    }

    fn cut(&mut self, wanted: Range<u64>, first: u64) {
        let rest = wanted.end.saturating_sub(wanted.start + first);
        let len = match self.target {
            // A file's parts are kept account of.
            Target::File(_) => self.part_size.max(rest.div_ceil(u64::from(MAX_PART_NUMBER))),
            Target::Memory => self.part_size,
        };
        self.layout = Layout { wanted, first, len };
    }

    fn remember(&mut self, known: Known) {
        self.later = GetObject {
            if_match: known.etag.clone(),
            if_none_match: None,
            if_modified_since: None,
            if_unmodified_since: None,
            ..self.op.clone()
        };
        self.known = Some(known);
    }

    fn wants_all(&self) -> bool {
        self.known.as_ref().is_some_and(|known| self.layout.wanted == (0..known.size))
    }

    /// HeadObject was answered.
    fn looked(&mut self, head: &response::Parts) -> Result<(), Error> {
        if let Some(known) = &self.known {
            known.check_same(head, content_length(&head.headers).unwrap_or(known.size))?;
        } else {
            let known = Known::of_whole(&self.op, head)?;
            let (start, end) = self.wanted;
            let wanted = start..end.unwrap_or(u64::MAX).min(known.size).max(start);
            let first = self.part_size.min(wanted.end - wanted.start);
            self.cut(wanted, first);
            self.remember(known);
        }
        if self.session.config().verify_checksums && self.wants_all() {
            self.compare_with(head)
        } else {
            self.settle();
            Ok(())
        }
    }

    /// Takes the checksum of the object, or asks for those of its parts if it is made of them.
    fn compare_with(&mut self, head: &response::Parts) -> Result<(), Error> {
        match checksum_of(head)?.filter(|c| c.algorithm().is_computed()) {
            Some(checksum) if checksum.composite_parts().is_some() => {
                self.composite = Some((checksum, Vec::new()));
                self.ask_attributes(None);
            }
            Some(checksum) => {
                self.expected = Expected::Whole(checksum);
                self.settle();
            }
            None => self.settle(),
        }
        Ok(())
    }

    fn ask_attributes(&mut self, after: Option<u32>) {
        let op = GetObjectAttributes {
            version_id: self.op.version_id.clone(),
            part_number_marker: after,
            sse_customer_key: self.op.sse_customer_key.clone(),
            request_payer: self.op.request_payer.clone(),
            expected_bucket_owner: self.op.expected_bucket_owner.clone(),
            ..attributes_of(&self.op)
        };
        let name = GetObjectAttributes::NAME;
        let exchange = Exchange::new(self.session.clone(), name, Goal::Collect, op.request());
        self.fleet.add(Key::Attributes, exchange);
    }

    /// Takes the checksums of parts, and asks for more of them until all are there.
    fn attributes(&mut self, head: &response::Parts, body: &[u8]) -> Result<(), Error> {
        let answer = attributes_of(&self.op).response(head, body).map_err(|e| e.with_phase(Phase::Parse))?;
        let (Some(known), Some((composite, parts))) = (&self.known, &mut self.composite) else {
            return Ok(());
        };
        if answer.etag.as_ref().is_some_and(|etag| known.etag.as_ref().is_some_and(|known| known != etag)) {
            return Err(replaced(Error::new(ErrorKind::PreconditionFailed, "")));
        }
        let (next, complete) = take_parts(answer, parts);
        let count = composite.composite_parts().unwrap_or_default();
        let missing = (parts.len() as u64) < u64::from(count);
        if let Some(next) = next.filter(|_| complete && missing) {
            self.ask_attributes(Some(next));
            return Ok(());
        }
        let (composite, parts) = (composite.clone(), std::mem::take(parts));
        let size = known.size;
        self.composite = None;
        let of_parts: Vec<_> = parts.iter().map(|(_, checksum)| checksum.clone()).collect();
        if complete && parts.iter().map(|(len, _)| len).sum::<u64>() == size {
            match Checksum::composite(&of_parts) {
                Ok(sum) if sum == composite => self.expected = Expected::Parts(parts, composite),
                _ => {
                    let message = format!(
                        "the checksums of the object's parts do not make up its own, {} {composite}",
                        composite.algorithm()
                    );
                    return Err(Error::new(ErrorKind::ChecksumMismatch, message).with_phase(Phase::Parse));
                }
            }
        }
        self.settle();
        Ok(())
    }

    /// All is known that will be.
    fn settle(&mut self) {
        let of_object = self.expected.checksum().map(Checksum::algorithm);
        self.hash = match of_object {
            Some(algorithm) if algorithm.is_crc() && matches!(self.expected, Expected::Whole(_)) => {
                Some(algorithm.clone())
            }
            _ => self.hash_parts.then_some(ChecksumAlgorithm::Crc64Nvme),
        };
        self.settled = true;
        self.ready.push_back(Event::Known);
        self.ready.extend(self.early.take().map(Event::Part));
    }
}

/// Which bytes of the object the user wants.
fn wanted(op: &GetObject) -> Result<(u64, Option<u64>), Error> {
    if op.part_number.is_some() {
        let message = "a download reads ranges, not the parts of an upload: do not set part_number";
        return Err(Error::invalid_input(message));
    }
    match op.range {
        None => Ok((0, None)),
        Some(ByteRange::From(first)) => Ok((first, None)),
        Some(ByteRange::Inclusive(first, last)) if first <= last && last < u64::MAX => {
            Ok((first, Some(last + 1)))
        }
        Some(ByteRange::Last(_)) => {
            let message = "a download in parts must know where it begins: give the range from its start";
            Err(Error::invalid_input(message))
        }
        Some(_) => Err(Error::invalid_input("the range is empty: ask for one byte at least")),
    }
}

/// The checksum that an answer names.
fn checksum_of(head: &response::Parts) -> Result<Option<Checksum>, Error> {
    Option::<Checksum>::from_headers("", &head.headers)
}

/// The parts that an answer names, each with length and checksum; the marker of the next page, and whether
/// nothing was missing.
fn take_parts(answer: GetObjectAttributesOutput, parts: &mut Vec<(u64, Checksum)>) -> (Option<u32>, bool) {
    let Some(listed) = answer.object_parts else { return (None, false) };
    let before = parts.len();
    let mut complete = true;
    for part in listed.parts {
        match (part.size, part.checksum) {
            (Some(size), Some(checksum)) if parts.len() < MAX_PART_NUMBER as usize => {
                parts.push((size, checksum));
            }
            _ => complete = false,
        }
    }
    let more = listed.is_truncated == Some(true) && parts.len() > before;
    (listed.next_part_number_marker.filter(|_| more), complete)
}

fn attributes_of(op: &GetObject) -> GetObjectAttributes {
    let wanted = vec![ObjectAttributes::ETag, ObjectAttributes::ObjectParts];
    GetObjectAttributes::new(op.bucket.as_str(), op.key.as_str(), wanted)
}

fn head_object(op: &GetObject, checksum: bool) -> HeadObject {
    let mut head = HeadObject::new(op.bucket.as_str(), op.key.as_str());
    head.version_id.clone_from(&op.version_id);
    head.if_match.clone_from(&op.if_match);
    head.if_none_match.clone_from(&op.if_none_match);
    head.if_modified_since = op.if_modified_since;
    head.if_unmodified_since = op.if_unmodified_since;
    head.sse_customer_key.clone_from(&op.sse_customer_key);
    head.request_payer.clone_from(&op.request_payer);
    head.expected_bucket_owner.clone_from(&op.expected_bucket_owner);
    head.checksum_mode = checksum.then_some(ChecksumMode::Enabled);
    head
}
