//! Driving one call by hand, against an answer that is at hand.

use std::time::Duration;

use s3_proto::ops::Operation;
use s3_proto::{
    Answer, BodyPlan, Call, Config, Credentials, Instant, Machine, Now, Payload, Phase, Session, Step, Task,
    TaskId, Timestamp, TransportError,
};

use crate::tally::{Verdict, fail};

/// An answer of the service.
pub(crate) struct Response {
    pub(crate) head: http::response::Parts,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn new(status: u16, headers: &[(&str, &str)], body: &str) -> Result<Self, Verdict> {
        let mut response = http::Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let response = response.body(()).map_err(|e| fail("an answer", e.to_string()))?;
        Ok(Self { head: response.into_parts().0, body: body.as_bytes().to_vec() })
    }
}

/// To Amazon S3.
pub(crate) fn config() -> Result<Config, Verdict> {
    let credentials = Credentials::new("AKIDEXAMPLE", "secret")?;
    Ok(Config::new("us-east-1")?.with_credentials(credentials))
}

/// One attempt, to Amazon S3.
pub(crate) fn session() -> Result<Session, Verdict> {
    Ok(Session::new(config()?.with_max_attempts(1)))
}

fn now() -> Result<Now, Verdict> {
    let wall = Timestamp::from_unix(1_700_000_000, 0).ok_or_else(|| fail("a time", "none"))?;
    Ok(Now { mono: Instant::from_origin(Duration::from_secs(1)), wall })
}

/// More polls than any single call needs.
const MAX_POLLS: usize = 100;

/// What a machine came to: an item, if it gives one, or else its output.
pub(crate) enum Came<I, T> {
    Item(I),
    Output(T),
}

/// How a machine ends.
pub(crate) type End<M> = Result<Came<<M as Machine>::Item, <M as Machine>::Output>, s3_proto::Error>;

/// Gives `response` to each request of the machine.
pub(crate) fn drive<M: Machine>(mut machine: M, response: &Response) -> Result<End<M>, Verdict> {
    let now = now()?;
    for _ in 0..MAX_POLLS {
        match machine.poll(now) {
            Step::Start(id, Task::Http(_)) => answer(&mut machine, now, id, response),
            Step::Item(item) => return Ok(Ok(Came::Item(item))),
            Step::Done(result) => return Ok(result.map(Came::Output)),
            Step::Cancel(_) => {}
            other @ (Step::Start(..) | Step::Wait(_)) => {
                let step = if matches!(other, Step::Wait(_)) { "a wait" } else { "another task" };
                return Err(fail("an end of the call", step));
            }
        }
    }
    Err(fail("an end of the call", "none"))
}

/// What becomes of a request.
pub(crate) enum Reply {
    Answered(Response),
    Failed(TransportError),
}

/// How a machine went through a script.
pub(crate) struct Scripted<T> {
    pub(crate) result: Result<T, s3_proto::Error>,
    /// The heads of the requests, in their order.
    pub(crate) requests: Vec<http::HeaderMap>,
}

/// Gives the replies in turn, one to each request; waits are over at once.
pub(crate) fn script<M: Machine>(
    mut machine: M,
    replies: Vec<Reply>,
) -> Result<Scripted<M::Output>, Verdict> {
    let (mut now, mut replies, mut requests) = (now()?, replies.into_iter(), Vec::new());
    for _ in 0..MAX_POLLS {
        match machine.poll(now) {
            Step::Start(id, Task::Http(task)) => {
                requests.push(task.request.headers().clone());
                match replies.next() {
                    Some(Reply::Answered(response)) => answer(&mut machine, now, id, &response),
                    Some(Reply::Failed(cause)) => {
                        let _ = machine.answer(now, id, Answer::Failed { phase: Phase::Wait, cause });
                    }
                    None => return Err(fail("an end of the call", "one more request")),
                }
            }
            Step::Wait(Some(until)) if until > now.mono => now.mono = until,
            Step::Done(result) => return Ok(Scripted { result, requests }),
            Step::Cancel(_) | Step::Item(_) => {}
            Step::Start(..) | Step::Wait(_) => return Err(fail("an end of the call", "another step")),
        }
    }
    Err(fail("an end of the call", "none"))
}

fn answer<M: Machine>(machine: &mut M, now: Now, id: TaskId, response: &Response) {
    if let BodyPlan::Collect = machine.answer(now, id, Answer::Head(response.head.clone().into())) {
        if !response.body.is_empty() {
            let _ = machine.answer(now, id, Answer::Chunk(&response.body));
        }
        let _ = machine.answer(now, id, Answer::End(None));
    }
}

/// The request that an operation sends first, to Amazon S3.
pub(crate) fn request<O: Operation>(op: O) -> Result<http::Request<Payload>, Verdict> {
    request_in(session()?, op)
}

/// The request that an operation sends first, once a directory bucket has given it a session.
pub(crate) fn request_in<O: Operation>(session: Session, op: O) -> Result<http::Request<Payload>, Verdict> {
    const SESSION: &str = "<CreateSessionResult><Credentials><AccessKeyId>AKIDSESSION</AccessKeyId>\
        <SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>\
        <Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></CreateSessionResult>";
    let (now, mut call) = (now()?, Call::new(session, op));
    for _ in 0..MAX_POLLS {
        match call.poll(now) {
            Step::Start(id, Task::Http(task)) if task.request.uri().query() == Some("session") => {
                answer(&mut call, now, id, &Response::new(200, &[], SESSION)?);
            }
            Step::Start(_, Task::Http(task)) => return Ok(task.request),
            Step::Done(Err(error)) => return Err(error.into()),
            _ => break,
        }
    }
    Err(fail("a request", "something else"))
}
