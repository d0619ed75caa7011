//! Whole calls, from the operation to the end of its machine, over a service that answers at once, beside the hashing
//! of one signature.

use std::hint::black_box;

use bytes::Bytes;
use http::{HeaderValue, Response, response};
use s3_proto::call::{Call, PresignCall, Stream};
use s3_proto::ops::{DeleteObject, GetObject, HeadObject, ListObjectsV2, PutObject};
use s3_proto::{
    Answer, BodyPlan, Config, Credentials, Instant, Machine, Now, Payload, PayloadSigning, Session, Step,
    Task, Timestamp,
};

use super::{Case, Work, lists, signing};

const KEY: &str = "photos/2025/11/cat-picture-0001.jpg";

/// What the names of counters take with the feature `metrics`, whether anybody listens or not.
const METRICS: u64 = if cfg!(feature = "metrics") { 12 } else { 0 };

pub fn cases() -> Vec<Case> {
    let case = |name, allocations, times, work| Case {
        name,
        work,
        allocations: allocations + METRICS,
        floor: signing::hash_a_get,
        times,
        bytes: 0,
    };
    vec![
        case("call GetObject, 1 KiB", 21, 2.3, || {
            call(ok(&[9; 1024]), |session| Stream::new(session, GetObject::new("examplebucket", KEY)))
        }),
        case("call PutObject, 1 KiB", 25, 2.1, || {
            let data = Bytes::from_static(&[9; 1024]);
            call(ok(b""), move |session| {
                Call::new(session, PutObject::new("examplebucket", KEY, Payload::Bytes(data.clone())))
            })
        }),
        case("call HeadObject", 19, 2.1, || {
            call(ok(b""), |session| Call::new(session, HeadObject::new("examplebucket", KEY)))
        }),
        case("call DeleteObject", 18, 1.9, || {
            call(ok(b""), |session| Call::new(session, DeleteObject::new("examplebucket", KEY)))
        }),
        case("call PresignCall", 10, 1.9, || {
            call(ok(b""), |session| {
                let day = std::time::Duration::from_secs(86_400);
                PresignCall::new(session, &GetObject::new("examplebucket", KEY), day)
            })
        }),
        case("call GetObject, NoSuchKey", 90, 6.0, || {
            let body = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code><Message>The specified key \
                does not exist.</Message><Key>photos/2025/11/cat-picture-0001.jpg</Key><RequestId>TX000</RequestId>\
                <HostId>abc</HostId></Error>";
            let mut answer = ok(body);
            answer.0.status = http::StatusCode::NOT_FOUND;
            call(answer, |session| Call::new(session, GetObject::new("examplebucket", KEY)))
        }),
        case("call ListObjectsV2, 1,000 entries", 1_041, 200.0, || {
            call(ok(lists::objects().as_bytes()), |session| {
                Call::new(session, ListObjectsV2::new("examplebucket"))
            })
        }),
    ]
}

type Answered = (response::Parts, Vec<u8>);

fn ok(body: &[u8]) -> Answered {
    let mut response = Response::new(());
    let headers = [
        ("x-amz-id-2", "Uuag1LuByRx9e6j5Onimru9pO4ZVKnJ2Qz7/C1NPcfTWAtRPfTaOFg=="),
        ("x-amz-request-id", "656c76696e6727732072657175657374"),
        ("date", "Wed, 12 Nov 2025 10:11:12 GMT"),
        ("last-modified", "Tue, 11 Nov 2025 10:11:12 GMT"),
        ("etag", "\"9b2cf535f27731c974343645a3985328\""),
        ("content-type", "binary/octet-stream"),
        ("server", "AmazonS3"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().insert("content-length", body.len().into());
    (response.into_parts().0, body.to_vec())
}

/// Runs a new machine to its end, again and again.
fn call<M: Machine>(answered: Answered, machine: impl Fn(Session) -> M + 'static) -> Work {
    let credentials =
        Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").unwrap();
    let mut config = Config::new("us-east-1").unwrap().with_credentials(credentials);
    config.payload_signing = PayloadSigning::Never;
    config.seed = 1;
    let session = Session::new(config);
    let now = Now { mono: Instant::default(), wall: Timestamp::from_unix(1_762_942_272, 0).unwrap() };
    Box::new(move || drop(black_box(run(machine(session.clone()), now, &answered))))
}

fn run<M: Machine>(mut machine: M, now: Now, (head, body): &Answered) -> Result<M::Output, s3_proto::Error> {
    loop {
        match machine.poll(now) {
            Step::Start(id, Task::Http(_)) => {
                match machine.answer(now, id, Answer::Head(head.clone().into())) {
                    BodyPlan::Deliver { mut check, .. } => {
                        check.update(body)?;
                        let _ = machine.answer(now, id, Answer::End(Some(check)));
                    }
                    BodyPlan::Collect => {
                        if !body.is_empty() {
                            let _ = machine.answer(now, id, Answer::Chunk(body));
                        }
                        let _ = machine.answer(now, id, Answer::End(None));
                    }
                    BodyPlan::Discard => {}
                }
            }
            Step::Item(item) => drop(black_box(item)),
            Step::Done(result) => return result,
            other => panic!(
                "a call with an answer to each task wants {:?}",
                other.map_item(drop).map_done(|_| Ok(()))
            ),
        }
    }
}
