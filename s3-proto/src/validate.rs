//! What is checked before anything is sent.
//!
//! A request that the service is sure to refuse, or worse, to take for another one, never leaves. Each
//! function looks at one input and answers with [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput),
//! naming what was given and what the limit is.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use crate::Error;
use crate::redact::Shown;

/// The longest key, in bytes of UTF-8.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
pub const MAX_KEY_BYTES: usize = 1_024;
/// The most user metadata of an object: bytes of UTF-8 of all names and values.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html#UserMetadata>
pub const MAX_METADATA_BYTES: usize = 2_048;
/// The highest part number; the lowest is 1.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>, as for the sizes below.
pub const MAX_PART_NUMBER: u32 = 10_000;
/// The smallest part but for the last of an upload, 5 MiB.
pub const MIN_PART_SIZE: u64 = 5 << 20;
/// The largest part, 5 GiB.
pub const MAX_PART_SIZE: u64 = 5 << 30;
/// The largest object that one PUT can send, or one CopyObject copy, 5 GiB.
pub const MAX_PUT_SIZE: u64 = 5 << 30;
/// The largest object, as many of the largest parts as there can be: 48.8 TiB.
pub const MAX_OBJECT_SIZE: u64 = MAX_PART_SIZE * MAX_PART_NUMBER as u64;
/// The most keys in one DeleteObjects.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>
pub const MAX_DELETE_KEYS: usize = 1_000;

/// How strictly a bucket's name is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BucketRule {
    /// What AWS allows for a new general purpose bucket.
    Create,
    /// What a request to AWS can name: also aliases of access points and directory buckets, which end in
    /// what a new bucket must not, and ARNs, whose form is checked where they are resolved.
    #[default]
    Existing,
    /// What compatible stores, and buckets of before 2018 in `us-east-1`, may be called: 1 to 255 bytes of
    /// anything that can stand in a path, such as underscores, capitals, and `tenant:bucket`.
    Relaxed,
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>. That page also reserves
/// `-an` for buckets in an account's regional namespace; CreateBucket may ask for one, so it is left to the
/// service.
const RESERVED_PREFIXES: &[&str] = &["xn--", "sthree-", "amzn-s3-demo-"];
///
/// `--x-s3` is no general purpose bucket's either, but it is how a directory bucket is asked for.
const RESERVED_SUFFIXES: &[&str] = &["-s3alias", "--ol-s3", ".mrap", "--xa-s3", "--op-s3", "--table-s3"];

/// Checks the name of a bucket.
///
/// ```
/// use s3_proto::validate::{BucketRule, check_bucket};
///
/// assert!(check_bucket("my_bucket", BucketRule::Relaxed).is_ok());
/// let error = check_bucket("my_bucket", BucketRule::Create).unwrap_err();
/// assert_eq!(
///     error.message(),
///     "bucket name 'my_bucket' has '_': use lower-case letters, digits, dots and hyphens only"
/// );
/// ```
pub fn check_bucket(name: &str, rule: BucketRule) -> Result<(), Error> {
    let refuse = |what: fmt::Arguments<'_>| Err(refused(format!("bucket name '{}' {what}", shown(name))));
    if name.is_empty() {
        return Err(refused("the bucket name is empty"));
    }
    match rule {
        BucketRule::Existing | BucketRule::Relaxed if name.starts_with("arn:") => {
            return check_arn_text(name);
        }
        BucketRule::Relaxed => return check_relaxed_bucket(name),
        BucketRule::Existing | BucketRule::Create => {}
    }
    let allowed = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    if let Some(c) = name.chars().find(|c| !allowed(c)) {
        return refuse(format_args!("has {c:?}: use lower-case letters, digits, dots and hyphens only"));
    }
    if !(3..=63).contains(&name.len()) {
        return refuse(format_args!("has {} characters: it must have 3 to 63", name.len()));
    }
    if name.starts_with(['.', '-']) || name.ends_with(['.', '-']) {
        return refuse(format_args!("must begin and end with a letter or digit"));
    }
    if name.contains("..") {
        return refuse(format_args!("has two dots side by side"));
    }
    if is_like_ip(name) {
        return refuse(format_args!("has the form of an IP address"));
    }
    if rule == BucketRule::Create {
        if let Some(prefix) = RESERVED_PREFIXES.iter().find(|p| name.starts_with(**p)) {
            return refuse(format_args!("begins with '{prefix}', which is reserved"));
        }
        if let Some(suffix) = RESERVED_SUFFIXES.iter().find(|s| name.ends_with(**s)) {
            return refuse(format_args!("ends with '{suffix}', which is reserved"));
        }
    }
    Ok(())
}

fn check_relaxed_bucket(name: &str) -> Result<(), Error> {
    let refuse = |what: fmt::Arguments<'_>| Err(refused(format!("bucket name '{}' {what}", shown(name))));
    if name.len() > 255 {
        return refuse(format_args!("has {} bytes: at most 255 are allowed", name.len()));
    }
    if name == "." || name == ".." {
        return refuse(format_args!("would be taken for a step in the path"));
    }
    let wrong = |c: &char| matches!(c, '/' | '\\') || c.is_whitespace() || c.is_control();
    match name.chars().find(wrong) {
        Some(c) => refuse(format_args!("has {c:?}, which no store allows")),
        None => Ok(()),
    }
}

fn check_arn_text(arn: &str) -> Result<(), Error> {
    match arn.chars().find(|c| !c.is_ascii_graphic()) {
        Some(c) => Err(refused(format!("ARN '{}' has {c:?}, which no ARN has", shown(arn)))),
        None => Ok(()),
    }
}

/// Four numbers, whether or not they are those of a real address.
fn is_like_ip(name: &str) -> bool {
    let is_number = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
    name.split('.').all(is_number) && name.split('.').count() == 4
}

/// What is allowed in a key and yet likely to make trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyWarning {
    /// A control character: XML 1.0 cannot express most of them, so listings must ask for
    /// `encoding-type=url` (ours do), and other tools may not.
    ControlCharacter {
        /// The first one.
        character: char,
        /// Its place, in bytes.
        at: usize,
    },
    /// A segment `.` or `..`: S3 keeps it, but proxies, browsers and other clients may resolve it, and
    /// then mean another object.
    DotSegment,
}

impl fmt::Display for KeyWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ControlCharacter { character, at } => {
                write!(f, "the key has the control character {character:?} at byte {at}")
            }
            Self::DotSegment => f.write_str("the key has a segment '.' or '..'"),
        }
    }
}

/// Checks a key; the warnings are for a log.
///
/// ```
/// use s3_proto::validate::{check_key, KeyWarning};
///
/// assert!(check_key("photos/2013/may 1.jpg")?.is_empty());
/// assert_eq!(check_key("../a")?, [KeyWarning::DotSegment]);
/// assert!(check_key("/").is_err());
/// # Ok::<(), s3_proto::Error>(())
/// ```
///
/// # Errors
/// If the key is empty, is `/` alone (which most servers take for the bucket), has a NUL, or is longer
/// than [`MAX_KEY_BYTES`].
pub fn check_key(key: &str) -> Result<Vec<KeyWarning>, Error> {
    if key.is_empty() {
        return Err(refused("the key is empty"));
    }
    if key == "/" {
        return Err(refused("the key is '/' alone, which cannot be told from the bucket itself"));
    }
    if key.len() > MAX_KEY_BYTES {
        let message = format!(
            "the key is {} bytes of UTF-8 long, at most {MAX_KEY_BYTES} are allowed: '{}'",
            key.len(),
            shown(key)
        );
        return Err(refused(message));
    }
    if let Some(at) = key.find('\0') {
        return Err(refused(format!("the key '{}' has a NUL at byte {at}", shown(key))));
    }
    let mut warnings = Vec::new();
    // Decoding is left to the few keys that have more than visible ASCII.
    let is_plain = key.bytes().all(|b| matches!(b, b' '..=b'~'));
    if !is_plain && let Some((at, character)) = key.char_indices().find(|(_, c)| c.is_control()) {
        warnings.push(KeyWarning::ControlCharacter { character, at });
    }
    if key.split('/').any(|segment| segment == "." || segment == "..") {
        warnings.push(KeyWarning::DotSegment);
    }
    Ok(warnings)
}

/// Checks the value of a header: visible ASCII, spaces and tabs. In particular no line break, by which a
/// value would become headers or requests of its own.
///
/// The error names the header and not the value, which may be a key.
pub fn check_header_value(name: &str, value: &str) -> Result<(), Error> {
    let wrong = |c: char| !(c.is_ascii_graphic() || matches!(c, ' ' | '\t'));
    let Some((at, c)) = value.char_indices().find(|(_, c)| wrong(*c)) else { return Ok(()) };
    let what = match c {
        '\r' | '\n' => "a line break",
        c if c.is_control() => "a control character",
        _ => "a character that is not ASCII",
    };
    Err(refused(format!(
        "the value of header '{}' has {what} (U+{:04X}) at byte {at}: only visible ASCII, spaces and tabs can \
         be sent",
        shown(name),
        u32::from(c)
    )))
}

/// Checks that this can be the name of a header (an RFC 9110 `token`).
pub fn check_header_name(name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(refused("a header name is empty"));
    }
    match name.chars().find(|c| !is_token_char(*c)) {
        Some(c) => Err(refused(format!("'{}' cannot be the name of a header: it has {c:?}", shown(name)))),
        None => Ok(()),
    }
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// Checks the user metadata of an object, given without the `x-amz-meta-` prefix.
///
/// # Errors
/// If a name cannot stand in a header or comes twice (the case of letters does not count), a value cannot
/// stand in a header, or names and values together exceed [`MAX_METADATA_BYTES`].
pub fn check_metadata<'a>(metadata: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    let mut total = 0;
    for (name, value) in metadata {
        if name.is_empty() {
            return Err(refused("a name of user metadata is empty"));
        }
        if let Some(c) = name.chars().find(|c| !is_token_char(*c)) {
            let message = format!(
                "'{}' cannot be the name of user metadata: a header name cannot have {c:?}",
                shown(name)
            );
            return Err(refused(message));
        }
        check_header_value(&format!("x-amz-meta-{name}"), value)?;
        if !seen.insert(name.to_ascii_lowercase()) {
            let message = format!(
                "user metadata '{}' is given twice: names differ in more than the case of letters",
                shown(name)
            );
            return Err(refused(message));
        }
        total += name.len() + value.len();
    }
    if total > MAX_METADATA_BYTES {
        let message = format!(
            "the user metadata is {total} bytes long (names and values), at most {MAX_METADATA_BYTES} are allowed"
        );
        return Err(refused(message));
    }
    Ok(())
}

/// What tags are put on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TagTarget {
    /// At most 10 tags.
    Object,
    /// At most 50 tags.
    Bucket,
}

/// Checks a set of tags.
///
/// # Errors
/// If there are too many, a key is empty, longer than 128 characters, begins with `aws:` or comes twice,
/// or a value is longer than 256 characters. S3 counts UTF-16 code units, so an emoji is two
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html>).
pub fn check_tags<'a>(
    tags: impl IntoIterator<Item = (&'a str, &'a str)>,
    target: TagTarget,
) -> Result<(), Error> {
    let (limit, owner) = match target {
        TagTarget::Object => (10, "an object"),
        TagTarget::Bucket => (50, "a bucket"),
    };
    let mut seen = BTreeSet::new();
    let mut count = 0_usize;
    for (key, value) in tags {
        count += 1;
        let (key_len, value_len) = (key.encode_utf16().count(), value.encode_utf16().count());
        let tag = shown(key);
        if key.is_empty() {
            return Err(refused("a tag has an empty key"));
        }
        if key_len > 128 {
            let message = format!("the tag key '{tag}' has {key_len} characters, at most 128 are allowed");
            return Err(refused(message));
        }
        if value_len > 256 {
            let message =
                format!("the value of tag '{tag}' has {value_len} characters, at most 256 are allowed");
            return Err(refused(message));
        }
        if key.as_bytes().get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"aws:")) {
            return Err(refused(format!("the tag key '{tag}' begins with 'aws:', which is reserved")));
        }
        if !seen.insert(key) {
            return Err(refused(format!("the tag key '{tag}' is given twice")));
        }
    }
    if count > limit {
        return Err(refused(format!("{count} tags were given, {owner} can have at most {limit}")));
    }
    Ok(())
}

/// Checks the number of a part.
pub fn check_part_number(number: u32) -> Result<(), Error> {
    if (1..=MAX_PART_NUMBER).contains(&number) {
        return Ok(());
    }
    Err(refused(format!("part number {number} is not between 1 and {MAX_PART_NUMBER}")))
}

/// Checks the size of a part; the last one of an upload may be smaller than [`MIN_PART_SIZE`].
pub fn check_part_size(size: u64, is_last: bool) -> Result<(), Error> {
    if size > MAX_PART_SIZE {
        return Err(refused(format!("a part of {size} bytes is over the limit of {MAX_PART_SIZE} (5 GiB)")));
    }
    if size < MIN_PART_SIZE && !is_last {
        let message = format!(
            "a part of {size} bytes is too small: all but the last must have at least {MIN_PART_SIZE} (5 MiB)"
        );
        return Err(refused(message));
    }
    Ok(())
}

/// Checks the size of what is sent in one PUT, or copied in one CopyObject.
pub fn check_put_size(size: u64) -> Result<(), Error> {
    if size <= MAX_PUT_SIZE {
        return Ok(());
    }
    Err(refused(format!(
        "{size} bytes are over the limit of {MAX_PUT_SIZE} (5 GiB) of a single request: use a multipart upload"
    )))
}

/// Checks the size of a whole object.
pub fn check_object_size(size: u64) -> Result<(), Error> {
    if size <= MAX_OBJECT_SIZE {
        return Ok(());
    }
    Err(refused(format!("{size} bytes are over the limit of {MAX_OBJECT_SIZE} (48.8 TiB) of an object")))
}

/// Checks how many keys one DeleteObjects names.
pub fn check_delete_count(count: usize) -> Result<(), Error> {
    match count {
        0 => Err(refused("there is nothing to delete: DeleteObjects needs at least one key")),
        1..=MAX_DELETE_KEYS => Ok(()),
        _ => Err(refused(format!(
            "{count} keys are over the limit of {MAX_DELETE_KEYS} of one DeleteObjects: send several"
        ))),
    }
}

fn refused(message: impl Into<Cow<'static, str>>) -> Error {
    Error::invalid_input(message)
}

/// Input in a message.
const fn shown(text: &str) -> Shown<'_> {
    Shown::new(text, 80)
}

#[cfg(test)]
mod tests;
