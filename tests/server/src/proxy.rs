//! A proxy between a client and the server, which does to HTTP/1.1 what networks and broken peers do.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::faults::RequestHead;

/// What to do to a request or to its answer. Numbers count bytes of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tamper {
    /// The connection is reset when the head of the request has come.
    Reset,
    /// The connection is closed then.
    Close,
    /// No more can come from the server's side, though it still listens.
    HalfClose,
    /// The connection is reset after so much of the request's body.
    ResetUpload(u64),
    /// No more is taken after so much of the request's body, and nothing is answered.
    StallUpload(u64),
    /// A byte of the request's body is changed.
    FlipUpload(u64),
    /// 503 is answered before any of the request's body is read, which it never is.
    AnswerEarly,
    /// `100 Continue` is not passed on.
    NoContinue,
    /// The server does what is asked, and the connection is closed without an answer.
    LoseAnswer,
    /// The server does what is asked, and nothing is answered.
    StallAnswer,
    /// Something is answered that is not HTTP.
    Garbage,
    /// The head of the answer has 2 MiB.
    HugeHead,
    /// The head of the answer has no end.
    EndlessHead,
    /// So many heads with `103 Early Hints` come before the answer.
    EarlyHints(usize),
    /// The connection is reset after so much of the answer's body.
    ResetBody(u64),
    /// The connection is closed after so much of the answer's body.
    CutBody(u64),
    /// Nothing comes after so much of the answer's body.
    StallBody(u64),
    /// The answer's body comes in so many pieces, with this time before each.
    Trickle(u32, Duration),
    /// A byte of the answer's body is changed.
    FlipBody(u64),
    /// `Content-Length` announces more than there is; then the connection is closed.
    LengthTooLong,
    /// `Content-Length` announces less than there is.
    LengthTooShort,
    /// The answer's body, in chunks, has no end.
    EndlessBody,
    /// The answer comes twice.
    Twice,
    /// The connection is closed after the answer, which did not say so.
    CloseIdle,
}

/// Whose bodies are changed by [`Proxy::arm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Those of requests.
    Upload,
    /// Those of answers.
    Download,
}

/// Passes requests on to a server, one after the other on each connection. It stops when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

type Hook = Box<dyn FnMut(&RequestHead) -> Option<Tamper> + Send>;

#[derive(Default)]
struct Shared {
    hook: Mutex<Option<Hook>>,
    flip: Mutex<Option<Flip>>,
    accepted: AtomicUsize,
}

struct Flip {
    direction: Direction,
    /// Bytes that pass before it.
    at: u64,
    bits: u8,
}

impl Proxy {
    /// In front of this server. Fails when no port can be bound.
    pub fn start(server: SocketAddr) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let inside = Arc::clone(&shared);
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("s3-test-proxy".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    _ = accept(listener, server, inside) => {}
                }
            });
        })?;
        Ok(Self { address, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// `http://127.0.0.1:port`
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Asks `hook` about each request from now on.
    pub fn on_request(&self, hook: impl FnMut(&RequestHead) -> Option<Tamper> + Send + 'static) {
        *lock(&self.shared.hook) = Some(Box::new(hook));
    }

    /// Passes everything on unchanged from now on.
    pub fn clear_hook(&self) {
        *lock(&self.shared.hook) = None;
    }

    /// Turns these bits of a byte once `at` bytes of bodies have passed in this direction, in whatever messages.
    pub fn arm(&self, direction: Direction, at: u64, bits: u8) {
        *lock(&self.shared.flip) = Some(Flip { direction, at, bits });
    }

    /// Whether what [`arm`](Self::arm) asked for has been done.
    pub fn has_flipped(&self) -> bool {
        lock(&self.shared.flip).is_none()
    }

    /// Connections that were ever opened.
    pub fn accepted_connections(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A panic in there was already reported.
            drop(thread.join());
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("address", &self.address).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: std::net::TcpListener, server: SocketAddr, shared: Arc<Shared>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (client, _) = listener.accept().await?;
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            // An error is a connection that has come to its end.
            let _ = connection(client, server, &shared).await;
        });
    }
}

/// The connection is to be closed.
struct Over;

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Self
    }
}

struct Link {
    from: BufReader<OwnedReadHalf>,
    to: OwnedWriteHalf,
}

impl Link {
    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let (from, to) = stream.into_split();
        Ok(Self { from: BufReader::with_capacity(64 << 10, from), to })
    }
}

/// Closing it tells the peer that what it sends is lost.
fn reset(link: &OwnedWriteHalf) -> Over {
    // Then it is closed as any other.
    let _ = link.as_ref().set_zero_linger();
    Over
}

/// Closes as servers do: what still comes is taken for a moment, or the answer would be lost in a reset.
async fn leave(link: &mut Link) -> Over {
    if link.to.shutdown().await.is_ok() {
        // It is over, whatever came.
        let _ = tokio::time::timeout(Duration::from_secs(1), silence(&mut link.from)).await;
    }
    Over
}

async fn connection(client: TcpStream, server: SocketAddr, shared: &Shared) -> Result<(), Over> {
    let (mut client, mut server) = (Link::new(client)?, Link::new(TcpStream::connect(server).await?)?);
    loop {
        let head = read_head(&mut client.from).await?;
        let request = parse(&head).ok_or(Over)?;
        let tamper = lock(&shared.hook).as_mut().and_then(|hook| hook(&request));
        match tamper {
            Some(Tamper::Reset) => return Err(reset(&client.to)),
            Some(Tamper::Close) => return Err(Over),
            Some(Tamper::HalfClose) => {
                client.to.shutdown().await?;
                return silence(&mut client.from).await;
            }
            Some(Tamper::AnswerEarly) => {
                let answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
                client.to.write_all(answer).await?;
                return Err(leave(&mut client).await);
            }
            _ => {}
        }
        server.to.write_all(&head).await?;
        let answered = {
            let upload = upload(&mut client.from, &mut server.to, length(&request.headers), tamper, shared);
            let answer = answer(&mut server.from, &mut client.to, &request.method, tamper, shared);
            tokio::pin!(upload, answer);
            let mut sent = None;
            loop {
                tokio::select! {
                    end = &mut upload, if sent.is_none() => match end {
                        Ok(()) => sent = Some(()),
                        Err(over) => break (Err(over), None),
                    },
                    end = &mut answer => break (end, sent),
                }
            }
        };
        match answered {
            (Ok(Then::GoOn), Some(())) => {}
            (Ok(Then::BeSilent), _) => return silence(&mut client.from).await,
            (Ok(Then::Reset), _) => return Err(reset(&client.to)),
            (Err(Over), _) if matches!(tamper, Some(Tamper::ResetUpload(_))) => {
                return Err(reset(&client.to));
            }
            // An answer before all of the body was taken.
            (Ok(Then::GoOn), None) => return Err(leave(&mut client).await),
            (Err(Over), _) => return Err(Over),
        }
    }
}

/// Says nothing until the client goes away.
async fn silence(client: &mut BufReader<OwnedReadHalf>) -> Result<(), Over> {
    let mut buffer = [0; 1024];
    while client.read(&mut buffer).await? > 0 {}
    Err(Over)
}

/// Passes the body of a request on. A server that takes no more is no reason to stop: its answer comes first.
async fn upload(
    client: &mut BufReader<OwnedReadHalf>,
    server: &mut OwnedWriteHalf,
    len: u64,
    tamper: Option<Tamper>,
    shared: &Shared,
) -> Result<(), Over> {
    let mut buffer = vec![0; 64 << 10];
    let (mut passed, mut taken) = (0, true);
    let end = match tamper {
        Some(Tamper::ResetUpload(after) | Tamper::StallUpload(after)) => after.min(len),
        _ => len,
    };
    while passed < end {
        let room = usize::try_from(end - passed).unwrap_or(usize::MAX).min(buffer.len());
        let read = client.read(&mut buffer[..room]).await?;
        if read == 0 {
            return Err(Over);
        }
        let piece = &mut buffer[..read];
        if let Some(Tamper::FlipUpload(at)) = tamper {
            flip(piece, at.checked_sub(passed), 1);
        }
        shared.pass(Direction::Upload, piece);
        taken = taken && server.write_all(piece).await.is_ok();
        passed += read as u64;
    }
    match tamper {
        Some(Tamper::ResetUpload(_)) => Err(Over),
        Some(Tamper::StallUpload(_)) => std::future::pending().await,
        _ => Ok(()),
    }
}

/// What is to follow an answer.
enum Then {
    GoOn,
    BeSilent,
    Reset,
}

async fn answer(
    server: &mut BufReader<OwnedReadHalf>,
    client: &mut OwnedWriteHalf,
    method: &Method,
    tamper: Option<Tamper>,
    shared: &Shared,
) -> Result<Then, Over> {
    let mut head = loop {
        let head = read_head(server).await?;
        if !head.starts_with(b"HTTP/1.1 1") {
            break head;
        }
        if tamper != Some(Tamper::NoContinue) {
            client.write_all(&head).await?;
        }
    };
    let has_body = method != Method::HEAD && ![&b"204"[..], b"304"].contains(&&head[9..12]);
    let headers = parse(&head).ok_or(Over)?.headers;
    if headers.contains_key("transfer-encoding") {
        // Only bodies of a known length can be told from heads here.
        return Err(Over);
    }
    let mut body = vec![0; if has_body { usize::try_from(length(&headers)).unwrap_or(0) } else { 0 }];
    server.read_exact(&mut body).await?;
    shared.pass(Direction::Download, &mut body);
    let cut = |after: u64| usize::try_from(after).unwrap_or(usize::MAX).min(body.len());
    match tamper {
        Some(Tamper::LoseAnswer) => return Err(Over),
        Some(Tamper::StallAnswer) => return Ok(Then::BeSilent),
        Some(Tamper::Garbage) => {
            client.write_all(&b"\x16\x03\x01 nothing that is known here\r\n\r\n".repeat(40)).await?;
            return Ok(Then::BeSilent);
        }
        Some(Tamper::HugeHead) => {
            let filler = format!("x-filler: {}\r\n", "x".repeat(1000)).repeat(2 << 10);
            let line = head.iter().position(|byte| *byte == b'\n').unwrap_or(0) + 1;
            head.splice(line..line, filler.into_bytes());
        }
        Some(Tamper::EndlessHead) => {
            client.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            loop {
                client.write_all(b"x-more: more\r\n").await?;
            }
        }
        Some(Tamper::EarlyHints(times)) => {
            for _ in 0..times {
                client.write_all(b"HTTP/1.1 103 Early Hints\r\nlink: </more>\r\n\r\n").await?;
            }
        }
        Some(Tamper::ResetBody(after) | Tamper::CutBody(after) | Tamper::StallBody(after)) if has_body => {
            client.write_all(&[&head, &body[..cut(after)]].concat()).await?;
            return match tamper {
                Some(Tamper::StallBody(_)) => Ok(Then::BeSilent),
                Some(Tamper::ResetBody(_)) => {
                    // What has gone out is to arrive first.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    Ok(Then::Reset)
                }
                _ => Err(Over),
            };
        }
        Some(Tamper::Trickle(pieces, every)) if !body.is_empty() => {
            client.write_all(&head).await?;
            for piece in body.chunks(body.len().div_ceil(pieces as usize)) {
                tokio::time::sleep(every).await;
                client.write_all(piece).await?;
            }
            return Ok(Then::GoOn);
        }
        Some(Tamper::FlipBody(at)) => flip(&mut body, Some(at), 1),
        Some(Tamper::LengthTooLong) if has_body => {
            let head = with_length(&head, Some(body.len() + 100));
            client.write_all(&[&head, &body[..]].concat()).await?;
            return Err(Over);
        }
        Some(Tamper::LengthTooShort) if !body.is_empty() => head = with_length(&head, Some(body.len() - 1)),
        Some(Tamper::EndlessBody) if has_body => {
            let mut message = with_length(&head, None);
            message.extend_from_slice(format!("{:x}\r\n", body.len().max(1)).as_bytes());
            message.extend_from_slice(if body.is_empty() { b" " } else { &body });
            client.write_all(&message).await?;
            let more = format!("\r\n4000\r\n{}", "x".repeat(0x4000));
            loop {
                client.write_all(more.as_bytes()).await?;
            }
        }
        _ => {}
    }
    let mut message = [&head, &body[..]].concat();
    if tamper == Some(Tamper::Twice) {
        message.extend_from_within(..);
    }
    client.write_all(&message).await?;
    if tamper == Some(Tamper::CloseIdle) { Err(Over) } else { Ok(Then::GoOn) }
}

impl Shared {
    /// Changes what was asked for, if it is in this piece of a body.
    fn pass(&self, direction: Direction, piece: &mut [u8]) {
        let mut next = lock(&self.flip);
        let Some(armed) = next.as_mut().filter(|armed| armed.direction == direction) else { return };
        if armed.at < piece.len() as u64 {
            flip(piece, Some(armed.at), armed.bits);
            *next = None;
        } else {
            armed.at -= piece.len() as u64;
        }
    }
}

fn flip(piece: &mut [u8], at: Option<u64>, bits: u8) {
    if let Some(byte) = at.and_then(|at| piece.get_mut(usize::try_from(at).ok()?)) {
        *byte ^= bits;
    }
}

async fn read_head(from: &mut BufReader<OwnedReadHalf>) -> Result<Vec<u8>, Over> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if from.read_until(b'\n', &mut head).await? == 0 {
            return Err(Over);
        }
    }
    Ok(head)
}

/// The head of a request; of an answer, only the headers make sense.
fn parse(head: &[u8]) -> Option<RequestHead> {
    let mut lines = std::str::from_utf8(head).ok()?.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (Method::from_bytes(first.next()?.as_bytes()), first.next()?.to_owned());
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        headers.append(HeaderName::try_from(name).ok()?, HeaderValue::from_str(value.trim()).ok()?);
    }
    Some(RequestHead { method: method.unwrap_or_default(), target, headers })
}

fn length(headers: &HeaderMap) -> u64 {
    headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0)
}

/// The head with another length; without any, the body comes in chunks.
fn with_length(head: &[u8], length: Option<usize>) -> Vec<u8> {
    let text = String::from_utf8_lossy(head);
    let lines = text.lines().filter(|line| !line.is_empty());
    let rest = lines.filter(|line| !line.to_ascii_lowercase().starts_with("content-length:"));
    let framing = match length {
        Some(length) => format!("content-length: {length}"),
        None => "transfer-encoding: chunked".to_owned(),
    };
    let lines: Vec<_> = rest.chain([&*framing, "", ""]).collect();
    lines.join("\r\n").into_bytes()
}
