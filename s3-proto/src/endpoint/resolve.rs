//! From region, endpoint and bucket to an address.

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::custom::Endpoint;
use super::host::is_virtual_hostable;
use super::region::{Region, is_aws_host};
use crate::{Error, ErrorKind};

/// Where the name of the bucket stands in the address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressingStyle {
    /// On AWS in the host, where the name allows it; on any other endpoint in the path.
    ///
    /// The AWS SDKs put it into the host of every endpoint that has a name. A compatible store answers there
    /// only if somebody has set up a wildcard DNS name and certificate for it, while each of them
    /// answers to path style, so most clients of such stores choose that; a store that wants the host
    /// has [`VirtualHosted`](Self::VirtualHosted).
    #[default]
    Auto,
    /// `https://s3.eu-central-1.amazonaws.com/BUCKET/KEY`.
    Path,
    /// `https://BUCKET.s3.eu-central-1.amazonaws.com/KEY`; an error where the bucket's name or the
    /// endpoint does not allow it.
    VirtualHosted,
}

/// What decides where a request goes.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct EndpointParams<'a> {
    /// The region to sign for and, on AWS, to send to.
    pub region: &'a Region,
    /// An endpoint in place of that of AWS in the region.
    pub endpoint: Option<&'a Endpoint>,
    /// Where the bucket's name stands.
    pub style: AddressingStyle,
    /// The bucket, unless the operation is about none (ListBuckets).
    pub bucket: Option<&'a str>,
}

impl<'a> EndpointParams<'a> {
    /// AWS in this region, automatic style, no bucket.
    pub fn new(region: &'a Region) -> Self {
        Self { region, endpoint: None, style: AddressingStyle::Auto, bucket: None }
    }
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResolvedEndpoint {
    /// `https` or `http`.
    pub scheme: &'static str,
    /// `host` or `host:port`, as in the `Host` header.
    pub authority: String,
    /// What comes before the bucket in the path: empty, or such as `/storage/v1/s3`.
    pub base_path: Arc<str>,
    /// Whether the authority begins with the bucket, so that the path does not name it.
    pub bucket_in_host: bool,
    /// The region of the credential scope.
    pub signing_region: Region,
    /// Whether the connection is made over TLS.
    pub tls: bool,
}

/// Decides where a request goes.
///
/// ```
/// use s3_proto::endpoint::{EndpointParams, Region, resolve};
///
/// let region = Region::new("eu-central-1")?;
/// let mut params = EndpointParams::new(&region);
/// params.bucket = Some("photos");
/// let mut uri = String::new();
/// resolve(&params)?.write_uri(&mut uri, params.bucket, "2013/may%201.jpg", "");
/// assert_eq!(uri, "https://photos.s3.eu-central-1.amazonaws.com/2013/may%201.jpg");
/// # Ok::<(), s3_proto::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Configuration`] if virtual-hosted style was asked for and is not possible, and
/// [`ErrorKind::NotImplemented`] for resources that need other hosts or signatures than a bucket.
pub fn resolve(params: &EndpointParams<'_>) -> Result<ResolvedEndpoint, Error> {
    let &EndpointParams { region, endpoint, bucket, .. } = params;
    if let Some(bucket) = bucket {
        refuse_other_resources(bucket, endpoint)?;
    }
    // The pseudo-region of the global endpoint, which is in us-east-1.
    let is_global = region.as_str() == "aws-global";
    let tls = endpoint.is_none_or(Endpoint::is_tls);
    let in_host = match bucket {
        Some(bucket) if is_in_host(params, bucket, tls)? => Some(bucket),
        _ => None,
    };
    let mut authority = String::with_capacity(96);
    if let Some(bucket) = in_host {
        authority.push_str(bucket);
        authority.push('.');
    }
    match endpoint {
        Some(endpoint) => authority.push_str(endpoint.authority()),
        None if is_global => authority.push_str("s3.amazonaws.com"),
        None => {
            // https://docs.aws.amazon.com/general/latest/gr/s3.html
            for part in ["s3.", region.as_str(), ".", region.dns_suffix()] {
                authority.push_str(part);
            }
        }
    }
    Ok(ResolvedEndpoint {
        scheme: if tls { "https" } else { "http" },
        authority,
        base_path: endpoint.map_or_else(|| Arc::from(""), Endpoint::shared_base_path),
        bucket_in_host: in_host.is_some(),
        signing_region: if is_global { Region::us_east_1() } else { region.clone() },
        tls,
    })
}

fn is_in_host(params: &EndpointParams<'_>, bucket: &str, tls: bool) -> Result<bool, Error> {
    let can_be_label = is_virtual_hostable(bucket, !tls);
    let on_aws = params.endpoint.is_none_or(|e| is_aws_host(e.host()));
    match params.style {
        AddressingStyle::Path => Ok(false),
        AddressingStyle::Auto => Ok(on_aws && can_be_label),
        AddressingStyle::VirtualHosted => {
            let to = params.endpoint.map_or_else(
                || format!("Amazon S3 in {}", params.region),
                |endpoint| format!("endpoint {endpoint}"),
            );
            let reason = if params.endpoint.is_some_and(Endpoint::is_ip) {
                "an IP address has no names below it"
            } else if can_be_label {
                return Ok(true);
            } else if is_virtual_hostable(bucket, true) {
                "a certificate does not cover a bucket name with dots"
            } else {
                "the bucket name cannot be part of a host name"
            };
            let message = format!(
                "virtual-hosted style was asked for, but bucket '{}' cannot be in the host name of {to}: \
                 {reason}. Use path style",
                bucket.escape_debug()
            );
            Err(Error::new(ErrorKind::Configuration, message))
        }
    }
}

/// What goes to hosts of its own would otherwise be sent, and fail, somewhere else.
fn refuse_other_resources(bucket: &str, endpoint: Option<&Endpoint>) -> Result<(), Error> {
    let what = if bucket.starts_with("arn:") {
        "addressing by ARN"
    } else if endpoint.is_none() && bucket.ends_with("--x-s3") {
        "addressing directory buckets (S3 Express One Zone)"
    } else if endpoint.is_none() && bucket.ends_with("--op-s3") {
        "addressing Outposts access points"
    } else {
        return Ok(());
    };
    let message = format!("{what} is not supported yet (bucket '{}')", bucket.escape_debug());
    Err(Error::new(ErrorKind::NotImplemented, message))
}

/// All but the unreserved characters of RFC 3986.
const BUCKET: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl ResolvedEndpoint {
    /// Appends `scheme://authority/path?query`.
    ///
    /// `bucket` is the one that was resolved for. `encoded_key` and `query` are percent-encoded already, have
    /// no leading `/` or `?` of their own, and are empty where there is none.
    pub fn write_uri(&self, out: &mut String, bucket: Option<&str>, encoded_key: &str, query: &str) {
        let known = self.authority.len() + self.base_path.len() + encoded_key.len() + query.len();
        out.reserve(known + bucket.map_or(0, str::len) + "https:////?".len());
        for part in [self.scheme, "://", &self.authority] {
            out.push_str(part);
        }
        self.write_path(out, bucket, encoded_key);
        if !query.is_empty() {
            out.push('?');
            out.push_str(query);
        }
    }

    /// Appends the path alone, which is also what is signed. Arguments as for
    /// [`write_uri`](Self::write_uri).
    pub fn write_path(&self, out: &mut String, bucket: Option<&str>, encoded_key: &str) {
        let start = out.len();
        out.push_str(&self.base_path);
        if let Some(bucket) = bucket.filter(|_| !self.bucket_in_host) {
            out.push('/');
            out.extend(utf8_percent_encode(bucket, BUCKET));
        }
        if !encoded_key.is_empty() || out.len() == start {
            out.push('/');
            out.push_str(encoded_key);
        }
    }
}
