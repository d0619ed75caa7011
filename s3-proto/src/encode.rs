//! Percent-encoding as S3 wants it, hexadecimal and base64.
//!
//! S3 signs what a request line holds after decoding and encoding it again, so a client that encodes one
//! character more or less than the service gets `SignatureDoesNotMatch`. The rule is RFC 3986's unreserved
//! set, upper-case hexadecimal, and never `+` for a space ("UriEncode" in "Create a signed AWS API request",
//! IAM User Guide).

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use memchr::memchr2;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters `A-Z a-z 0-9 - . _ ~`.
pub(crate) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same, for a path whose slashes stand for themselves.
pub(crate) const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// Percent-encodes a query parameter's name or value, or one label of a path.
///
/// ```
/// assert_eq!(s3_proto::encode::uri_encode("a b/c+d~é"), "a%20b%2Fc%2Bd~%C3%A9");
/// ```
pub fn uri_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    uri_encode_into(text, &mut out);
    out
}

/// Percent-encodes an object key for the path of a URL: as [`uri_encode`], but slashes stay.
///
/// The key is not otherwise touched: S3 keeps `//`, `./` and `../` as they are.
///
/// ```
/// assert_eq!(s3_proto::encode::uri_encode_path("a//b/../50% + c"), "a//b/../50%25%20%2B%20c");
/// ```
pub fn uri_encode_path(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    uri_encode_path_into(key, &mut out);
    out
}

/// [`uri_encode`] to the end of a string.
pub fn uri_encode_into(text: &str, out: &mut String) {
    out.extend(utf8_percent_encode(text, RESERVED));
}

/// [`uri_encode_path`] to the end of a string.
pub fn uri_encode_path_into(key: &str, out: &mut String) {
    out.extend(utf8_percent_encode(key, RESERVED_IN_PATH));
}

/// Whether the text is what [`uri_encode`] makes of its decoded form.
pub(crate) fn is_uri_encoded(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {}
            b'%' => match (bytes.next().and_then(upper_hex), bytes.next().and_then(upper_hex)) {
                (Some(high), Some(low)) if !is_unreserved(high << 4 | low) => {}
                _ => return false,
            },
            _ => return false,
        }
    }
    true
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

const fn upper_hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Lower-case hexadecimal.
///
/// ```
/// assert_eq!(s3_proto::encode::hex(&[0, 0xAB]), "00ab");
/// ```
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|b| [HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]).map(char::from).collect()
}

/// Lower-case hexadecimal of a SHA-256 digest, on the stack.
pub(crate) fn hex_digest(digest: &[u8; 32]) -> [u8; 64] {
    let mut out = [0; 64];
    for (pair, byte) in out.as_chunks_mut::<2>().0.iter_mut().zip(digest) {
        *pair = hex_pair(*byte);
    }
    out
}

pub(crate) fn hex_pair(byte: u8) -> [u8; 2] {
    [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]
}

/// Base64 with padding (RFC 4648 section 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads base64; padding may be missing, as some stores leave it out.
pub(crate) fn base64_decode(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    LENIENT.decode(text).ok()
}

/// Decodes `%XX` and `+` of a URL query; what is not UTF-8 then becomes the replacement character.
pub(crate) fn uri_decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// Decodes a key of a list with `encoding-type=url`, where `+` is a space.
pub(crate) fn uri_decode_query(text: &mut String) -> Result<(), crate::Error> {
    if memchr2(b'%', b'+', text.as_bytes()).is_some() {
        let spaced = text.replace('+', " ");
        let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8();
        *text = decoded
            .map_err(|_| {
                let message = format!("the key '{text}' is not UTF-8 once it is decoded");
                crate::Error::new(crate::ErrorKind::MalformedResponse, message)
            })?
            .into_owned();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    #[test]
    fn keys_that_others_stumble_over() {
        let keys = [
            ("plain", "plain"),
            ("with space", "with%20space"),
            ("plus+sign", "plus%2Bsign"),
            ("100%", "100%25"),
            ("already%20encoded", "already%2520encoded"),
            ("a//b", "a//b"),
            ("./a/../b", "./a/../b"),
            ("/leading", "/leading"),
            ("ünï/ሴ", "%C3%BCn%C3%AF/%E1%88%B4"),
            ("😀", "%F0%9F%98%80"),
            ("q?a=b&c#d", "q%3Fa%3Db%26c%23d"),
            ("!*'()$,:;@=[]", "%21%2A%27%28%29%24%2C%3A%3B%40%3D%5B%5D"),
            ("-._~", "-._~"),
            ("tab\tnl\n\u{7f}", "tab%09nl%0A%7F"),
        ];
        for (key, wire) in keys {
            assert_eq!(uri_encode_path(key), wire, "{key:?}");
        }
    }

    #[test]
    fn a_digest_is_lower_case() {
        let mut digest = [0; 32];
        digest[0] = 0xAB;
        digest[31] = 0x0F;
        assert_eq!(hex_digest(&digest).as_slice(), hex(&digest).as_bytes());
        assert!(hex(&digest).starts_with("ab00") && hex(&digest).ends_with("000f"));
    }

    #[test]
    fn base64_without_padding_is_read() {
        assert_eq!(base64_decode("AAAAAA==").unwrap(), [0; 4]);
        assert_eq!(base64_decode("AAAAAA").unwrap(), [0; 4]);
        assert_eq!(base64_decode("not base64"), None);
    }

    #[test]
    fn only_the_canonical_form_counts_as_encoded() {
        for text in ["%7E", "%2f", "%", "%2", "%G0", "a b", "a+b", "a/b", "é"] {
            assert!(!is_uri_encoded(text), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn decoding_gives_the_text_back(text in any::<String>()) {
            let wire = uri_encode(&text);
            prop_assert!(is_uri_encoded(&wire));
            prop_assert_eq!(percent_decode_str(&wire).collect::<Vec<_>>(), text.as_bytes());
            prop_assert_eq!(uri_encode_path(&text).replace('/', "%2F"), wire);
        }

        #[test]
        fn base64_is_a_round_trip(bytes in any::<Vec<u8>>()) {
            prop_assert_eq!(base64_decode(&base64(&bytes)).unwrap(), bytes);
        }
    }
}
