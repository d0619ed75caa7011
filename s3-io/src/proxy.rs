//! The way through a proxy.

use std::fmt;
use std::io;
use std::net::IpAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Uri;
use percent_encoding::percent_decode_str;
use s3_proto::{Error, ErrorKind, Secret};

use crate::is_local;

/// The longest answer to `CONNECT` that is read.
const MAX_ANSWER: usize = 8 * 1024;

/// An HTTP proxy that opens tunnels, and the hosts that are reached without it.
#[derive(Clone)]
pub struct Proxy {
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
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if it is no URL, or not of an HTTP proxy.
    pub fn new(url: &str, except: &str) -> Result<Self, Error> {
        let bad = |what: &str| Error::new(ErrorKind::Configuration, format!("the proxy {what}"));
        let uri: Uri = url.parse().map_err(|_| bad("is no URL"))?;
        let authority = uri.authority().ok_or_else(|| bad("has no host name"))?;
        if uri.scheme_str().is_some_and(|scheme| scheme != "http") {
            return Err(bad("must be an HTTP proxy; other kinds are not offered"));
        }
        let authorization = authority.as_str().rsplit_once('@').map(|(user_info, _)| {
            Secret::new(BASE64_STANDARD.encode(percent_decode_str(user_info).collect::<Vec<_>>()))
        });
        let except = except.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        Ok(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            authorization,
            except: except.map(Exception::parse).collect(),
        })
    }

    /// What the environment says: `HTTPS_PROXY` or `ALL_PROXY`, and `NO_PROXY`, in capitals or not. One that is empty
    /// says nothing.
    ///
    /// # Errors
    /// As [`new`](Self::new): to go without a proxy that cannot be used is not what was asked for.
    pub fn from_env() -> Result<Option<Self>, Error> {
        // What is not text is none that can be used, and is not passed over either.
        Self::from_variables(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, Error> {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| Some((*name, variable(name).filter(|value| !value.is_empty())?)))
        };
        let Some((name, url)) = first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]) else {
            return Ok(None);
        };
        let except = first(&["NO_PROXY", "no_proxy"]).map(|(_, except)| except).unwrap_or_default();
        Self::new(&url, &except).map(Some).map_err(|error| {
            let message = format!("{name} cannot be used: {}", error.message());
            Error::new(ErrorKind::Configuration, message)
        })
    }

    /// Its own name or address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its own port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether this host is to be reached through it.
    pub fn is_for(&self, host: &str) -> bool {
        !is_local(host) && !self.except.iter().any(|exception| exception.matches(host))
    }

    /// What to send it to ask for a tunnel (RFC 9110, 9.3.6).
    pub fn connect(&self, host: &str, port: u16) -> String {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
        if let Some(authorization) = &self.authorization {
            request.extend(["Proxy-Authorization: Basic ", authorization.expose(), "\r\n"]);
        }
        request.push_str("\r\n");
        request
    }
}

/// What a proxy says to that. It is read byte by byte: what follows its head is the tunnel's.
#[derive(Debug, Default)]
pub struct ConnectAnswer(Vec<u8>);

impl ConnectAnswer {
    /// Takes the next byte, and tells whether the tunnel is open.
    ///
    /// # Errors
    /// When the proxy refuses, or what it says is no answer.
    pub fn push(&mut self, byte: u8) -> io::Result<bool> {
        self.0.push(byte);
        if self.0.len() > MAX_ANSWER {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is too long"));
        }
        if !self.0.ends_with(b"\r\n\r\n") {
            return Ok(false);
        }
        let answer = String::from_utf8_lossy(&self.0);
        let line = answer.lines().next().unwrap_or_default();
        let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)).unwrap_or_default();
        if status.len() == 3 && status.starts_with('2') {
            return Ok(true);
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

    #[test]
    fn the_environment_names_a_proxy_or_why_there_is_none() {
        let proxy = |variables: &[(&str, &str)]| {
            let found = Proxy::from_variables(|name| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            });
            found.map(|proxy| proxy.map(|proxy| proxy.host().to_owned()))
        };
        let (all, small) = (("ALL_PROXY", "http://all"), ("https_proxy", "http://small"));
        assert_eq!(proxy(&[]).unwrap(), None);
        assert_eq!(proxy(&[all, small]).unwrap().unwrap(), "small");
        assert_eq!(proxy(&[all, small, ("HTTPS_PROXY", "")]).unwrap().unwrap(), "small");
        assert_eq!(proxy(&[all, ("HTTPS_PROXY", "")]).unwrap().unwrap(), "all");
        assert_eq!(proxy(&[("HTTPS_PROXY", ""), ("ALL_PROXY", "")]).unwrap(), None);
        let error = proxy(&[("ALL_PROXY", "socks5://user:secret@proxy")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.message().starts_with("ALL_PROXY cannot be used: the proxy must be"), "{error}");
        assert!(!format!("{error} {error:?}").contains("secret"));
    }

    /// How many bytes of an answer are read until the tunnel is open.
    fn read(answer: &[u8]) -> io::Result<Option<usize>> {
        let mut reading = ConnectAnswer::default();
        for (read, byte) in (1..).zip(answer) {
            if reading.push(*byte)? {
                return Ok(Some(read));
            }
        }
        Ok(None)
    }

    #[test]
    fn a_tunnel_is_asked_for_with_the_password_which_nobody_sees() {
        let proxy = Proxy::new("http://user:p%40ss@proxy:3128", "").unwrap();
        assert_eq!((proxy.host(), proxy.port()), ("proxy", 3128));
        assert!(!format!("{proxy:?}").contains("ss"));
        let expected = "CONNECT s3.example:443 HTTP/1.1\r\nHost: s3.example:443\r\n\
            Proxy-Authorization: Basic dXNlcjpwQHNz\r\n\r\n";
        assert_eq!(proxy.connect("s3.example", 443), expected);
        let plain = Proxy::new("[::1]", "").unwrap();
        assert_eq!((plain.host(), plain.port()), ("::1", 80));
        assert_eq!(
            plain.connect("fd00::1", 8443),
            "CONNECT [fd00::1]:8443 HTTP/1.1\r\nHost: [fd00::1]:8443\r\n\r\n"
        );
    }

    #[test]
    fn nothing_is_read_behind_the_answer() {
        let answer = b"HTTP/1.1 200 Connection established\r\n\r\n";
        assert_eq!(read(&[answer, &b"TLS"[..]].concat()).unwrap(), Some(answer.len()));
        assert_eq!(read(b"HTTP/1.1 200").unwrap(), None);
    }

    #[test]
    fn a_refusal_and_an_endless_answer_are_errors() {
        let endless = [b'x'; 10_000];
        for answer in [&b"HTTP/1.1 407 Authenticate\r\n\r\n"[..], b"SMTP\r\n\r\n", &endless] {
            assert!(read(answer).is_err());
        }
    }
}
