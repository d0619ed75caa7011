//! Answers by script in place of the network (feature `testing`).

use std::io::{self, Read};

use bytes::Bytes;
use s3_io::{Cancel, Capture, Failure, Permit, PieceReader, Unanswered};
use s3_proto::sign::BodyEncoder;
use s3_proto::testing::Line;
use s3_proto::{HttpTask, Phase, SourceError, TransportErrorKind};

use super::wire::other;
use super::{Download, PIECE};
use crate::source::Reader;

pub(super) fn answer(
    line: &Line,
    task: HttpTask,
    body: Option<(Reader, BodyEncoder)>,
    permit: Permit,
    cancel: &Cancel,
) -> Result<(http::response::Parts, Download), Unanswered> {
    let body = body.map_or(Ok(Bytes::new()), |(reader, encoder)| capture(reader, encoder));
    let body = body.map_err(Unanswered::Source)?;
    if cancel.is_cancelled() {
        // As a connection that was closed while the body was read.
        let message = "the call was cancelled";
        return Err(Failure::new(Phase::Send, TransportErrorKind::Closed, message).into());
    }
    let (request, _) = task.request.into_parts();
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

fn capture(mut reader: Reader, encoder: BodyEncoder) -> Result<Bytes, SourceError> {
    let len = encoder.decoded_len();
    let mut capture = Capture::new(Some(encoder), len);
    loop {
        let mut piece = vec![0; PIECE];
        match reader.read(&mut piece)? {
            0 => return capture.finish(),
            read => {
                piece.truncate(read);
                capture.push(piece.into())?;
            }
        }
    }
}
