//! A connection as ureq uses it: its time-outs are ours, and it can be closed from another thread.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustls::ClientConnection;
use s3_io::failure::timeout;
use s3_io::{Cancel, Counts, Failure, Open, Registration};
use s3_proto::{Phase, Timeouts, TransportError, TransportErrorKind};
use ureq::unversioned::transport::{Buffers, LazyBuffers, NextTimeout, Transport};

/// How much is read at a time.
const INPUT: usize = 128 * 1024;

/// How much is written at a time, with what stands around it.
const OUTPUT: usize = INPUT + 1024;

thread_local! {
    /// ureq hands neither to its pool nor to a connection which request they serve.
    static CURRENT: RefCell<Option<Arc<Exchange>>> = const { RefCell::new(None) };
}

/// A request on its way, as its connection sees it.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) timeouts: Timeouts,
    /// Closes the connection.
    pub(crate) cancel: Cancel,
    /// Whether the head is to be sent with the first of the body: that is one packet and one system call.
    joined: bool,
    cut: AtomicBool,
}

impl Exchange {
    pub(crate) fn new(timeouts: Timeouts, cancel: Cancel, joined: bool) -> Arc<Self> {
        Arc::new(Self { timeouts, cancel, joined, cut: AtomicBool::new(false) })
    }

    /// Whether the peer stopped taking the body. It may have answered all the same, and said why.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// Lets ureq work on this request.
    pub(crate) fn scope<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        let outer = CURRENT.replace(Some(self.clone()));
        let result = work();
        CURRENT.set(outer);
        result
    }

    pub(crate) fn current() -> Result<Arc<Self>, Failure> {
        let current = CURRENT.with_borrow(Clone::clone);
        current.ok_or_else(|| {
            Failure::new(Phase::Connect, TransportErrorKind::Protocol, "a connection outside of any request")
        })
    }
}

/// A connection, with or without TLS.
pub(crate) struct Wire {
    socket: Socket,
    tls: Option<Box<ClientConnection>>,
    buffers: LazyBuffers,
    /// A head that waits for its body.
    head: Vec<u8>,
    using: Option<Using>,
    /// Dropped last.
    _open: Open,
}

/// By whom the connection is used.
struct Using {
    exchange: Arc<Exchange>,
    /// Whether any of the answer has come.
    heard: bool,
    /// Whether it came while `100 Continue` was awaited, and ureq has yet to look at it as an answer.
    unread: bool,
    /// Whether the head is yet to come, and to be kept for the body.
    joined: bool,
    _registration: Registration,
}

impl Wire {
    pub(crate) fn new(tcp: TcpStream, counts: &Arc<Counts>) -> Self {
        let (tcp, limit) = (Arc::new(tcp), Limit::default());
        let socket = Socket { tcp, limit, read_limit: None, write_limit: None, wrote: false };
        let buffers = LazyBuffers::new(INPUT, OUTPUT);
        Self { socket, tls: None, buffers, head: Vec::new(), using: None, _open: Open::new(counts) }
    }

    /// From now on the connection serves this request, and its time-outs and cancellation hold.
    pub(crate) fn serve(&mut self, exchange: Arc<Exchange>) {
        let tcp = Arc::downgrade(&self.socket.tcp);
        let registration = exchange.cancel.on_cancel(move || {
            if let Some(tcp) = tcp.upgrade() {
                // It fails only if the connection is closed already.
                let _ = tcp.shutdown(Shutdown::Both);
            }
        });
        self.socket.wrote = false;
        let joined = exchange.joined;
        self.using =
            Some(Using { exchange, heard: false, unread: false, joined, _registration: registration });
    }

    /// The connection below TLS, until this point.
    pub(crate) fn raw(&mut self, until: Option<Instant>) -> &mut (impl Read + Write + use<>) {
        self.socket.limit = Limit { each: None, until };
        &mut self.socket
    }

    pub(crate) fn handshake(&mut self, mut tls: ClientConnection, until: Option<Instant>) -> io::Result<()> {
        while tls.is_handshaking() {
            tls.complete_io(self.raw(until))?;
        }
        self.tls = Some(Box::new(tls));
        Ok(())
    }

    /// The request that is served; whoever gets the connection from the pool begins here.
    fn served(&mut self) -> Result<Arc<Exchange>, ureq::Error> {
        if let Some(using) = &self.using {
            return Ok(using.exchange.clone());
        }
        let exchange = Exchange::current().map_err(other)?;
        self.serve(exchange.clone());
        Ok(exchange)
    }

    fn write(&mut self, amount: usize) -> io::Result<()> {
        let mut rest = self.buffers.output().get(..amount).unwrap_or_default();
        if !self.head.is_empty() {
            self.head.extend_from_slice(rest);
            rest = &self.head;
        }
        let Some(tls) = &mut self.tls else { return self.socket.write_all(rest) };
        loop {
            while tls.wants_write() {
                tls.write_tls(&mut self.socket)?;
            }
            if rest.is_empty() {
                return Ok(());
            }
            let taken = tls.writer().write(rest)?;
            rest = rest.get(taken..).unwrap_or_default();
        }
    }

    /// `may_write` is what TLS has to say on its own part.
    fn read(&mut self, may_write: bool) -> io::Result<usize> {
        let input = self.buffers.input_append_buf();
        let read = match &mut self.tls {
            None => self.socket.read(input)?,
            Some(tls) => loop {
                match tls.reader().read(input) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    done => break done?,
                }
                while may_write && tls.wants_write() {
                    tls.write_tls(&mut self.socket)?;
                }
                tls.read_tls(&mut self.socket)?;
                tls.process_new_packets().map_err(io::Error::other)?;
            },
        };
        self.buffers.input_appended(read);
        Ok(read)
    }

    /// Whether the peer has neither closed the connection nor sent what nobody asked for.
    fn is_silent(&mut self) -> bool {
        let tls = self.tls.as_mut().is_none_or(|tls| {
            tls.process_new_packets().is_ok_and(|s| s.plaintext_bytes_to_read() == 0 && !s.peer_has_closed())
        });
        let tcp = &self.socket.tcp;
        let quiet = tcp.set_nonblocking(true).is_ok()
            && tcp.peek(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        tls && quiet && tcp.set_nonblocking(false).is_ok()
    }
}

impl Transport for Wire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        let exchange = self.served()?;
        if exchange.is_cut() {
            return Ok(());
        }
        if self.using.as_mut().is_some_and(|using| std::mem::take(&mut using.joined)) {
            self.head.extend_from_slice(self.buffers.output().get(..amount).unwrap_or_default());
            return Ok(());
        }
        let idle = exchange.timeouts.idle;
        self.socket.limit = Limit { each: idle, until: None };
        let written = self.write(amount);
        self.head.clear();
        let Err(error) = written else { return Ok(()) };
        if error.kind() == io::ErrorKind::TimedOut {
            return Err(other(timeout(Phase::Send, "sending the next bytes of the body", idle)));
        }
        if self.socket.wrote && !exchange.cancel.is_cancelled() {
            exchange.cut.store(true, Ordering::Relaxed);
            return Ok(());
        }
        let phase = if self.socket.wrote { Phase::Send } else { Phase::Connect };
        Err(other(closed(phase, "the connection was closed before the request was sent", error)))
    }

    fn await_input(&mut self, next: NextTimeout) -> Result<bool, ureq::Error> {
        let exchange = self.served()?;
        let Some(using) = &mut self.using else { return Err(ureq::Error::ConnectionFailed) };
        let heard = using.heard;
        let Timeouts { first_byte, idle, .. } = exchange.timeouts;
        // ureq keeps a time of its own only while it waits for `100 Continue`, which may never come.
        let consent = (!next.after.is_not_happening()).then(|| Instant::now() + *next.after);
        if consent.is_none() && std::mem::take(&mut using.unread) && !self.buffers.input().is_empty() {
            // ureq would wait for more of a refusal that is there already.
            return Ok(true);
        }
        let each = if heard { idle } else { first_byte };
        self.socket.limit = Limit { each: each.filter(|_| consent.is_none()), until: consent };
        match self.read(!exchange.is_cut()) {
            Ok(read) => {
                if let Some(using) = &mut self.using {
                    using.heard |= read > 0;
                    using.unread |= read > 0 && consent.is_some();
                }
                Ok(read > 0)
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(match (consent, heard) {
                (Some(_), _) => ureq::Error::Timeout(next.reason),
                (None, false) => other(timeout(Phase::Wait, "waiting for the answer", each)),
                (None, true) => other(timeout(Phase::Wait, "waiting for the next bytes of the answer", each)),
            }),
            Err(error) => {
                let unsent = exchange.is_cut() || consent.is_some();
                let phase = if unsent { Phase::Send } else { Phase::Wait };
                Err(other(closed(phase, "the connection was closed before the answer was complete", error)))
            }
        }
    }

    /// Asked before ureq keeps a connection, and before it uses one that it kept: only then it matters what the
    /// peer has done.
    fn is_open(&mut self) -> bool {
        let Some(using) = self.using.take() else { return self.is_silent() };
        let exchange = using.exchange.clone();
        // In this order: whoever cancels after this does not know the connection any more.
        drop(using);
        !exchange.is_cut() && !exchange.cancel.is_cancelled()
    }

    fn is_tls(&self) -> bool {
        self.tls.is_some()
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}

fn closed(phase: Phase, what: &str, error: io::Error) -> Failure {
    let cause = TransportError::new(TransportErrorKind::Closed, format!("{what} ({error})"));
    Failure { phase, cause: cause.with_source(error) }
}

/// Failures pass through ureq as they are.
pub(crate) fn other(failure: Failure) -> ureq::Error {
    ureq::Error::Other(Box::new(failure))
}

/// How long reading and writing may block.
#[derive(Clone, Copy, Default)]
struct Limit {
    each: Option<Duration>,
    until: Option<Instant>,
}

/// A TCP connection on which nothing takes longer than it may: that ends in [`io::ErrorKind::TimedOut`].
struct Socket {
    tcp: Arc<TcpStream>,
    limit: Limit,
    /// The time-outs that the system knows: each is set by who needs it, so that requests do not change them in turn.
    read_limit: Option<Duration>,
    write_limit: Option<Duration>,
    /// Whether any byte of this request went out.
    wrote: bool,
}

impl Socket {
    fn limited(
        &mut self,
        mut work: impl FnMut(&mut Self, Option<Duration>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            let left = self.limit.until.map(|until| until.saturating_duration_since(Instant::now()));
            let limit = [left, self.limit.each].into_iter().flatten().min();
            if limit == Some(Duration::ZERO) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match work(self, limit) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, error));
                }
                done => return done,
            }
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.limited(|socket, limit| {
            if socket.read_limit != limit {
                socket.tcp.set_read_timeout(limit)?;
                socket.read_limit = limit;
            }
            (&*socket.tcp).read(buffer)
        })
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.limited(|socket, limit| {
            if socket.write_limit != limit {
                socket.tcp.set_write_timeout(limit)?;
                socket.write_limit = limit;
            }
            (&*socket.tcp).write(bytes)
        })?;
        self.wrote |= written > 0;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
