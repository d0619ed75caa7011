//! Uploads that were begun by runs which broke off before their checkpoint could name them.
//!
//! Such an upload has no parts: none is sent before. But it stays at the service, and nobody knows its id. What
//! the checkpoint does know is when each of those runs was about to begin. The service lists the uploads of a key
//! with the time and the user that began each (`ListMultipartUploads`); neither metadata nor tags are in that list,
//! so there is no mark that an upload could bear. The upload that goes on in their place is in it too, and is
//! what the others are compared with: it was begun by the same user, and tells the service's clock from ours.
//!
//! An upload is aborted only if it looks just like that one, was begun within a [minute](WITHIN) of such a time, and
//! has no parts; and none is if there are more of those than runs that broke off. What this cannot tell apart is an
//! upload by the same user to the same key in the same minute that has no part yet either, if the run in question
//! broke off before it had begun anything.

use std::collections::VecDeque;
use std::time::Duration;

use super::requests::{Job, Requests, Target, ask};
use crate::ops::{
    ListMultipartUploads, ListMultipartUploadsOutput, ListParts, ListPartsOutput, MultipartUpload,
};
use crate::pages::Paginated as _;
use crate::session::Session;
use crate::skew::ClockSkew;
use crate::{Error, ErrorKind, Timestamp};

/// How far from the time at which it was to begin an upload may have begun.
const WITHIN: Duration = Duration::from_secs(60);
/// So many runs that broke off are remembered, the last ones.
const MOST: usize = 16;
/// So many uploads of one key are looked at.
const MOST_UPLOADS: usize = 10_000;

/// What it takes to ask the service.
type To<'a> = (&'a mut Requests, &'a Session, &'a Target);

#[derive(Debug, Default)]
pub(super) struct Leftovers {
    /// When runs were about to begin an upload that nobody has heard of, by the local clock.
    earlier: Vec<Timestamp>,
    /// When the upload that goes on was.
    own: Option<Timestamp>,
    listed: Vec<MultipartUpload>,
    /// Uploads whose parts are to be asked for.
    suspects: VecDeque<String>,
    /// Those that have none.
    empty: Vec<String>,
    busy: bool,
}

impl Leftovers {
    /// What a checkpoint says; the last is the time of its own upload, if that is `known`.
    pub(super) fn load(&mut self, mut begun: Vec<Timestamp>, known: bool) {
        self.own = if known { begun.pop() } else { None };
        self.earlier = begun.split_off(begun.len().saturating_sub(MOST));
    }

    /// An upload is about to begin.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.own = Some(now);
    }

    /// What a checkpoint is to say.
    pub(super) fn times(&self) -> Vec<Timestamp> {
        self.earlier.iter().copied().chain(self.own).collect()
    }

    pub(super) fn are_there(&self) -> bool {
        !self.earlier.is_empty()
    }

    /// Nothing more is done about them.
    pub(super) fn forget(&mut self, why: &str) {
        if self.are_there() {
            let runs = self.earlier.len();
            tracing::warn!(runs, why, "an upload without parts may be left of each run that broke off");
        }
        self.earlier.clear();
        self.suspects.clear();
        self.empty.clear();
        self.busy = false;
    }

    /// Looks for them, if that has not begun yet.
    pub(super) fn look(&mut self, (requests, session, target): To<'_>) {
        if self.are_there() && !self.busy {
            self.busy = true;
            self.listed.clear();
            ask(requests, session, target.uploads(), Job::Uploads);
        }
    }

    /// A page of the uploads of this key, of which `own` goes on.
    pub(super) fn listed(
        &mut self,
        (requests, session, target): To<'_>,
        op: &ListMultipartUploads,
        result: Result<ListMultipartUploadsOutput, Error>,
        own: Option<&str>,
    ) {
        let page = match result {
            Ok(page) => page,
            Err(error) => return self.forget(error.message()),
        };
        let key = &target.create.key;
        // In the order of keys this one comes before all that it begins.
        let is_past = page.uploads.iter().any(|upload| upload.key != *key);
        let next = op.next(&page).filter(|next| !is_past && next.key_marker.as_ref() == Some(key));
        self.listed.extend(page.uploads.into_iter().filter(|upload| upload.key == *key));
        if let Some(next) = next.filter(|_| self.listed.len() < MOST_UPLOADS) {
            return ask(requests, session, next, Job::Uploads);
        }
        let listed = std::mem::take(&mut self.listed);
        match self.suspects(&listed, own) {
            Ok(suspects) => self.suspects = suspects,
            Err(why) => return self.forget(why),
        }
        self.probe((requests, session, target));
    }

    /// Uploads that look just like our own and were begun when one of those runs was about to.
    fn suspects(
        &self,
        listed: &[MultipartUpload],
        own: Option<&str>,
    ) -> Result<VecDeque<String>, &'static str> {
        let ours = listed.iter().find(|upload| Some(upload.upload_id.as_str()) == own);
        let Some((ours, began, at)) = ours.and_then(|ours| Some((ours, ours.initiated?, self.own?))) else {
            return Err("the list of uploads lacks our own, to compare others with");
        };
        let skew = ClockSkew::between(at, began);
        let in_time = |initiated: Timestamp| {
            let off = |at: Timestamp| initiated.since(at).max(at.since(initiated));
            self.earlier.iter().any(|earlier| off(skew.correct(*earlier)) <= WITHIN)
        };
        let is_alike = |upload: &&MultipartUpload| {
            let (upload_id, initiated) = (ours.upload_id.clone(), ours.initiated);
            upload.upload_id != ours.upload_id
                && upload.initiated.is_some_and(in_time)
                && MultipartUpload { upload_id, initiated, ..(*upload).clone() } == *ours
        };
        Ok(listed.iter().filter(is_alike).map(|upload| upload.upload_id.clone()).collect())
    }

    /// Asks for the parts of the next one, and in the end aborts those that have none.
    fn probe(&mut self, (requests, session, target): To<'_>) {
        if let Some(id) = self.suspects.pop_front() {
            let probe = ListParts { max_parts: Some(1), ..target.list(&id) };
            ask(requests, session, probe, Job::Probe);
        } else if self.empty.len() > self.earlier.len() {
            self.forget("there are more uploads without parts than runs that broke off");
        } else {
            self.sweep((requests, session, target));
        }
    }

    /// Whether one has parts.
    pub(super) fn probed(&mut self, to: To<'_>, upload_id: &str, result: Result<ListPartsOutput, Error>) {
        match result {
            Ok(page) if page.parts.is_empty() && page.is_truncated != Some(true) => {
                self.empty.push(upload_id.to_owned());
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(
                    upload_id,
                    error.kind = ?error.kind(),
                    error.code = error.code(),
                    "an upload cannot be looked at"
                );
            }
        }
        self.probe(to);
    }

    fn sweep(&mut self, (requests, session, target): To<'_>) {
        if let Some(id) = self.empty.pop() {
            tracing::info!(upload_id = id, "aborting an upload without parts of a run that broke off");
            ask(requests, session, target.abort(&id), Job::Sweep);
        } else {
            self.earlier.clear();
            self.busy = false;
        }
    }

    pub(super) fn swept(&mut self, to: To<'_>, upload_id: &str, result: Result<(), Error>) {
        if let Some(error) = result.err().filter(|error| error.kind() != ErrorKind::NoSuchUpload) {
            tracing::warn!(
                upload_id,
                error.kind = ?error.kind(),
                error.code = error.code(),
                "an upload without parts of a run that broke off may be left"
            );
        }
        self.sweep(to);
    }
}
