//! Amazon resource names.

/// A resource name of AWS: `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`. Region and account may be empty.
///
/// ```
/// use s3_proto::endpoint::Arn;
///
/// let arn = Arn::parse("arn:aws:s3:us-west-2:123456789012:accesspoint:reports").unwrap();
/// assert_eq!((arn.service, arn.region, arn.account), ("s3", "us-west-2", "123456789012"));
/// assert_eq!(arn.resource_parts().collect::<Vec<_>>(), ["accesspoint", "reports"]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arn<'a> {
    /// Such as `aws`; not empty.
    pub partition: &'a str,
    /// Such as `s3` or `s3-outposts`; not empty.
    pub service: &'a str,
    /// Empty for what is in no region, such as a bucket or a multi-region access point.
    pub region: &'a str,
    /// The account that owns it; may be empty.
    pub account: &'a str,
    /// All that follows; not empty.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Takes the text apart; `None` if it is no ARN.
    ///
    /// Source: `aws.parseArn`, <https://smithy.io/2.0/aws/rules-engine/library-functions.html>.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix("arn:")?.splitn(5, ':');
        let mut next = || parts.next();
        let arn = Self {
            partition: next()?,
            service: next()?,
            region: next()?,
            account: next()?,
            resource: next()?,
        };
        let needed = [arn.partition, arn.service, arn.resource];
        needed.iter().all(|part| !part.is_empty()).then_some(arn)
    }

    /// The resource, taken apart at `:` and `/`: there is at least one part, and each can be empty.
    pub fn resource_parts(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.resource.split([':', '/'])
    }
}
