//! What is signed: requests, URLs, policies of forms.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, Request, Uri};
use s3_proto::encode::{uri_encode, uri_encode_path};
use s3_proto::sign::{
    PayloadHash, PostPolicy, SigningOptions, SigningParams, explain_headers, presign, sign_headers,
};
use s3_proto::{Credentials, Timestamp};

use crate::input::Input;
use crate::service::START;

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (with_token, other_service) = (input.flag(), input.flag());
    let (expires, time) = (Duration::from_secs(u64::from(input.u16()) * 11), i64::from(input.u16()));
    let [key, query, name, value, token] = [(); 5].map(|()| input.text_line());

    for (encoded, text) in [(uri_encode(&key), &key), (uri_encode_path(&value), &value)] {
        let decoded = percent_encoding::percent_decode_str(&encoded).decode_utf8().unwrap();
        assert_eq!(decoded, *text);
    }

    let mut credentials = Credentials::new("AKIDEXAMPLE", "secret").unwrap();
    if with_token {
        credentials = credentials.with_session_token(token);
    }
    let time = Timestamp::from_unix(START + time * 86_400, 0).unwrap();
    let Ok(params) = SigningParams::new(&credentials, "us-east-1", "s3", time) else { return };
    let params = params.with_options(match other_service {
        true => SigningOptions::OTHER_SERVICES,
        false => SigningOptions::S3,
    });
    request(&params, &key, &query, (&name, &value), expires);
    policy(&params, [&key, &query, &name, &value], expires);
}

fn request(params: &SigningParams<'_>, key: &str, query: &str, header: (&str, &str), expires: Duration) {
    let uri = format!("https://b.s3.amazonaws.com/{}", uri_encode_path(key));
    let uri = match uri_and_query(&uri, query) {
        Some(uri) => uri,
        None => uri.parse().unwrap(),
    };
    let mut request = Request::get(uri).body(()).unwrap();
    if let (Ok(name), Ok(value)) =
        (header.0.parse::<HeaderName>(), HeaderValue::from_bytes(header.1.as_bytes()))
    {
        request.headers_mut().append(name, value);
    }
    if let Ok(presigned) = presign(&request, &PayloadHash::Unsigned, expires, params) {
        let query = presigned.uri.query().unwrap();
        assert_eq!(query.matches("X-Amz-Signature=").count(), 1, "{query}");
        assert!(presigned.uri.path() == request.uri().path());
        assert!(presign(&request, &PayloadHash::Unsigned, expires, params).unwrap().uri == presigned.uri);
    }
    let mut signed = request.clone();
    if sign_headers(&mut signed, &PayloadHash::EMPTY, params).is_ok() {
        assert!(signed.headers().contains_key("authorization"));
        // What is explained of a request is what was signed, and once more is no different.
        let explained = explain_headers(&request, &PayloadHash::EMPTY, params).unwrap();
        assert!(explained.string_to_sign.starts_with("AWS4-HMAC-SHA256\n"));
    }
}

/// The query as it is, if that makes a URI.
fn uri_and_query(uri: &str, query: &str) -> Option<Uri> {
    let uri = format!("{uri}?{query}").parse::<Uri>().ok()?;
    uri.query().is_some().then_some(uri)
}

/// A signed policy is JSON, whatever is in it.
fn policy(params: &SigningParams<'_>, texts: [&str; 4], expires: Duration) {
    let [key, bucket, field, value] = texts;
    let mut policy = PostPolicy::new(params.time().saturating_add(expires)).bucket(bucket).key(key);
    policy = policy.condition(field, value).condition_starts_with(value, field);
    policy = policy.content_length_range(key.len() as u64, value.len() as u64);
    let Ok(form) = policy.sign(params) else { return };
    let text = STANDARD.decode(form.field("policy").unwrap()).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let conditions = json["conditions"].as_array().unwrap();
    assert!(conditions.iter().any(|condition| condition["bucket"] == bucket));
    assert!(conditions.iter().any(|condition| condition["key"] == key));
}
