//! Passes HTTP/1.1 on between a client and a server, and changes one byte of a body.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Whose bodies are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Upload,
    Download,
}

/// A change that is to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flip {
    /// So many bytes of bodies pass before it, in whatever requests they are.
    pub(crate) at: u64,
    /// The bits that are turned.
    pub(crate) with: u8,
}

pub(crate) struct Proxy {
    address: SocketAddr,
    next: Next,
}

type Next = Arc<Mutex<Option<Flip>>>;

/// Whether the request that is under way is a HEAD: its answer has no body, whatever length it names.
type AskedHead = Arc<AtomicBool>;

impl Proxy {
    pub(crate) async fn start(server: SocketAddr, direction: Direction) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, next) = (listener.local_addr().unwrap(), Next::default());
        let inside = next.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let next = inside.clone();
                tokio::spawn(async move {
                    let server = TcpStream::connect(server).await?;
                    client.set_nodelay(true)?;
                    server.set_nodelay(true)?;
                    let (client_read, client_write) = client.into_split();
                    let (server_read, server_write) = server.into_split();
                    let asked_head = AskedHead::default();
                    let of = |this| {
                        let (next, asked_head) = (next.clone(), asked_head.clone());
                        (this == direction).then(|| Bodies { next, place: Place::head(), asked_head })
                    };
                    // Either way to its end: an answer may come before the request is through.
                    tokio::join!(
                        pass(client_read, server_write, of(Direction::Upload), Some(&asked_head)),
                        pass(server_read, client_write, of(Direction::Download), None),
                    );
                    std::io::Result::Ok(())
                });
            }
        });
        Self { address, next }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn arm(&self, flip: Flip) {
        *lock(&self.next) = Some(flip);
    }

    /// Whether nothing is to come any more.
    pub(crate) fn has_flipped(&self) -> bool {
        lock(&self.next).is_none()
    }
}

fn lock(next: &Next) -> std::sync::MutexGuard<'_, Option<Flip>> {
    next.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Until the end, or until nobody takes it any more.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut bodies: Option<Bodies>,
    asked_head: Option<&AskedHead>,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if let Some(asked_head) = asked_head {
            // Requests without a body come in one piece, and one by one.
            asked_head.store(buffer.starts_with(b"HEAD "), Ordering::Release);
        }
        if let Some(bodies) = &mut bodies {
            bodies.see(&mut buffer[..read]);
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
    // There may be nobody there to hear of it.
    let _ = to.shutdown().await;
}

/// Finds the bodies among the messages of a connection.
struct Bodies {
    next: Next,
    place: Place,
    asked_head: AskedHead,
}

enum Place {
    /// In a head, of which this has come.
    Head(Vec<u8>),
    /// In a body of which so much is to come.
    Body(u64),
}

impl Place {
    fn head() -> Self {
        Self::Head(Vec::new())
    }
}

impl Bodies {
    fn see(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            match &mut self.place {
                Place::Head(head) => {
                    let (first, rest) = bytes.split_at_mut(1);
                    head.extend_from_slice(first);
                    bytes = rest;
                    if head.ends_with(b"\r\n\r\n") {
                        self.place = match content_length(head) {
                            0 => Place::head(),
                            _ if self.asked_head.load(Ordering::Acquire) => Place::head(),
                            length => Place::Body(length),
                        };
                    }
                }
                Place::Body(left) => {
                    let here = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    let (body, rest) = bytes.split_at_mut(here);
                    bytes = rest;
                    *left -= here as u64;
                    if *left == 0 {
                        self.place = Place::head();
                    }
                    self.change(body);
                }
            }
        }
    }

    fn change(&self, body: &mut [u8]) {
        let mut next = lock(&self.next);
        let Some(flip) = &mut *next else { return };
        match usize::try_from(flip.at).ok().and_then(|at| body.get_mut(at)) {
            Some(byte) => {
                *byte ^= flip.with;
                *next = None;
            }
            None => flip.at -= body.len() as u64,
        }
    }
}

fn content_length(head: &[u8]) -> u64 {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    assert!(!head.contains("transfer-encoding"), "only bodies of a known length can be told from heads here");
    let mut lengths = head.lines().filter_map(|line| line.strip_prefix("content-length:"));
    lengths.next().map_or(0, |length| length.trim().parse().unwrap())
}
