//! Regions, and the partitions of AWS that they lie in.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::host::is_valid_host_label;
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
    /// [`ErrorKind::Configuration`] unless it is a DNS label: 1 to 63 ASCII letters, digits and hyphens, not
    /// beginning with a hyphen.
    pub fn new(name: impl AsRef<str>) -> Result<Self, Error> {
        let name = name.as_ref();
        if is_valid_host_label(name, false) {
            return Ok(Self(name.into()));
        }
        let message = if name.is_empty() {
            "the region is empty: give one, such as 'us-east-1'".to_owned()
        } else {
            format!(
                "the region '{}' is not a valid DNS label: use 1 to 63 letters, digits and hyphens, as in \
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

    /// The host names of AWS in this region end with this.
    pub(super) fn dns_suffix(&self) -> &'static str {
        let lies_in = |prefixes: &&Partition| prefixes.regions.iter().any(|p| self.0.starts_with(p));
        // Regions that nobody knows belong to the first partition, as in the rules of the AWS SDKs.
        PARTITIONS.iter().find(lies_in).map_or("amazonaws.com", |p| p.dns_suffix)
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

struct Partition {
    /// How the names of its regions begin.
    regions: &'static [&'static str],
    dns_suffix: &'static str,
    dual_stack_suffix: &'static str,
}

/// Source: `partitions.json` of the AWS SDKs, version 1.1. No prefix is the beginning of another one's
/// regions, so the order does not matter.
const PARTITIONS: &[Partition] = &[
    Partition {
        regions: &["cn-", "aws-cn-"],
        dns_suffix: "amazonaws.com.cn",
        dual_stack_suffix: "api.amazonwebservices.com.cn",
    },
    Partition {
        regions: &["us-gov-", "aws-us-gov-"],
        dns_suffix: "amazonaws.com",
        dual_stack_suffix: "api.aws",
    },
    Partition {
        regions: &["eusc-"],
        dns_suffix: "amazonaws.eu",
        dual_stack_suffix: "api.amazonwebservices.eu",
    },
    Partition {
        regions: &["us-iso-", "aws-iso-global"],
        dns_suffix: "c2s.ic.gov",
        dual_stack_suffix: "api.aws.ic.gov",
    },
    Partition {
        regions: &["us-isob-", "aws-iso-b-"],
        dns_suffix: "sc2s.sgov.gov",
        dual_stack_suffix: "api.aws.scloud",
    },
    Partition {
        regions: &["eu-isoe-", "aws-iso-e-"],
        dns_suffix: "cloud.adc-e.uk",
        dual_stack_suffix: "api.cloud-aws.adc-e.uk",
    },
    Partition {
        regions: &["us-isof-", "aws-iso-f-"],
        dns_suffix: "csp.hci.ic.gov",
        dual_stack_suffix: "api.aws.hci.ic.gov",
    },
];

/// Whether AWS itself answers under this host name (lower case), in any partition.
pub(super) fn is_aws_host(host: &str) -> bool {
    let suffixes = PARTITIONS.iter().flat_map(|p| [p.dns_suffix, p.dual_stack_suffix]);
    let below = |suffix: &str| host.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'));
    suffixes.into_iter().any(below)
}
