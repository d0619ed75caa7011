//! Whether a file has the content of an object.

use super::errands::{Errands, Outcome};
use crate::Error;
use crate::call::Call;
use crate::checksum::{Checksum, ChecksumAlgorithm};
use crate::client::polled_after_done;
use crate::encode::hex;
use crate::files::{FileId, FileReply, FileTask};
use crate::machine::{Answer, BodyPlan, Machine, Now, Step, TaskId};
use crate::ops::{ChecksumMode, HeadObject, HeadObjectOutput};
use crate::session::Session;

use super::nested::Nested;

/// Finds out whether a file has the content of an object, by the checksum of the object, or an ETag that is an
/// MD5. Where there is neither, it says that they differ.
pub(super) struct SameContent {
    head: Option<Nested<Call<HeadObject>>>,
    path: std::path::PathBuf,
    file: FileId,
    errands: Errands<Errand>,
    expected: Option<(ChecksumAlgorithm, Vec<u8>)>,
    len: u64,
    is_open: bool,
    result: Option<Result<bool, Error>>,
    last_id: u32,
    over: bool,
}

#[derive(PartialEq, Eq)]
enum Errand {
    Open,
    Hash,
    Close,
}

impl SameContent {
    pub(super) fn new(session: Session, bucket: &str, key: &str, path: std::path::PathBuf) -> Self {
        let mut op = HeadObject::new(bucket, key);
        op.checksum_mode = Some(ChecksumMode::Enabled);
        Self {
            file: session.new_file(),
            head: Some(Nested::new(Call::new(session, op))),
            path,
            errands: Errands::new(1),
            expected: None,
            len: 0,
            is_open: false,
            result: None,
            last_id: 0,
            over: false,
        }
    }

    fn headed(&mut self, head: &HeadObjectOutput) {
        let whole = |c: &&Checksum| c.composite_parts().is_none() && c.algorithm().is_computed();
        let md5 = head.etag.as_ref().map(crate::ETag::as_str).filter(|e| e.len() == 32);
        self.expected = match (head.checksum.as_ref().filter(whole), md5) {
            (Some(checksum), _) => Some((checksum.algorithm().clone(), checksum.bytes().to_vec())),
            (None, Some(md5)) => Some((ChecksumAlgorithm::Md5, md5.to_ascii_lowercase().into_bytes())),
            (None, None) => None,
        };
        self.len = head.content_length.unwrap_or_default();
        if self.expected.is_some() {
            self.errands.file(Errand::Open, FileTask::Open { id: self.file, path: self.path.clone() });
        } else {
            self.result = Some(Ok(false));
        }
    }

    fn filed(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Filed(Ok(FileReply::Opened(info))) => {
                self.is_open = true;
                match &self.expected {
                    Some((algorithm, _)) if info.len == self.len && self.result.is_none() => {
                        let (id, algorithm) = (self.file, algorithm.clone());
                        let task = FileTask::Hash { id, offset: 0, len: info.len, algorithm };
                        self.errands.file(Errand::Hash, task);
                    }
                    _ => self.finish(Ok(false)),
                }
            }
            Outcome::Filed(Ok(FileReply::Hashed(actual))) => {
                let same = self.expected.as_ref().is_some_and(|(algorithm, expected)| match algorithm {
                    // As it stands in an ETag, or in a header.
                    ChecksumAlgorithm::Md5 if expected.len() == 32 => {
                        hex(actual.bytes()).as_bytes() == expected.as_slice()
                    }
                    _ => actual.bytes() == expected.as_slice(),
                });
                self.finish(Ok(same));
            }
            Outcome::Filed(Err(error)) if self.result.is_none() => {
                let what = format_args!("reading {} failed", self.path.display());
                self.finish(Err(Error::local_io(what, error)));
            }
            Outcome::Filed(Ok(FileReply::Done) | Err(_)) => {}
            _ => self.finish(Err(Error::misfit())),
        }
    }

    fn finish(&mut self, result: Result<bool, Error>) {
        self.result.get_or_insert(result);
        if std::mem::take(&mut self.is_open) {
            self.errands.file(Errand::Close, FileTask::Close { id: self.file });
        }
    }
}

impl Machine for SameContent {
    type Item = ();
    type Output = bool;

    fn poll(&mut self, now: Now) -> Step<(), bool> {
        loop {
            if let Some((_, outcome)) = self.errands.next_done() {
                self.filed(outcome);
                continue;
            }
            let mut last_id = self.last_id;
            let mut new_id = || {
                last_id += 1;
                TaskId::new(last_id)
            };
            let errand = self.errands.poll(&mut new_id);
            let step = match (errand, &mut self.head) {
                (Some(step), _) => step,
                (None, Some(head)) => head.poll(now, new_id),
                (None, None) if self.over => return Step::Done(Err(polled_after_done())),
                (None, None) if self.errands.is_idle() => {
                    self.over = true;
                    return Step::Done(self.result.take().unwrap_or_else(|| Err(polled_after_done())));
                }
                (None, None) => return Step::Wait(None),
            };
            self.last_id = last_id;
            match step {
                Step::Start(id, task) => return Step::Start(id, task),
                Step::Cancel(id) => return Step::Cancel(id),
                Step::Wait(until) => return Step::Wait(until),
                Step::Item(()) => {}
                Step::Done(result) => {
                    self.head = None;
                    match result {
                        Ok(head) => self.headed(&head),
                        Err(error) => self.finish(Err(error)),
                    }
                }
            }
        }
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        if let Some(head) = self.head.as_mut().filter(|head| head.owns(id)) {
            return head.answer(now, id, answer);
        }
        self.errands.take(id, answer);
        BodyPlan::Discard
    }

    fn cancel(&mut self, now: Now) {
        if let Some(head) = &mut self.head {
            return head.cancel(now);
        }
        self.errands.forget(|errand| *errand != Errand::Hash);
        self.finish(Err(Error::cancelled()));
    }
}
