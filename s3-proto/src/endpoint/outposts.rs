//! Access points of S3 on Outposts.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/s3-outposts/S3OutpostsAccessPoints.html>

use super::access_point::{label, region_of};
use super::arn::Arn;
use super::host::{is_valid_host_label, is_virtual_hostable};
use super::region::Region;
use super::resolve::{AuthScheme, EndpointParams, ResolvedEndpoint, about, refuse_option};
use crate::Error;

const SERVICE: &str = "s3-outposts";
/// For all regions if that can be done, since an Outpost may answer for several.
const AUTH: &[AuthScheme] = &[AuthScheme::SigV4a, AuthScheme::SigV4];

/// `arn:aws:s3-outposts:REGION:ACCOUNT:outpost/OUTPOST/accesspoint/NAME`.
pub(super) fn access_point(
    params: &EndpointParams<'_>,
    name: &str,
    arn: &Arn<'_>,
) -> Result<ResolvedEndpoint, Error> {
    let kind = "an access point on Outposts";
    refuse_option(params.options.dual_stack, "dual-stack", name, kind)?;
    refuse_option(params.options.fips, "FIPS", name, kind)?;
    refuse_option(params.options.accelerate, "S3 Accelerate", name, kind)?;
    let mut resource = arn.resource_parts().skip(1);
    let (Some(outpost), Some("accesspoint"), Some(access_point), None) =
        (resource.next(), resource.next(), resource.next(), resource.next())
    else {
        return Err(about(name, "is not of the form 'outpost/OUTPOST/accesspoint/NAME'"));
    };
    if !is_valid_host_label(outpost, false) {
        return Err(about(name, "has an Outpost id that is not letters, digits and hyphens"));
    }
    let (region, partition) = region_of(params, name, arn)?;
    let label = label(name, access_point, arn.account)?;
    let mut host = [&label, ".", outpost, "."].concat();
    match params.endpoint {
        Some(endpoint) => host.push_str(endpoint.authority()),
        None => push_service(&mut host, &region, partition.dns_suffix()),
    }
    Ok(address(host, region))
}

/// What an alias says: `NAME-e...--op-s3` or `NAME-op-...--op-s3`, with fixed places counted from its end.
pub(super) struct Alias<'a> {
    /// `e` for Amazon EC2, `o` for an Outpost.
    hardware: &'a str,
    outpost: &'a str,
    /// `beta` for what is not open to the public.
    stage: &'a str,
}

impl<'a> Alias<'a> {
    pub(super) fn parse(name: &'a str) -> Option<Self> {
        if !name.is_ascii() || !name.ends_with("--op-s3") {
            return None;
        }
        let from_end = |from: usize, to: usize| name.get(name.len().checked_sub(to)?..name.len() - from);
        Some(Self { hardware: from_end(49, 50)?, outpost: from_end(32, 49)?, stage: from_end(8, 12)? })
    }
}

/// A bucket's name that stands for an access point on Outposts.
pub(super) fn alias(
    params: &EndpointParams<'_>,
    name: &str,
    alias: &Alias<'_>,
) -> Result<ResolvedEndpoint, Error> {
    if !is_valid_host_label(alias.outpost, false) || !is_virtual_hostable(name, false) {
        return Err(about(name, "cannot be part of a host name, as an alias of Outposts must"));
    }
    let place = match alias.hardware {
        "e" => "ec2".to_owned(),
        "o" => ["op-", alias.outpost].concat(),
        other => {
            return Err(about(name, &format!("names the hardware '{other}': only 'o' and 'e' are known")));
        }
    };
    let mut host = [name, ".", &place, "."].concat();
    match params.endpoint {
        Some(endpoint) if alias.stage == "beta" => host.push_str(endpoint.authority()),
        None if alias.stage == "beta" => {
            return Err(about(name, "is of a stage that needs an endpoint, but none was given"));
        }
        _ => push_service(&mut host, params.region, params.region.partition().dns_suffix()),
    }
    Ok(address(host, params.region.clone()))
}

fn push_service(host: &mut String, region: &Region, dns_suffix: &str) {
    for part in [SERVICE, ".", region.as_str(), ".", dns_suffix] {
        host.push_str(part);
    }
}

fn address(host: String, region: Region) -> ResolvedEndpoint {
    let mut address = ResolvedEndpoint::on_aws(host, SERVICE, region);
    address.auth_schemes = AUTH;
    address
}
