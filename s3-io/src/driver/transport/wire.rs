//! A connection, and what is known of it from outside.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use s3_proto::{Instant, Phase, TransportErrorKind};
use tokio_rustls::client::TlsStream;

use crate::Open;
use crate::driver::runtime::Clock;
use crate::failure::Failure;

/// What is known of a connection from outside, and what it is told.
pub(crate) struct Wire {
    clock: Clock,
    /// Whether it matters when bytes are written.
    watched: AtomicBool,
    /// Milliseconds on the clock at which bytes of a body were last written.
    written_at: AtomicU64,
    /// While a request has no answer: one more than how many bytes at most have come since it went out.
    unanswered: AtomicUsize,
    /// Whether no other request is to go over it.
    retired: AtomicBool,
}

impl Wire {
    fn new(clock: &Clock) -> Arc<Self> {
        Arc::new(Self {
            clock: clock.clone(),
            watched: AtomicBool::new(false),
            written_at: AtomicU64::new(0),
            unanswered: AtomicUsize::new(0),
            retired: AtomicBool::new(false),
        })
    }

    fn wrote(&self) {
        if self.watched.load(Ordering::Relaxed) {
            let at = self.clock.now().since_origin().as_millis().try_into().unwrap_or(u64::MAX);
            self.written_at.store(at, Ordering::Relaxed);
        }
    }

    /// From now on it is known when bytes are written.
    pub(crate) fn watch(&self) {
        self.watched.store(true, Ordering::Relaxed);
    }

    /// When bytes of a body were last written.
    pub(crate) fn written_at(&self) -> Instant {
        Instant::from_origin(Duration::from_millis(self.written_at.load(Ordering::Relaxed)))
    }

    /// A request goes out.
    pub(crate) fn await_answer(&self) {
        self.unanswered.store(1, Ordering::Relaxed);
    }

    /// Bytes have come, at most so many.
    fn read(&self, room: usize) -> io::Result<()> {
        let before = self.unanswered.load(Ordering::Relaxed);
        if before == 0 {
            return Ok(());
        }
        self.unanswered.store(before.saturating_add(room), Ordering::Relaxed);
        if before <= MAX_INTERIM {
            return Ok(());
        }
        let message = "interim answers came without end, and no other";
        Err(io::Error::other(Failure::new(Phase::Wait, TransportErrorKind::Protocol, message)))
    }

    /// Its answer has come.
    pub(crate) fn answered(&self) {
        self.unanswered.store(0, Ordering::Relaxed);
    }

    /// Requests that come later get another connection.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }
}

/// A longer write than this is one of a body. The frames that keep a connection of HTTP/2 alive and give it room are
/// shorter, and say nothing about any request.
const SIGN_OF_LIFE: usize = 64;

/// About how many bytes may come in a row before others get their turn.
const TURN: usize = 512 * 1024;

/// About how many bytes may come before the answer to a request, by the room that there was for them: hyper makes at
/// most 400 KiB, and less where little comes. More than that are interim answers, with status 1xx, for which it would
/// wait without end.
const MAX_INTERIM: usize = 4 * 1024 * 1024;

/// A connection, with or without TLS.
pub(crate) struct Stream<C> {
    io: Inner<C>,
    wire: Arc<Wire>,
    /// How many bytes at most have come in a row.
    in_a_row: usize,
    /// Dropped last.
    _open: Open,
}

/// What it consists of.
pub(super) enum Inner<C> {
    Plain(C),
    Tls(Box<Secured<C>>),
}

/// rustls speaks tokio's traits, whatever the runtime is.
pub(super) type Secured<C> = TokioIo<TlsStream<TokioIo<C>>>;

impl<C> Stream<C> {
    pub(super) fn new(io: Inner<C>, clock: &Clock, open: Open) -> Self {
        Self { io, wire: Wire::new(clock), in_a_row: 0, _open: open }
    }

    pub(crate) fn wire(&self) -> &Arc<Wire> {
        &self.wire
    }

    /// Whether both ends have agreed on HTTP/2.
    pub(crate) fn speaks_h2(&self) -> bool {
        match &self.io {
            Inner::Plain(_) => false,
            Inner::Tls(tls) => tls.inner().get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(SIGN_OF_LIFE..))) {
            self.wire.wrote();
        }
        written
    }
}

macro_rules! inner {
    ($this:expr, $io:ident => $call:expr) => {
        match &mut $this.io {
            Inner::Plain(io) => {
                let $io = Pin::new(io);
                $call
            }
            Inner::Tls(io) => {
                let $io = Pin::new(&mut **io);
                $call
            }
        }
    };
}

impl<C: Read + Write + Unpin> Read for Stream<C> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.in_a_row >= TURN {
            // hyper reads interim answers for as long as they come, and sees only in between that the request was
            // given up. Not every runtime stops it now and then by itself.
            this.in_a_row = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let room = buf.remaining();
        match inner!(this, io => io.poll_read(cx, buf)) {
            Poll::Ready(Ok(())) => {
                this.in_a_row = this.in_a_row.saturating_add(room);
                Poll::Ready(this.wire.read(room))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                this.in_a_row = 0;
                Poll::Pending
            }
        }
    }
}

impl<C: Read + Write + Unpin> Write for Stream<C> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = inner!(this, io => io.poll_write(cx, buf));
        this.wrote(written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner!(self.get_mut(), io => io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner!(self.get_mut(), io => io.poll_shutdown(cx))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Inner::Plain(io) => io.is_write_vectored(),
            Inner::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = inner!(this, io => io.poll_write_vectored(cx, bufs));
        this.wrote(written)
    }
}
