//! What can stand in a host name.

use std::net::Ipv4Addr;

/// Whether this is one DNS label, or with `with_dots` several, as the endpoint rules of the AWS SDKs define it
/// (`isValidHostLabel`, <https://smithy.io/2.0/additional-specs/rules-engine/standard-library.html>):
/// 1 to 63 ASCII letters, digits and hyphens, not beginning with a hyphen.
pub fn is_valid_host_label(text: &str, with_dots: bool) -> bool {
    if with_dots { text.split('.').all(is_label) } else { is_label(text) }
}

/// Whether a bucket of this name can be addressed as `BUCKET.s3.REGION.amazonaws.com`, as the endpoint rules
/// of the AWS SDKs define it (`aws.isVirtualHostableS3Bucket`,
/// <https://smithy.io/2.0/aws/rules-engine/library-functions.html>).
///
/// Names with dots can be, `with_dots`, but not over TLS: a wildcard certificate covers one label only.
pub fn is_virtual_hostable(bucket: &str, with_dots: bool) -> bool {
    let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    (3..=63).contains(&bucket.len())
        && bucket.bytes().all(lower)
        && (with_dots || !bucket.contains('.'))
        && bucket.split('.').all(|label| is_label(label) && !label.ends_with('-'))
        && bucket.parse::<Ipv4Addr>().is_err()
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
