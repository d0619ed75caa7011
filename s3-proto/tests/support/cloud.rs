//! What gives out credentials, as functions from a request to its answer.

use std::collections::BTreeMap;

use http::{Method, Request};
use s3_proto::credentials::{DefaultChain, Environment};
use s3_proto::{Payload, Phase, Timestamp, TransportErrorKind};

use super::{Reply, START, body, ok};

pub const IMDS: &str = "169.254.169.254";
pub const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

pub fn environment(pairs: &[(&str, &str)]) -> Environment {
    [("HOME", "/h"), ("USERPROFILE", "/h")].iter().chain(pairs).copied().collect()
}

pub fn chain(pairs: &[(&str, &str)]) -> DefaultChain {
    DefaultChain::new(environment(pairs))
}

/// So many seconds after the usual start, as services write it.
pub fn time(after: i64) -> String {
    Timestamp::from_unix(START + after, 0).unwrap().rfc3339()
}

/// As IMDS and container services give them.
pub fn json_keys(id: &str, after: i64) -> Reply {
    body(format!(
        r#"{{"Code": "Success", "AccessKeyId": "{id}", "SecretAccessKey": "SwOrDKEY", "Token": "SwOrDTOKEN",
            "Expiration": "{}"}}"#,
        time(after)
    ))
}

/// As STS gives them.
pub fn sts_keys(id: &str, after: i64) -> Reply {
    body(format!(
        "<AssumeRoleResponse><AssumeRoleResult><AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn>\
         </AssumedRoleUser><Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>SwOrDKEY</SecretAccessKey>\
         <SessionToken>SwOrDTOKEN</SessionToken><Expiration>{}</Expiration></Credentials></AssumeRoleResult>\
         </AssumeRoleResponse>",
        time(after)
    ))
}

/// An instance whose role has these keys.
pub fn imds(request: &Request<Payload>, keys: &Reply) -> Reply {
    match (request.method(), request.uri().path()) {
        (&Method::PUT, "/latest/api/token") => {
            body("SwOrDIMDS").with("x-aws-ec2-metadata-token-ttl-seconds", "21600")
        }
        (&Method::GET, ROLES) => body("my-role"),
        (&Method::GET, path) if path == format!("{ROLES}my-role") => keys.clone(),
        (&Method::GET, "/latest/meta-data/placement/region") => body("eu-north-1"),
        (method, path) => panic!("{method} {path}"),
    }
}

pub fn unreachable() -> Reply {
    Reply::Fail(Phase::Connect, TransportErrorKind::Timeout)
}

pub fn refused() -> Reply {
    Reply::Fail(Phase::Connect, TransportErrorKind::Refused)
}

pub fn host(request: &Request<Payload>) -> &str {
    request.uri().host().unwrap()
}

/// What a form says; the values are not decoded.
pub fn form(payload: &Payload) -> BTreeMap<String, String> {
    let Payload::Bytes(bytes) = payload else { panic!("no form") };
    let text = std::str::from_utf8(bytes).unwrap();
    text.split('&')
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect()
}

/// S3 says yes to everything; who else is asked is decided by `others`.
pub fn s3_and(mut others: impl FnMut(&Request<Payload>) -> Reply) -> impl FnMut(&Request<Payload>) -> Reply {
    move |request| if host(request).contains(".s3.") { ok() } else { others(request) }
}
