//! Access points, those of several regions, and those of Object Lambda, as ARNs.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-naming.html>. The alias of an access
//! point is a bucket's name like any other.

use super::arn::Arn;
use super::host::is_valid_host_label;
use super::partition::Partition;
use super::region::Region;
use super::resolve::{AuthScheme, EndpointParams, ResolvedEndpoint, about, refuse_option};
use crate::Error;

/// `arn:aws:s3:REGION:ACCOUNT:accesspoint:NAME`; without a region it is one of several regions.
pub(super) fn access_point(
    params: &EndpointParams<'_>,
    name: &str,
    arn: &Arn<'_>,
) -> Result<ResolvedEndpoint, Error> {
    if arn.region.is_empty() {
        return multi_region(params, name, arn);
    }
    let (region, partition) = region_of(params, name, arn)?;
    if arn.service != "s3" {
        return Err(about(name, &format!("is of the service '{}', not of S3", arn.service)));
    }
    let label = host_label(params, name, arn)?;
    refuse_option(params.options.accelerate, "S3 Accelerate", name, "an access point")?;
    if let Some(endpoint) = params.endpoint {
        return Ok(ResolvedEndpoint::on(endpoint, &label, "s3", region));
    }
    let fips = if params.options.fips { "-fips" } else { "" };
    let dual_stack = if params.options.dual_stack { ".dualstack" } else { "" };
    let host = format!("{label}.s3-accesspoint{fips}{dual_stack}.{region}.{}", partition.dns_suffix());
    Ok(ResolvedEndpoint::on_aws(host, "s3", region))
}

/// `arn:aws:s3::ACCOUNT:accesspoint:NAME.mrap`
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/MultiRegionAccessPointRequests.html>).
fn multi_region(params: &EndpointParams<'_>, name: &str, arn: &Arn<'_>) -> Result<ResolvedEndpoint, Error> {
    let Some(access_point) = arn.resource_parts().nth(1).filter(|n| is_valid_host_label(n, true)) else {
        return Err(about(name, "does not name a multi-region access point"));
    };
    let kind = "a multi-region access point";
    refuse_option(params.options.dual_stack, "dual-stack", name, kind)?;
    refuse_option(params.options.fips, "FIPS", name, kind)?;
    refuse_option(params.options.accelerate, "S3 Accelerate", name, kind)?;
    if !params.options.multi_region_access_points {
        return Err(about(name, "is a multi-region access point, and those are turned off"));
    }
    let partition = params.region.partition();
    same_partition(params, name, arn.partition)?;
    let host = [access_point, ".accesspoint.s3-global.", partition.dns_suffix()].concat();
    let mut address = ResolvedEndpoint::on_aws(host, "s3", params.signing_region());
    address.auth_schemes = &[AuthScheme::SigV4a];
    Ok(address)
}

/// `arn:aws:s3-object-lambda:REGION:ACCOUNT:accesspoint/NAME`
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/transforming-objects.html>).
pub(super) fn object_lambda(
    params: &EndpointParams<'_>,
    name: &str,
    arn: &Arn<'_>,
) -> Result<ResolvedEndpoint, Error> {
    refuse_with_object_lambda(params, name)?;
    if arn.region.is_empty() {
        return Err(about(name, "has no region"));
    }
    let (region, partition) = region_of(params, name, arn)?;
    let label = host_label(params, name, arn)?;
    let service = "s3-object-lambda";
    if let Some(endpoint) = params.endpoint {
        return Ok(ResolvedEndpoint::on(endpoint, &label, service, region));
    }
    let fips = if params.options.fips { "-fips" } else { "" };
    let host = format!("{label}.{service}{fips}.{region}.{}", partition.dns_suffix());
    Ok(ResolvedEndpoint::on_aws(host, service, region))
}

/// Where WriteGetObjectResponse goes.
pub(super) fn object_lambda_service(params: &EndpointParams<'_>) -> Result<ResolvedEndpoint, Error> {
    refuse_with_object_lambda(params, "WriteGetObjectResponse")?;
    let (service, region) = ("s3-object-lambda", params.region);
    if let Some(endpoint) = params.endpoint {
        return Ok(ResolvedEndpoint::on(endpoint, "", service, region.clone()));
    }
    let fips = if params.options.fips { "-fips" } else { "" };
    let host = format!("{service}{fips}.{region}.{}", region.partition().dns_suffix());
    Ok(ResolvedEndpoint::on_aws(host, service, region.clone()))
}

fn refuse_with_object_lambda(params: &EndpointParams<'_>, name: &str) -> Result<(), Error> {
    let kind = "a matter of Object Lambda";
    refuse_option(params.options.dual_stack, "dual-stack", name, kind)?;
    refuse_option(params.options.accelerate, "S3 Accelerate", name, kind)
}

/// The region that the ARN names, and its partition, if a client of this region may go there.
pub(super) fn region_of(
    params: &EndpointParams<'_>,
    name: &str,
    arn: &Arn<'_>,
) -> Result<(Region, &'static Partition), Error> {
    if !params.options.use_arn_region && arn.region != params.region.as_str() {
        let message = format!(
            "is in region {}, but the client is in {} and may not follow an ARN to another region",
            arn.region.escape_debug(),
            params.region
        );
        return Err(about(name, &message));
    }
    let partition = Partition::of(arn.region);
    same_partition(params, name, partition.id())?;
    let region = Region::new(arn.region)
        .map_err(|_| about(name, &format!("names no region: '{}'", arn.region.escape_debug())))?;
    Ok((region, partition))
}

fn same_partition(params: &EndpointParams<'_>, name: &str, of_arn: &str) -> Result<(), Error> {
    let ours = params.region.partition().id();
    if ours == of_arn {
        return Ok(());
    }
    let message =
        format!("is in partition {}, but region {} is in {ours}", of_arn.escape_debug(), params.region);
    Err(about(name, &message))
}

/// `NAME-ACCOUNT`, which stands before the host.
fn host_label(params: &EndpointParams<'_>, name: &str, arn: &Arn<'_>) -> Result<String, Error> {
    if params.operation.no_access_points {
        return Err(about(name, "is an access point, with which this operation can do nothing"));
    }
    let mut resource = arn.resource_parts().skip(1);
    let access_point = resource.next().unwrap_or_default();
    if resource.next().is_some() {
        return Err(about(name, "has more parts than the name of an access point"));
    }
    label(name, access_point, arn.account)
}

/// `NAME-ACCOUNT`, if both can stand in a host name.
pub(super) fn label(name: &str, access_point: &str, account: &str) -> Result<String, Error> {
    for (what, text) in [("access point name", access_point), ("account id", account)] {
        if !is_valid_host_label(text, false) {
            let shown = text.escape_debug();
            let message = format!("has the {what} '{shown}': it must be letters, digits and hyphens");
            return Err(about(name, &message));
        }
    }
    Ok([access_point, "-", account].concat())
}
