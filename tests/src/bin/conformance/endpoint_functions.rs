//! endpoint_functions.json: what the endpoint rules build upon.

use s3_proto::endpoint::{
    Endpoint, EndpointParams, Region, is_valid_host_label, is_virtual_hostable, resolve,
};
use serde_json::Value;

use super::profiles::{Verdict, Verdicts, failed, run, text};

/// `is_virtual_hostable_s3_bucket[]`.
pub(crate) fn virtual_hostable(cases: &Value) -> Verdicts {
    run(cases, |case| {
        let bucket = text(case, "bucket");
        let got = (is_virtual_hostable(bucket, false), is_virtual_hostable(bucket, true));
        compare((flag(case, "without_subdomains"), flag(case, "with_subdomains")), got)
    })
}

/// `is_valid_host_label[]`.
pub(crate) fn valid_host_label(cases: &Value) -> Verdicts {
    run(cases, |case| {
        let label = text(case, "label");
        let got = (is_valid_host_label(label, false), is_valid_host_label(label, true));
        compare((flag(case, "single"), flag(case, "with_dots")), got)
    })
}

/// `partition[]`: only the DNS suffix, which is what S3's own address has of the partition.
pub(crate) fn partition(cases: &Value) -> Verdicts {
    run(cases, |case| {
        let name = text(case, "region");
        let expected = format!("s3.{name}.{}", text(&case["meta"], "baseSuffix"));
        match Region::new(name).and_then(|region| resolve(&EndpointParams::new(&region))) {
            Ok(resolved) => compare(expected, resolved.authority),
            Err(error) => failed(&expected, error.message()),
        }
    })
}

/// `parse_url[]`.
pub(crate) fn parse_url(cases: &Value) -> Verdicts {
    run(cases, |case| compare(flag(case, "valid"), Endpoint::parse(text(case, "url")).is_ok()))
}

fn flag(case: &Value, name: &str) -> bool {
    case[name].as_bool().unwrap_or_default()
}

fn compare<T: PartialEq + std::fmt::Debug>(expected: T, got: T) -> Verdict {
    if expected == got { Verdict::Passed } else { failed(&format!("{expected:?}"), &format!("{got:?}")) }
}
