//! endpoint_functions.json: what the endpoint rules build upon.

use s3_proto::encode::uri_encode;
use s3_proto::endpoint::{
    Endpoint, EndpointParams, Region, is_valid_host_label, is_virtual_hostable, resolve,
};
use serde_json::Value;

use crate::List;
use crate::tally::{Outcome, Tally, flag, same, skip, text};

pub(crate) const LISTS: &[List] = &[
    ("endpoint_functions.json", "is_virtual_hostable_s3_bucket", |cases| Tally::of(cases, virtual_hostable)),
    ("endpoint_functions.json", "is_valid_host_label", |cases| Tally::of(cases, valid_host_label)),
    ("endpoint_functions.json", "partition", |cases| Tally::of(cases, partition)),
    ("endpoint_functions.json", "parse_url", |cases| Tally::of(cases, parse_url)),
    ("endpoint_functions.json", "uri_encode", |cases| {
        Tally::of(cases, |case| same("text", text(case, "output")?, &uri_encode(text(case, "input")?)))
    }),
    ("endpoint_functions.json", "parse_arn", |cases| {
        Tally::of(cases, |_| Err(skip("ARNs: not read by anything public yet")))
    }),
    ("endpoint_functions.json", "engine_only_rules_plus_cases", |table| {
        Tally::table(table, |_, _| Err(skip("a rule set: there is no rules engine here")))
    }),
];

fn virtual_hostable(case: &Value) -> Outcome {
    let bucket = text(case, "bucket")?;
    let got = (is_virtual_hostable(bucket, false), is_virtual_hostable(bucket, true));
    same("hostable", &(flag(case, "without_subdomains"), flag(case, "with_subdomains")), &got)
}

fn valid_host_label(case: &Value) -> Outcome {
    let label = text(case, "label")?;
    let got = (is_valid_host_label(label, false), is_valid_host_label(label, true));
    same("valid", &(flag(case, "single"), flag(case, "with_dots")), &got)
}

/// Only the DNS suffix, which is what S3's own address has of the partition.
fn partition(case: &Value) -> Outcome {
    let name = text(case, "region")?;
    let expected = format!("s3.{name}.{}", text(&case["meta"], "baseSuffix")?);
    let region = Region::new(name)?;
    same("authority", &expected, &resolve(&EndpointParams::new(&region))?.authority)
}

fn parse_url(case: &Value) -> Outcome {
    same("valid", &flag(case, "valid"), &Endpoint::parse(text(case, "url")?).is_ok())
}
