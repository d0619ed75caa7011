//! The network: what becomes of requests on their way to the service, and of answers on their way back.

use std::time::Duration;

use bytes::Bytes;
use s3_proto::sign::BodyEncoder;
use s3_proto::{
    Answer, BodyPlan, Error, ErrorKind, HttpTask, Payload, Phase, Sink, SourceId, TaskId, TransportError,
    TransportErrorKind,
};

use super::{Doing, Event, Fate, Flight, Incoming, Run, Slot, To, trace, upload_in};
use crate::cloud::{Ask, Reply};
use crate::jobs::ATTEMPTS;
use crate::planted::Planted;

const FIRST_BYTE: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_secs(30);

impl Run {
    pub(super) fn send(&mut self, slot: usize, id: TaskId, task: HttpTask) {
        let HttpTask { request, mut encoder, .. } = task;
        let epoch = self.slots[slot].epoch;
        self.requests += 1;
        let Some(body) = self.body(slot, request.body()) else {
            return self.soon(Event::SourceFailed { slot, epoch, id });
        };
        let trailer = match encode(encoder.as_mut(), &body) {
            Ok(trailer) => trailer,
            Err(error) => return self.violated(format!("[{slot}] the body cannot be sent: {error}")),
        };
        let ask = Ask::new(&request, body, trailer);
        let mut name = ask.name();
        if ask.operation == "DeleteObjects" {
            name += &crate::content::crc(&ask.body).to_string();
        }
        let repeated = if self.is(Planted::RequestRepeated) { 2 } else { 1 };
        let Slot { sent, tasks, job, cancelled, runs, .. } = &mut self.slots[slot];
        let (count, refusals) = sent.entry(name.clone()).or_default();
        *count += repeated;
        let rounds = match ask.operation {
            // An object is looked at before and after, and to compare it.
            "HeadObject" => 2 + u32::from(job.folder.is_some()),
            // Each request that is refused without a reason asks by itself.
            "HeadBucket" if job.folder.is_some() => u32::try_from(job.most_requests()).unwrap_or(1),
            // What could not be deleted may be all of the next request, and of that after it.
            "DeleteObjects" => ATTEMPTS,
            _ => 1,
        };
        if *count > (ATTEMPTS + *refusals) * rounds {
            let what = format!("[{slot}] run {runs} sends '{name}' {count} times, {refusals} refused");
            return self.violated(what);
        }
        let in_flight = tasks.values().filter(|doing| **doing != Doing::Other).count();
        if in_flight > job.most_requests() + 3 {
            let what = format!("[{slot}] has {in_flight} requests in flight, of {}", job.most_requests());
            return self.violated(what);
        }
        let tidies = matches!(
            ask.operation,
            "AbortMultipartUpload" | "HeadObject" | "HeadBucket" | "CreateMultipartUpload"
        );
        if *cancelled && !tidies {
            return self.violated(format!("[{slot}] begins with '{name}' after it was cancelled"));
        }
        let fate = self.fate(&ask);
        if fate != Fate::Fine
            && matches!(
                ask.operation,
                "CreateMultipartUpload" | "ListMultipartUploads" | "ListParts" | "AbortMultipartUpload"
            )
        {
            self.slots[slot].blurred = true;
        }
        trace!(self, "[{slot}] {id:?} sends {name}: {fate:?}");
        if ask.operation == "HeadBucket" && fate != Fate::Fine {
            // Where a bucket is was asked because of an answer that said nothing: that is the error then.
            self.slots[slot].excuses.insert(ErrorKind::Service);
        }
        if let Fate::Refused(phase, kind) = fate {
            self.excuse(slot, phase, kind);
            return self.soon(Event::Failed { slot, epoch, id, phase, kind });
        }
        self.made += 1;
        let number = self.made;
        let time = if fate == Fate::Late {
            FIRST_BYTE / 2 + self.rng.time(FIRST_BYTE)
        } else {
            self.rng.time(Duration::from_millis(120))
        };
        self.flights.insert(number, Flight { slot, epoch, id, ask, fate, name });
        self.after(time, Event::Arrive(number));
        if fate == Fate::Late && time >= FIRST_BYTE {
            self.excuse(slot, Phase::Wait, TransportErrorKind::Timeout);
            let (phase, kind) = (Phase::Wait, TransportErrorKind::Timeout);
            self.after(FIRST_BYTE, Event::Failed { slot, epoch, id, phase, kind });
        }
    }

    fn body(&self, slot: usize, payload: &Payload) -> Option<Bytes> {
        match payload {
            Payload::Bytes(bytes) => Some(bytes.clone()),
            Payload::Source { from: SourceId::Call, offset, len, .. } => {
                let (at, len) = (usize::try_from(*offset).ok()?, usize::try_from(*len).ok()?);
                let source = &self.slots[slot].job.content;
                (at + len <= source.len()).then(|| source.slice(at..at + len))
            }
            Payload::Source { from: SourceId::File(id), offset, len, .. } => {
                self.disk.range(*id, *offset, *len)
            }
            _ => Some(Bytes::new()),
        }
    }

    fn fate(&mut self, ask: &Ask) -> Fate {
        if !self.rng.chance(self.weather.trouble) {
            return Fate::Fine;
        }
        let half = self.rng.chance(500);
        match self.rng.below(12) {
            0 => Fate::Refused(Phase::Resolve, TransportErrorKind::DnsTemporary),
            1 => {
                use TransportErrorKind as T;
                Fate::Refused(
                    Phase::Connect,
                    self.rng.pick(&[T::Refused, T::Timeout, T::Closed, T::TlsBroken, T::PoolExhausted]),
                )
            }
            3 => Fate::Silence { served: half },
            4 => Fate::Late,
            5 => Fate::Status(500, "InternalError", half && ask.writes()),
            6 => Fate::Status(503, "SlowDown", false),
            7 => Fate::Status(503, "ServiceUnavailable", false),
            8 if matches!(ask.operation, "CompleteMultipartUpload" | "CopyObject" | "UploadPartCopy") => {
                Fate::Status(200, "InternalError", half)
            }
            8 | 9 => Fate::Cut { stalls: half },
            10 if ask.operation == "GetObject" => Fate::Flipped,
            10 if ask.has_digest() && ask.body.len() < 100_000 => Fate::FlippedUp,
            11 if ask.operation == "GetObject" => Fate::Longer,
            _ => Fate::Reset { served: half },
        }
    }

    /// Something happens that the job may fail of.
    fn excuse(&mut self, slot: usize, phase: Phase, kind: TransportErrorKind) {
        use TransportErrorKind as T;
        let kind = match kind {
            T::DnsTemporary => ErrorKind::Dns,
            T::TlsBroken => ErrorKind::Tls,
            T::Timeout => ErrorKind::Timeout,
            T::PoolExhausted => ErrorKind::PoolExhausted,
            T::Closed if phase == Phase::Body => ErrorKind::TruncatedBody,
            _ => ErrorKind::Connect,
        };
        self.slots[slot].excuses.insert(kind);
    }

    /// A write may have worked although its sender does not know: what it finds then is no failure of its own.
    pub(super) fn excuse_ambiguity(&mut self, slot: usize) {
        self.slots[slot].excuses.extend([ErrorKind::NoSuchUpload, ErrorKind::PreconditionFailed]);
    }

    /// A request arrives at the service.
    pub(super) fn arrive(&mut self, number: u64) {
        let Some(flight) = self.flights.remove(&number) else { return };
        let Flight { slot, epoch, id, mut ask, fate, name } = flight;
        let closed = |phase| Event::Failed { slot, epoch, id, phase, kind: TransportErrorKind::Closed };
        let silence =
            Event::Failed { slot, epoch, id, phase: Phase::Wait, kind: TransportErrorKind::Timeout };
        match fate {
            Fate::Reset { served: false } => {
                self.excuse(slot, Phase::Send, TransportErrorKind::Closed);
                return self.soon(closed(Phase::Send));
            }
            Fate::Silence { served: false } => {
                self.excuse(slot, Phase::Wait, TransportErrorKind::Timeout);
                if !self.is(Planted::StallUnnoticed) {
                    self.after(FIRST_BYTE, silence);
                }
                return;
            }
            Fate::FlippedUp => {
                let mut body = ask.body.to_vec();
                let at = self.rng.below(body.len());
                body[at] ^= 0x10;
                ask.body = body.into();
                self.slots[slot].excuses.insert(ErrorKind::BadDigest);
            }
            _ => {}
        }
        self.cloud.now = self.time();
        let mut reply =
            match self.cloud.refusal(&ask, self.time(), self.valid_key(), self.weather.tells_expiry) {
                Some((why, reply)) => {
                    trace!(self, "    {name} is {why}");
                    if let Some((_, refusals)) =
                        self.slots[slot].sent.get_mut(&name).filter(|_| why != "unsigned")
                    {
                        *refusals += 1;
                    }
                    reply
                }
                None => match fate {
                    Fate::Status(status, code, served) => {
                        if served {
                            let _ = self.cloud.handle(&ask);
                            self.excuse_ambiguity(slot);
                        }
                        let kind = if code == "SlowDown" && !ask.is_head {
                            ErrorKind::SlowDown
                        } else {
                            ErrorKind::ServiceUnavailable
                        };
                        self.slots[slot].excuses.insert(kind);
                        Reply::error(&ask, status, code)
                    }
                    _ => self.cloud.handle(&ask),
                },
            };
        if self.is(Planted::BodyOfAnother)
            && ask.operation == "GetObject"
            && reply.status < 300
            && !reply.body.is_empty()
        {
            reply.body = crate::content::content(63, reply.body.len());
        }
        if !self.is(Planted::DateHidden) {
            reply.headers.push(("date", self.time().http_date()));
        }
        trace!(self, "    {name} is answered with {}", reply.status);
        match fate {
            Fate::Reset { served: true } => {
                self.excuse(slot, Phase::Wait, TransportErrorKind::Closed);
                self.excuse_ambiguity(slot);
                self.soon(closed(Phase::Wait));
            }
            Fate::Silence { served: true } => {
                self.excuse(slot, Phase::Wait, TransportErrorKind::Timeout);
                self.excuse_ambiguity(slot);
                if !self.is(Planted::StallUnnoticed) {
                    self.after(FIRST_BYTE, silence);
                }
            }
            fate => {
                if fate == Fate::Late {
                    self.excuse_ambiguity(slot);
                }
                if self.is(Planted::AnswerLost) && self.requests == 3 {
                    return;
                }
                self.soon(Event::Head { slot, epoch, id, reply, fate });
            }
        }
    }

    pub(super) fn head(&mut self, slot: usize, epoch: u32, mut id: TaskId, reply: Reply, fate: Fate) {
        let mut live = self.is_live(slot, epoch, id);
        if live && self.slots[slot].tasks.get(&id) == Some(&Doing::Body) {
            // A repetition that is too early to be late.
            return;
        }
        if !live {
            if !self.comes_late(slot, epoch) {
                return;
            }
            let other = self.slots[slot].tasks.iter().find(|(_, doing)| **doing == Doing::Http);
            if let Some((other, _)) = other.filter(|_| self.is(Planted::AnswerRenumbered)) {
                (id, live) = (*other, true);
            }
        }
        trace!(self, "[{slot}] {id:?} gets {}{}", reply.status, if live { "" } else { ", late" });
        let head = parts(&reply);
        let now = self.clocks();
        let Some(machine) = &mut self.slots[slot].machine else { return };
        let plan = machine.answer(now, id, Answer::Head(head.into()));
        let to = match plan {
            BodyPlan::Discard => {
                if live {
                    self.slots[slot].tasks.remove(&id);
                }
                return self.poll(slot);
            }
            _ if !live => return self.violated(format!("[{slot}] takes a late answer to {id:?}")),
            BodyPlan::Collect => To::Machine,
            BodyPlan::Deliver { to, offset, check } => To::Sink { sink: to, offset, check },
        };
        // The same once more, when it is over.
        if self.weather.late > 0 && self.rng.chance(100) {
            let (time, again) = (self.rng.time(Duration::from_secs(1)), reply.clone());
            self.after(time, Event::Head { slot, epoch, id, reply: again, fate: Fate::Fine });
        }
        self.slots[slot].tasks.insert(id, Doing::Body);
        self.slots[slot].incoming.insert(id, Incoming { reply, fate, at: 0, has_stalled: false, to });
        self.poll(slot);
        self.soon(Event::Piece { slot, epoch, id });
    }

    /// The next piece of a body comes, or its end.
    pub(super) fn piece(&mut self, slot: usize, id: TaskId) {
        let Some(mut incoming) = self.slots[slot].incoming.remove(&id) else { return };
        let (now, epoch) = (self.clocks(), self.slots[slot].epoch);
        let whole = incoming.reply.body.len();
        let end = if matches!(incoming.fate, Fate::Cut { .. }) { whole / 2 } else { whole };
        if incoming.at >= end {
            return self.end_of_body(slot, id, incoming);
        }
        let len = self.rng.between(1, (whole / 2).max(1)).min(end - incoming.at);
        let mut bytes = incoming.reply.body.slice(incoming.at..incoming.at + len);
        let seen = bytes.clone();
        if incoming.fate == Fate::Flipped && incoming.at == 0 && incoming.reply.status < 300 {
            let mut changed = bytes.to_vec();
            changed[0] ^= 1;
            bytes = changed.into();
            self.slots[slot].excuses.insert(ErrorKind::ChecksumMismatch);
        }
        match &mut incoming.to {
            To::Machine => {
                let Some(machine) = &mut self.slots[slot].machine else { return };
                if let BodyPlan::Discard = machine.answer(now, id, Answer::Chunk(&bytes)) {
                    self.slots[slot].tasks.remove(&id);
                    return self.poll(slot);
                }
            }
            To::Sink { sink, offset, check } => {
                let seen = if self.planted == Some(Planted::ChecksumIgnored) { &seen } else { &bytes };
                if check.update(seen).is_err() {
                    return self.end_of_body(slot, id, incoming);
                }
                if let Err(error) = self.write(slot, *sink, *offset + incoming.at as u64, &bytes) {
                    return self.violated(format!("[{slot}] {id:?} cannot write: {error}"));
                }
            }
        }
        incoming.at += len;
        self.slots[slot].incoming.insert(id, incoming);
        self.soon(Event::Piece { slot, epoch, id });
    }

    fn write(&mut self, slot: usize, sink: Sink, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
        match sink {
            Sink::File(file) => self.disk.write(file, offset, bytes),
            Sink::User => {
                self.slots[slot].received.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    fn end_of_body(&mut self, slot: usize, id: TaskId, incoming: Incoming) {
        let epoch = self.slots[slot].epoch;
        let closed = || TransportError::new(TransportErrorKind::Closed, "it broke");
        let (stalls, is_cut) = match incoming.fate {
            Fate::Cut { stalls } => (stalls, true),
            _ => (false, false),
        };
        if is_cut {
            self.slots[slot].excuses.insert(ErrorKind::TruncatedBody);
            // An answer that says nothing of its length seems whole.
            self.slots[slot].excuses.insert(ErrorKind::MalformedResponse);
            self.excuse_ambiguity(slot);
        }
        if stalls {
            self.slots[slot].excuses.insert(ErrorKind::Timeout);
            if !incoming.has_stalled {
                let unnoticed = self.is(Planted::StallUnnoticed);
                self.slots[slot].incoming.insert(id, Incoming { has_stalled: true, ..incoming });
                if !unnoticed {
                    self.after(IDLE, Event::Piece { slot, epoch, id });
                }
                return;
            }
        }
        let Incoming { reply, fate, at, to, .. } = incoming;
        match to {
            To::Machine if is_cut => {
                let kind = if stalls { TransportErrorKind::Timeout } else { TransportErrorKind::Closed };
                let cause = TransportError::new(kind, "it broke");
                self.answer(slot, epoch, id, Answer::Failed { phase: Phase::Body, cause });
            }
            To::Machine => {
                let created = created(&reply.body);
                if created.is_some() && self.weather.trouble > 0 && self.rng.chance(100) {
                    // Before or after a checkpoint can name it.
                    self.soon(Event::Crash);
                }
                self.slots[slot].learned.extend(created);
                self.answer(slot, epoch, id, Answer::End(None));
            }
            To::Sink { mut check, .. } => {
                if fate == Fate::Longer {
                    self.slots[slot].excuses.insert(ErrorKind::MalformedResponse);
                    let _ = check.update(b"more");
                }
                if is_cut && self.is(Planted::TruncationHidden) {
                    let _ = check.update(&reply.body[at..]);
                    return self.answer(slot, epoch, id, Answer::End(Some(check)));
                }
                let answer = match (is_cut, stalls) {
                    (false, _) => Answer::End(Some(check)),
                    (true, true) => {
                        let cause = TransportError::new(TransportErrorKind::Timeout, "it stalled");
                        Answer::Broken { check, cause }
                    }
                    (true, false) if self.rng.chance(500) => Answer::End(Some(check)),
                    (true, false) => Answer::Broken { check, cause: closed() },
                };
                self.answer(slot, epoch, id, answer);
            }
        }
    }
}

/// Passes a body through the encoder, and finds the checksum that follows it.
fn encode(encoder: Option<&mut BodyEncoder>, body: &[u8]) -> Result<Option<String>, Error> {
    let Some(encoder) = encoder else { return Ok(None) };
    for chunk in body.chunks(encoder.chunk_len().unwrap_or(BodyEncoder::CHUNK_LEN)) {
        let _ = encoder.encode(chunk)?;
    }
    let end = encoder.finish()?;
    let end = String::from_utf8_lossy(&end);
    Ok(end.lines().find_map(|line| line.strip_prefix("x-amz-checksum-crc64nvme:")).map(ToOwned::to_owned))
}

fn parts(reply: &Reply) -> http::response::Parts {
    let mut builder = http::Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        builder = builder.header(*name, value);
    }
    builder.body(()).expect("the headers are good").into_parts().0
}

/// The upload that this answer tells of.
fn created(body: &[u8]) -> Option<String> {
    body.starts_with(b"<Initiate").then(|| upload_in(body)).flatten()
}
