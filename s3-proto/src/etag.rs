//! Entity tags.

use std::fmt;

/// The ETag of an object or part, without its quotes.
///
/// For most objects it is the MD5 of the content in hex, for multipart ones that of the parts' MD5s with
/// `-` and their number; treat it as opaque all the same. Up to 38 bytes are stored inline, which is as much
/// as S3 and the common stores use: an MD5 in hex, and the number of up to 10,000 parts.
///
/// ```
/// use s3_proto::ETag;
///
/// assert_eq!(ETag::new("\"9b2cf535f27731c974343645a3985328\"").as_str(), "9b2cf535f27731c974343645a3985328");
/// assert_eq!(ETag::ANY.to_string(), "*");
/// ```
#[derive(Clone)]
pub struct ETag(Repr);

const INLINE: usize = 38;

#[derive(Clone)]
enum Repr {
    Inline { len: u8, bytes: [u8; INLINE] },
    Long(Box<str>),
}

impl ETag {
    /// Matches whatever is there: `If-None-Match: *` is "only if there is no object yet".
    pub const ANY: Self = Self(Repr::Inline {
        len: 1,
        bytes: {
            let mut b = [0; INLINE];
            b[0] = b'*';
            b
        },
    });

    /// Takes it with or without quotes; the mark of a weak one (`W/`) is dropped.
    pub fn new(text: impl AsRef<str>) -> Self {
        let text = text.as_ref().trim_ascii();
        let text = text.strip_prefix("W/").unwrap_or(text);
        let text = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
        let mut bytes = [0; INLINE];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(start), Ok(len)) => {
                start.copy_from_slice(text.as_bytes());
                Self(Repr::Inline { len, bytes })
            }
            _ => Self(Repr::Long(text.into())),
        }
    }

    /// Without quotes.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // Always valid: it was copied whole from a `str`.
            Repr::Inline { len, bytes } => {
                std::str::from_utf8(&bytes[..usize::from(*len)]).unwrap_or_default()
            }
            Repr::Long(text) => text,
        }
    }

    /// The number of parts, if this is the ETag of a multipart upload in S3's form.
    pub fn parts(&self) -> Option<u32> {
        self.as_str().rsplit_once('-').and_then(|(_, parts)| parts.parse().ok())
    }
}

impl PartialEq for ETag {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for ETag {}

impl std::hash::Hash for ETag {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl From<&str> for ETag {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for ETag {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// Without quotes.
impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_weakness_are_dropped() {
        for text in ["abc-2", "\"abc-2\"", "W/\"abc-2\"", " \"abc-2\" "] {
            assert_eq!(ETag::new(text).as_str(), "abc-2", "{text}");
        }
        assert_eq!(ETag::new("abc-2").parts(), Some(2));
        assert_eq!(ETag::new("abc").parts(), None);
    }

    #[test]
    fn nothing_is_cut_off() {
        for len in [0, 1, INLINE - 1, INLINE, INLINE + 1, 500] {
            let text = "x".repeat(len);
            assert_eq!(ETag::new(&text).as_str(), text);
        }
    }
}
