//! From a URI to a connection: lookup, TCP, proxy, TLS, each with its time-out.

use std::io;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use s3_proto::{Phase, Timeouts};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use super::Resolve;
use super::wire::{Inner, Secured, Stream};
use crate::driver::runtime::{Clock, Runtime};
use crate::failure::{self, Failure, timeout};
use crate::proxy::{ConnectAnswer, Proxy};
use crate::{Counts, Open, Target, share};

/// Makes connections.
pub(crate) struct Connector<R> {
    pub(crate) clock: Clock,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) tls: TlsConnector,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) runtime: PhantomData<fn() -> R>,
}

impl<R: Runtime> Connector<R> {
    pub(crate) async fn connect(
        &self,
        uri: &Uri,
        timeouts: Timeouts,
    ) -> Result<Stream<R::Connection>, Failure> {
        let target = Target::of(uri)?;
        // Plain HTTP is for stores nearby; what it is proxied by is none of our concern.
        let proxy = self.proxy.as_ref().filter(|proxy| target.secure && proxy.is_for(target.host));
        let tcp = match proxy {
            Some(proxy) => self.tcp(proxy.host(), proxy.port(), timeouts.connect).await?,
            None => self.tcp(target.host, target.port, timeouts.connect).await?,
        };
        let open = Open::new(&self.counts);
        let mut io = TokioIo::new(tcp);
        if let Some(proxy) = proxy {
            self.tunnel(&mut io, proxy, target, timeouts.connect).await?;
        }
        let io = if target.secure {
            Inner::Tls(Box::new(self.handshake(target, io, timeouts.tls).await?))
        } else {
            Inner::Plain(io.into_inner())
        };
        Ok(Stream::new(io, &self.clock, open))
    }

    async fn tcp(&self, host: &str, port: u16, limit: Option<Duration>) -> Result<R::Connection, Failure> {
        let until = limit.map(|limit| self.clock.after(limit));
        let addresses = match host.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, port)],
            Err(_) => self
                .clock
                .within(until, self.resolver.resolve(host, port))
                .await
                .ok_or_else(|| timeout(Phase::Resolve, format!("looking up the host name {host}"), limit))?
                .map_err(|error| failure::resolve(host, error))?,
        };
        let mut last = None;
        for (i, address) in addresses.iter().enumerate() {
            let until = until.map(|until| {
                let now = self.clock.now();
                now.saturating_add(share(until.since(now), addresses.len() - i))
            });
            match self.clock.within(until, R::connect(*address)).await {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => last = Some(failure::connect(host, error)),
                None => last = Some(timeout(Phase::Connect, format!("connecting to {host}"), limit)),
            }
        }
        Err(last.unwrap_or_else(|| failure::no_address(host)))
    }

    async fn tunnel(
        &self,
        io: &mut TokioIo<R::Connection>,
        proxy: &Proxy,
        to: Target<'_>,
        limit: Option<Duration>,
    ) -> Result<(), Failure> {
        let name = proxy.host();
        let until = limit.map(|limit| self.clock.after(limit));
        let opened = self.clock.within(until, async {
            io.write_all(proxy.connect(to.host, to.port).as_bytes()).await?;
            let mut answer = ConnectAnswer::default();
            while !answer.push(io.read_u8().await?)? {}
            Ok(())
        });
        match opened.await {
            Some(opened) => opened.map_err(|error: io::Error| failure::proxy(name, error)),
            None => Err(timeout(Phase::Connect, format!("connecting through the proxy {name}"), limit)),
        }
    }

    async fn handshake(
        &self,
        to: Target<'_>,
        io: TokioIo<R::Connection>,
        limit: Option<Duration>,
    ) -> Result<Secured<R::Connection>, Failure> {
        let (host, name) = (to.host, to.server_name()?);
        let until = limit.map(|limit| self.clock.after(limit));
        match self.clock.within(until, self.tls.connect(name, io)).await {
            Some(Ok(stream)) => Ok(TokioIo::new(stream)),
            Some(Err(error)) => Err(failure::handshake(host, error)),
            None => Err(timeout(Phase::Connect, format!("the TLS handshake with {host}"), limit)),
        }
    }
}
