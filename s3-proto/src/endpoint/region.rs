//! Regions.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::host::is_valid_host_label;
use super::partition::Partition;
use crate::{Error, ErrorKind};

/// The name of a region, such as `eu-central-1`; cheap to clone.
///
/// Any name that can stand in a host name is taken, since stores have regions of their own (`auto`,
/// `garage`, `fr-par`) and AWS opens new ones.
///
/// ```
/// use s3_proto::endpoint::Region;
///
/// assert_eq!(Region::new("eu-central-1")?.as_str(), "eu-central-1");
/// assert!(Region::new("eu central 1").is_err());
/// # Ok::<(), s3_proto::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(Arc<str>);

impl Region {
    /// Checks a name.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] unless it can stand in a host name: 1 to 63 ASCII letters, digits and
    /// hyphens, and dots between them; no label may begin with a hyphen.
    pub fn new(name: impl AsRef<str>) -> Result<Self, Error> {
        let name = name.as_ref();
        if name.len() <= 63 && is_valid_host_label(name, true) {
            return Ok(Self(name.into()));
        }
        let message = if name.is_empty() {
            "the region is empty: give one, such as 'us-east-1'".to_owned()
        } else {
            format!(
                "the region '{}' cannot stand in a host name: use 1 to 63 letters, digits and hyphens, as in \
                 'us-east-1'",
                name.escape_debug()
            )
        };
        Err(Error::new(ErrorKind::Configuration, message))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where S3 signs requests to the global endpoint, and where CreateBucket takes no LocationConstraint.
    pub fn us_east_1() -> Self {
        Self(Arc::from("us-east-1"))
    }

    /// The partition of AWS that it lies in: by its name, since new ones keep to the pattern. What is like no
    /// name of AWS counts to the first partition, as in the rules of the AWS SDKs.
    pub fn partition(&self) -> &'static Partition {
        Partition::of(&self.0)
    }

    /// The pseudo-region of the global endpoint, which is in us-east-1.
    pub(super) fn is_global(&self) -> bool {
        self.as_str() == "aws-global"
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({})", self.0)
    }
}

impl AsRef<str> for Region {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Region {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::new(name)
    }
}

/// The region that one of S3's own hosts lies in, such as `bucket.s3.eu-west-1.amazonaws.com` or, in the old form,
/// `bucket.s3-eu-west-1.amazonaws.com`. `None` for any other host, and for those without a region.
pub(crate) fn region_of_host(host: &str) -> Option<Region> {
    let rest = Partition::without_dns_suffix(host)?;
    let mut labels = rest.rsplit('.');
    let last = labels.next()?;
    let name = match last.strip_prefix("s3-") {
        Some(name) => name,
        None => match labels.next()? {
            "s3" | "s3-fips" => last,
            "dualstack" if matches!(labels.next(), Some("s3" | "s3-fips")) => last,
            _ => return None,
        },
    };
    // Hosts without a region, such as `s3-accelerate`, look the same.
    let region = Region::new(name).ok()?;
    region.as_str().ends_with(|c: char| c.is_ascii_digit()).then_some(region)
}
