//! The canonical request: what both sides make of a request and sign.
//!
//! Source: "Create a canonical request", Amazon S3 API Reference, page sig-v4-header-based-auth. The text is
//! never built when signing: it is fed to the hash, by the same code that writes it out for an
//! [`Explanation`](super::Explanation).

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, Uri};
use percent_encoding::{percent_decode_str, percent_encode};
use sha2::{Digest as _, Sha256};

use super::{PayloadText, RequestHead, SigningOptions};
use crate::Error;
use crate::encode::{RESERVED, RESERVED_IN_PATH, hex_digest, is_uri_encoded};

pub(super) struct Canonical<'a> {
    method: &'a str,
    path: &'a str,
    options: SigningOptions,
    /// Sorted by name, then value; both percent-encoded.
    query: List<(&'a str, &'a str)>,
    /// Sorted by name; values of the same name in their order.
    headers: List<(&'a str, &'a [u8])>,
    payload: &'a [u8],
}

impl<'a> Canonical<'a> {
    /// Without a query yet.
    pub(super) fn new(
        head: &'a impl RequestHead,
        headers: &'a HeaderMap,
        payload: &'a PayloadText,
        options: SigningOptions,
    ) -> Result<Self, Error> {
        let mut canonical = Self {
            method: head.method().as_str(),
            path: match head.uri().path() {
                "" => "/",
                path => path,
            },
            options,
            query: List::new(),
            headers: List::new(),
            payload: payload.as_bytes(),
        };
        list_headers(head.uri(), headers, &mut canonical.headers)?;
        Ok(canonical)
    }

    /// Sets the query, which has been through [`canonical_components`].
    pub(super) fn set_query(&mut self, query: &'a str) {
        list_query(query, &mut self.query);
    }

    /// The SHA-256 of the text, in hexadecimal.
    pub(super) fn digest(&self) -> [u8; 64] {
        let mut hash = Buffered::new();
        self.write(&mut |piece| hash.put(piece));
        hash.finish()
    }

    pub(super) fn text(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(1024);
        self.write(&mut |piece| text.extend_from_slice(piece));
        text
    }

    /// The names of the signed headers, with `separator` between them.
    pub(super) fn write_names(&self, separator: &[u8], put: &mut impl FnMut(&[u8])) {
        let mut previous = "";
        for (name, _) in self.headers.as_slice() {
            if *name == previous {
                continue;
            }
            if !previous.is_empty() {
                put(separator);
            }
            put(name.as_bytes());
            previous = name;
        }
    }

    fn write(&self, put: &mut impl FnMut(&[u8])) {
        put(self.method.as_bytes());
        put(b"\n");
        write_path(self.path, self.options, put);
        put(b"\n");
        let mut separator: &[u8] = b"";
        for (name, value) in self.query.as_slice() {
            put(separator);
            put(name.as_bytes());
            put(b"=");
            put(value.as_bytes());
            separator = b"&";
        }
        put(b"\n");
        let mut previous = "";
        for (name, value) in self.headers.as_slice() {
            if *name == previous {
                put(b",");
            } else {
                if !previous.is_empty() {
                    put(b"\n");
                }
                put(name.as_bytes());
                put(b":");
            }
            write_header_value(value, put);
            previous = name;
        }
        put(b"\n\n");
        self.write_names(b";", put);
        put(b"\n");
        put(self.payload);
    }
}

/// Gathers pieces, so that the hash is called once for most requests.
struct Buffered {
    bytes: [u8; 1024],
    len: usize,
    hash: Sha256,
}

impl Buffered {
    fn new() -> Self {
        Self { bytes: [0; 1024], len: 0, hash: Sha256::new() }
    }

    fn put(&mut self, piece: &[u8]) {
        let end = self.len + piece.len();
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            room.copy_from_slice(piece);
            self.len = end;
        } else {
            self.hash.update(&self.bytes[..self.len]);
            self.hash.update(piece);
            self.len = 0;
        }
    }

    fn finish(mut self) -> [u8; 64] {
        self.hash.update(&self.bytes[..self.len]);
        hex_digest(&self.hash.finalize().into())
    }
}

/// Copies of few bytes each, on the stack for ordinary requests.
struct List<T> {
    inline: [T; List::<()>::INLINE],
    len: usize,
    /// All of them, once there are too many.
    heap: Vec<T>,
}

impl List<()> {
    /// Also the length up to which the standard library's stable sort takes no memory.
    const INLINE: usize = 20;
}

impl<T: Copy + Default> List<T> {
    fn new() -> Self {
        Self { inline: [T::default(); List::INLINE], len: 0, heap: Vec::new() }
    }

    fn push(&mut self, item: T) {
        if let Some(place) = self.inline.get_mut(self.len) {
            *place = item;
        } else {
            if self.heap.is_empty() {
                self.heap.extend_from_slice(&self.inline);
            }
            self.heap.push(item);
        }
        self.len += 1;
    }

    fn as_slice(&self) -> &[T] {
        if self.heap.is_empty() { &self.inline[..self.len] } else { &self.heap }
    }

    fn as_mut_slice(&mut self) -> &mut [T] {
        if self.heap.is_empty() { &mut self.inline[..self.len] } else { &mut self.heap }
    }
}

fn list_query<'a>(query: &'a str, list: &mut List<(&'a str, &'a str)>) {
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        list.push(pair.split_once('=').unwrap_or((pair, "")));
    }
    list.as_mut_slice().sort_unstable();
}

/// The query with each name and value as the service will encode them again; borrowed if it is so already,
/// as that of all our own requests.
///
/// A `+` counts as a space: S3 and the stores that read queries as forms take it for one.
pub(super) fn canonical_components(query: &str) -> Cow<'_, str> {
    let canonical = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        is_uri_encoded(name) && is_uri_encoded(value)
    };
    if query.split('&').all(canonical) {
        return Cow::Borrowed(query);
    }
    let mut out = String::with_capacity(query.len() + 16);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if !out.is_empty() {
            out.push('&');
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        for (part, end) in [(name, "="), (value, "")] {
            let spaced = part.replace('+', " ");
            let decoded: Vec<u8> = percent_decode_str(&spaced).collect();
            out.extend(percent_encode(&decoded, RESERVED));
            out.push_str(end);
        }
    }
    Cow::Owned(out)
}

fn list_headers<'a>(
    uri: &'a Uri,
    headers: &'a HeaderMap,
    list: &mut List<(&'a str, &'a [u8])>,
) -> Result<(), Error> {
    if !headers.contains_key(http::header::HOST) {
        list.push(("host", host_of(uri)?.as_bytes()));
    }
    for (name, value) in headers {
        if is_signed(name) {
            list.push((name.as_str(), value.as_bytes()));
        }
    }
    // Stable: values of one name keep their order.
    list.as_mut_slice().sort_by_key(|(name, _)| *name);
    Ok(())
}

/// Whether a header goes into the signature: all do, but those that belong to one hop of the way, that
/// HTTP libraries and proxies write or rewrite (`accept-encoding` at Google's storage), and the signature
/// itself. `content-length` is signed where the request has it already, as in AWS's examples; where the
/// HTTP library adds it later, it is not.
fn is_signed(name: &HeaderName) -> bool {
    let name = name.as_str();
    match name.as_bytes().first() {
        Some(b'a') => !matches!(name, "authorization" | "accept-encoding"),
        Some(b'c') => name != "connection",
        Some(b'e') => name != "expect",
        Some(b'k') => name != "keep-alive",
        Some(b'p') => !name.starts_with("proxy-"),
        Some(b's') => !name.starts_with("sec-websocket-"),
        Some(b't') => !matches!(name, "te" | "trailer" | "transfer-encoding"),
        Some(b'u') => !matches!(name, "upgrade" | "user-agent"),
        Some(b'x') => name != "x-amzn-trace-id",
        _ => true,
    }
}

/// What an HTTP library writes into `host`: the authority without user and without the scheme's own port.
fn host_of(uri: &Uri) -> Result<&str, Error> {
    let Some(authority) = uri.authority() else {
        return Err(Error::invalid_input("a request without a host cannot be signed"));
    };
    let text = authority.as_str();
    if !text.bytes().any(|b| matches!(b, b'@' | b':')) {
        return Ok(text);
    }
    let text = text.rsplit_once('@').map_or(text, |(_, host)| host);
    let default_port = match (uri.scheme_str(), authority.port_u16()) {
        (Some("http"), Some(80)) | (Some("https"), Some(443)) => true,
        _ => text.ends_with(':'),
    };
    Ok(if default_port { authority.host() } else { text })
}

fn write_path(path: &str, options: SigningOptions, put: &mut impl FnMut(&[u8])) {
    let path = if options.normalize_path { normalized(path) } else { Cow::Borrowed(path) };
    if options.double_encode_path {
        for piece in percent_encode(path.as_bytes(), RESERVED_IN_PATH) {
            put(piece.as_bytes());
        }
    } else {
        put(path.as_bytes());
    }
}

/// Without empty, `.` and `..` segments; a slash at the end stays.
fn normalized(path: &str) -> Cow<'_, str> {
    if !path.contains("//") && !path.contains("/.") {
        return Cow::Borrowed(path);
    }
    let mut kept = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in &kept {
        out.push('/');
        out.push_str(segment);
    }
    if kept.is_empty() || path.ends_with('/') {
        out.push('/');
    }
    Cow::Owned(out)
}

/// A header's value as it is signed: without spaces around it, and with each run of spaces in it as one.
/// Other white space and bytes beyond ASCII stay.
///
/// ```
/// assert_eq!(s3_proto::sign::canonical_header_value(b"  a   b "), b"a b");
/// ```
pub fn canonical_header_value(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    write_header_value(value, &mut |piece| out.extend_from_slice(piece));
    out
}

fn write_header_value(value: &[u8], put: &mut impl FnMut(&[u8])) {
    if !value.contains(&b' ') {
        return put(value);
    }
    let mut separator: &[u8] = b"";
    for word in value.split(|byte| *byte == b' ').filter(|word| !word.is_empty()) {
        put(separator);
        put(word);
        separator = b" ";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_what_http_libraries_send() {
        let cases = [
            ("https://b.s3.amazonaws.com/k", "b.s3.amazonaws.com"),
            ("https://h:443/", "h"),
            ("http://h:80/", "h"),
            ("http://h:443/", "h:443"),
            ("http://localhost:9000/", "localhost:9000"),
            ("https://user:secret@h:9000/", "h:9000"),
            ("http://[::1]:9000/", "[::1]:9000"),
            ("http://[::1]:80/", "[::1]"),
        ];
        for (uri, host) in cases {
            assert_eq!(host_of(&uri.parse().unwrap()).unwrap(), host, "{uri}");
        }
        assert!(host_of(&Uri::from_static("/path")).is_err());
    }

    #[test]
    fn paths_are_normalised_as_for_other_services() {
        let cases = [
            ("/", "/"),
            ("//", "/"),
            ("/a/../..", "/"),
            ("/./a", "/a"),
            ("//a//", "/a/"),
            ("/a/./b/../c", "/a/c"),
            ("/.hidden", "/.hidden"),
        ];
        for (path, expected) in cases {
            assert_eq!(normalized(path), expected, "{path}");
        }
    }

    #[test]
    fn queries_are_sorted_by_name_before_value() {
        let canonical = |query: &str| {
            let query = canonical_components(query);
            let mut list = List::new();
            list_query(&query, &mut list);
            list.as_slice().iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join("&")
        };
        assert_eq!(canonical("b=1&a-b=2&a=2&a=1&&flag"), "a=1&a=2&a-b=2&b=1&flag=");
        assert_eq!(canonical("p=%c3%a4/%7e+x"), "p=%C3%A4%2F~%20x");
        assert_eq!(canonical("uploads"), "uploads=");
        assert_eq!(canonical("a=b=c"), "a=b%3Dc");
    }

    #[test]
    fn lists_outgrow_the_stack() {
        let query = (0..50).rev().map(|n| format!("k{n:02}=v")).collect::<Vec<_>>().join("&");
        let mut list = List::new();
        list_query(&query, &mut list);
        assert_eq!(list.as_slice().len(), 50);
        assert!(list.as_slice().is_sorted());
    }

    #[test]
    fn hop_by_hop_headers_are_not_signed() {
        let names = [
            "authorization",
            "user-agent",
            "accept-encoding",
            "expect",
            "connection",
            "keep-alive",
            "transfer-encoding",
            "te",
            "trailer",
            "upgrade",
            "proxy-authorization",
            "proxy-connection",
            "x-amzn-trace-id",
            "sec-websocket-key",
        ];
        for name in names {
            assert!(!is_signed(&HeaderName::from_static(name)), "{name}");
        }
        for name in ["range", "content-length", "content-type", "x-amz-meta-a", "accept", "etag", "trailers"]
        {
            assert!(is_signed(&HeaderName::from_static(name)), "{name}");
        }
    }
}
