//! From region, endpoint, options and bucket to an address.

use super::access_point;
use super::arn::Arn;
use super::bucket;
use super::custom::Endpoint;
use super::express;
use super::operation::OperationNeeds;
use super::outposts;
use super::region::Region;
use crate::{Error, ErrorKind};

/// Where the name of the bucket stands in the address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressingStyle {
    /// In the host where bucket and endpoint allow it, and in the path otherwise.
    #[default]
    Auto,
    /// `https://s3.eu-central-1.amazonaws.com/BUCKET/KEY`.
    Path,
    /// `https://BUCKET.s3.eu-central-1.amazonaws.com/KEY`; an error where the bucket's name or the
    /// endpoint does not allow it.
    VirtualHosted,
}

/// Which of the addresses of S3 are wanted. Plain data; the default is what most programs want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointOptions {
    /// Addresses that have IPv6 too. Off by default.
    pub dual_stack: bool,
    /// Addresses whose cryptography is validated by FIPS 140. Off by default.
    pub fips: bool,
    /// Transfer Acceleration: through the nearest edge location. Off by default.
    pub accelerate: bool,
    /// In `us-east-1`, the host `s3.amazonaws.com` without a region. Off by default.
    pub global_endpoint: bool,
    /// An access point's ARN may name another region than the client's, and the request goes there. On by
    /// default; off, it is an error.
    pub use_arn_region: bool,
    /// ARNs of multi-region access points are followed. On by default; off, they are an error.
    pub multi_region_access_points: bool,
    /// Requests to directory buckets are signed with the credentials of a session. On by default.
    pub express_session_auth: bool,
}

impl Default for EndpointOptions {
    fn default() -> Self {
        Self {
            dual_stack: false,
            fips: false,
            accelerate: false,
            global_endpoint: false,
            use_arn_region: true,
            multi_region_access_points: true,
            express_session_auth: true,
        }
    }
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
    /// The bucket, or an access point's alias or ARN; none for an operation that is about none (ListBuckets).
    pub bucket: Option<&'a str>,
    /// Which addresses are wanted.
    pub options: EndpointOptions,
    /// What the operation needs.
    pub operation: OperationNeeds,
    /// No suffix of a bucket's name has a meaning: on stores other than AWS a bucket called `a--x-s3` is a
    /// bucket like any other. ARNs are still followed.
    pub plain_names: bool,
}

impl<'a> EndpointParams<'a> {
    /// AWS in this region, automatic style, no bucket, default options.
    pub fn new(region: &'a Region) -> Self {
        Self {
            region,
            endpoint: None,
            style: AddressingStyle::Auto,
            bucket: None,
            options: EndpointOptions::default(),
            operation: OperationNeeds::default(),
            plain_names: false,
        }
    }

    /// Where requests to the region are signed for.
    pub(super) fn signing_region(&self) -> Region {
        if self.region.is_global() { Region::us_east_1() } else { self.region.clone() }
    }
}

/// How a request has to be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthScheme {
    /// Signature Version 4, for [`ResolvedEndpoint::signing_region`].
    SigV4,
    /// Signature Version 4a, for all regions (`*`).
    SigV4a,
    /// Signature Version 4 with the credentials of a session for the bucket (CreateSession).
    SigV4Express,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResolvedEndpoint {
    /// `https` or `http`.
    pub scheme: &'static str,
    /// `host` or `host:port`, as in the `Host` header.
    pub authority: String,
    /// What comes before the key in the path, percent-encoded: the path of the endpoint, such as
    /// `/storage/v1/s3`, and the bucket unless it is in the host. Empty, or with a `/` before and none after.
    pub path: String,
    /// How to sign, the best first.
    pub auth_schemes: &'static [AuthScheme],
    /// The service of the credential scope: `s3`, `s3express`, `s3-outposts` or `s3-object-lambda`.
    pub signing_name: &'static str,
    /// The region of the credential scope.
    pub signing_region: Region,
    /// Whether the connection is made over TLS.
    pub tls: bool,
}

/// Decides where a request goes, by the endpoint rules of the AWS SDKs.
///
/// In two things it departs from them: [`AddressingStyle::VirtualHosted`] is never silently exchanged for path
/// style, and a bucket is never put in front of an IP address.
///
/// ```
/// use s3_proto::endpoint::{EndpointParams, Region, resolve};
///
/// let region = Region::new("eu-central-1")?;
/// let mut params = EndpointParams::new(&region);
/// params.bucket = Some("photos");
/// let mut uri = String::new();
/// resolve(&params)?.write_uri(&mut uri, "2013/may%201.jpg", "");
/// assert_eq!(uri, "https://photos.s3.eu-central-1.amazonaws.com/2013/may%201.jpg");
/// # Ok::<(), s3_proto::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Configuration`] if options exclude each other, an ARN cannot be used, or virtual-hosted style
/// was asked for and is not possible.
pub fn resolve(params: &EndpointParams<'_>) -> Result<ResolvedEndpoint, Error> {
    refuse_conflicts(params)?;
    let Some(name) = params.bucket else {
        return if params.operation.express_control && !params.plain_names {
            Ok(express::control(params, None))
        } else if params.operation.object_lambda {
            access_point::object_lambda_service(params)
        } else {
            Ok(bucket::service(params))
        };
    };
    if !params.plain_names {
        if express::is_express(name) {
            return express::bucket(params, name);
        }
        if let Some(alias) = outposts::Alias::parse(name) {
            return outposts::alias(params, name, &alias);
        }
    }
    if !name.starts_with("arn:") {
        return bucket::plain(params, name);
    }
    let Some(arn) = Arn::parse(name) else {
        return Err(refused(format!("'{}' is not an ARN: it lacks a part", name.escape_debug())));
    };
    if params.style == AddressingStyle::Path {
        return Err(about(name, "cannot be addressed in path style, which was asked for"));
    }
    let mut resource = arn.resource_parts();
    match (arn.service, resource.next().unwrap_or_default()) {
        (_, "") => Err(about(name, "does not say what kind of resource it is")),
        ("s3-object-lambda", "accesspoint") => access_point::object_lambda(params, name, &arn),
        (_, "accesspoint") => access_point::access_point(params, name, &arn),
        ("s3-outposts", _) => outposts::access_point(params, name, &arn),
        (_, kind) => Err(about(name, &format!("is of a '{kind}', which cannot stand for a bucket"))),
    }
}

/// Options that exclude each other, whatever the bucket is.
fn refuse_conflicts(params: &EndpointParams<'_>) -> Result<(), Error> {
    let EndpointOptions { dual_stack, fips, accelerate, .. } = params.options;
    if accelerate && fips {
        return Err(refused("S3 Accelerate has no FIPS endpoints: turn off one of the two".to_owned()));
    }
    if let Some(endpoint) = params.endpoint {
        let options = [(dual_stack, "dual-stack"), (fips, "FIPS"), (accelerate, "S3 Accelerate")];
        if let Some((_, option)) = options.iter().find(|(on, _)| *on) {
            return Err(refused(format!(
                "{option} chooses an endpoint of AWS, but the endpoint {endpoint} was given: turn off one of \
                 the two"
            )));
        }
    }
    if fips && params.region.partition().id() == "aws-cn" {
        return Err(refused(format!("there are no FIPS endpoints in China (region {})", params.region)));
    }
    Ok(())
}

/// An error unless the option, if it is on, goes with the kind of resource.
pub(super) fn refuse_option(on: bool, option: &str, name: &str, kind: &str) -> Result<(), Error> {
    if on { Err(about(name, &format!("is {kind}, which does not go with {option}"))) } else { Ok(()) }
}

pub(super) fn about(name: &str, what: &str) -> Error {
    refused(format!("'{}' {what}", name.escape_debug()))
}

pub(super) fn refused(message: String) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

impl ResolvedEndpoint {
    /// On AWS, over TLS.
    pub(super) fn on_aws(authority: String, signing_name: &'static str, signing_region: Region) -> Self {
        Self {
            scheme: "https",
            authority,
            path: String::new(),
            auth_schemes: &[AuthScheme::SigV4],
            signing_name,
            signing_region,
            tls: true,
        }
    }

    /// On an endpoint that was given, with `host_prefix` before its host.
    pub(super) fn on(
        endpoint: &Endpoint,
        host_prefix: &str,
        signing_name: &'static str,
        signing_region: Region,
    ) -> Self {
        let dot = if host_prefix.is_empty() { "" } else { "." };
        Self {
            scheme: if endpoint.is_tls() { "https" } else { "http" },
            authority: [host_prefix, dot, endpoint.authority()].concat(),
            path: endpoint.base_path().to_owned(),
            auth_schemes: &[AuthScheme::SigV4],
            signing_name,
            signing_region,
            tls: endpoint.is_tls(),
        }
    }

    /// Whether a request can be signed in this way.
    pub fn accepts(&self, scheme: AuthScheme) -> bool {
        self.auth_schemes.contains(&scheme)
    }

    /// Appends `scheme://authority/path?query`.
    ///
    /// `encoded_key` and `query` are percent-encoded already, have no leading `/` or `?` of their own, and
    /// are empty where there is none.
    pub fn write_uri(&self, out: &mut String, encoded_key: &str, query: &str) {
        let known = self.authority.len() + self.path.len() + encoded_key.len() + query.len();
        out.reserve(known + "https:////?".len());
        for part in [self.scheme, "://", &self.authority] {
            out.push_str(part);
        }
        self.write_path(out, encoded_key);
        if !query.is_empty() {
            out.push('?');
            out.push_str(query);
        }
    }

    /// Appends the path alone, which is also what is signed. Arguments as for
    /// [`write_uri`](Self::write_uri).
    pub fn write_path(&self, out: &mut String, encoded_key: &str) {
        out.push_str(&self.path);
        if !encoded_key.is_empty() || self.path.is_empty() {
            out.push('/');
            out.push_str(encoded_key);
        }
    }
}
