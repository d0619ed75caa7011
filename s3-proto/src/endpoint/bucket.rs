//! Plain buckets, and the service itself.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::custom::Endpoint;
use super::host::is_virtual_hostable;
use super::resolve::{AddressingStyle, EndpointParams, ResolvedEndpoint, refused};
use crate::Error;

/// The service without a bucket.
pub(super) fn service(params: &EndpointParams<'_>) -> ResolvedEndpoint {
    address(params, "")
}

/// A bucket that is no more than that.
pub(super) fn plain(params: &EndpointParams<'_>, bucket: &str) -> Result<ResolvedEndpoint, Error> {
    let in_host = is_in_host(params, bucket)?;
    if params.options.accelerate {
        return if in_host {
            accelerated(params, bucket)
        } else {
            Err(refused(format!(
                "S3 Accelerate needs the bucket in the host, but bucket '{}' is addressed in path style",
                bucket.escape_debug()
            )))
        };
    }
    if in_host {
        return Ok(address(params, bucket));
    }
    let mut address = address(params, "");
    push_bucket(&mut address.path, bucket);
    Ok(address)
}

/// All but the unreserved characters of RFC 3986.
const BUCKET: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Adds the bucket to a path.
pub(super) fn push_bucket(path: &mut String, bucket: &str) {
    path.push('/');
    path.extend(utf8_percent_encode(bucket, BUCKET));
}

/// The given endpoint or that of AWS, with this bucket before its host if there is one.
/// <https://docs.aws.amazon.com/general/latest/gr/s3.html>
fn address(params: &EndpointParams<'_>, bucket: &str) -> ResolvedEndpoint {
    if let Some(endpoint) = params.endpoint {
        return ResolvedEndpoint::on(endpoint, bucket, "s3", params.signing_region());
    }
    let (options, region) = (params.options, params.region);
    let mut host = String::with_capacity(96);
    if !bucket.is_empty() {
        host.push_str(bucket);
        host.push('.');
    }
    host.push_str(if options.fips { "s3-fips" } else { "s3" });
    if options.dual_stack {
        host.push_str(".dualstack");
    }
    // Neither FIPS nor dual-stack endpoints exist without a region.
    let regional = options.fips || options.dual_stack;
    if !region.is_global() && (regional || !options.global_endpoint || region.as_str() != "us-east-1") {
        host.push('.');
        host.push_str(region.as_str());
    } else if regional {
        host.push_str(".us-east-1");
    }
    host.push('.');
    host.push_str(region.partition().dns_suffix());
    ResolvedEndpoint::on_aws(host, "s3", params.signing_region())
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/transfer-acceleration-getting-started.html>
fn accelerated(params: &EndpointParams<'_>, bucket: &str) -> Result<ResolvedEndpoint, Error> {
    let partition = params.region.partition();
    if partition.id() == "aws-cn" {
        return Err(refused(format!("there is no S3 Accelerate in China (region {})", params.region)));
    }
    let middle = match (params.options.dual_stack, params.region.is_global()) {
        (true, true) => ".s3-accelerate.dualstack.us-east-1.",
        (true, false) => ".s3-accelerate.dualstack.",
        (false, _) => ".s3-accelerate.",
    };
    let host = [bucket, middle, partition.dns_suffix()].concat();
    Ok(ResolvedEndpoint::on_aws(host, "s3", params.signing_region()))
}

fn is_in_host(params: &EndpointParams<'_>, bucket: &str) -> Result<bool, Error> {
    let to_ip = params.endpoint.is_some_and(Endpoint::is_ip);
    let tls = params.endpoint.is_none_or(Endpoint::is_tls);
    let can_be_label = is_virtual_hostable(bucket, !tls);
    if can_be_label && params.style != AddressingStyle::Path && params.region.as_str().contains('.') {
        return Err(refused(format!(
            "region '{}' has a dot, so a bucket cannot stand in the host: use path style",
            params.region
        )));
    }
    match params.style {
        AddressingStyle::Path => Ok(false),
        AddressingStyle::Auto => Ok(can_be_label && !to_ip),
        AddressingStyle::VirtualHosted => {
            let to = params.endpoint.map_or_else(
                || format!("Amazon S3 in {}", params.region),
                |endpoint| format!("endpoint {endpoint}"),
            );
            let reason = if to_ip {
                "an IP address has no names below it"
            } else if can_be_label {
                return Ok(true);
            } else if is_virtual_hostable(bucket, true) {
                "a certificate does not cover a bucket name with dots"
            } else {
                "the bucket name cannot be part of a host name"
            };
            Err(refused(format!(
                "virtual-hosted style was asked for, but bucket '{}' cannot be in the host name of {to}: \
                 {reason}. Use path style",
                bucket.escape_debug()
            )))
        }
    }
}
