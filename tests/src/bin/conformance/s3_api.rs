//! The declarations of the operations, against S3's own model.

use std::collections::BTreeSet;

use s3_proto::checksum::ChecksumAlgorithm;
use s3_proto::endpoint::OperationNeeds;
#[allow(clippy::wildcard_imports)] // Nearly all of it.
use s3_proto::ops::*;
use serde_json::Value;

use crate::List;
use crate::drive::Response;
use crate::tally::{Outcome, Tally, fail, flag, number, same, skip, text};
use crate::view::{answer_to, plain};

pub(crate) const LISTS: &[List] = &[
    ("s3_api.json", "operations", operations),
    ("s3_api.json", "shapes", |table| Tally::table(table, structure)),
    ("s3_api.json", "lists", described_shapes),
    ("s3_api.json", "maps", described_shapes),
    ("s3_api.json", "enums", |table| Tally::table(table, enumeration)),
    ("s3_api.json", "errors", |table| Tally::table(table, |_, case| error(case))),
    ("s3_api.json", "waiters", |table| {
        Tally::table(table, |_, _| Err(skip("describes waiters: not implemented yet")))
    }),
];

fn described_shapes(table: &Value) -> Tally {
    Tally::table(table, |_, _| Err(skip("describes shapes: not readable at run time")))
}

fn operations(table: &Value) -> Tally {
    let all = descriptions();
    let mut tally = Tally::table(table, |name, model| {
        needs(name, model)?;
        let ours = all.iter().find(|d| d.name == name).ok_or_else(|| skip("not implemented yet"))?;
        operation(ours, model)
    });
    for ours in &all {
        let model = &table[ours.name];
        for (name, member) in members(model, "input") {
            if is_derived(ours, "input", member) {
                tally.count(name, Err(skip("input header Content-Length: derived from the payload")));
            }
        }
    }
    tally
}

/// What the operation has to do with its address, whether it is implemented or not.
fn needs(name: &str, model: &Value) -> Outcome {
    let expected = &model["static_endpoint_params"];
    let got = OperationNeeds::of(name);
    for (param, got) in [
        ("UseS3ExpressControlEndpoint", got.express_control),
        ("DisableS3ExpressSessionAuth", got.no_express_session),
        ("UseObjectLambdaEndpoint", got.object_lambda),
        ("DisableAccessPoints", got.no_access_points),
    ] {
        same(param, &flag(expected, param), &got)?;
    }
    Ok(())
}

fn operation(ours: &Description, model: &Value) -> Outcome {
    same("method", text(model, "method")?, ours.method)?;
    same("query", model["query"].as_str().unwrap_or_default(), ours.query)?;
    let mut wrong = Vec::new();
    for (side, declared) in [("input", &ours.input), ("output", &ours.output)] {
        for (name, member) in members(model, side) {
            if is_derived(ours, side, member) {
                continue;
            }
            let Some(found) = declared.iter().find(|m| is_named(m.field, name)) else {
                wrong.push(format!("{side} lacks {name}"));
                continue;
            };
            let expected = (
                // The only member of an answer can be the root of the body.
                if side == "output" && flag(model, "unwrapped_output") && member["in"] == "body" {
                    "payload"
                } else {
                    text(member, "in")?
                },
                wire_name(text(member, "in")?, text(member, "name")?),
                side == "input" && flag(member, "required"),
            );
            let place = place(found.place);
            let got = (place, wire_name(place, found.wire_name), found.required);
            if got != expected {
                wrong.push(format!("{side} {name}: {got:?} instead of {expected:?}"));
            }
        }
        for member in declared {
            if !members(model, side).any(|(name, _)| is_named(member.field, name)) {
                wrong.push(format!("{side} has {} besides", member.field));
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(fail("the members of the model", wrong.join("; "))) }
}

/// The elements of a structure that the operations here have, without order.
fn structure(name: &str, model: &Value) -> Outcome {
    let type_name = match name {
        "Checksum" => "ObjectChecksum",
        "Error" => "DeleteError",
        name => name,
    };
    let ours = structures().into_iter().find(|s| s.name == type_name);
    let ours = ours.ok_or_else(|| skip("a structure of operations that are not implemented yet"))?;
    let expected: BTreeSet<_> = members(model, "members").filter_map(|(_, m)| m["name"].as_str()).collect();
    same("elements", &expected, &ours.members.iter().map(|m| m.wire_name).collect())
}

fn members<'a>(model: &'a Value, side: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    model.get(side).and_then(Value::as_object).into_iter().flatten()
}

/// The length of a body that is sent is not a member here, but follows from the payload.
fn is_derived(ours: &Description, side: &str, member: &Value) -> bool {
    side == "input"
        && member["in"] == "header"
        && member["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case("content-length"))
        && ours.input.iter().any(|m| m.place == Place::Payload)
}

/// `kind` is what Rust makes of `Type`.
fn is_named(field: &str, name: &str) -> bool {
    plain(field) == plain(name) || (field == "kind" && name == "Type")
}

fn place(place: Place) -> &'static str {
    match place {
        Place::Uri => "uri",
        Place::Query => "query",
        Place::Header => "header",
        Place::HeaderPrefix => "headers-prefix",
        Place::Payload => "payload",
        Place::Body => "body",
        _ => "elsewhere",
    }
}

/// The case of names matters in queries and bodies only.
fn wire_name(place: &str, name: &str) -> String {
    if matches!(place, "query" | "body" | "payload") { name.to_owned() } else { name.to_ascii_lowercase() }
}

macro_rules! known_values {
    ($name:expr, $value:expr; $($shape:literal = $type:ident),* $(,)?) => {
        match $name {
            $($shape => Some(!matches!($type::from($value), $type::Other(_))),)*
            _ => None,
        }
    };
}

fn enumeration(name: &str, values: &Value) -> Outcome {
    for value in values.as_array().into_iter().flatten().filter_map(Value::as_str) {
        let known = known_values!(name, value;
            "AnnotationDirective" = AnnotationDirective,
            "ArchiveStatus" = ArchiveStatus,
            "BucketCannedACL" = BucketCannedAcl,
            "BucketNamespace" = BucketNamespace,
            "BucketType" = BucketType,
            "ChecksumAlgorithm" = ChecksumAlgorithm,
            "ChecksumMode" = ChecksumMode,
            "ChecksumType" = ChecksumType,
            "DataRedundancy" = DataRedundancy,
            "EncodingType" = EncodingType,
            "LocationType" = LocationType,
            "MetadataDirective" = MetadataDirective,
            "ObjectAttributes" = ObjectAttributes,
            "ObjectCannedACL" = ObjectCannedAcl,
            "ObjectLockEventHold" = ObjectLockEventHold,
            "ObjectLockLegalHoldStatus" = ObjectLockLegalHoldStatus,
            "ObjectLockMode" = ObjectLockMode,
            "ObjectOwnership" = ObjectOwnership,
            "ObjectStorageClass" = ObjectStorageClass,
            "ObjectVersionStorageClass" = ObjectVersionStorageClass,
            "OptionalObjectAttributes" = OptionalObjectAttributes,
            "ReplicationStatus" = ReplicationStatus,
            "RequestCharged" = RequestCharged,
            "RequestPayer" = RequestPayer,
            "ServerSideEncryption" = ServerSideEncryption,
            "StorageClass" = StorageClass,
            "TaggingDirective" = TaggingDirective,
        );
        match known {
            None => return Err(skip("an enumeration without a type here")),
            Some(false) => return Err(fail(format!("the value {value:?}"), "Other")),
            Some(true) => {}
        }
    }
    Ok(())
}

/// Code and status of an error come through a call.
fn error(case: &Value) -> Outcome {
    let code = text(case, "code")?;
    let Some(status) = case.get("status").filter(|s| !s.is_null()) else {
        return Err(skip("an error without a status"));
    };
    let status = status.as_u64().and_then(|s| u16::try_from(s).ok());
    let status =
        status.ok_or_else(|| fail("a status", number(case, "status").unwrap_or_default().to_string()))?;
    let answer = Response::new(status, &[], &format!("<Error><Code>{code}</Code></Error>"))?;
    match answer_to("GetObjectTagging", &answer)? {
        Some(Err(error)) => {
            same("code", &Some(code), &error.code())?;
            same("status", &Some(status), &error.status().map(|s| s.as_u16()))
        }
        _ => Err(fail("an error", "none")),
    }
}
