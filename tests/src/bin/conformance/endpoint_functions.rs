//! endpoint_functions.json: what the endpoint rules build upon.

use s3_proto::encode::uri_encode;
use s3_proto::endpoint::{Arn, Endpoint, Region, is_valid_host_label, is_virtual_hostable};
use serde_json::Value;

use crate::List;
use crate::tally::{Outcome, Tally, flag, items, same, skip, text};

pub(crate) const LISTS: &[List] = &[
    ("endpoint_functions.json", "is_virtual_hostable_s3_bucket", |cases| Tally::of(cases, virtual_hostable)),
    ("endpoint_functions.json", "is_valid_host_label", |cases| Tally::of(cases, valid_host_label)),
    ("endpoint_functions.json", "partition", |cases| Tally::of(cases, partition)),
    ("endpoint_functions.json", "parse_url", |cases| Tally::of(cases, parse_url)),
    ("endpoint_functions.json", "uri_encode", |cases| {
        Tally::of(cases, |case| same("text", text(case, "output")?, &uri_encode(text(case, "input")?)))
    }),
    ("endpoint_functions.json", "parse_arn", |cases| Tally::of(cases, parse_arn)),
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

fn partition(case: &Value) -> Outcome {
    let region = Region::new(text(case, "region")?)?;
    let partition = region.partition();
    // The first label is a name that the published rule set makes up for some of the partitions.
    let host = text(case, "url")?.split_once('.').unwrap_or_default().1;
    same("host", host, &format!("{region}.{}", partition.dns_suffix()))?;
    let suffixes = (text(&case["meta"], "baseSuffix")?, text(&case["meta"], "dualStackSuffix")?);
    same("suffixes", &suffixes, &(partition.dns_suffix(), partition.dual_stack_dns_suffix()))
}

fn parse_arn(case: &Value) -> Outcome {
    let got = Arn::parse(text(case, "arn")?);
    same("valid", &flag(case, "valid"), &got.is_some())?;
    let Some(arn) = got else { return Ok(()) };
    let parts = [
        ("partition", arn.partition),
        ("service", arn.service),
        ("region", arn.region),
        ("account", arn.account),
    ];
    for (name, got) in parts {
        same(name, text(case, name)?, got)?;
    }
    let expected: Vec<_> = items(case, "resource").iter().filter_map(Value::as_str).collect();
    same("resource", &expected, &arn.resource_parts().collect())
}

fn parse_url(case: &Value) -> Outcome {
    same("valid", &flag(case, "valid"), &Endpoint::parse(text(case, "url")?).is_ok())
}
