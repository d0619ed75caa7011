//! Where a request goes: region, endpoint, and how the bucket is named in the address.

mod custom;
mod host;
mod region;
mod resolve;

pub use custom::Endpoint;
pub use host::{is_valid_host_label, is_virtual_hostable};
pub use region::Region;
pub use resolve::{AddressingStyle, EndpointParams, ResolvedEndpoint, resolve};

#[cfg(test)]
mod tests;
