//! The way through a proxy.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::IpAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use s3_io::is_local;
use s3_proto::{Error, ErrorKind, Secret};
use ureq::ProxyProtocol;

/// The longest answer to `CONNECT` that is read.
const MAX_ANSWER: usize = 8 * 1024;

/// An HTTP proxy that opens tunnels, and the hosts that are reached without it.
#[derive(Clone)]
pub(crate) struct Proxy {
    host: String,
    port: u16,
    authorization: Option<Secret<String>>,
    except: Vec<Exception>,
}

#[derive(Clone, Debug)]
enum Exception {
    All,
    /// With all names below it.
    Domain(String),
    Net(IpAddr, u32),
}

impl Proxy {
    /// `except` are host names, addresses, `address/bits` and `*`, separated by commas.
    pub(crate) fn new(url: &str, except: &str) -> Result<Self, Error> {
        let bad = |what: &str| Error::new(ErrorKind::Configuration, format!("the proxy {what}"));
        let parsed = ureq::Proxy::new(url).map_err(|_| bad("is no URL"))?;
        if parsed.protocol() != ProxyProtocol::Http {
            return Err(bad("must be an HTTP proxy; other kinds are not offered"));
        }
        let authorization = parsed.username().map(|user| {
            let plain = format!("{user}:{}", parsed.password().unwrap_or_default());
            Secret::new(BASE64_STANDARD.encode(plain))
        });
        let except = except.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        Ok(Self {
            host: parsed.host().trim_matches(['[', ']']).to_owned(),
            port: parsed.port(),
            authorization,
            except: except.map(Exception::parse).collect(),
        })
    }

    /// What the environment says: `HTTPS_PROXY` or `ALL_PROXY`, and `NO_PROXY`, in capitals or not.
    pub(crate) fn from_env() -> Option<Self> {
        let first = |names: [&str; 2]| names.iter().find_map(|name| std::env::var(name).ok());
        let url = first(["HTTPS_PROXY", "https_proxy"]).or_else(|| first(["ALL_PROXY", "all_proxy"]))?;
        let except = first(["NO_PROXY", "no_proxy"]).unwrap_or_default();
        match Self::new(&url, &except) {
            Ok(proxy) => Some(proxy),
            Err(error) => {
                tracing::warn!(%error, "the environment names a proxy that cannot be used");
                None
            }
        }
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Whether this host is to be reached through it.
    pub(crate) fn is_for(&self, host: &str) -> bool {
        !is_local(host) && !self.except.iter().any(|exception| exception.matches(host))
    }

    /// Asks for a tunnel (RFC 9110, 9.3.6). Nothing is read past the head of the answer.
    pub(crate) fn tunnel(&self, io: &mut (impl Read + Write), host: &str, port: u16) -> io::Result<()> {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
        if let Some(authorization) = &self.authorization {
            request.extend(["Proxy-Authorization: Basic ", authorization.expose(), "\r\n"]);
        }
        request.push_str("\r\n");
        io.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            io.read_exact(&mut byte)?;
            answer.extend_from_slice(&byte);
            if answer.len() > MAX_ANSWER {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is too long"));
            }
        }
        let answer = String::from_utf8_lossy(&answer);
        let line = answer.lines().next().unwrap_or_default();
        let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)).unwrap_or_default();
        if status.len() == 3 && status.starts_with('2') {
            return Ok(());
        }
        Err(io::Error::other(format!("it answers {line:?}")))
    }
}

impl Exception {
    fn parse(entry: &str) -> Self {
        if entry == "*" {
            return Self::All;
        }
        let (address, bits) = entry.split_once('/').map_or((entry, None), |(a, bits)| (a, Some(bits)));
        match (address.parse::<IpAddr>(), bits.map(str::parse)) {
            (Ok(address), None) => Self::Net(address, 128),
            (Ok(address), Some(Ok(bits))) => Self::Net(address, bits),
            _ => Self::Domain(entry.trim_start_matches('.').to_ascii_lowercase()),
        }
    }

    fn matches(&self, host: &str) -> bool {
        match self {
            Self::All => true,
            Self::Net(net, bits) => match (net, host.parse::<IpAddr>()) {
                (IpAddr::V4(net), Ok(IpAddr::V4(ip))) => same_bits(net.octets(), ip.octets(), *bits),
                (IpAddr::V6(net), Ok(IpAddr::V6(ip))) => same_bits(net.octets(), ip.octets(), *bits),
                _ => false,
            },
            Self::Domain(domain) => {
                let host = host.to_ascii_lowercase();
                host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
        }
    }
}

fn same_bits<const N: usize>(a: [u8; N], b: [u8; N], bits: u32) -> bool {
    a.into_iter().zip(b).zip((0..).step_by(8)).all(|((a, b), from)| {
        let unused = 8 - bits.saturating_sub(from).min(8);
        u16::from(a ^ b) >> unused == 0
    })
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("except", &self.except)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_names_with_all_below_them_and_networks() {
        let except = "internal.example, .dotted.example,10.1.0.0/20,192.168.1.7,fd00::/8";
        let proxy = Proxy::new("http://user:p%40ss@proxy:3128", except).unwrap();
        let cases = [
            ("internal.example", false),
            ("S3.Internal.example", false),
            ("notinternal.example", true),
            ("dotted.example", false),
            ("a.dotted.example", false),
            ("10.1.15.255", false),
            ("10.1.16.0", true),
            ("192.168.1.7", false),
            ("192.168.1.8", true),
            ("fd12::1", false),
            ("fe80::1", false),
            ("fc00::1", true),
            ("localhost", false),
            ("169.254.169.254", false),
            ("s3.amazonaws.com", true),
        ];
        for (host, through) in cases {
            assert_eq!(proxy.is_for(host), through, "{host}");
        }
        assert!(!Proxy::new("proxy:3128", "*").unwrap().is_for("s3.amazonaws.com"));
    }

    #[test]
    fn a_proxy_of_another_kind_is_refused() {
        for url in ["socks5://proxy", "https://proxy", "http://"] {
            assert_eq!(Proxy::new(url, "").unwrap_err().kind(), ErrorKind::Configuration, "{url}");
        }
    }

    /// Reads an answer, and keeps what is written.
    struct Peer(io::Cursor<Vec<u8>>, Vec<u8>);

    impl Read for Peer {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Peer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_tunnel_is_asked_for_with_the_password_and_nothing_behind_the_answer_is_read() {
        let proxy = Proxy::new("http://user:p%40ss@proxy:3128", "").unwrap();
        assert!(!format!("{proxy:?}").contains("ss"));
        let mut peer =
            Peer(io::Cursor::new(b"HTTP/1.1 200 Connection established\r\n\r\nTLS".to_vec()), Vec::new());
        proxy.tunnel(&mut peer, "s3.example", 443).unwrap();
        let expected = "CONNECT s3.example:443 HTTP/1.1\r\nHost: s3.example:443\r\n\
            Proxy-Authorization: Basic dXNlcjpwQHNz\r\n\r\n";
        assert_eq!(String::from_utf8(peer.1).unwrap(), expected);
        let mut rest = Vec::new();
        peer.0.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"TLS");
    }

    #[test]
    fn a_refusal_an_early_end_and_an_endless_answer_are_errors() {
        let endless = [b'x'; 10_000];
        for answer in [&b"HTTP/1.1 407 Authenticate\r\n\r\n"[..], b"HTTP/1.1 200", b"SMTP\r\n\r\n", &endless]
        {
            let mut peer = Peer(io::Cursor::new(answer.to_vec()), Vec::new());
            assert!(Proxy::new("proxy", "").unwrap().tunnel(&mut peer, "s3.example", 443).is_err());
        }
    }
}
