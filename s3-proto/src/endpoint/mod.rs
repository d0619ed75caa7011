//! Where a request goes: region, endpoint, and how the bucket is named in the address.
//!
//! [`resolve`] follows the endpoint rules that all AWS SDKs share. What it is asked is one
//! [`EndpointParams`]; what each kind of bucket name leads to stands in a file of its own: plain buckets,
//! access points, Outposts, S3 Express.

mod access_point;
mod arn;
mod bucket;
mod custom;
mod express;
mod host;
mod operation;
mod outposts;
mod partition;
mod providers;
mod region;
mod resolve;

pub use arn::Arn;
pub use custom::Endpoint;
pub(crate) use express::is_express;
pub use host::{is_valid_host_label, is_virtual_hostable};
pub use operation::OperationNeeds;
pub use partition::Partition;
pub use providers::{ChecksumPolicy, Provider};
pub use region::Region;
pub(crate) use region::region_of_host;
pub use resolve::{AddressingStyle, AuthScheme, EndpointOptions, EndpointParams, ResolvedEndpoint, resolve};

#[cfg(test)]
mod tests;
