//! Small spaces, all of them: every row of answers to a call, and every cut of an upload of three parts.
// Helpers outside of `#[test]` may fail the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use s3_proto::credentials::{CredentialsProvider, CredentialsSource};
use s3_proto::ops::{
    CopyObject, CopySource, CreateMultipartUpload, HeadObject, Operation, PutObject, UploadPart,
};
use s3_proto::transfer::{Upload, UploadOptions};
use s3_proto::{
    Answer, BodyPlan, Call, Config, Credentials, ETag, Error, ErrorKind, HttpTask, Machine, Payload, Phase,
    Session, Step, Task, TaskId, TransportError, TransportErrorKind as T,
};
use support::store::{Answered, Object, Open, Seen, Store, refusal};
use support::yard::{Fate, Yard, source};
use support::*;

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Served,
    /// The answer comes once more when it is over.
    ServedTwice,
    Refused(u16, &'static str),
    /// It is done, and the answer says that it is not.
    DoneButRefused,
    NotSent,
    /// The connection breaks, before or after it is done.
    Reset {
        done: bool,
    },
    /// Nothing comes in time; then, while the next attempt is under way, the answer does.
    Late,
    /// The body of the answer breaks off.
    Cut,
    Elsewhere,
    Expired,
}

const ENDS: [End; 12] = [
    End::Served,
    End::ServedTwice,
    End::Refused(500, "InternalError"),
    End::Refused(503, "SlowDown"),
    End::DoneButRefused,
    End::NotSent,
    End::Reset { done: false },
    End::Reset { done: true },
    End::Late,
    End::Cut,
    End::Elsewhere,
    End::Expired,
];

/// No wait is longer: 20 s, and what a service may add.
const LONGEST_WAIT: Duration = Duration::from_secs(25);
const ATTEMPTS: usize = 3;

fn new_session() -> Session {
    let mut config = Config::new("us-east-1").unwrap();
    let fetched = AtomicUsize::new(0);
    config.credentials = CredentialsSource::Custom(CredentialsProvider::new("rotating", move |_| {
        let id = format!("KEYS{}", fetched.fetch_add(1, Ordering::Relaxed));
        async move { Ok(Credentials::new(id, "secret".to_owned())?.with_session_token("token")) }
    }));
    Session::new(config)
}

/// One call, and what its attempts come to.
struct Trial<M> {
    machine: M,
    operation: &'static str,
    world: World,
    store: Store,
    ends: Vec<End>,
    /// How many attempts were sent: of the operation, and of looks at what it has done.
    sent: usize,
    looks: usize,
    /// The last attempt that there was has failed.
    spent: bool,
    /// Answers that come late.
    late: Vec<(TaskId, Answered)>,
}

impl<M: Machine> Trial<M> {
    fn new(operation: &'static str, machine: M, store: Store, ends: &[End]) -> Self {
        let ends = ends.iter().rev().copied().collect();
        Self {
            machine,
            operation,
            world: World::default(),
            store,
            ends,
            sent: 0,
            looks: 0,
            spent: false,
            late: Vec::new(),
        }
    }

    fn run(&mut self) -> Result<M::Output, Error> {
        for _ in 0..100 {
            match self.machine.poll(self.world.now) {
                Step::Start(id, Task::Http(task)) => self.attempt(id, &task),
                Step::Wait(Some(until)) => {
                    let wait = until.since(self.world.now.mono);
                    assert!(Duration::ZERO < wait && wait <= LONGEST_WAIT, "waits for {wait:?}");
                    self.world.pass(wait);
                }
                Step::Done(result) => {
                    // Whatever comes now is of no interest.
                    self.give_late();
                    return result;
                }
                _ => panic!("not expected"),
            }
        }
        panic!("it goes round in circles");
    }

    fn attempt(&mut self, id: TaskId, task: &HttpTask) {
        self.give_late();
        let body = match task.request.body() {
            Payload::Bytes(bytes) => bytes.clone(),
            _ => Bytes::new(),
        };
        let seen = Seen::new(&task.request, body, None);
        let is_look = seen.operation == "HeadObject" && self.operation != "HeadObject";
        self.looks += usize::from(is_look);
        self.sent += usize::from(!is_look);
        let signed = seen.header("authorization").unwrap().to_owned();
        let end = match self.ends.pop().unwrap_or(End::Served) {
            End::Elsewhere if signed.contains("/eu-west-1/") => End::Served,
            End::Expired if !signed.contains("KEYS0/") => End::Served,
            end => end,
        };
        let is_over = matches!(end, End::Served | End::ServedTwice | End::Elsewhere | End::Expired);
        self.spent |= !is_over && !is_look && self.sent >= ATTEMPTS;
        let is_done = matches!(
            end,
            End::Served
                | End::ServedTwice
                | End::DoneButRefused
                | End::Reset { done: true }
                | End::Late
                | End::Cut
        );
        let answered = is_done.then(|| self.store.handle(&seen));
        let region = || ("x-amz-bucket-region".to_owned(), "eu-west-1".to_owned());
        // An answer to a HEAD has no body, but some stores say in a header why.
        let reason = || ("x-amz-error-code".to_owned(), "ExpiredToken".to_owned());
        match (end, answered) {
            (End::Served | End::ServedTwice, Some(answered)) => {
                self.give(id, &answered, false);
                if end == End::ServedTwice {
                    self.late.push((id, answered));
                    self.give_late();
                }
            }
            (End::Cut, Some(mut answered)) => {
                answered.1.push(("content-length".to_owned(), (answered.2.len() + 9).to_string()));
                self.give(id, &answered, true);
            }
            (End::Late, Some(answered)) => {
                self.fail(id, Phase::Wait, T::Timeout);
                self.late.push((id, answered));
            }
            (End::Refused(status, code), _) => self.give(id, &refusal(status, code), false),
            (End::DoneButRefused, _) => self.give(id, &refusal(500, "InternalError"), false),
            (End::Elsewhere, _) => self.give(id, &(301, vec![region()], Vec::new()), false),
            (End::Expired, _) => self.give(id, &(400, vec![reason()], refusal(400, "ExpiredToken").2), false),
            (End::NotSent, _) => self.fail(id, Phase::Connect, T::Refused),
            (End::Reset { done }, _) => {
                self.fail(id, if done { Phase::Wait } else { Phase::Send }, T::Closed);
            }
            (_, None) => unreachable!(),
        }
    }

    fn fail(&mut self, id: TaskId, phase: Phase, kind: T) {
        let cause = TransportError::new(kind, "broken");
        let plan = self.machine.answer(self.world.now, id, Answer::Failed { phase, cause });
        assert!(matches!(plan, BodyPlan::Discard));
    }

    fn give(&mut self, id: TaskId, (status, headers, body): &Answered, cut: bool) {
        let names: Vec<(&'static str, String)> =
            headers.iter().map(|(name, value)| (&*name.clone().leak(), value.clone())).collect();
        let now = self.world.now;
        if !matches!(
            self.machine.answer(now, id, Answer::Head(head(*status, &names).into())),
            BodyPlan::Collect
        ) {
            return;
        }
        let _ = self.machine.answer(now, id, Answer::Chunk(body));
        if cut {
            return self.fail(id, Phase::Body, T::Closed);
        }
        let _ = self.machine.answer(now, id, Answer::End(None));
    }

    fn give_late(&mut self) {
        for (id, (status, ..)) in std::mem::take(&mut self.late) {
            let plan = self.machine.answer(self.world.now, id, Answer::Head(head(status, &[]).into()));
            assert!(matches!(plan, BodyPlan::Discard), "a late answer is taken");
        }
    }
}

/// Every row of three ends, with whatever follows being served.
fn every_row(mut check: impl FnMut(&[End])) {
    for first in ENDS {
        for second in ENDS {
            for third in ENDS {
                check(&[first, second, third]);
            }
        }
    }
}

/// A call comes to its end after every row, and fails only if all of its attempts have.
fn assert_every_row<O: Operation + Clone>(op: &O, begin: impl Fn() -> Store, is_done: impl Fn(&Store) -> bool)
where
    Call<O>: Machine,
{
    every_row(|row| {
        let mut trial = Trial::new(O::NAME, Call::new(new_session(), op.clone()), begin(), row);
        let result = trial.run().map(drop);
        assert_eq!(result.is_err(), trial.spent, "{row:?}: {result:?}");
        assert!(result.is_err() || is_done(&trial.store), "{row:?}: acknowledged, but not done");
        // With a redirect and a refresh, which count as attempts but are no reason to give up.
        assert!(
            trial.sent <= ATTEMPTS + 2 && trial.looks <= ATTEMPTS + 2,
            "{row:?}: {} requests",
            trial.sent
        );
        if let Err(error) = result {
            assert!(error.is_retryable(), "{row:?}: {error:?}");
        }
    });
}

fn holding(key: &str, content: &'static [u8]) -> Store {
    let mut store = Store::new();
    let object = Object { pieces: vec![content.into()], etag: "theirs".into(), ..Object::default() };
    store.objects.insert(key.to_owned(), object);
    store
}

fn holds(store: &Store, key: &str, content: &[u8]) -> bool {
    store.objects.get(key).is_some_and(|object| object.is(content))
}

#[test]
fn every_row_of_answers_to_calls_that_can_be_repeated() {
    let put = PutObject::new("bkt", "k", Bytes::from("ours"));
    assert_every_row(&put, Store::new, |store| holds(store, "k", b"ours"));
    assert_every_row(&HeadObject::new("bkt", "k"), || holding("k", b"theirs"), |_| true);
    let copy = CopyObject::new("bkt", "k", CopySource::new("bkt", "from"));
    assert_every_row(&copy, || holding("from", b"ours"), |store| holds(store, "k", b"ours"));
    let create = CreateMultipartUpload::new("bkt", "k");
    assert_every_row(&create, Store::new, |store| !store.uploads.is_empty());
    let begun = || {
        let mut store = Store::new();
        let open = Open {
            key: "k".into(),
            headers: http::HeaderMap::new(),
            parts: std::collections::BTreeMap::new(),
            initiated: store.now,
            initiator: "us",
        };
        assert_eq!(store.begin(open), "upload-1");
        store
    };
    let part = UploadPart::new("bkt", "k", 1u32, "upload-1", Bytes::from("ours"));
    assert_every_row(&part, begun, |store| store.uploads["upload-1"].parts[&1].content == "ours");
}

#[test]
fn every_row_of_answers_to_a_write_that_must_not_find_anything() {
    let mut put = PutObject::new("bkt", "k", Bytes::from("ours"));
    put.if_none_match = Some(ETag::ANY);
    assert_every_row(&put, Store::new, |store| holds(store, "k", b"ours"));
    // What somebody else has written stays, and is never taken for ours.
    every_row(|row| {
        let mut trial =
            Trial::new(PutObject::NAME, Call::new(new_session(), put.clone()), holding("k", b"theirs"), row);
        let error = trial.run().unwrap_err();
        assert!(holds(&trial.store, "k", b"theirs"), "{row:?}");
        if !trial.spent {
            assert_eq!(error.kind(), ErrorKind::PreconditionFailed, "{row:?}: {error}");
        }
    });
}

const PART: usize = 5 << 20;
const FILE: &str = "/data/film";
/// Which of the tasks under way comes next, wherever there are several.
const ORDERS: [[usize; 3]; 6] = [[0, 0, 0], [0, 1, 0], [1, 0, 0], [1, 1, 0], [2, 0, 0], [2, 1, 0]];

fn upload() -> Upload {
    let mut options = UploadOptions::default();
    (options.threshold, options.part_size, options.concurrency) = (PART as u64, PART as u64, 3);
    options.checkpoint = Some("/data/film.checkpoint".into());
    let config = aws();
    Upload::file(Session::new(config), PutObject::new("bkt", "film", Payload::Empty), FILE, options)
}

fn yard(order: [usize; 3]) -> Yard {
    let mut yard = Yard::new().with_file(FILE, source(2 * PART + 1));
    yard.store.has_md5_tags = false;
    let mut turns = order.into_iter().cycle();
    yard.pick = Box::new(move |n| if n > 1 { turns.next().unwrap() } else { 0 });
    yard
}

#[track_caller]
fn assert_whole(yard: &Yard, what: &str) {
    assert!(yard.store.objects["film"].is(&source(2 * PART + 1)), "{what}: another content");
    assert_eq!(yard.disk.len(), 1, "{what}: the checkpoint was left");
}

#[test]
fn every_cut_of_an_upload_of_three_parts() {
    for order in ORDERS {
        let steps = yard(order).run(upload()).steps;
        for first in 0..steps {
            let mut yard = yard(order);
            yard.crash(upload(), first);
            yard.run(upload()).ok();
            let what = format!("{order:?}, cut at step {first} of {steps}");
            assert_whole(&yard, &what);
            assert!(yard.store.uploads.is_empty(), "{what}: an upload was left");
        }
    }
}

#[test]
fn every_fault_of_every_request_of_an_upload_of_three_parts() {
    let fates = [
        Fate::NotServed,
        Fate::Lost,
        Fate::Refused(500, "InternalError"),
        Fate::Refused(503, "SlowDown"),
        Fate::ServedButRefused(500, "InternalError"),
    ];
    for order in ORDERS {
        for fate in fates {
            let requests = 5;
            for at in 0..requests {
                let mut count = 0;
                let mut yard = yard(order).with_fates(move |_| {
                    count += 1;
                    if count == at + 1 { fate } else { Fate::Served }
                });
                yard.run(upload()).ok();
                let what = format!("{order:?}, {fate:?} at request {at}");
                assert_whole(&yard, &what);
                // One whose beginning was never answered is not known to anybody.
                let unknown = yard.count("CreateMultipartUpload") - 1;
                assert!(yard.store.uploads.len() <= unknown, "{what}: an upload was left");
            }
        }
    }
}
