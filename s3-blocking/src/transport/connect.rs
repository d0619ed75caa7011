//! From a URI to a connection: lookup, TCP, proxy, TLS, each with its time-out.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use http::Uri;
use rustls::{ClientConfig, ClientConnection};
use s3_io::failure::{self, Failure, timeout};
use s3_io::proxy::{ConnectAnswer, Proxy};
use s3_io::{Counts, Target, share};
use s3_proto::Phase;
use ureq::config::Config;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectionDetails, Connector as UreqConnector, NextTimeout};

use super::wire::{Exchange, Wire, other};

/// Looks up host names.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `host`, in the order in which they should be tried; an
    /// [`io::ErrorKind::NotFound`] means that there is no such name, other errors that it cannot be said.
    ///
    /// It may block, and is called in a thread of its own, which is left to itself if it takes too long.
    ///
    /// # Errors
    /// Whatever kept it from finding an address.
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((host, port).to_socket_addrs()?.collect())
    }
}

/// ureq asks for addresses even if it has a connection; ours are looked up when one is made.
#[derive(Debug)]
pub(crate) struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

pub(crate) struct Connector {
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) counts: Arc<Counts>,
}

impl UreqConnector for Connector {
    type Out = Wire;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Wire>, ureq::Error> {
        let wire = Exchange::current().and_then(|exchange| self.open(details.uri, &exchange));
        wire.map(Some).map_err(other)
    }
}

impl Connector {
    fn open(&self, uri: &Uri, exchange: &Arc<Exchange>) -> Result<Wire, Failure> {
        let to = Target::of(uri)?;
        // Plain HTTP is for stores nearby; what it is proxied by is none of our concern.
        let proxy = self.proxy.as_ref().filter(|proxy| to.secure && proxy.is_for(to.host));
        let (host, port) = proxy.map_or((to.host, to.port), |proxy| (proxy.host(), proxy.port()));
        let mut wire = Wire::new(self.tcp(host, port, exchange)?, &self.counts);
        wire.serve(exchange.clone());
        if let Some(proxy) = proxy {
            let limit = exchange.timeouts.connect;
            tunnel(wire.raw(until(limit)), proxy, to).map_err(|error| match error.kind() {
                io::ErrorKind::TimedOut => {
                    timeout(Phase::Connect, format!("connecting through the proxy {host}"), limit)
                }
                _ => failure::proxy(host, error),
            })?;
        }
        if to.secure {
            self.handshake(&mut wire, to, exchange.timeouts.tls)?;
        }
        Ok(wire)
    }

    fn tcp(&self, host: &str, port: u16, exchange: &Exchange) -> Result<TcpStream, Failure> {
        let limit = exchange.timeouts.connect;
        let until = until(limit);
        let addresses = match host.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, port)],
            Err(_) => self.lookup(host, port, until, exchange)?,
        };
        let mut last = None;
        for (i, address) in addresses.iter().enumerate() {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let connected = match left.map(|left| share(left, addresses.len() - i)) {
                None => TcpStream::connect(address),
                Some(Duration::ZERO) => Err(io::ErrorKind::TimedOut.into()),
                Some(limit) => TcpStream::connect_timeout(address, limit),
            };
            match connected {
                Ok(stream) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "TCP_NODELAY could not be set");
                    }
                    return Ok(stream);
                }
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    last = Some(timeout(Phase::Connect, format!("connecting to {host}"), limit));
                }
                Err(error) => last = Some(failure::connect(host, error)),
            }
        }
        Err(last.unwrap_or_else(|| failure::no_address(host)))
    }

    /// The system's lookup cannot be given a limit, so another thread waits for it.
    fn lookup(
        &self,
        host: &str,
        port: u16,
        until: Option<Instant>,
        exchange: &Exchange,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let (found, wait) = mpsc::channel();
        let (resolver, name, cancelled) = (self.resolver.clone(), host.to_owned(), found.clone());
        let _registration = exchange.cancel.on_cancel(move || {
            // Nobody waits any more if this fails, nor below.
            let _ = cancelled.send(Err(io::Error::other("the call was cancelled")));
        });
        let lookup = move || {
            let _ = found.send(resolver.resolve(&name, port));
        };
        let started = thread::Builder::new().name("s3-resolve".to_owned()).spawn(lookup);
        started.map_err(|error| failure::resolve(host, error))?;
        let addresses = match until {
            Some(until) => {
                wait.recv_timeout(until.saturating_duration_since(Instant::now())).map_err(|_| {
                    timeout(
                        Phase::Resolve,
                        format!("looking up the host name {host}"),
                        exchange.timeouts.connect,
                    )
                })?
            }
            None => wait.recv().unwrap_or_else(|_| Err(io::Error::other("the resolver gave up"))),
        };
        addresses.map_err(|error| failure::resolve(host, error))
    }

    fn handshake(&self, wire: &mut Wire, to: Target<'_>, limit: Option<Duration>) -> Result<(), Failure> {
        let (host, name) = (to.host, to.server_name()?);
        let done = ClientConnection::new(self.tls.clone(), name)
            .map_err(io::Error::other)
            .and_then(|tls| wire.handshake(tls, until(limit)));
        done.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => {
                timeout(Phase::Connect, format!("the TLS handshake with {host}"), limit)
            }
            _ => failure::handshake(host, error),
        })
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

fn until(limit: Option<Duration>) -> Option<Instant> {
    limit.and_then(|limit| Instant::now().checked_add(limit))
}

fn tunnel(io: &mut (impl Read + Write), proxy: &Proxy, to: Target<'_>) -> io::Result<()> {
    io.write_all(proxy.connect(to.host, to.port).as_bytes())?;
    let (mut answer, mut byte) = (ConnectAnswer::default(), [0]);
    loop {
        io.read_exact(&mut byte)?;
        if answer.push(byte[0])? {
            return Ok(());
        }
    }
}
