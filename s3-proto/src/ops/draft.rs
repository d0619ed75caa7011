//! A request before a host is chosen and before it is signed.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method};

use super::field::{Text, ToHeaders, ToQuery};
use crate::Error;
use crate::checksum::{ChecksumAlgorithm, content_md5};
use crate::encode::uri_encode_into;
use crate::machine::Payload;
use crate::validate::{BucketRule, check_header_value};

/// The header with the name of the checksum that goes with the body.
pub(crate) static ANNOUNCED_CHECKSUM: HeaderName = HeaderName::from_static("x-amz-sdk-checksum-algorithm");

/// What the keys of a list are those of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeysOf {
    Objects,
    Uploads,
}

/// What an operation asks for: everything but host, credentials and signature.
#[derive(Clone, Debug)]
#[must_use]
pub struct Draft {
    pub(crate) method: Method,
    pub(crate) bucket: Option<String>,
    pub(crate) bucket_rule: BucketRule,
    pub(crate) key: Option<String>,
    /// Percent-encoded, without the question mark.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
    /// The service may be silent for long: the time-outs are those of slow operations.
    pub(crate) slow: bool,
    /// The algorithm of the checksum that is sent with the body, if one was chosen.
    pub(crate) checksum: Option<ChecksumAlgorithm>,
    /// The algorithm of the checksum that is computed of a source as it is sent, whether it is sent too or not.
    pub(crate) observe: Option<ChecksumAlgorithm>,
    /// The body is the user's data, to be protected by a checksum where the store knows them.
    pub(crate) is_data: bool,
    /// The body has a digest because S3 demands one, in a form that the store may not take.
    pub(crate) adds_digest: bool,
    /// It makes a bucket, whose region has to be named where the service demands that.
    pub(crate) makes_bucket: bool,
    /// Keys in the answer are wanted in URL encoding, where the store can be trusted with that.
    pub(crate) encodes_keys: Option<KeysOf>,
    /// The service is to send its checksum with the answer.
    pub(crate) wants_checksum: bool,
}

impl Draft {
    /// An empty request.
    pub fn new(method: Method) -> Self {
        Self {
            method,
            bucket: None,
            bucket_rule: BucketRule::Existing,
            key: None,
            query: String::new(),
            headers: HeaderMap::new(),
            payload: Payload::Empty,
            slow: false,
            checksum: None,
            observe: None,
            is_data: false,
            adds_digest: false,
            makes_bucket: false,
            encodes_keys: None,
            wants_checksum: false,
        }
    }

    /// The bucket that it is about.
    pub fn bucket(mut self, name: impl Into<String>) -> Self {
        self.bucket = Some(name.into());
        self
    }

    /// The object that it is about.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// A query parameter without a value, such as `tagging`.
    pub fn query_flag(mut self, name: &str) -> Self {
        self.add_flag(name);
        self
    }

    /// A query parameter; name and value are percent-encoded here.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.add_query(name, value);
        self
    }

    /// A header.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind) for control characters.
    pub fn header(mut self, name: HeaderName, value: &str) -> Result<Self, Error> {
        self.add_header(name, value)?;
        Ok(self)
    }

    /// The body.
    pub fn payload(mut self, payload: impl Into<Payload>) -> Self {
        self.payload = payload.into();
        self
    }

    /// The service may be silent for minutes before it answers, as for CompleteMultipartUpload:
    /// [`Timeouts::slow`](crate::Timeouts::slow) holds.
    pub fn slow(mut self) -> Self {
        self.slow = true;
        self
    }

    pub(crate) fn add_flag(&mut self, name: &str) {
        if !name.is_empty() {
            separate(&mut self.query);
            self.query.push_str(name);
        }
    }

    pub(crate) fn add_query(&mut self, name: &str, value: &str) {
        push_parameter(&mut self.query, name, value);
    }

    /// The query with one more parameter.
    pub(crate) fn with_query(&self, name: &str, value: &str) -> String {
        let mut query = self.query.clone();
        push_parameter(&mut query, name, value);
        query
    }

    pub(crate) fn remove_query(&mut self, name: &str) {
        let is_it = |pair: &&str| pair.split('=').next() == Some(name);
        if self.query.split('&').any(|pair| is_it(&pair)) {
            self.query = self.query.split('&').filter(|pair| !is_it(pair)).collect::<Vec<_>>().join("&");
        }
    }

    /// Takes the algorithm from the header that announces it: S3 refuses that header without a checksum.
    pub(crate) fn choose_checksum(&mut self) {
        let announced = self.headers.get(&ANNOUNCED_CHECKSUM).and_then(|v| v.to_str().ok());
        self.checksum = announced.map(ChecksumAlgorithm::from);
    }

    /// Adds fields that travel in the query, each under its name.
    pub(crate) fn add_queries(&mut self, fields: &[(&'static str, &dyn ToQuery)]) {
        for (name, field) in fields {
            field.to_query(name, self);
        }
    }

    /// Adds fields that travel in headers, each under its name.
    pub(crate) fn add_headers(&mut self, fields: &[(&'static str, &dyn ToHeaders)]) -> Result<(), Error> {
        fields.iter().try_for_each(|(name, field)| field.to_headers(name, self))
    }

    pub(crate) fn add_text<T: Text>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.add_header(HeaderName::from_static(name), &value.header_text())
    }

    pub(crate) fn add_header(&mut self, name: HeaderName, value: &str) -> Result<(), Error> {
        check_header_value(name.as_str(), value)?;
        let value = HeaderValue::from_str(value).map_err(|_| {
            Error::invalid_input(format!("header '{name}' has a character that cannot be sent"))
        })?;
        self.headers.insert(name, value);
        Ok(())
    }

    /// A header that is not shown in `Debug`.
    pub(crate) fn add_secret(&mut self, name: &'static str, value: &str) -> Result<(), Error> {
        self.add_header(HeaderName::from_static(name), value)?;
        if let Some(value) = self.headers.get_mut(name) {
            value.set_sensitive(true);
        }
        Ok(())
    }

    /// An XML body with the digest that S3 demands for it. Content-MD5 is the one form that every store
    /// knows.
    pub(crate) fn add_xml(&mut self, body: Bytes) -> Result<(), Error> {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        if !self.headers.contains_key("content-md5") {
            self.add_header(HeaderName::from_static("content-md5"), &content_md5(&body))?;
            self.adds_digest = true;
        }
        self.payload = Payload::Bytes(body);
        Ok(())
    }
}

fn push_parameter(query: &mut String, name: &str, value: &str) {
    separate(query);
    uri_encode_into(name, query);
    query.push('=');
    uri_encode_into(value, query);
}

fn separate(query: &mut String) {
    if !query.is_empty() {
        query.push('&');
    }
}
