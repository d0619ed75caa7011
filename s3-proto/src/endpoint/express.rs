//! Directory buckets (S3 Express One Zone) and their access points, which live in one zone each.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-Regions-and-Zones.html>

use super::bucket::push_bucket;
use super::host::is_virtual_hostable;
use super::resolve::{AuthScheme, EndpointParams, ResolvedEndpoint, about, refuse_option};
use crate::Error;

const SERVICE: &str = "s3express";
const BUCKET: &str = "--x-s3";
const ACCESS_POINT: &str = "--xa-s3";

/// Whether a name is that of a directory bucket or of an access point of one.
pub(crate) fn is_express(name: &str) -> bool {
    name.is_ascii() && (name.ends_with(BUCKET) || name.ends_with(ACCESS_POINT))
}

/// `NAME--ZONE--x-s3` or `NAME--ZONE--xa-s3`.
pub(super) fn bucket(params: &EndpointParams<'_>, name: &str) -> Result<ResolvedEndpoint, Error> {
    let options = params.options;
    refuse_option(options.accelerate, "S3 Accelerate", name, "a directory bucket")?;
    if let Some(endpoint) = params.endpoint {
        let mut address = if endpoint.is_ip() {
            let mut address = ResolvedEndpoint::on(endpoint, "", SERVICE, params.region.clone());
            let base = std::mem::take(&mut address.path);
            push_bucket(&mut address.path, name);
            address.path.push_str(&base);
            address
        } else {
            check_hostable(name)?;
            ResolvedEndpoint::on(endpoint, name, SERVICE, params.region.clone())
        };
        address.auth_schemes = auth(params);
        return Ok(address);
    }
    if params.operation.express_control && name.ends_with(BUCKET) {
        return Ok(control(params, Some(name)));
    }
    check_hostable(name)?;
    let Some(zone) = zone(name) else {
        return Err(about(name, "does not name a zone as 'NAME--ZONE--x-s3' or 'NAME--ZONE--xa-s3' does"));
    };
    let fips = if options.fips { "-fips" } else { "" };
    let dual_stack = if options.dual_stack { ".dualstack" } else { "" };
    let suffix = params.region.partition().dns_suffix();
    let host = format!("{name}.s3express{fips}-{zone}{dual_stack}.{}.{suffix}", params.region);
    let mut address = ResolvedEndpoint::on_aws(host, SERVICE, params.region.clone());
    address.auth_schemes = auth(params);
    Ok(address)
}

/// Where directory buckets are made, removed, set up and listed; the bucket stands in the path.
pub(super) fn control(params: &EndpointParams<'_>, bucket: Option<&str>) -> ResolvedEndpoint {
    let mut address = if let Some(endpoint) = params.endpoint {
        ResolvedEndpoint::on(endpoint, "", SERVICE, params.region.clone())
    } else {
        let fips = if params.options.fips { "-fips" } else { "" };
        let dual_stack = if params.options.dual_stack { ".dualstack" } else { "" };
        let suffix = params.region.partition().dns_suffix();
        let host = format!("s3express-control{fips}{dual_stack}.{}.{suffix}", params.region);
        ResolvedEndpoint::on_aws(host, SERVICE, params.region.clone())
    };
    if let Some(bucket) = bucket {
        push_bucket(&mut address.path, bucket);
    }
    address
}

fn auth(params: &EndpointParams<'_>) -> &'static [AuthScheme] {
    if params.options.express_session_auth && !params.operation.no_express_session {
        &[AuthScheme::SigV4Express]
    } else {
        &[AuthScheme::SigV4]
    }
}

fn check_hostable(name: &str) -> Result<(), Error> {
    if is_virtual_hostable(name, false) {
        return Ok(());
    }
    Err(about(name, "cannot be part of a host name, as that of a directory bucket must"))
}

/// The lengths that ids of zones have, such as `usw2-az1` and those of local zones.
const ZONE_LENGTHS: [usize; 5] = [8, 9, 13, 14, 20];

fn zone(name: &str) -> Option<&str> {
    let stem = name.strip_suffix(BUCKET).or_else(|| name.strip_suffix(ACCESS_POINT))?;
    ZONE_LENGTHS.iter().find_map(|len| {
        let (before, zone) = stem.split_at_checked(stem.len().checked_sub(*len)?)?;
        before.ends_with("--").then_some(zone)
    })
}
