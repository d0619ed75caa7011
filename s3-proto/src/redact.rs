//! URLs and headers as they may be shown in logs.

use std::fmt;

use http::{HeaderMap, HeaderName, Uri};
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use crate::encode::uri_encode;

/// Text that came from somebody else, in a sentence: its control characters escaped, and cut where it gets long.
pub(crate) struct Shown<'a> {
    text: &'a str,
    most: usize,
}

impl<'a> Shown<'a> {
    /// So many characters at most.
    pub(crate) const fn new(text: &'a str, most: usize) -> Self {
        Self { text, most }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text.char_indices().nth(self.most) {
            None => write!(f, "{}", self.text.escape_debug()),
            Some((end, _)) => write!(f, "{}...", self.text[..end].escape_debug()),
        }
    }
}

/// The URL with what authenticates it replaced by `**`: a user and password, the values of
/// `X-Amz-Signature`, `X-Amz-Credential` and `X-Amz-Security-Token`, SSE-C keys, and version 2's `AWSAccessKeyId` and
/// `Signature`.
///
/// ```
/// let uri = "https://b.s3.amazonaws.com/k?X-Amz-Signature=abc&versionId=1".parse().unwrap();
/// let shown = s3_proto::redact::redact_uri(&uri);
/// assert_eq!(shown, "https://b.s3.amazonaws.com/k?X-Amz-Signature=**&versionId=1");
/// ```
pub fn redact_uri(uri: &Uri) -> String {
    let mut out = String::new();
    if let Some(scheme) = uri.scheme_str() {
        out.push_str(scheme);
        out.push_str("://");
    }
    if let Some(authority) = uri.authority() {
        match authority.as_str().rsplit_once('@') {
            Some((_, host)) => {
                out.push_str("**@");
                out.push_str(host);
            }
            None => out.push_str(authority.as_str()),
        }
    }
    out.push_str(uri.path());
    for (index, pair) in uri.query().into_iter().flat_map(|query| query.split('&')).enumerate() {
        out.push(if index == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some((name, _)) if is_secret_parameter(name) => {
                out.push_str(name);
                out.push_str("=**");
            }
            _ => out.push_str(pair),
        }
    }
    out
}

fn is_secret_parameter(name: &str) -> bool {
    const SECRET: [&str; 10] = [
        "X-Amz-Signature",
        "X-Amz-Credential",
        "X-Amz-Security-Token",
        "X-Amz-S3session-Token",
        "AWSAccessKeyId",
        "Signature",
        // Keys of one's own, where a tool has moved headers into the query.
        "X-Amz-Server-Side-Encryption-Customer-Key",
        "X-Amz-Server-Side-Encryption-Customer-Key-MD5",
        "X-Amz-Copy-Source-Server-Side-Encryption-Customer-Key",
        "X-Amz-Copy-Source-Server-Side-Encryption-Customer-Key-MD5",
    ];
    let name: Vec<u8> = percent_decode_str(name).collect();
    SECRET.iter().any(|secret| secret.as_bytes().eq_ignore_ascii_case(&name))
}

/// The headers, with the values of those that authenticate or hold a key shown as `**`, also where they are
/// not marked [sensitive](http::HeaderValue::is_sensitive).
///
/// ```
/// let mut headers = http::HeaderMap::new();
/// headers.insert("authorization", "AWS4-HMAC-SHA256 ...".parse().unwrap());
/// headers.insert("range", "bytes=0-9".parse().unwrap());
/// let shown = format!("{:?}", s3_proto::redact::redact_headers(&headers));
/// assert_eq!(shown, r#"{"authorization": **, "range": "bytes=0-9"}"#);
/// ```
pub fn redact_headers(headers: &HeaderMap) -> impl fmt::Debug + '_ {
    RedactedHeaders(headers)
}

struct RedactedHeaders<'a>(&'a HeaderMap);

impl fmt::Debug for RedactedHeaders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in self.0 {
            if value.is_sensitive() || is_secret_header(name) {
                map.entry(&name.as_str(), &format_args!("**"));
            } else {
                map.entry(&name.as_str(), value);
            }
        }
        map.finish()
    }
}

fn is_secret_header(name: &HeaderName) -> bool {
    // Customer keys: `x-amz-server-side-encryption-customer-key`, its `-md5`, and both with
    // `x-amz-copy-source-` before them.
    let name = name.as_str();
    name.contains("encryption-customer-key")
        || matches!(
            name,
            "authorization"
                | "proxy-authorization"
                | "cookie"
                | "set-cookie"
                | "x-amz-security-token"
                | "x-amz-s3session-token"
                | "x-amz-mfa"
                | "x-aws-ec2-metadata-token"
        )
}

/// How many characters of somebody else's text are kept.
const MAX_TEXT: usize = 1_000;

/// So much of a secret at the end of a text that was cut off is taken for the secret.
const MIN_SECRET: usize = 8;

/// What somebody else says, as it may stand in an error: on one line, without control characters, not at any
/// length, and without these secrets, which some repeat.
pub(crate) fn hide(text: &str, secrets: &[&str]) -> String {
    let mut text = Zeroizing::new(text.trim().to_owned());
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        let encoded = Zeroizing::new(uri_encode(secret));
        for form in [secret, encoded.as_str()] {
            *text = text.replace(form, "**");
            // Whoever gave the text on may have cut it off in the middle of the secret.
            let whole = text.trim_end_matches('.').len();
            let cut = (MIN_SECRET..form.len()).rev().filter(|len| form.is_char_boundary(*len));
            if let Some(len) = cut.into_iter().find(|len| text[..whole].ends_with(&form[..*len])) {
                text.replace_range(whole - len..whole, "**");
            }
        }
    }
    let mut out: String = text.chars().take(MAX_TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(MAX_TEXT).is_some() {
        out.push_str("...");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn what_authenticates_a_url_is_not_shown() {
        let cases = [
            ("/k?x-amz-signature=SECRET&a=b", "/k?x-amz-signature=**&a=b"),
            (
                "/k?x-amz-server-side-encryption-customer-key=SECRET",
                "/k?x-amz-server-side-encryption-customer-key=**",
            ),
            ("/k?X-Amz%2DSignature=SECRET", "/k?X-Amz%2DSignature=**"),
            (
                "/k?AWSAccessKeyId=SECRET&Signature=SECRET&Expires=1",
                "/k?AWSAccessKeyId=**&Signature=**&Expires=1",
            ),
            ("https://me:SECRET@h:9000/k?uploads", "https://**@h:9000/k?uploads"),
            (
                "/k?X-Amz-Security-Token=SECRET&X-Amz-Credential=SECRET",
                "/k?X-Amz-Security-Token=**&X-Amz-Credential=**",
            ),
        ];
        for (uri, shown) in cases {
            assert_eq!(redact_uri(&uri.parse().unwrap()), shown);
        }
    }

    #[test]
    fn what_authenticates_in_headers_is_not_shown() {
        let mut headers = HeaderMap::new();
        let names = [
            "authorization",
            "x-amz-security-token",
            "x-amz-s3session-token",
            "x-amz-server-side-encryption-customer-key",
            "x-amz-server-side-encryption-customer-key-md5",
            "x-amz-copy-source-server-side-encryption-customer-key",
            "proxy-authorization",
            "cookie",
            "x-amz-mfa",
        ];
        for name in names {
            headers.insert(name, HeaderValue::from_static("SECRET"));
        }
        let mut marked = HeaderValue::from_static("SECRET");
        marked.set_sensitive(true);
        headers.insert("x-other", marked);
        headers.insert("x-amz-server-side-encryption-customer-algorithm", HeaderValue::from_static("AES256"));
        let shown = format!("{:?}", redact_headers(&headers));
        assert!(!shown.contains("SECRET") && shown.contains("AES256"), "{shown}");
    }

    #[test]
    fn what_a_service_repeats_of_a_secret_is_hidden() {
        assert_eq!(hide("no\nswordfish\there", &["swordfish", ""]), "no ** here");
        assert!(hide(&"x".repeat(10_000), &[]).len() < 2_000);
    }

    #[test]
    fn a_secret_is_hidden_encoded_too_and_where_the_text_was_cut_off() {
        let token = "IQoJb3JpZ2lu+/x2VjEXAMPLE==";
        assert_eq!(
            hide(&format!("X-Amz-Security-Token={}&a=b", uri_encode(token)), &[token]),
            "X-Amz-Security-Token=**&a=b"
        );
        let message = format!("{} {token}", "x".repeat(MAX_TEXT - 12));
        let cut = hide(&message, &[]);
        assert!(cut.contains("IQoJb3JpZ2l..."), "{cut}");
        assert!(hide(&cut, &[token]).ends_with("xx **..."));
    }
}
