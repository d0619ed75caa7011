//! Answers of S3 and of others that speak like it, and what is sent.

use s3_proto::encode::uri_encode;
#[allow(clippy::wildcard_imports)] // Nearly all of it.
use s3_proto::ops::*;
use s3_proto::xml::Reader;
use s3_proto::{ETag, Error, Payload};
use serde_json::Value;

use crate::List;
use crate::drive::{Response, request};
use crate::tally::{Outcome, Tally, Verdict, fail, number, pair, same, skip, text};
use crate::view::{View, answer_to, plain};

pub(crate) const LISTS: &[List] = &[
    ("xml_samples.json", "responses", |cases| Tally::of(cases, response)),
    ("xml_samples.json", "list_url_decoding", |table| Tally::of(&table["cases"], url_decoding)),
    ("xml_samples.json", "copy_source_header", |table| Tally::of(&table["cases"], copy_source)),
    ("xml_samples.json", "headers", headers),
    ("xml_samples.json", "request_bodies", |cases| Tally::of(cases, request_body)),
];

fn response(case: &Value) -> Outcome {
    let status = u16::try_from(number(case, "status")?).map_err(|_| fail("a status", "more"))?;
    let headers = case.get("headers").and_then(Value::as_object).into_iter().flatten();
    let headers: Vec<(&str, &str)> =
        headers.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
    let answer = Response::new(status, &headers, case["body"].as_str().unwrap_or_default())?;
    let operation = text(case, "operation")?;
    let is_error = text(case, "kind")? == "error";
    let came = match answer_to(operation, &answer)? {
        Some(came) => came,
        // An error is read the same way for all of them.
        None if is_error => answer_to("GetObjectTagging", &answer)?.ok_or_else(|| fail("a call", "none"))?,
        None => return Err(skip(format!("operation not implemented: {operation}"))),
    };
    let expected = &case["expect"];
    match came {
        came if is_error => error(expected, came),
        // Without success there is nothing to parse, whatever the sample is meant for.
        Err(_) if !(200..300).contains(&status) => Ok(()),
        Ok(_) if !(200..300).contains(&status) => Err(fail("an error", "an output")),
        Ok(output) if expected.is_object() => output.compare("output", expected),
        Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn error(expected: &Value, came: Result<View, Error>) -> Outcome {
    // Some samples have the members of the document, in a member of their own.
    let document = &expected["Error"];
    let member = |name: &str, element: &str| expected.get(name).or_else(|| document.get(element));
    let error = match came {
        Err(error) => error,
        Ok(_) if member("code", "Code").is_some_and(Value::is_null) => return Ok(()),
        Ok(_) => return Err(fail("an error", "an output")),
    };
    let got = [
        (member("code", "Code"), error.code()),
        (member("message", "Message"), Some(error.message())),
        (member("request_id", "RequestId"), error.request_id()),
        (member("redirect_region", "Region"), error.region()),
    ];
    for (expected, got) in got {
        if let Some(expected) = expected {
            same("error", &expected.as_str().map(str::trim), &got)?;
        }
    }
    if let Some(retry) = expected.get("retry").and_then(Value::as_bool) {
        same("retry", &retry, &error.is_retryable())?;
    }
    let known = ["code", "message", "request_id", "redirect_region", "retry", "Error", "ResponseMetadata"];
    match expected.as_object().into_iter().flatten().find(|(name, _)| !known.contains(&name.as_str())) {
        Some((name, _)) => Err(skip(format!("error member {name}: not compared"))),
        None => Ok(()),
    }
}

/// A list whose only text is the one in question, in an answer that says that it is encoded.
fn url_decoding(case: &Value) -> Outcome {
    let (operation, field) = (text(case, "op")?, text(case, "field")?);
    let Some(description) = descriptions().into_iter().find(|d| d.name == operation) else {
        return Err(skip(format!("operation not implemented: {operation}")));
    };
    let (outer, inner) = match field.split_once("[].") {
        Some((outer, inner)) => (outer, Some(inner)),
        None => (field, None),
    };
    let member = description.output.iter().find(|m| plain(m.field) == plain(outer));
    let element = member.ok_or_else(|| fail(format!("a member {outer}"), "none"))?.wire_name;
    let raw = text(case, "raw")?.replace('&', "&amp;").replace('<', "&lt;");
    let content = match inner {
        Some(inner) => {
            let required = ["Key", "Size", "UploadId"].into_iter().filter(|name| *name != inner);
            let required: Vec<String> = required.map(|name| format!("<{name}>0</{name}>")).collect();
            format!("<{inner}>{raw}</{inner}>{}", required.concat())
        }
        None => raw,
    };
    let body = format!("<Result><EncodingType>url</EncodingType><{element}>{content}</{element}></Result>");
    let output =
        answer_to(operation, &Response::new(200, &[], &body)?)?.ok_or_else(|| fail("a call", "none"))??;
    let decoded = Value::from(text(case, "decoded")?);
    let expected = match inner {
        Some(inner) => serde_json::json!({ outer: [{ inner: decoded }] }),
        None => serde_json::json!({ outer: decoded }),
    };
    output.compare("output", &expected)
}

/// The source is typed here: a text is taken apart first. S3 takes it with and without the slash before it,
/// and a version id is encoded here as any other value of a query.
fn copy_source(case: &Value) -> Outcome {
    let expected = text(case, "header")?;
    let source = match &case["input"] {
        Value::String(input) => {
            let input = input.strip_prefix('/').unwrap_or(input);
            let (path, version) = match input.rsplit_once("?versionId=") {
                Some((path, version)) => (path, Some(version)),
                None => (input, None),
            };
            let Some((bucket, key)) = path.split_once('/') else {
                return Err(skip("a copy source without a key: typed here"));
            };
            let source = CopySource::new(bucket, key);
            match version {
                Some(version) => source.version_id(version),
                None => source,
            }
        }
        input => {
            let source = CopySource::new(text(input, "Bucket")?, text(input, "Key")?);
            match input.get("VersionId").and_then(Value::as_str) {
                Some(version) => source.version_id(version),
                None => source,
            }
        }
    };
    let expected = expected.strip_prefix('/').unwrap_or(expected);
    let expected = match expected.rsplit_once("?versionId=") {
        Some((path, version)) => format!("{path}?versionId={}", uri_encode(version)),
        None => expected.to_owned(),
    };
    same("header", &expected, &source.to_string())
}

fn headers(table: &Value) -> Tally {
    let mut all = Tally::default();
    for (name, cases) in table.as_object().into_iter().flatten().filter(|(_, cases)| cases.is_array()) {
        all.add(match name.as_str() {
            "range_header_valid" => Tally::of(cases, range),
            "strip_quotes" => Tally::of(cases, strip_quotes),
            "unescape" => Tally::of(cases, unescape),
            "content_range" => Tally::of(cases, content_range),
            "range_header_invalid" => {
                Tally::of(cases, |_| Err(skip("reading of Range: it is only written here")))
            }
            _ => Tally::of(cases, |_| Err(fail("a list that is known", name.as_str()))),
        });
    }
    all
}

fn range(case: &Value) -> Outcome {
    let range = match (case["start"].as_u64(), case["end"].as_u64()) {
        (Some(start), Some(end)) => ByteRange::from(start..=end),
        (Some(start), None) => ByteRange::from(start..),
        (None, Some(len)) => ByteRange::last(len),
        (None, None) => return Err(fail("a start or an end", "neither")),
    };
    same("range", text(case, "value")?, &range.to_string())
}

/// Read as the head of a part of an object.
fn content_range(case: &Value) -> Outcome {
    let value = text(case, "value")?;
    let length = case["start"].as_u64().zip(case["end"].as_u64()).map_or(1, |(start, end)| end + 1 - start);
    let length = length.to_string();
    let answer = Response::new(206, &[("content-range", value), ("content-length", &length)], "")?;
    match answer_to("GetObject", &answer)?.ok_or_else(|| fail("a call", "none"))? {
        Ok(output) => output.compare("output", &serde_json::json!({ "ContentRange": value })),
        Err(_) if case["error"] == true => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn strip_quotes(case: &Value) -> Outcome {
    let (quoted, expected) = pair(case)?;
    same("entity tag", expected, ETag::new(quoted).as_str())
}

fn unescape(case: &Value) -> Outcome {
    let (escaped, expected) = pair(case)?;
    let document = format!("<a>{escaped}</a>");
    let mut reader = Reader::new(document.as_bytes());
    reader.root()?;
    let text = reader.text()?;
    same("text", expected, &*text)
}

/// What the document says is sent as a document that says the same. S3 does not mind the order of elements
/// of different names.
fn request_body(case: &Value) -> Outcome {
    let expected = text(case, "xml_without_blanks")?;
    let mut reader = Reader::new(expected.as_bytes());
    let sent = match reader.root()? {
        "CompleteMultipartUpload" => {
            let mut op = CompleteMultipartUpload::new("bucket", "key", "id");
            op.multipart_upload = Some(CompletedMultipartUpload::read(&mut reader)?);
            request(op)?
        }
        "Delete" => request(DeleteObjects::new("bucket", Delete::read(&mut reader)?))?,
        "Tagging" => request(PutObjectTagging::new("bucket", "key", Tagging::read(&mut reader)?))?,
        "CreateBucketConfiguration" => {
            let mut op = CreateBucket::new("bucket");
            op.create_bucket_configuration = Some(CreateBucketConfiguration::read(&mut reader)?);
            request(op)?
        }
        root => return Err(skip(format!("no operation that sends <{root}>"))),
    };
    let Payload::Bytes(body) = sent.body() else {
        return Err(fail("a body in memory", "none"));
    };
    same("body", &canonical(expected)?, &canonical(&String::from_utf8_lossy(body))?)
}

/// Elements in the order of their names, those of one name in the order that they have.
fn canonical(document: &str) -> Result<String, Verdict> {
    let document =
        document.strip_prefix("<?xml").map_or(document, |d| d.split_once("?>").map_or("", |(_, d)| d));
    let whole = format!("{document}</document>");
    Ok(element("document", &whole)?.1)
}

/// What is left of a document after an element, and the element.
fn element<'a>(name: &str, mut rest: &'a str) -> Result<(&'a str, String), Verdict> {
    let broken = || fail(format!("<{name}> to be well formed"), "the end");
    let (mut text, mut children) = (String::new(), Vec::new());
    loop {
        let (before, tag) = rest.split_once('<').ok_or_else(broken)?;
        let (tag, after) = tag.split_once('>').ok_or_else(broken)?;
        // Outside of attributes a quote means the same with and without escape.
        text.push_str(&before.trim().replace("&quot;", "\""));
        rest = after;
        if tag.starts_with('/') {
            children.sort_by_key(|child: &(&str, String)| child.0);
            let children: Vec<String> = children.into_iter().map(|(_, child)| child).collect();
            return Ok((rest, format!("<{name}>{text}{}</{name}>", children.concat())));
        }
        let child = tag.split_ascii_whitespace().next().unwrap_or_default();
        let (after, content) = element(child, rest)?;
        children.push((child, content));
        rest = after;
    }
}
