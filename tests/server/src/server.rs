//! The server on a socket.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::auth::Credentials;
use crate::body::{Body, BoxError, full};
use crate::faults::{BrokenBody, Fault, Faults, RequestHead};
use crate::service::Service;
use crate::store::Store;
use crate::{Builder, CompleteWhitespace};

/// How long connections may finish what they are at when the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// An S3 server on a port of this host. It stops at once when it is dropped.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    phase: watch::Sender<Phase>,
    running: Option<Running>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    /// Requests in progress are answered.
    Finishing,
    /// They are not.
    Over,
}

enum Running {
    Task(JoinHandle<()>),
    Thread(thread::JoinHandle<()>),
}

struct Shared {
    service: Service,
    faults: Faults,
    open: AtomicUsize,
    accepted: AtomicUsize,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// The way to make one.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Serves in tasks of the current runtime.
    pub(crate) async fn start(service: Service, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let shared = Shared::new(service);
        let (phase, phases) = watch::channel(Phase::Serving);
        let task = tokio::spawn(accept(listener, Arc::clone(&shared), phases));
        Ok(Self { shared, address, phase, running: Some(Running::Task(task)) })
    }

    /// Serves in a thread of its own.
    pub(crate) fn start_in_thread(service: Service, port: u16) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // Without the runtime: the caller may be in another one.
        let listener = std::net::TcpListener::bind(("127.0.0.1", port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = {
            let _entered = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let shared = Shared::new(service);
        let (phase, phases) = watch::channel(Phase::Serving);
        let accepting = accept(listener, Arc::clone(&shared), phases);
        let thread = thread::Builder::new().name("s3-test-server".to_owned()).spawn(move || {
            runtime.block_on(accepting);
        })?;
        Ok(Self { shared, address, phase, running: Some(Running::Thread(thread)) })
    }

    /// `http://127.0.0.1:port`
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The objects.
    pub fn store(&self) -> &Store {
        self.shared.service.store()
    }

    /// The service behind the socket.
    pub fn service(&self) -> &Service {
        &self.shared.service
    }

    /// Replaces all key pairs.
    pub fn set_credentials(&self, all: impl IntoIterator<Item = Credentials>) {
        self.shared.service.set_credentials(all);
    }

    /// What later CompleteMultipartUpload answers begin with.
    pub fn set_complete_whitespace(&self, whitespace: CompleteWhitespace) {
        self.shared.service.set_complete_whitespace(whitespace);
    }

    /// Asks `hook` about each request from now on; it replaces the hook before it.
    pub fn on_request(&self, hook: impl FnMut(&RequestHead) -> Option<Fault> + Send + 'static) {
        self.shared.faults.set(Some(Box::new(hook)));
    }

    /// Removes the hook.
    pub fn clear_hook(&self) {
        self.shared.faults.set(None);
    }

    /// All requests so far, in the order in which their heads came in.
    pub fn requests(&self) -> Vec<RequestHead> {
        self.shared.faults.log()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.shared.faults.clear_log();
    }

    /// Connections that are open now.
    pub fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Connections that were ever opened.
    pub fn accepted_connections(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Stops it: requests in progress are answered (for 5 seconds at most), then all connections are closed.
    pub async fn shutdown(mut self) {
        self.phase.send_replace(Phase::Finishing);
        // A panic in there was already reported.
        match self.running.take() {
            Some(Running::Task(task)) => drop(task.await),
            Some(Running::Thread(thread)) => drop(tokio::task::spawn_blocking(|| thread.join()).await),
            None => {}
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.phase.send_replace(Phase::Over);
        match self.running.take() {
            // With the task go its connections.
            Some(Running::Task(task)) => task.abort(),
            Some(Running::Thread(thread)) => drop(thread.join()),
            None => {}
        }
    }
}

impl Shared {
    fn new(service: Service) -> Arc<Self> {
        Arc::new(Self {
            service,
            faults: Faults::default(),
            open: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
        })
    }
}

/// Counts a connection as long as it lives.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.open.fetch_add(1, Ordering::SeqCst);
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut phases: watch::Receiver<Phase>) {
    let (mut connections, told) = (JoinSet::new(), phases.clone());
    loop {
        tokio::select! {
            biased;
            _ = phases.wait_for(|phase| *phase != Phase::Serving) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, Open::new(&shared), told.clone()));
                }
            }
        }
    }
    drop(listener);
    let finish = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        () = finish => {}
        () = tokio::time::sleep(GRACE) => {}
        // Also when the server is gone.
        _ = phases.wait_for(|phase| *phase == Phase::Over) => {}
    }
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, open: Open, mut phases: watch::Receiver<Phase>) {
    // Only costs latency when it fails.
    let _ = stream.set_nodelay(true);
    let shared = Arc::clone(&open.0);
    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(true)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let stopping = tokio::select! {
        _ = connection.as_mut() => false,
        _ = phases.wait_for(|phase| *phase != Phase::Serving) => true,
    };
    if stopping {
        connection.as_mut().graceful_shutdown();
        // How it ends is the client's business: it sees the same.
        let _ = connection.await;
    }
    drop(open);
}

/// An error closes the connection without an answer.
async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, BoxError> {
    let (parts, body) = request.into_parts();
    let fault = shared.faults.choose(RequestHead::new(&parts));
    let request = Request::from_parts(parts, body);
    let call = |request| shared.service.call(request);
    match fault {
        None => Ok(call(request).await),
        Some(Fault::Delay(time)) => {
            tokio::time::sleep(time).await;
            Ok(call(request).await)
        }
        Some(Fault::Respond { status, headers, body }) => {
            // Whatever is left of the request, it was read.
            let _ = request.into_body().collect().await;
            let mut response = Response::new(full(body));
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            Ok(response)
        }
        Some(Fault::Close) => Err("closed before the answer".into()),
        Some(Fault::LoseResponse) => {
            drop(call(request).await);
            Err("the answer is lost".into())
        }
        Some(Fault::CutBody(after)) => {
            Ok(call(request).await.map(|body| BrokenBody::cut(body, after).boxed_unsync()))
        }
        Some(Fault::StallBody(after)) => {
            Ok(call(request).await.map(|body| BrokenBody::stall(body, after).boxed_unsync()))
        }
        Some(Fault::Stall) => {
            let never: Infallible = std::future::pending().await;
            match never {}
        }
    }
}
