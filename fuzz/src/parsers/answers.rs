//! Answers to every operation, whole and in every cut: lists, results, multipart answers, errors.
//!
//! An input is the number of the operation, the status, and headers, each as the number of its name and a line; then,
//! after an empty line, the body.

use std::fmt::Debug;
use std::time::Duration;

use s3_proto::call::Stream;
use s3_proto::ops::*;
use s3_proto::{
    Answer, BodyPlan, Call, Config, Credentials, Instant, Machine, Now, Payload, Phase, Session, Step, Task,
    Timestamp, TransportError, TransportErrorKind,
};

use crate::input::Input;
use crate::machines::BUCKET;
use crate::service::{HEADERS, Reply, START};

const KEY: &str = "k";

fn session() -> Session {
    let keys = Credentials::new("AKIDEXAMPLE", "secret").unwrap();
    let mut config = Config::new("us-east-1").unwrap().with_credentials(keys);
    config.max_response = 1 << 20;
    Session::new(config)
}

/// How the machine ends if each request is answered with these pieces.
fn end<M: Machine>(mut machine: M, reply: &Reply, pieces: &[&[u8]]) -> String
where
    M::Output: Debug,
    M::Item: Debug,
{
    let wall = Timestamp::from_unix(START, 0).unwrap();
    let mut now = Now { mono: Instant::from_origin(Duration::ZERO), wall };
    let mut log = String::new();
    let head = reply.head();
    for _ in 0..1_000 {
        match machine.poll(now) {
            Step::Start(id, Task::Http(_)) => {
                match machine.answer(now, id, Answer::Head(head.clone().into())) {
                    BodyPlan::Discard => {}
                    BodyPlan::Collect => {
                        let mut goes_on = true;
                        for piece in pieces {
                            goes_on &=
                                matches!(machine.answer(now, id, Answer::Chunk(piece)), BodyPlan::Collect);
                        }
                        if goes_on {
                            let _ = machine.answer(now, id, Answer::End(None));
                        }
                    }
                    BodyPlan::Deliver { mut check, .. } => {
                        let is_whole = pieces.iter().all(|piece| check.update(piece).is_ok());
                        let cause = TransportError::new(TransportErrorKind::Closed, "it was closed");
                        let _ = if is_whole && reply.breaks {
                            machine.answer(now, id, Answer::Broken { check, cause })
                        } else {
                            machine.answer(now, id, Answer::End(Some(check)))
                        };
                    }
                }
            }
            Step::Start(id, _) => {
                let cause = TransportError::new(TransportErrorKind::Closed, "it was closed");
                let _ = machine.answer(now, id, Answer::Failed { phase: Phase::Connect, cause });
            }
            Step::Cancel(_) => {}
            Step::Item(item) => log += &format!("{item:?}\n"),
            Step::Wait(until) => now.mono = until.expect("it waits for nothing, for ever"),
            Step::Done(result) => {
                if let Err(error) = &result {
                    log += &error.to_string();
                }
                return log + &format!("{result:?}");
            }
        }
    }
    panic!("the machine goes round in circles");
}

/// The same end, however the body is cut.
fn cut<M: Machine>(machine: impl Fn() -> M, reply: &Reply, at: usize)
where
    M::Output: Debug,
    M::Item: Debug,
{
    let whole = end(machine(), reply, &[&reply.body]);
    let bytes: Vec<_> = reply.body.chunks(1).collect();
    assert_eq!(whole, end(machine(), reply, &bytes), "byte by byte");
    let (head, tail) = reply.body.split_at(at % (reply.body.len() + 1));
    assert_eq!(whole, end(machine(), reply, &[head, b"", tail]), "in two pieces");
}

macro_rules! operations {
    ($($operation:expr),* $(,)?) => {
        /// An answer to the `n`th operation.
        fn check(n: usize, reply: &Reply, at: usize) {
            let checks: &[fn(&Reply, usize)] = &[$(|reply, at| {
                cut(|| Call::new(session(), $operation), reply, at);
            },)*];
            match checks.get(n % (checks.len() + 2)) {
                Some(check) => check(reply, at),
                None => {
                    let mut get = GetObject::new(BUCKET, KEY);
                    if n % 2 == 0 {
                        get.range = Some((1..).into());
                    }
                    cut(|| Stream::new(session(), get.clone()), reply, at);
                }
            }
        }
    };
}

operations! {
    ListObjectsV2::new(BUCKET),
    ListObjects::new(BUCKET),
    ListObjectVersions::new(BUCKET),
    ListBuckets::new(),
    ListParts::new(BUCKET, KEY, "u"),
    ListMultipartUploads::new(BUCKET),
    CreateMultipartUpload::new(BUCKET, KEY),
    UploadPart::new(BUCKET, KEY, 1_u32, "u", Payload::Empty),
    UploadPartCopy::new(BUCKET, KEY, ("source", "k"), 1_u32, "u"),
    CompleteMultipartUpload::new(BUCKET, KEY, "u"),
    AbortMultipartUpload::new(BUCKET, KEY, "u"),
    CopyObject::new(BUCKET, KEY, ("source", "k")),
    DeleteObjects::new(BUCKET, vec![ObjectIdentifier::new("k")]),
    DeleteObject::new(BUCKET, KEY),
    PutObject::new(BUCKET, KEY, Payload::Empty),
    HeadObject::new(BUCKET, KEY),
    GetObject::new(BUCKET, KEY),
    GetObjectAttributes::new(BUCKET, KEY, vec![ObjectAttributes::ETag]),
    GetObjectTagging::new(BUCKET, KEY),
    PutObjectTagging::new(BUCKET, KEY, [("a", "b")]),
    DeleteObjectTagging::new(BUCKET, KEY),
    GetBucketTagging::new(BUCKET),
    PutBucketTagging::new(BUCKET, [("a", "b")]),
    DeleteBucketTagging::new(BUCKET),
    CreateBucket::new(BUCKET),
    DeleteBucket::new(BUCKET),
    HeadBucket::new(BUCKET),
    GetBucketLocation::new(BUCKET),
}

pub(crate) fn run(bytes: &[u8]) {
    let input = &mut Input::new(bytes);
    let operation = usize::from(input.byte());
    let at = usize::from(input.u16());
    let status = [200, 206, 204, 400, 403, 404, 500, 503, 301, 307, 412, 416, 304, 201];
    let (status, breaks) = (input.pick(&status), input.flag());
    let mut headers = Vec::new();
    while headers.len() < 20 {
        match input.line() {
            [] => break,
            [name, value @ ..] => headers.push((HEADERS[usize::from(*name) % HEADERS.len()], value.to_vec())),
        }
    }
    // One byte after the other: what is longer takes long, and shows nothing else.
    let body = input.rest();
    let body = body[..body.len().min(1 << 16)].to_vec();
    check(operation, &Reply { status, headers, body, breaks }, at);
}
