//! protocol.json: what Smithy's own tests of S3 send and receive.

#[allow(clippy::wildcard_imports)] // Nearly all of it.
use s3_proto::ops::*;
use s3_proto::{Config, Credentials, Payload, Session, endpoint::AddressingStyle};
use serde_json::Value;

use crate::List;
use crate::drive::{Response, request_in};
use crate::tally::{Outcome, Tally, Verdict, fail, items, number, same, skip, text};
use crate::view::answer_to;

pub(crate) const LISTS: &[List] = &[("protocol.json", "s3", |cases| Tally::of(cases, case))];

fn case(case: &Value) -> Outcome {
    match text(case, "kind")? {
        "request" => sent(case),
        "response" => received(case),
        other => Err(skip(format!("kind = {other}: unknown"))),
    }
}

/// Method, host, path, query, headers and body of what an operation sends.
fn sent(case: &Value) -> Outcome {
    let request = request_of(case)?;
    same("method", text(case, "method")?, request.method().as_str())?;
    if let Some(host) = case["resolvedHost"].as_str() {
        same("host", &Some(host), &request.uri().host())?;
    }
    same("path", text(case, "uri")?, request.uri().path())?;

    let query: Vec<_> = request.uri().query().unwrap_or_default().split('&').collect();
    let has = |name: &str| query.iter().any(|pair| pair.split('=').next() == Some(name));
    for pair in items(case, "queryParams").iter().filter_map(Value::as_str) {
        // A parameter without a value may be written with or without the equals sign.
        let found = query.iter().any(|got| got.trim_end_matches('=') == pair.trim_end_matches('='));
        same(&format!("query has {pair}"), &true, &found)?;
    }
    for (list, expected) in [("requireQueryParams", true), ("forbidQueryParams", false)] {
        for name in items(case, list).iter().filter_map(Value::as_str) {
            same(&format!("query has {name}"), &expected, &has(name))?;
        }
    }
    for (name, value) in case["headers"].as_object().into_iter().flatten() {
        let got: Vec<_> = request.headers().get_all(name).iter().map(|v| v.to_str().ok()).collect();
        same(&format!("header {name}"), &vec![value.as_str()], &got)?;
    }
    for (list, expected) in [("requireHeaders", true), ("forbidHeaders", false)] {
        for name in items(case, list).iter().filter_map(Value::as_str) {
            same(&format!("has header {name}"), &expected, &request.headers().contains_key(name))?;
        }
    }
    let Some(expected) = case["body"].as_str() else { return Ok(()) };
    match request.body() {
        Payload::Empty => same("body", expected, ""),
        Payload::Bytes(bytes) => same("body", expected.as_bytes(), bytes),
        _ => Err(fail("a body in memory", "another one")),
    }
}

fn request_of(case: &Value) -> Result<http::Request<Payload>, Verdict> {
    let operation = text(case, "operation_or_error")?;
    let params = &case["params"];
    let member = |name: &str| params[name].as_str().unwrap_or_default().to_owned();
    let (bucket, key) = (member("Bucket"), member("Key"));
    let session = session(&case["config"])?;
    macro_rules! send {
        ($op:expr; $($name:literal => $field:ident),*) => {{
            #[allow(unused_mut)] // Some have nothing to set.
            let mut op = $op;
            for (name, value) in params.as_object().into_iter().flatten() {
                match (name.as_str(), value.as_str()) {
                    ("Bucket" | "Key" | "Body" | "UploadId", _) => {}
                    $(($name, Some(value)) => op.$field = Some(value.into()),)*
                    _ => return Err(skip(format!("{operation}.{name}: not set by this runner"))),
                }
            }
            request_in(session, op)
        }};
    }
    match operation {
        "ListObjectsV2" => send!(ListObjectsV2::new(bucket);
            "Prefix" => prefix, "Delimiter" => delimiter, "StartAfter" => start_after,
            "ContinuationToken" => continuation_token),
        "ListObjects" => send!(ListObjects::new(bucket);
            "Prefix" => prefix, "Delimiter" => delimiter, "Marker" => marker),
        "GetObject" => send!(GetObject::new(bucket, key); "VersionId" => version_id),
        "HeadObject" => send!(HeadObject::new(bucket, key); "VersionId" => version_id),
        "DeleteObject" => send!(DeleteObject::new(bucket, key); "VersionId" => version_id),
        "GetObjectTagging" => send!(GetObjectTagging::new(bucket, key); "VersionId" => version_id),
        "DeleteObjectTagging" => send!(DeleteObjectTagging::new(bucket, key); "VersionId" => version_id),
        "PutObject" => send!(PutObject::new(bucket, key, Payload::Bytes(member("Body").into_bytes().into()));
            "ContentType" => content_type, "ContentEncoding" => content_encoding,
            "ContentLanguage" => content_language, "ContentDisposition" => content_disposition,
            "CacheControl" => cache_control),
        "CreateMultipartUpload" => send!(CreateMultipartUpload::new(bucket, key);
            "ContentType" => content_type, "CacheControl" => cache_control),
        "AbortMultipartUpload" => send!(AbortMultipartUpload::new(bucket, key, member("UploadId"));),
        "GetBucketLocation" => send!(GetBucketLocation::new(bucket);),
        "HeadBucket" => send!(HeadBucket::new(bucket);),
        "CreateBucket" => send!(CreateBucket::new(bucket);),
        "DeleteBucket" => send!(DeleteBucket::new(bucket);),
        _ => Err(skip(format!("request of {operation}: not built by this runner"))),
    }
}

/// A client of this configuration. It has one addressing style: that of an operation is another client's here.
fn session(given: &Value) -> Result<Session, Verdict> {
    let client = &given["client"];
    let setting = |name: &str| {
        let of_operation = given["operation"]["s3"].get(name);
        of_operation.or_else(|| client["s3"].get(name)).cloned().unwrap_or_default()
    };
    let mut config = Config::new(client["region"].as_str().unwrap_or("us-east-1"))?
        .with_credentials(Credentials::new("AKIDEXAMPLE", "secret")?);
    config.addressing_style = match setting("addressing_style").as_str() {
        None | Some("auto") => None,
        Some("path") => Some(AddressingStyle::Path),
        Some("virtual") => Some(AddressingStyle::VirtualHosted),
        Some(other) => return Err(skip(format!("addressing_style = {other}: unknown"))),
    };
    config.endpoint_options.accelerate = setting("use_accelerate_endpoint").as_bool().unwrap_or(false);
    config.endpoint_options.dual_stack = setting("use_dualstack_endpoint").as_bool().unwrap_or(false);
    Ok(Session::new(config))
}

/// What an operation makes of an answer; an error is named after its code or, without a body, its kind.
fn received(case: &Value) -> Outcome {
    let status = u16::try_from(number(case, "code")?).map_err(|_| fail("a status", "more"))?;
    let headers = case["headers"].as_object().into_iter().flatten();
    let headers: Vec<_> =
        headers.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
    let answer = Response::new(status, &headers, case["body"].as_str().unwrap_or_default())?;
    let name = text(case, "operation_or_error")?;
    if let Some(came) = answer_to(name, &answer)? {
        return came?.compare("output", &case["params"]);
    }
    // An error is read the same way for all operations.
    match answer_to("HeadObject", &answer)?.ok_or_else(|| fail("a call", "none"))? {
        Err(error) if error.code() == Some(name) || format!("{:?}", error.kind()) == name => Ok(()),
        Err(error) => Err(fail(name, error.to_string())),
        Ok(_) => Err(skip(format!("operation not implemented: {name}"))),
    }
}
