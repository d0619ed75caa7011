//! Answers by script in place of the network (feature `testing`).

use std::io::{self, Read};

use bytes::Bytes;
use s3_io::{Capture, Failure, Permit, PieceReader, Unanswered};
use s3_proto::testing::Line;
use s3_proto::{HttpTask, Payload, Phase};

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
            // As ureq fails when one of our connections does.
            let broken = |cause| io::Error::other(other(Failure { phase: Phase::Body, cause }));
            let pieces = body.map(move |piece| piece.map_err(broken));
            let body = ureq::Body::builder().reader(PieceReader::new(pieces, u64::MAX));
            Ok((head, Download::new(body, permit)))
        }
        Err((phase, cause)) => Err(Failure { phase, cause }.into()),
    }
}
