//! Requests that went to the wrong region.
//!
//! S3 says in which region a bucket is, in `x-amz-bucket-region` or in the body of the error, and nothing but
//! that is taken from it: the host follows from the region by our own rules, so no answer can send a signed
//! request to a host of its choice.

use http::{HeaderMap, Method, StatusCode};

use crate::endpoint::Region;
use crate::ops::Draft;
use crate::{Error, ErrorKind};

/// How often one call may be sent on.
const MAX_HOPS: usize = 3;

/// Where a call was sent away from.
#[derive(Debug, Default)]
pub(crate) struct Redirects {
    /// The regions that its attempts were signed for.
    left: Vec<Region>,
    /// A bucket is asked once for its region.
    asked: bool,
}

impl Redirects {
    /// Where to go on after this error of an attempt that was signed for `signed_for`, if it is about regions.
    ///
    /// Never back to a region that was tried, so there are no loops.
    pub(crate) fn follow(&mut self, signed_for: &Region, draft: &Draft, error: &Error) -> Option<Region> {
        let is_about_regions = error.kind() == ErrorKind::WrongRegion || may_be_about_regions(error.status());
        let named = error.region().filter(|_| is_about_regions && can_move(draft))?;
        self.go(signed_for, named)
    }

    /// The region of this name, if the call may go on there.
    pub(crate) fn go(&mut self, signed_for: &Region, named: &str) -> Option<Region> {
        // A name with dots is no region of S3, but would be part of a host name.
        let region = Region::new(named).ok().filter(|region| !region.as_str().contains('.'))?;
        if self.left.len() >= MAX_HOPS || region == *signed_for || self.left.contains(&region) {
            return None;
        }
        self.left.push(signed_for.clone());
        Some(region)
    }

    /// The question to the bucket where it is, a HeadBucket, if this answer to a HEAD may be about that and has
    /// no body that could say it. It is asked once.
    pub(crate) fn question(&mut self, draft: &Draft, error: &Error) -> Option<Draft> {
        let is_head_bucket = draft.key.is_none() && draft.query.is_empty();
        let silent = draft.method == Method::HEAD && may_be_about_regions(error.status());
        let bucket = draft.bucket.clone()?;
        if self.asked || !silent || is_head_bucket || error.region().is_some() || !can_move(draft) {
            return None;
        }
        self.asked = true;
        let mut question = Draft::new(Method::HEAD).bucket(bucket);
        question.bucket_rule = draft.bucket_rule;
        Some(question)
    }
}

/// The region of a bucket, as S3 names it in its answers.
pub(crate) fn bucket_region(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-amz-bucket-region")?.to_str().ok()
}

/// 301 and 400 are for a wrong region, 307 and 308 for a bucket that is new
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html>).
pub(crate) fn may_be_about_regions(status: Option<StatusCode>) -> bool {
    matches!(status.map(|status| status.as_u16()), Some(301 | 307 | 308 | 400))
}

/// An ARN names its region itself.
fn can_move(draft: &Draft) -> bool {
    draft.bucket.as_ref().is_none_or(|bucket| !bucket.starts_with("arn:"))
}
