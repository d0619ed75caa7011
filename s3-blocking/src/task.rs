//! Tasks, carried out one at a time on whatever thread may block.

use std::fs::File;
use std::io;
use std::sync::{Arc, PoisonError};

use bytes::Buf as _;
use s3_io::{Cancel, Failure, Unanswered, effects, files};
use s3_proto::sign::BodyEncoder;
use s3_proto::{
    Answer, BodyCheck, BodyPlan, Error, ErrorKind, HttpTask, Payload, Phase, Sink, SourceError, SourceId,
    Task, TaskId,
};

use crate::run::{Answered, Shared};
use crate::source::{Reader, Source};
use crate::transport::Download;

/// How much of an answer in XML is read at a time. Most are short, or empty without saying so, and memory has to be
/// cleared first.
const ANSWER: usize = 8 * 1024;

impl Shared<dyn Answered> {
    /// Blocks until the machine has its answer. `cancel` ends it early if it is about the network, a
    /// program, or the user's own source of credentials.
    pub(crate) fn carry_out(&self, id: TaskId, task: Task, cancel: &Cancel) {
        match task {
            Task::Http(task) => self.http(id, *task, cancel),
            Task::Fill { len } => {
                let filled = self.with_source(|source| source.fill(len)).map_err(SourceError::new);
                self.tell(id, Answer::Filled(filled));
            }
            task => match effects::perform(&self.files, task, cancel) {
                Ok(effect) => self.tell(id, effect.into_answer()),
                Err(task) => {
                    // A newer core has learned something that this driver has not.
                    let message = format!("this driver cannot carry out {task:?}");
                    self.fail(Error::new(ErrorKind::ApiMisuse, message));
                }
            },
        }
    }

    fn http(&self, id: TaskId, mut task: HttpTask, cancel: &Cancel) {
        let answered = self
            .request_body(&mut task)
            .map_err(|error| Unanswered::Source(error.into()))
            .and_then(|body| self.transport.send(task, body, cancel));
        match answered {
            Ok((head, download)) => {
                let plan = self.answer(id, Answer::Head(head.into()));
                self.body(id, plan, download, cancel);
            }
            Err(Unanswered::Failed(Failure { phase, cause })) => {
                self.tell(id, Answer::Failed { phase, cause });
            }
            Err(Unanswered::Source(error)) => self.tell(id, Answer::SourceFailed(error)),
        }
    }

    /// What gives the bytes of the payload, and what frames them.
    fn request_body(&self, task: &mut HttpTask) -> io::Result<Option<(Reader, BodyEncoder)>> {
        let (reader, len) = match task.request.body() {
            Payload::Empty | Payload::Unsized => return Ok(None),
            Payload::Bytes(bytes) => (Reader::Bytes(bytes.clone().reader()), bytes.len() as u64),
            Payload::Source { from: SourceId::Call, offset, len, .. } => {
                (self.with_source(|source| source.range(*offset, *len))?, *len)
            }
            Payload::Source { from: SourceId::File(file), offset, len, .. } => {
                (Reader::file(self.files.get(*file)?, *offset, *len), *len)
            }
        };
        Ok(Some((reader, task.encoder.take().unwrap_or_else(|| BodyEncoder::identity(len)))))
    }

    fn with_source<T>(&self, work: impl FnOnce(&mut Source) -> io::Result<T>) -> io::Result<T> {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        source.as_mut().map_or_else(|| Err(io::Error::other("no source came with the call")), work)
    }

    fn body(&self, id: TaskId, plan: BodyPlan, download: Download, cancel: &Cancel) {
        match plan {
            BodyPlan::Collect => self.collect(id, download),
            BodyPlan::Deliver { to: Sink::User, check, .. } if self.deliver => {
                self.deliver(id, download, check, cancel);
            }
            BodyPlan::Deliver { to: Sink::User, check, .. } => self.receive(id, None, 0, download, check),
            BodyPlan::Deliver { to: Sink::File(file), offset, check } => match self.files.get(file) {
                Ok(file) => self.receive(id, Some(&file), offset, download, check),
                Err(error) => self.tell(id, Answer::SourceFailed(error.into())),
            },
            // A body that is not read to its end costs the connection, and nothing else.
            BodyPlan::Discard => {}
        }
    }

    /// Gives a body to the machine.
    fn collect(&self, id: TaskId, mut download: Download) {
        let mut buffer = vec![0; download.piece_len().min(ANSWER)];
        loop {
            match download.read(&mut buffer) {
                Ok(0) => return self.tell(id, Answer::End(None)),
                Ok(read) => {
                    let chunk = Answer::Chunk(buffer.get(..read).unwrap_or_default());
                    if let BodyPlan::Discard = self.answer(id, chunk) {
                        return;
                    }
                }
                Err(cause) => return self.tell(id, Answer::Failed { phase: Phase::Body, cause }),
            }
        }
    }

    /// Reads a body and checks it, and writes it into the file, if there is one, from this place on.
    fn receive(
        &self,
        id: TaskId,
        file: Option<&Arc<File>>,
        mut at: u64,
        mut download: Download,
        mut check: Box<BodyCheck>,
    ) {
        let mut buffer = vec![0; download.piece_len()];
        loop {
            let piece = match download.read(&mut buffer) {
                Ok(0) => return self.tell(id, Answer::End(Some(check))),
                Ok(read) => buffer.get(..read).unwrap_or_default(),
                Err(cause) => return self.tell(id, Answer::Broken { check, cause }),
            };
            if check.update(piece).is_err() {
                // The machine finds the same in the check, and says of which object.
                return self.tell(id, Answer::End(Some(check)));
            }
            if let Some(Err(error)) = file.map(|file| files::write_all_at(file, piece, at)) {
                return self.tell(id, Answer::SourceFailed(error.into()));
            }
            at += piece.len() as u64;
        }
    }
}
