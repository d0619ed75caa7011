//! The partitions of AWS: groups of regions with accounts and domain names of their own.

use std::fmt;

/// A partition of AWS, such as the one of China.
///
/// ```
/// use s3_proto::endpoint::Region;
///
/// let partition = Region::new("cn-north-1")?.partition();
/// assert_eq!((partition.id(), partition.dns_suffix()), ("aws-cn", "amazonaws.com.cn"));
/// # Ok::<(), s3_proto::Error>(())
/// ```
#[derive(PartialEq, Eq)]
pub struct Partition {
    id: &'static str,
    /// Its regions are called `PREFIX-WORD-NUMBER`.
    prefixes: &'static [&'static str],
    /// What stands for all of its regions where a service is global.
    global: &'static str,
    implicit_global_region: &'static str,
    dns_suffix: &'static str,
    dual_stack_suffix: &'static str,
}

/// Source: `partitions.json` of the AWS SDKs, version 1.1. The first is also that of regions that nobody knows.
const PARTITIONS: &[Partition] = &[
    Partition {
        id: "aws",
        prefixes: &["us", "eu", "ap", "sa", "ca", "me", "af", "il", "mx"],
        global: "aws-global",
        implicit_global_region: "us-east-1",
        dns_suffix: "amazonaws.com",
        dual_stack_suffix: "api.aws",
    },
    Partition {
        id: "aws-cn",
        prefixes: &["cn"],
        global: "aws-cn-global",
        implicit_global_region: "cn-northwest-1",
        dns_suffix: "amazonaws.com.cn",
        dual_stack_suffix: "api.amazonwebservices.com.cn",
    },
    Partition {
        id: "aws-eusc",
        prefixes: &["eusc-de"],
        global: "aws-eusc-global",
        implicit_global_region: "eusc-de-east-1",
        dns_suffix: "amazonaws.eu",
        dual_stack_suffix: "api.amazonwebservices.eu",
    },
    Partition {
        id: "aws-iso",
        prefixes: &["us-iso"],
        global: "aws-iso-global",
        implicit_global_region: "us-iso-east-1",
        dns_suffix: "c2s.ic.gov",
        dual_stack_suffix: "api.aws.ic.gov",
    },
    Partition {
        id: "aws-iso-b",
        prefixes: &["us-isob"],
        global: "aws-iso-b-global",
        implicit_global_region: "us-isob-east-1",
        dns_suffix: "sc2s.sgov.gov",
        dual_stack_suffix: "api.aws.scloud",
    },
    Partition {
        id: "aws-iso-e",
        prefixes: &["eu-isoe"],
        global: "aws-iso-e-global",
        implicit_global_region: "eu-isoe-west-1",
        dns_suffix: "cloud.adc-e.uk",
        dual_stack_suffix: "api.cloud-aws.adc-e.uk",
    },
    Partition {
        id: "aws-iso-f",
        prefixes: &["us-isof"],
        global: "aws-iso-f-global",
        implicit_global_region: "us-isof-south-1",
        dns_suffix: "csp.hci.ic.gov",
        dual_stack_suffix: "api.aws.hci.ic.gov",
    },
    Partition {
        id: "aws-us-gov",
        prefixes: &["us-gov"],
        global: "aws-us-gov-global",
        implicit_global_region: "us-gov-west-1",
        dns_suffix: "amazonaws.com",
        dual_stack_suffix: "api.aws",
    },
];

impl Partition {
    /// The one that a region of this name lies in, known or not.
    pub(super) fn of(region: &str) -> &'static Self {
        PARTITIONS.iter().find(|p| p.has(region)).unwrap_or(&PARTITIONS[0])
    }

    /// The name, as in the second part of an ARN.
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// How the host names of its services end.
    pub fn dns_suffix(&self) -> &'static str {
        self.dns_suffix
    }

    /// How the host names that also have IPv6 addresses end, for services other than S3, whose names say
    /// `dualstack` instead.
    pub fn dual_stack_dns_suffix(&self) -> &'static str {
        self.dual_stack_suffix
    }

    /// Where requests to its global services are signed for.
    pub fn implicit_global_region(&self) -> &'static str {
        self.implicit_global_region
    }

    /// What stands before the suffix of any partition in the name of a host.
    pub(super) fn without_dns_suffix(host: &str) -> Option<&str> {
        PARTITIONS.iter().find_map(|p| host.strip_suffix(p.dns_suffix)?.strip_suffix('.'))
    }

    fn has(&self, region: &str) -> bool {
        region == self.global || self.prefixes.iter().any(|prefix| is_region_below(region, prefix))
    }
}

/// Whether this is `PREFIX-WORD-NUMBER`.
fn is_region_below(region: &str, prefix: &str) -> bool {
    let rest = region.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
    let Some((word, number)) = rest.and_then(|rest| rest.split_once('-')) else { return false };
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    !word.is_empty()
        && word.bytes().all(is_word)
        && !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit())
}

/// Whether AWS itself answers under this host name (lower case), in any partition.
pub(super) fn is_aws_host(host: &str) -> bool {
    let suffixes = PARTITIONS.iter().flat_map(|p| [p.dns_suffix, p.dual_stack_suffix]);
    let below = |suffix: &str| host.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'));
    suffixes.into_iter().any(below)
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Partition({})", self.id)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}
