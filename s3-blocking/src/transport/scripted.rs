//! Answers by script in place of the network (feature `testing`).

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use s3_io::{Capture, Failure, Unanswered};
use s3_proto::testing::{Line, ScriptedBody};
use s3_proto::{HttpTask, Payload, Phase};

use super::gate::Permit;
use super::wire::other;
use super::{Download, PIECE};
use crate::source::Reader;

pub(super) fn answer(
    line: &Line,
    task: HttpTask,
    reader: Option<Reader>,
    permit: Permit,
) -> Result<(http::response::Parts, Download), Unanswered> {
    let (request, payload) = task.request.into_parts();
    let body = match (payload, reader) {
        (Payload::Bytes(bytes), _) => bytes,
        (Payload::Source { len, .. }, Some(mut reader)) => {
            let mut capture = Capture::new(task.encoder, len);
            loop {
                let mut piece = vec![0; PIECE];
                match reader.read(&mut piece).map_err(|error| Unanswered::Source(error.into()))? {
                    0 => break capture.finish().map_err(Unanswered::Source)?,
                    read => {
                        piece.truncate(read);
                        capture.push(piece.into()).map_err(Unanswered::Source)?;
                    }
                }
            }
        }
        _ => Bytes::new(),
    };
    match line.answer(request, &task.timeouts, body) {
        Ok((head, body)) => {
            let body = ureq::Body::builder().reader(Script { body, rest: Bytes::new() });
            Ok((head, Download::new(body, permit)))
        }
        Err((phase, cause)) => Err(Failure { phase, cause }.into()),
    }
}

/// The body as ureq reads it.
struct Script {
    body: ScriptedBody,
    rest: Bytes,
}

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.body.next() {
                Some(Ok(piece)) => self.rest = piece,
                Some(Err(cause)) => {
                    return Err(io::Error::other(other(Failure { phase: Phase::Body, cause })));
                }
                None => return Ok(0),
            }
        }
        let read = self.rest.len().min(buffer.len());
        if let Some(target) = buffer.get_mut(..read) {
            self.rest.copy_to_slice(target);
        }
        Ok(read)
    }
}
