//! Uploads from a browser's form.
//!
//! Sources: "Creating a POST policy" (page sigv4-HTTPPOSTConstructPolicy) and "Calculating a signature"
//! (sigv4-UsingHTTPPOST) in the Amazon S3 API Reference.

use std::fmt;
use std::time::Duration;

use http::Uri;

use super::{ALGORITHM, Signature, SigningParams};
use crate::Error;
use crate::encode::{base64, hex};
use crate::timestamp::Timestamp;

/// What a form may upload, and until when.
///
/// ```
/// use s3_proto::sign::{PostPolicy, SigningParams};
/// use s3_proto::{Credentials, Timestamp};
///
/// let credentials = Credentials::new("AKIDEXAMPLE", "swordfish")?;
/// let now = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
/// let form = PostPolicy::new(Timestamp::parse("2026-01-01T01:00:00Z").unwrap())
///     .bucket("examplebucket")
///     .key_starts_with("user/eve/")
///     .content_length_range(1, 10 * 1024 * 1024)
///     .condition_starts_with("Content-Type", "image/")
///     .success_action_status(201)
///     .sign(&SigningParams::new(&credentials, "us-east-1", "s3", now)?)?;
/// assert_eq!(form.field("key"), Some("user/eve/${filename}"));
/// assert_eq!(form.field("success_action_status"), Some("201"));
/// # Ok::<(), s3_proto::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostPolicy {
    expires: Expiry,
    conditions: Vec<Condition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expiry {
    At(Timestamp),
    /// So long after it is signed.
    After(Duration),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    Equal(String, String),
    StartsWith(String, String),
    Length(u64, u64),
}

impl PostPolicy {
    /// Nothing is allowed yet; `bucket` and a key are needed at least.
    pub fn new(expires_at: Timestamp) -> Self {
        Self { expires: Expiry::At(expires_at), conditions: Vec::new() }
    }

    /// A policy for so long after it is signed; nothing is allowed yet.
    pub fn lasting(time: Duration) -> Self {
        Self { expires: Expiry::After(time), conditions: Vec::new() }
    }

    /// The bucket that the form posts to.
    pub fn bucket(self, name: impl Into<String>) -> Self {
        self.condition("bucket", name)
    }

    /// The key, exactly.
    pub fn key(self, key: impl Into<String>) -> Self {
        self.condition("key", key)
    }

    /// A key that starts like this; the form proposes the file's own name after it (`${filename}`).
    pub fn key_starts_with(self, prefix: impl Into<String>) -> Self {
        self.condition_starts_with("key", prefix)
    }

    /// The length of the file in bytes, both ends included.
    pub fn content_length_range(mut self, min: u64, max: u64) -> Self {
        self.conditions.push(Condition::Length(min, max));
        self
    }

    /// The status after success: 200, 201 (with an XML document) or 204.
    pub fn success_action_status(self, status: u16) -> Self {
        self.condition("success_action_status", status.to_string())
    }

    /// Where the browser is sent after success.
    pub fn success_action_redirect(self, url: impl Into<String>) -> Self {
        self.condition("success_action_redirect", url)
    }

    /// A form field that must have exactly this value, such as `acl`, `Content-Type` or `x-amz-meta-*`. It
    /// becomes a field of the form.
    pub fn condition(mut self, field: impl Into<String>, value: impl Into<String>) -> Self {
        self.conditions.push(Condition::Equal(field.into(), value.into()));
        self
    }

    /// A form field whose value must start like this; any, if empty. The page adds the field itself.
    pub fn condition_starts_with(mut self, field: impl Into<String>, prefix: impl Into<String>) -> Self {
        self.conditions.push(Condition::StartsWith(field.into(), prefix.into()));
        self
    }

    /// Signs the policy, and gives the fields of the form.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if bucket or key are missing, if there is a
    /// condition on what signing itself adds, if the range of lengths is empty, or if the policy expires before
    /// it is signed.
    pub fn sign(&self, params: &SigningParams<'_>) -> Result<PostForm, Error> {
        for needed in ["bucket", "key"] {
            if !self.conditions.iter().any(|c| c.field() == Some(needed)) {
                return Err(Error::invalid_input(format!("the POST policy has no condition on {needed:?}")));
            }
        }
        let is_taken = |field: &&str| TAKEN.iter().any(|taken| taken.eq_ignore_ascii_case(field));
        if let Some(field) = self.conditions.iter().filter_map(Condition::field).find(is_taken) {
            let message =
                format!("the POST policy has a condition on {field:?}, which signing sets by itself");
            return Err(Error::invalid_input(message));
        }
        if self.conditions.iter().any(|c| matches!(c, Condition::Length(min, max) if min > max)) {
            return Err(Error::invalid_input("the POST policy's least length is above its greatest"));
        }
        if params.key.region_set().is_some() {
            return Err(Error::invalid_input("a POST policy cannot be signed with Signature V4a"));
        }
        let expires_at = match self.expires {
            Expiry::At(time) => time,
            Expiry::After(time) => params.time.saturating_add(time),
        };
        if expires_at <= params.time {
            let message = format!("the POST policy expires at {expires_at}, before it is signed");
            return Err(Error::invalid_input(message));
        }
        let mut fields: Vec<(String, String)> = Vec::new();
        for condition in &self.conditions {
            match condition {
                // The bucket is in the URL that the form posts to.
                Condition::Equal(field, value) if field != "bucket" => {
                    fields.push((field.clone(), value.clone()));
                }
                Condition::StartsWith(field, prefix) if field == "key" => {
                    fields.push((field.clone(), format!("{prefix}${{filename}}")));
                }
                _ => {}
            }
        }
        let own = signing_fields(params);
        let text = self.text(expires_at, &own);
        fields.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let (policy, signature) = sign_post_policy(&text, params);
        fields.push(("policy".to_owned(), policy));
        fields.push(("x-amz-signature".to_owned(), signature.as_str().to_owned()));
        let expires_at = params.credentials.expires_at().map_or(expires_at, |at| at.min(expires_at));
        Ok(PostForm { fields, expires_at })
    }

    pub(crate) fn has_bucket(&self) -> bool {
        self.conditions.iter().any(|condition| condition.field() == Some("bucket"))
    }

    fn text(&self, expires_at: Timestamp, signing_fields: &[(&'static str, String)]) -> String {
        let mut out = String::from(r#"{"expiration":"#);
        json_string(&expires_at.rfc3339(), &mut out);
        out.push_str(r#","conditions":["#);
        for condition in &self.conditions {
            match condition {
                Condition::Equal(field, value) => json_equal(field, value, &mut out),
                Condition::StartsWith(field, prefix) => {
                    out.push_str(r#"["starts-with","#);
                    json_string(&["$", field].concat(), &mut out);
                    out.push(',');
                    json_string(prefix, &mut out);
                    out.push(']');
                }
                Condition::Length(min, max) => {
                    out.extend(["[\"content-length-range\",", &min.to_string(), ",", &max.to_string(), "]"]);
                }
            }
            out.push(',');
        }
        for (index, (field, value)) in signing_fields.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            json_equal(field, value, &mut out);
        }
        out.push_str("]}");
        out
    }
}

impl Condition {
    fn field(&self) -> Option<&str> {
        match self {
            Self::Equal(field, _) | Self::StartsWith(field, _) => Some(field),
            Self::Length(..) => None,
        }
    }
}

/// Fields that are nobody else's: what signing adds, and the data.
const TAKEN: &[&str] = &[
    "policy",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-signature",
    "file",
];

/// The fields that both the form and the policy have.
fn signing_fields(params: &SigningParams<'_>) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("x-amz-algorithm", ALGORITHM.to_owned()),
        ("x-amz-credential", params.key.credential().to_owned()),
        ("x-amz-date", String::from_utf8_lossy(&params.now).into_owned()),
    ];
    if let Some(token) = params.credentials.session_token() {
        fields.push(("x-amz-security-token", token.expose().clone()));
    }
    fields
}

/// Signs the text of a policy that was written by hand: the values of the form fields `policy` and
/// `x-amz-signature`. The text must hold the conditions on `x-amz-algorithm`, `x-amz-credential` and
/// `x-amz-date`.
pub fn sign_post_policy(policy: &str, params: &SigningParams<'_>) -> (String, Signature) {
    let encoded = base64(policy.as_bytes());
    let signature = params.key.sign(&[encoded.as_bytes()]);
    (encoded, signature)
}

fn json_equal(field: &str, value: &str, out: &mut String) {
    out.push('{');
    json_string(field, out);
    out.push(':');
    json_string(value, out);
    out.push('}');
}

/// A JSON string in ASCII alone (RFC 8259 section 7): no store can get its encoding wrong.
fn json_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            ' '..='~' => out.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    out.push_str("\\u");
                    out.push_str(&hex(&unit.to_be_bytes()));
                }
            }
        }
    }
    out.push('"');
}

/// The fields of a signed form, in their order; `file` comes after them. `Debug` shows the names alone.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostForm {
    /// Names and values.
    pub fields: Vec<(String, String)>,
    /// When it stops working: by the policy, or sooner if the credentials expire first.
    pub expires_at: Timestamp,
}

impl PostForm {
    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for PostForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.fields.iter().map(|(name, _)| name)).finish()
    }
}

/// A signed form and where it is posted to; see [`Client::post_policy`](crate::client::Client::post_policy).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresignedPost {
    /// The `action` of the form: the URL of the bucket.
    pub uri: Uri,
    /// Its fields. They go into a body of `multipart/form-data`, before the field `file`.
    pub form: PostForm,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Credentials;
    use crate::encode::base64_decode;

    fn sign(policy: &PostPolicy) -> Result<PostForm, Error> {
        let credentials = Credentials::new("AKIDEXAMPLE", "swordfish").unwrap().with_session_token("t0k\"en");
        let now = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        policy.sign(&SigningParams::new(&credentials, "us-east-1", "s3", now).unwrap())
    }

    fn in_an_hour() -> PostPolicy {
        PostPolicy::new(Timestamp::parse("2026-01-01T01:00:00Z").unwrap())
    }

    #[test]
    fn the_policy_says_what_was_asked_for() {
        let policy = in_an_hour()
            .bucket("b")
            .key("a\"\\\n😀é")
            .content_length_range(0, 5)
            .condition_starts_with("Content-Type", "image/")
            .success_action_status(204);
        let form = sign(&policy).unwrap();
        let text = String::from_utf8(base64_decode(form.field("policy").unwrap()).unwrap()).unwrap();
        let expected = concat!(
            r#"{"expiration":"2026-01-01T01:00:00Z","conditions":[{"bucket":"b"},"#,
            r#"{"key":"a\"\\\u000a\ud83d\ude00\u00e9"},["content-length-range",0,5],"#,
            r#"["starts-with","$Content-Type","image/"],{"success_action_status":"204"},"#,
            r#"{"x-amz-algorithm":"AWS4-HMAC-SHA256"},"#,
            r#"{"x-amz-credential":"AKIDEXAMPLE/20260101/us-east-1/s3/aws4_request"},"#,
            r#"{"x-amz-date":"20260101T000000Z"},{"x-amz-security-token":"t0k\"en"}]}"#,
        );
        assert_eq!(text, expected);
        let names: Vec<_> = form.fields.iter().map(|(name, _)| name.as_str()).collect();
        let expected = [
            "key",
            "success_action_status",
            "x-amz-algorithm",
            "x-amz-credential",
            "x-amz-date",
            "x-amz-security-token",
            "policy",
            "x-amz-signature",
        ];
        assert_eq!(names, expected);
        let shown = format!("{form:?}");
        assert!(shown.contains("policy") && !shown.contains("AKID") && !shown.contains("t0k"), "{shown}");
    }

    #[test]
    fn a_policy_may_count_from_when_it_is_signed() {
        let hour = Duration::from_secs(3_600);
        let policy = PostPolicy::lasting(hour).bucket("b").key("k");
        assert_eq!(sign(&policy).unwrap(), sign(&in_an_hour().bucket("b").key("k")).unwrap());
        assert!(sign(&PostPolicy::lasting(Duration::ZERO).bucket("b").key("k")).is_err());
    }

    #[test]
    fn a_policy_that_cannot_work_is_refused() {
        let wrong = [
            in_an_hour().key("k"),
            in_an_hour().bucket("b"),
            in_an_hour().bucket("b").key("k").content_length_range(2, 1),
            in_an_hour().bucket("b").key("k").condition("Policy", "e30="),
            in_an_hour().bucket("b").key("k").condition_starts_with("x-amz-date", "2026"),
            PostPolicy::new(Timestamp::UNIX_EPOCH).bucket("b").key("k"),
        ];
        for policy in wrong {
            assert!(sign(&policy).is_err(), "{policy:?}");
        }
    }
}
