//! What environment and profiles say about where requests go.

use super::environment::Environment;
use super::profile_files::ProfileSet;
use crate::endpoint::{AddressingStyle, ChecksumPolicy, Endpoint, EndpointOptions, Region};
use crate::{Error, ErrorKind};

/// The region: `AWS_REGION`, `AWS_DEFAULT_REGION`, or `region` of the profile.
///
/// # Errors
/// [`ErrorKind::Configuration`] if the first that is set is no region, with where it is set.
pub fn region_from(env: &Environment, profiles: &ProfileSet, profile: &str) -> Result<Option<Region>, Error> {
    let from_variable = |name: &'static str| env.get(name).map(|value| (value, name.to_owned()));
    let from_profile = || {
        let profile = profiles.profile(profile)?;
        Some((profile.get("region")?, profile.place("region").unwrap_or_default()))
    };
    let found =
        from_variable("AWS_REGION").or_else(|| from_variable("AWS_DEFAULT_REGION")).or_else(from_profile);
    found.map(|(value, place)| Region::new(value.trim()).map_err(|e| at(&place, &e))).transpose()
}

/// The endpoint for S3, in the order of the AWS SDKs
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>): `AWS_ENDPOINT_URL_S3`,
/// `AWS_ENDPOINT_URL`, `endpoint_url` below `s3 =` in the `[services]` section that the profile names,
/// `endpoint_url` of the profile. An endpoint that the program itself sets goes before all of them.
///
/// `None` also if `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS`, or in the profile
/// `ignore_configured_endpoint_urls`, is `true`.
///
/// # Errors
/// [`ErrorKind::Configuration`] if the first that is set is no endpoint, with where it is set; if the
/// profile names a `[services]` section that does not exist; or if the flag is neither `true` nor `false`.
pub fn endpoint_url_from(
    env: &Environment,
    profiles: &ProfileSet,
    profile: &str,
) -> Result<Option<Endpoint>, Error> {
    service_endpoint_from(env, profiles, profile, "s3", "AWS_ENDPOINT_URL_S3")
}

/// The endpoint for any service: `variable` and `service` are its own.
pub(super) fn service_endpoint_from(
    env: &Environment,
    profiles: &ProfileSet,
    profile: &str,
    service: &str,
    variable: &str,
) -> Result<Option<Endpoint>, Error> {
    let parse = |value: &str, place: &str| Endpoint::parse(value).map(Some).map_err(|e| at(place, &e));
    let section = profiles.profile(profile);
    let place = |name| section.and_then(|s| s.place(name)).unwrap_or_default();

    let (ignore, property) = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls");
    if flag_from(env, profiles, profile, ignore, property)? == Some(true) {
        return Ok(None);
    }
    for variable in [variable, "AWS_ENDPOINT_URL"] {
        if let Some(value) = env.get(variable) {
            return parse(value, variable);
        }
    }
    let Some(section) = section else { return Ok(None) };
    if let Some(name) = section.get("services") {
        let Some(services) = profiles.services(name) else {
            let message = format!(
                "{}: profile '{profile}' names the services '{name}', but there is no section [services {name}]",
                place("services"),
                name = name.escape_debug()
            );
            return Err(Error::new(ErrorKind::Configuration, message));
        };
        if let Some(value) = services.nested(service, "endpoint_url") {
            return parse(value, &services.place(service).unwrap_or_default());
        }
    }
    match section.get("endpoint_url") {
        Some(value) => parse(value, &place("endpoint_url")),
        None => Ok(None),
    }
}

/// The addressing style, unless it is left open: `addressing_style` below `s3 =` in the profile
/// (<https://docs.aws.amazon.com/cli/latest/topic/s3-config.html>).
///
/// # Errors
/// [`ErrorKind::Configuration`] if it is none of `auto`, `path` and `virtual`.
pub fn addressing_style_from(profiles: &ProfileSet, profile: &str) -> Result<Option<AddressingStyle>, Error> {
    let Some(section) = profiles.profile(profile) else { return Ok(None) };
    match section.nested("s3", "addressing_style") {
        // As in AWS's own tools, `auto` means path style wherever buckets have no names in DNS.
        None | Some("auto") => Ok(None),
        Some("path") => Ok(Some(AddressingStyle::Path)),
        Some("virtual") => Ok(Some(AddressingStyle::VirtualHosted)),
        Some(other) => {
            let message = format!(
                "{}: the addressing style '{}' is none of auto, path and virtual",
                section.place("s3").unwrap_or_default(),
                other.escape_debug()
            );
            Err(Error::new(ErrorKind::Configuration, message))
        }
    }
}

/// When requests carry a checksum that nobody asked for: `AWS_REQUEST_CHECKSUM_CALCULATION`, or
/// `request_checksum_calculation` of the profile, each `when_supported` or `when_required`
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-dataintegrity.html>).
///
/// # Errors
/// [`ErrorKind::Configuration`] for another value, with where it is set.
pub fn request_checksums_from(
    env: &Environment,
    profiles: &ProfileSet,
    profile: &str,
) -> Result<Option<ChecksumPolicy>, Error> {
    checksum_mode(env, profiles, profile, "AWS_REQUEST_CHECKSUM_CALCULATION", "request_checksum_calculation")
}

/// When answers are checked: `AWS_RESPONSE_CHECKSUM_VALIDATION`, or `response_checksum_validation` of the
/// profile, each as in [`request_checksums_from`].
///
/// # Errors
/// [`ErrorKind::Configuration`] for another value, with where it is set.
pub fn response_checksums_from(
    env: &Environment,
    profiles: &ProfileSet,
    profile: &str,
) -> Result<Option<ChecksumPolicy>, Error> {
    checksum_mode(env, profiles, profile, "AWS_RESPONSE_CHECKSUM_VALIDATION", "response_checksum_validation")
}

fn checksum_mode(
    env: &Environment,
    profiles: &ProfileSet,
    profile: &str,
    variable: &str,
    property: &str,
) -> Result<Option<ChecksumPolicy>, Error> {
    let section = profiles.profile(profile);
    let of_profile = || Some((section?.get(property)?, section?.place(property)?));
    let Some((value, place)) = env.get(variable).map(|v| (v, variable.to_owned())).or_else(of_profile) else {
        return Ok(None);
    };
    match value.trim().to_ascii_lowercase().as_str() {
        "when_supported" => Ok(Some(ChecksumPolicy::WhenSupported)),
        "when_required" => Ok(Some(ChecksumPolicy::WhenRequired)),
        _ => {
            let shown = value.escape_debug();
            let message = format!("{place}: '{shown}' is neither when_supported nor when_required");
            Err(Error::new(ErrorKind::Configuration, message))
        }
    }
}

/// Which of the addresses of AWS are wanted. Each is a variable, or else a property of the profile, there also
/// below `s3 =` without its `s3_`:
///
/// | variable | property |
/// |---|---|
/// | `AWS_USE_DUALSTACK_ENDPOINT` | `use_dualstack_endpoint` |
/// | `AWS_USE_FIPS_ENDPOINT` | `use_fips_endpoint` |
/// | | `use_accelerate_endpoint` below `s3 =` |
/// | `AWS_S3_USE_ARN_REGION` | `s3_use_arn_region` |
/// | `AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS` | `s3_disable_multiregion_access_points` |
/// | `AWS_S3_DISABLE_EXPRESS_SESSION_AUTH` | `s3_disable_express_session_auth` |
/// | `AWS_S3_US_EAST_1_REGIONAL_ENDPOINT` (`legacy`, `regional`) | `s3_us_east_1_regional_endpoint` |
///
/// <https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html>
///
/// # Errors
/// [`ErrorKind::Configuration`] if one has another value than those, with where it is set.
pub fn endpoint_options_from(
    env: &Environment,
    profiles: &ProfileSet,
    profile: &str,
) -> Result<EndpointOptions, Error> {
    let section = profiles.profile(profile);
    let find = |variable: &str, property: &str| {
        if let Some(value) = env.get(variable) {
            return Some((value, variable.to_owned()));
        }
        let section = section?;
        let of = |name: &str| section.place(name).unwrap_or_default();
        let nested = property.strip_prefix("s3_").unwrap_or(property);
        let below = || Some((section.nested("s3", nested)?, of("s3")));
        section.get(property).map(|value| (value, of(property))).or_else(below)
    };
    let is_on = |variable, property, default| {
        find(variable, property).map_or(Ok(default), |(value, place)| flag(value, &place))
    };
    let global = match find("AWS_S3_US_EAST_1_REGIONAL_ENDPOINT", "s3_us_east_1_regional_endpoint") {
        Some((value, _)) if value.trim().eq_ignore_ascii_case("legacy") => true,
        Some((value, place)) if !value.trim().eq_ignore_ascii_case("regional") => {
            let message = format!("{place}: '{}' is neither legacy nor regional", value.escape_debug());
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        _ => false,
    };
    Ok(EndpointOptions {
        dual_stack: is_on("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint", false)?,
        fips: is_on("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint", false)?,
        accelerate: is_on("", "s3_use_accelerate_endpoint", false)?,
        global_endpoint: global,
        use_arn_region: is_on("AWS_S3_USE_ARN_REGION", "s3_use_arn_region", true)?,
        multi_region_access_points: !is_on(
            "AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS",
            "s3_disable_multiregion_access_points",
            false,
        )?,
        express_session_auth: !is_on(
            "AWS_S3_DISABLE_EXPRESS_SESSION_AUTH",
            "s3_disable_express_session_auth",
            false,
        )?,
    })
}

/// A switch that is set by a variable, or else by a property of the profile.
pub(super) fn flag_from(
    env: &Environment,
    profiles: &ProfileSet,
    profile: &str,
    variable: &str,
    property: &str,
) -> Result<Option<bool>, Error> {
    if let Some(value) = env.get(variable) {
        return flag(value, variable).map(Some);
    }
    let Some(section) = profiles.profile(profile) else { return Ok(None) };
    let place = section.place(property).unwrap_or_default();
    section.get(property).map(|value| flag(value, &place)).transpose()
}

fn flag(value: &str, place: &str) -> Result<bool, Error> {
    match value.trim() {
        v if v.eq_ignore_ascii_case("true") => Ok(true),
        v if v.eq_ignore_ascii_case("false") => Ok(false),
        v => {
            let message = format!("{place}: '{}' is neither true nor false", v.escape_debug());
            Err(Error::new(ErrorKind::Configuration, message))
        }
    }
}

fn at(place: &str, error: &Error) -> Error {
    Error::new(error.kind(), format!("{place}: {}", error.message()))
}
