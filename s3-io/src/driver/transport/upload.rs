//! The body of a request on its way out.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use s3_proto::sign::BodyEncoder;
use s3_proto::{Instant, SourceError};

use crate::driver::runtime::{Alarm, Clock};
use crate::driver::source::Reader;
use crate::{Framing, SLICE};

/// How long to wait for `100 Continue` from a service that may never send it (RFC 9110, 10.1.1).
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// The kernel takes at least this much of a connection that was idle.
const SHORT: u64 = 16 * 1024;

/// How far a body has got: shared by the body, which hyper owns, and the request that waits for the answer.
pub(crate) struct Progress {
    state: Mutex<State>,
    clock: Clock,
}

struct State {
    stage: Stage,
    /// When it last got further; `None` until a connection has taken the request.
    moved_at: Option<Instant>,
    go_ahead: bool,
    source_error: Option<SourceError>,
    /// The request, which sets its time-out by the stage.
    watcher: Option<Waker>,
    /// The body, which is held back until `100 Continue`.
    held: Option<Waker>,
}

impl State {
    fn wake_watcher(&mut self) {
        if let Some(watcher) = self.watcher.take() {
            watcher.wake();
        }
    }
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The user's data is awaited, or the service's consent.
    Held,
    /// The network is to take the rest.
    Sending,
    /// All has been handed to the connection.
    Sent,
}

impl Progress {
    fn new(clock: &Clock, stage: Stage) -> Arc<Self> {
        let state =
            State { stage, moved_at: None, go_ahead: false, source_error: None, watcher: None, held: None };
        Arc::new(Self { state: Mutex::new(state), clock: clock.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn move_to(&self, stage: Stage) {
        let mut state = self.lock();
        let was_taken = state.moved_at.replace(self.clock.now()).is_some();
        if std::mem::replace(&mut state.stage, stage) != stage || !was_taken {
            state.wake_watcher();
        }
    }

    /// A connection has taken the request.
    fn taken(&self) {
        let mut state = self.lock();
        if state.moved_at.is_none() {
            state.moved_at = Some(self.clock.now());
            state.wake_watcher();
        }
    }

    /// Where it is, and since when, if a connection has taken it.
    pub(crate) fn watch(&self, waker: &Waker) -> (Stage, Option<Instant>) {
        let mut state = self.lock();
        match &mut state.watcher {
            Some(watcher) => watcher.clone_from(waker),
            None => state.watcher = Some(waker.clone()),
        }
        (state.stage, state.moved_at)
    }

    pub(crate) fn is_sent(&self) -> bool {
        self.lock().stage == Stage::Sent
    }

    /// The service wants the body.
    pub(crate) fn go_ahead(&self) {
        let mut state = self.lock();
        state.go_ahead = true;
        if let Some(held) = state.held.take() {
            held.wake();
        }
    }

    pub(crate) fn take_source_error(&self) -> Option<SourceError> {
        self.lock().source_error.take()
    }
}

/// The body.
pub(crate) struct Upload {
    data: Data,
    /// Bytes that are still to be handed over, framing included.
    left: u64,
    /// Told how far it gets, if that matters to anybody.
    progress: Option<Arc<Progress>>,
    /// Rare, and hyper moves the body about.
    hold: Option<Box<Hold>>,
}

enum Data {
    Bytes(Bytes),
    Source(Box<Encoded>),
}

struct Encoded {
    reader: Reader,
    framing: Framing,
}

/// Until when the service is waited for, once that has begun.
struct Hold {
    progress: Arc<Progress>,
    until: Option<Instant>,
    alarm: Alarm,
}

impl Upload {
    pub(crate) fn bytes(bytes: Bytes) -> Self {
        let left = bytes.len() as u64;
        Self { data: Data::Bytes(bytes), left, progress: None, hold: None }
    }

    pub(crate) fn source(reader: Reader, encoder: BodyEncoder) -> Self {
        let framing = Framing::new(encoder);
        let left = framing.encoded_len();
        Self { data: Data::Source(Box::new(Encoded { reader, framing })), left, progress: None, hold: None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// Whether it goes out with the head, and does not take as long as the network does.
    pub(crate) fn is_short(&self) -> bool {
        self.left <= SHORT && matches!(self.data, Data::Bytes(_))
    }

    /// Tells how far it gets.
    pub(crate) fn track(&mut self, clock: &Clock) -> Arc<Progress> {
        let stage = if self.is_empty() { Stage::Sent } else { Stage::Sending };
        self.progress.insert(Progress::new(clock, stage)).clone()
    }

    /// Waits for `100 Continue` before the first byte.
    pub(crate) fn hold(&mut self, progress: &Arc<Progress>) {
        let (progress, alarm) = (progress.clone(), progress.clock.alarm());
        self.hold = Some(Box::new(Hold { progress, until: None, alarm }));
    }

    fn move_to(&self, stage: Stage) {
        if let Some(progress) = &self.progress {
            progress.move_to(stage);
        }
    }

    fn poll_hold(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(hold) = &mut self.hold else { return Poll::Ready(()) };
        {
            let mut state = hold.progress.lock();
            if state.go_ahead {
                drop(state);
                self.hold = None;
                return Poll::Ready(());
            }
            state.held = Some(cx.waker().clone());
        }
        let until = *hold.until.get_or_insert_with(|| {
            hold.progress.move_to(Stage::Held);
            hold.progress.clock.after(CONTINUE_WAIT)
        });
        ready!(hold.alarm.poll(cx, until));
        self.hold = None;
        Poll::Ready(())
    }
}

impl Encoded {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, SourceError>> {
        loop {
            let next = self.framing.pull()?;
            if next.is_some() || self.framing.is_ended() {
                return Poll::Ready(Ok(next));
            }
            match ready!(self.reader.as_mut().poll_next(cx)).transpose()? {
                Some(bytes) => self.framing.push(bytes),
                None => self.framing.end()?,
            }
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        ready!(this.poll_hold(cx));
        let next = match &mut this.data {
            Data::Bytes(bytes) if bytes.is_empty() => Ok(None),
            Data::Bytes(bytes) => Ok(Some(bytes.split_to(bytes.len().min(SLICE)))),
            Data::Source(encoded) => match encoded.poll_next(cx) {
                Poll::Ready(next) => next,
                Poll::Pending => {
                    this.move_to(Stage::Held);
                    return Poll::Pending;
                }
            },
        };
        match next {
            Ok(Some(bytes)) => {
                this.left = this.left.saturating_sub(bytes.len() as u64);
                this.move_to(if this.left == 0 { Stage::Sent } else { Stage::Sending });
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Err(error) => {
                if let Some(progress) = &this.progress {
                    progress.lock().source_error = Some(error);
                }
                Poll::Ready(Some(Err(io::Error::other("reading the data to send failed"))))
            }
            Ok(None) => {
                this.move_to(Stage::Sent);
                Poll::Ready(None)
            }
        }
    }

    /// A connection asks this first, before it writes the head.
    fn is_end_stream(&self) -> bool {
        if let Some(progress) = &self.progress {
            progress.taken();
        }
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
