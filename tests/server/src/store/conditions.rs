//! Conditional reads and writes.

use std::time::SystemTime;

use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Error, S3Result, s3_error};

/// The four conditions of a read, or of the source of a copy.
#[derive(Default)]
#[allow(clippy::struct_field_names, reason = "the names of the headers")]
pub(super) struct ReadConditions<'a> {
    pub(super) if_match: Option<&'a ETagCondition>,
    pub(super) if_none_match: Option<&'a ETagCondition>,
    pub(super) if_modified_since: Option<&'a Timestamp>,
    pub(super) if_unmodified_since: Option<&'a Timestamp>,
}

/// Why a read was not answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unmet {
    /// 304
    NotModified,
    /// 412
    Failed,
}

impl ReadConditions<'_> {
    /// If-Match has precedence over If-Unmodified-Since, and If-None-Match over If-Modified-Since
    /// (GetObject, "Conditional request headers"; RFC 9110, section 13.2.2).
    pub(super) fn check(&self, etag: &str, modified: SystemTime) -> Result<(), Unmet> {
        let modified = Timestamp::from(modified);
        match (self.if_match, self.if_unmodified_since) {
            (Some(condition), _) if !matches(condition, etag) => return Err(Unmet::Failed),
            (None, Some(since)) if modified > *since => return Err(Unmet::Failed),
            _ => {}
        }
        match (self.if_none_match, self.if_modified_since) {
            (Some(condition), _) if matches(condition, etag) => Err(Unmet::NotModified),
            (None, Some(since)) if modified <= *since => Err(Unmet::NotModified),
            _ => Ok(()),
        }
    }
}

/// The conditions of a write. `current` is the ETag of what the key names now.
pub(super) fn check_write(
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
    current: Option<&str>,
) -> S3Result<()> {
    if if_none_match.is_some_and(|condition| !condition.is_any()) {
        return Err(s3_error!(
            NotImplemented,
            "A header you provided implies functionality that is not implemented"
        ));
    }
    if if_none_match.is_some() && current.is_some() {
        return Err(failed("If-None-Match"));
    }
    let Some(condition) = if_match else { return Ok(()) };
    match current {
        None => Err(s3_error!(NoSuchKey)),
        Some(etag) if matches(condition, etag) => Ok(()),
        Some(_) => Err(failed("If-Match")),
    }
}

/// 412, naming the condition as S3 does.
pub(super) fn failed(condition: &str) -> S3Error {
    let mut error = s3_error!(PreconditionFailed);
    error.set_message(format!("At least one of the pre-conditions you specified did not hold ({condition})"));
    error
}

pub(super) fn matches(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        // A list of entity tags arrives here as one value with inner quotes.
        ETagCondition::ETag(ETag::Strong(value) | ETag::Weak(value)) => {
            value.split(',').any(|one| one.trim().trim_matches('"') == etag)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn precedence() {
        let yes: ETagCondition = "\"e\"".parse().unwrap();
        let no: ETagCondition = "\"other\"".parse().unwrap();
        let (before, after) = (Timestamp::from(at(50)), Timestamp::from(at(150)));
        let check = |m: Option<&ETagCondition>, n: Option<&ETagCondition>, i, u| {
            ReadConditions { if_match: m, if_none_match: n, if_modified_since: i, if_unmodified_since: u }
                .check("e", at(100))
        };
        assert_eq!(check(Some(&yes), None, None, Some(&before)), Ok(()));
        assert_eq!(check(None, None, None, Some(&before)), Err(Unmet::Failed));
        assert_eq!(check(Some(&no), None, None, None), Err(Unmet::Failed));
        assert_eq!(check(None, Some(&yes), Some(&before), None), Err(Unmet::NotModified));
        assert_eq!(check(None, Some(&no), Some(&after), None), Ok(()));
        assert_eq!(check(None, None, Some(&after), None), Err(Unmet::NotModified));
        assert_eq!(check(None, None, Some(&before), None), Ok(()));
        let list: ETagCondition = "\"a\", \"e\"".parse().unwrap();
        assert_eq!(check(Some(&list), None, None, None), Ok(()));
    }
}
