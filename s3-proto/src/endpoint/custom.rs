//! Endpoints that a user names.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use crate::redact::Shown;
use crate::{Error, ErrorKind};

/// The address of a store, as a user writes it: `https://play.min.io:9000`, `http://[::1]:8000`,
/// `https://example.com/storage/v1/s3`, or just `play.min.io:9000`.
///
/// Requests go over TLS unless the text begins with `http://`. The host is kept in lower case, a port that
/// is the scheme's own is left out, and the path is kept without its trailing slash. Cheap to clone.
///
/// ```
/// use s3_proto::endpoint::Endpoint;
///
/// let endpoint = Endpoint::parse("Example.com:443/storage/v1/s3/")?;
/// assert_eq!(endpoint.to_string(), "https://example.com/storage/v1/s3");
/// assert!(endpoint.is_tls());
/// # Ok::<(), s3_proto::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    tls: bool,
    /// `host` or `host:port`; an IPv6 address has its brackets.
    authority: Arc<str>,
    /// How many bytes of the authority are the host.
    host_len: usize,
    is_ip: bool,
    base_path: Arc<str>,
}

impl Endpoint {
    /// Reads the text.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if it is not an address of this form: another scheme, user information, a
    /// query or fragment, an impossible host, port or path.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        // The one part that must not be shown, so it is looked for before any message quotes the text. A
        // password may hold any character, hence not only before the first slash.
        if text.contains('@') {
            return Err(wrong(
                "the endpoint has a user name or password, or an '@': give credentials separately and the \
                 endpoint without them",
            ));
        }
        let Parts { tls, authority, path } = split(text)?;
        let (host, port) = split_port(text, authority)?;
        let (host, is_ip) = check_host(text, host)?;
        let base_path = path.trim_end_matches('/');
        check_path(text, base_path)?;
        let host_len = host.len();
        let authority = match port {
            Some(port) if port != if tls { 443 } else { 80 } => format!("{host}:{port}"),
            _ => host,
        };
        Ok(Self { tls, authority: authority.into(), host_len, is_ip, base_path: base_path.into() })
    }

    /// Whether requests go over TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The host with its port, unless that is the scheme's own: what stands in the `Host` header.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The host without its port, in lower case; an IPv6 address has its brackets.
    pub fn host(&self) -> &str {
        &self.authority[..self.host_len]
    }

    /// Whether the host is an IPv4 or IPv6 address.
    pub fn is_ip(&self) -> bool {
        self.is_ip
    }

    /// What comes before the bucket in each path: empty, or such as `/storage/v1/s3`.
    pub fn base_path(&self) -> &str {
        &self.base_path
    }
}

struct Parts<'a> {
    tls: bool,
    authority: &'a str,
    path: &'a str,
}

/// Takes the text apart, without looking at what the parts are.
fn split(text: &str) -> Result<Parts<'_>, Error> {
    let scheme_end = text.find("://");
    let (tls, rest) = match scheme_end.map(|at| (&text[..at], &text[at + 3..])) {
        None => (true, text),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
        Some((scheme, _)) => {
            return Err(about(text, &format!("has the scheme '{}': use http:// or https://", shown(scheme))));
        }
    };
    for (mark, name) in [('?', "a query"), ('#', "a fragment")] {
        // What follows the mark may be a signature or token, hence it is not shown.
        if let Some(at) = text.find(mark) {
            return Err(about(&text[..at], &format!("has {name} ('{mark}...'): leave it out")));
        }
    }
    if rest.contains('\\') {
        return Err(about(text, "has a backslash: use '/'"));
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.is_empty() {
        return Err(about(text, "has no host: write it as https://HOST[:PORT][/PATH]"));
    }
    Ok(Parts { tls, authority, path })
}

fn split_port<'a>(text: &str, authority: &'a str) -> Result<(&'a str, Option<u16>), Error> {
    let host_end = authority.rfind(']').map_or(0, |at| at + 1);
    let Some(colon) = authority[host_end..].find(':').map(|at| host_end + at) else {
        return Ok((authority, None));
    };
    let (host, port) = (&authority[..colon], &authority[colon + 1..]);
    if port.contains(':') {
        return Err(about(
            text,
            "has several colons: write an IPv6 address in brackets, as in https://[::1]:9000",
        ));
    }
    let number = if port.bytes().all(|b| b.is_ascii_digit()) { port.parse().ok() } else { None };
    match number {
        Some(0) | None => {
            Err(about(text, &format!("has the port '{}': use a number from 1 to 65535", shown(port))))
        }
        port => Ok((host, port)),
    }
}

/// The host in its usual spelling, and whether it is an address.
fn check_host(text: &str, host: &str) -> Result<(String, bool), Error> {
    if let Some(rest) = host.strip_prefix('[') {
        let address = rest.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return match address {
            Some(address) => Ok((format!("[{address}]"), true)),
            None => Err(about(text, "has brackets but no IPv6 address in them (zones are not supported)")),
        };
    }
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Ok((address.to_string(), true));
    }
    if !host.is_ascii() {
        return Err(about(text, "has a host that is not ASCII: write it in its 'xn--' form"));
    }
    // Underscores are not DNS's, but names of containers and private hosts have them.
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_name = name.split('.').all(|label| (1..=63).contains(&label.len()) && label.bytes().all(allowed));
    if !is_name || host.len() > 253 {
        let message = "has a host that is no name or address: use labels of 1 to 63 letters, digits, hyphens \
                       and underscores, up to 253 characters in all";
        return Err(about(text, message));
    }
    // What ends in a number is read as an address by resolvers (WHATWG URL, "ends in a number checker").
    if name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit())) {
        return Err(about(text, "has a host that ends in a number but is no IPv4 address"));
    }
    Ok((host.to_ascii_lowercase(), false))
}

/// The path goes into the request and into its signature as it is, so it has to be encoded already.
fn check_path(text: &str, path: &str) -> Result<(), Error> {
    if path.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(about(text, "has '.' or '..' in its path: write the path without them"));
    }
    let bytes = path.as_bytes();
    let encoded = |at: usize| bytes.get(at + 1..at + 3).is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit));
    let wrong = bytes.iter().enumerate().find(|&(at, b)| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => false,
        b'%' => !encoded(at),
        _ => true,
    });
    match wrong {
        None => Ok(()),
        Some((at, _)) => {
            let character = path.get(at..).and_then(|rest| rest.chars().next()).unwrap_or('%');
            let message = format!("has {character:?} in its path: percent-encode it");
            Err(about(text, &message))
        }
    }
}

fn about(text: &str, what: &str) -> Error {
    wrong(format!("the endpoint '{}' {what}", shown(text)))
}

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

/// Input in a message, without its query: that can hold secrets also where another part is wrong.
fn shown(text: &str) -> Shown<'_> {
    Shown::new(text.split(['?', '#']).next().unwrap_or_default(), 200)
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.base_path)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}
