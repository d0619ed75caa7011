//! Lists that come in pages.

use std::vec;

use crate::call::Call;
use crate::machine::{Answer, BodyPlan, Machine, Now, Step, TaskId};
use crate::ops::Operation;
use crate::session::Session;
use crate::{Error, ErrorKind, Phase};

/// An operation that answers in pages.
pub trait Paginated: Operation + Clone {
    /// What the pages list.
    type Entry: Send + 'static;

    /// The call for the page after this one, if there is one.
    fn next(&self, page: &Self::Output) -> Option<Self>;

    /// Whether the service says that there is more.
    fn is_cut_short(page: &Self::Output) -> bool;

    /// The entries of a page.
    fn entries(page: Self::Output) -> Vec<Self::Entry>;
}

/// Asks for page after page. Each page is an item; the next is asked for when it is wanted.
pub struct Pages<O: Paginated> {
    session: Session,
    op: O,
    call: Option<Call<O>>,
    /// Task ids go on from call to call, so that late answers are recognised.
    base: u32,
    used: u32,
    turns: Turns,
    /// Why there is no page after the one that was taken, although there should be.
    failure: Option<Error>,
    over: bool,
}

/// Notices that pages come round again, however many there are in the circle, by remembering one of them: each
/// that is the power of two of the number of those before it (Brent 1980).
#[derive(Debug, Default)]
struct Turns {
    remembered: Option<String>,
    since: u64,
    next: u64,
}

impl Turns {
    /// Whether this page was there before.
    fn is_again(&mut self, page: &str) -> bool {
        if self.remembered.as_deref() == Some(page) {
            return true;
        }
        self.since += 1;
        if self.since >= self.next {
            self.remembered = Some(page.to_owned());
            self.next = self.next.saturating_mul(2).max(1);
            self.since = 0;
        }
        false
    }
}

impl<O: Paginated> Pages<O> {
    /// From the first page that `op` asks for.
    pub fn new(session: Session, op: O) -> Self {
        let call = Call::new(session.clone(), op.clone());
        let mut turns = Turns::default();
        if let Ok(draft) = op.request() {
            turns.is_again(&draft.query);
        }
        Self { session, op, call: Some(call), base: 0, used: 0, turns, failure: None, over: false }
    }

    /// The next call, or an error if the service says that there is more but not how to get it, or sends
    /// the same page for ever.
    fn advance(&mut self, page: &O::Output) -> Result<(), Error> {
        self.base += self.used;
        self.used = 0;
        match self.op.next(page) {
            Some(op) => {
                if self.turns.is_again(&op.request()?.query) {
                    return Err(malformed(&self.op, "the service sends the same pages again and again"));
                }
                self.op = op;
                self.call = Some(Call::new(self.session.clone(), self.op.clone()));
                Ok(())
            }
            None if O::is_cut_short(page) => {
                Err(malformed(&self.op, "the list is cut short, but the service does not say how to go on"))
            }
            None => {
                self.call = None;
                Ok(())
            }
        }
    }
}

impl<O: Paginated> Machine for Pages<O> {
    type Item = O::Output;
    type Output = ();

    fn poll(&mut self, now: Now) -> Step<O::Output, ()> {
        if self.over {
            return Step::Done(Err(crate::client::polled_after_done()));
        }
        let Some(call) = &mut self.call else {
            self.over = true;
            return Step::Done(self.failure.take().map_or(Ok(()), Err));
        };
        match call.poll(now) {
            Step::Start(id, task) => {
                self.used = self.used.max(id.number());
                Step::Start(id.offset(self.base), task)
            }
            Step::Cancel(id) => Step::Cancel(id.offset(self.base)),
            Step::Wait(until) => Step::Wait(until),
            Step::Item(()) => Step::Wait(None),
            Step::Done(Ok(page)) => {
                if let Err(error) = self.advance(&page) {
                    // What has come is good all the same.
                    self.call = None;
                    self.failure = Some(error);
                }
                Step::Item(page)
            }
            Step::Done(Err(error)) => {
                self.over = true;
                Step::Done(Err(error))
            }
        }
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        match (&mut self.call, id.since(self.base)) {
            (Some(call), Some(id)) => call.answer(now, id, answer),
            _ => BodyPlan::Discard,
        }
    }

    fn cancel(&mut self, now: Now) {
        if let Some(call) = &mut self.call {
            call.cancel(now);
        }
    }
}

/// The entries of all pages, one by one. The next page is asked for while those of the one before it are
/// taken.
pub struct Entries<O: Paginated> {
    pages: Pages<O>,
    ready: vec::IntoIter<O::Entry>,
    /// The page after, if it is there.
    ahead: Option<Vec<O::Entry>>,
    /// How the pages ended.
    end: Option<Result<(), Error>>,
}

impl<O: Paginated> Entries<O> {
    /// From the first page that `op` asks for.
    pub fn new(session: Session, op: O) -> Self {
        Self { pages: Pages::new(session, op), ready: Vec::new().into_iter(), ahead: None, end: None }
    }
}

impl<O: Paginated> Machine for Entries<O> {
    type Item = O::Entry;
    type Output = ();

    fn poll(&mut self, now: Now) -> Step<O::Entry, ()> {
        loop {
            let mut until = None;
            if self.ahead.is_none() && self.end.is_none() {
                match self.pages.poll(now) {
                    Step::Item(page) => self.ahead = Some(O::entries(page)),
                    Step::Start(id, task) => return Step::Start(id, task),
                    Step::Cancel(id) => return Step::Cancel(id),
                    Step::Wait(time) => until = time,
                    Step::Done(result) => self.end = Some(result),
                }
            }
            if let Some(entry) = self.ready.next() {
                return Step::Item(entry);
            }
            if let Some(page) = self.ahead.take() {
                self.ready = page.into_iter();
                continue;
            }
            let Some(result) = self.end.take() else { return Step::Wait(until) };
            self.end = Some(Err(crate::client::polled_after_done()));
            return Step::Done(result);
        }
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        self.pages.answer(now, id, answer)
    }

    fn take_item(&mut self) -> Option<O::Entry> {
        self.ready.next()
    }

    fn cancel(&mut self, now: Now) {
        self.ready = Vec::new().into_iter();
        self.ahead = None;
        if self.pages.call.is_some() {
            self.pages.cancel(now);
        } else if self.end.as_ref().is_none_or(Result::is_ok) {
            self.end = Some(Err(Error::cancelled()));
        }
    }
}

fn malformed<O: Paginated>(op: &O, message: &'static str) -> Error {
    let error = Error::new(ErrorKind::MalformedResponse, message).with_phase(Phase::Parse);
    match op.request() {
        Ok(draft) => error.with_target(O::NAME, draft.bucket.as_deref(), draft.key.as_deref()),
        Err(_) => error.with_target(O::NAME, None, None),
    }
}
