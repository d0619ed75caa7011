//! A TCP connection, in the traits that hyper wants.

use std::io::{self, IoSlice, Read as _};
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};

use async_io::Async;
use futures_io::AsyncWrite as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Most answers to small requests are shorter.
const MIN_BATCH: usize = 4 * 1024;

/// A connection that asks the system for bytes only when there may be some. hyper wants to read whenever it is
/// woken, several times for each request, and a call that brings nothing costs about as much as one that does.
///
/// The traits are tokio's because a buffer of theirs can be filled without unsafe code.
#[derive(Debug)]
pub struct Connection {
    stream: Async<TcpStream>,
    input: Input,
    /// How many bytes are read at once. Room for them is zeroed first, so that it should not be much more than comes.
    batch: usize,
    signal: Arc<Signal>,
    /// Wakes the signal.
    waker: Waker,
}

/// What is known of bytes to read.
#[derive(Debug)]
enum Input {
    /// There may be some.
    Likely,
    /// The last read took them all.
    Unlikely,
    /// The signal is given when there are some.
    Awaited,
}

impl Connection {
    pub(crate) async fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = Async::<TcpStream>::connect(to).await?;
        if let Err(error) = stream.get_ref().set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let signal = Arc::<Signal>::default();
        Ok(Self { stream, input: Input::Likely, batch: MIN_BATCH, waker: signal.clone().into(), signal })
    }

    /// Waits until there may be something to read.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Input::Unlikely = self.input {
            // The reactor may have to say first that it has given the signal before.
            while self.stream.poll_readable(&mut Context::from_waker(&self.waker))?.is_ready() {}
            self.input = Input::Awaited;
        }
        if let Input::Awaited = self.input {
            ready!(self.signal.poll(cx));
            self.input = Input::Likely;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            ready!(this.poll_input(cx))?;
            let room = buf.initialize_unfilled_to(buf.remaining().min(this.batch));
            match this.stream.get_ref().read(room) {
                Ok(len) => {
                    if len < room.len() {
                        this.input = Input::Unlikely;
                    }
                    this.batch = (2 * len).max(MIN_BATCH);
                    buf.advance(len);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => this.input = Input::Unlikely,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}

/// Is given once for each time that it is asked for. The reactor's own word for "readable" would be less: it does
/// not count what comes in the round in which it was asked, and that is the rule if another thread waits for events.
#[derive(Debug, Default)]
struct Signal(Mutex<Signalled>);

#[derive(Debug, Default)]
struct Signalled {
    given: bool,
    task: Option<Waker>,
}

impl Signal {
    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.given) {
            return Poll::Ready(());
        }
        match &mut state.task {
            Some(task) => task.clone_from(cx.waker()),
            None => state.task = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.given = true;
        let task = state.task.take();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::Write as _;
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    use async_std::task;

    use super::*;

    /// A connection, and its other end.
    async fn pair() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connection = Connection::open(listener.local_addr().unwrap()).await.unwrap();
        (connection, listener.accept().unwrap().0)
    }

    fn poll_read(connection: &mut Connection, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<usize> {
        let mut buf = ReadBuf::new(room);
        ready!(Pin::new(connection).poll_read(cx, &mut buf)).unwrap();
        Poll::Ready(buf.filled().len())
    }

    async fn read(connection: &mut Connection, room: &mut [u8]) -> usize {
        poll_fn(|cx| poll_read(connection, cx, room)).await
    }

    #[test]
    fn all_bytes_come_and_then_the_end_however_they_are_sent_and_read() {
        for room in [1_000, MIN_BATCH, 100_000] {
            task::block_on(async {
                let (mut connection, mut other) = pair().await;
                let sent: Vec<u8> = (0..400_000_u32).map(|i| (i % 251) as u8).collect();
                let expected = sent.clone();
                let sending = thread::spawn(move || {
                    let mut left = &sent[..];
                    for len in [1, MIN_BATCH, 2 * MIN_BATCH, 10, 100_000, sent.len()] {
                        let (piece, rest) = left.split_at(len.min(left.len()));
                        other.write_all(piece).unwrap();
                        thread::sleep(Duration::from_millis(5));
                        left = rest;
                    }
                });

                let (mut read_so_far, mut room) = (Vec::new(), vec![0; room]);
                loop {
                    match read(&mut connection, &mut room).await {
                        0 => break,
                        len => read_so_far.extend_from_slice(&room[..len]),
                    }
                }

                sending.join().unwrap();
                assert!(read_so_far == expected);
                assert_eq!(read(&mut connection, &mut room).await, 0);
            });
        }
    }

    #[test]
    fn whoever_polled_last_is_woken() {
        task::block_on(async {
            let (mut connection, mut other) = pair().await;
            let mut room = [0; 8];
            for _ in 0..3 {
                let mut nobody = Context::from_waker(Waker::noop());
                assert!(poll_read(&mut connection, &mut nobody, &mut room).is_pending());
            }

            let reading = task::spawn(async move { read(&mut connection, &mut room).await });
            task::sleep(Duration::from_millis(20)).await;
            other.write_all(b"bytes").unwrap();

            assert_eq!(reading.await, 5);
        });
    }
}
