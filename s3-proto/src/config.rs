//! How a client is set up.

use std::sync::Arc;
use std::time::Duration;

use crate::breaker::BreakerConfig;
use crate::credentials::{CredentialsProvider, CredentialsSource, DefaultChain, Environment};
use crate::endpoint::{AddressingStyle, ChecksumPolicy, Endpoint, EndpointOptions, Provider, Region};
use crate::limit::RateLimit;
use crate::machine::Timeouts;
use crate::retry::{RetryClassifier, RetryConfig, RetryMode, RetryReason};
use crate::{Credentials, Error};

/// How a client is set up. Plain data: change any field before the client is made.
///
/// ```
/// use s3_proto::{Config, Credentials};
///
/// let config = Config::new("eu-central-1")?
///     .with_credentials(Credentials::new("AKIDEXAMPLE", "secret")?)
///     .with_endpoint("http://127.0.0.1:9000")?;
/// # Ok::<(), s3_proto::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The region of the buckets; another one is found out by redirect.
    pub region: Region,
    /// A store other than Amazon S3, or a way to it; `None` is Amazon S3 itself.
    pub endpoint: Option<Endpoint>,
    /// What the store does differently. `None`, the default: told by the endpoint's host.
    pub provider: Option<Provider>,
    /// Whether the bucket stands in the host or in the path. `None`, the default: as the provider wants it, on
    /// AWS in the host where its name allows it, elsewhere mostly in the path.
    pub addressing_style: Option<AddressingStyle>,
    /// Which of the addresses of AWS are wanted: dual-stack, FIPS, accelerated and so on.
    pub endpoint_options: EndpointOptions,
    /// Where credentials come from.
    pub credentials: CredentialsSource,
    /// How often and how patiently calls are repeated.
    pub retry: RetryConfig,
    /// Asked first which errors are worth another attempt. Default: none, the standard rules alone.
    pub retry_classifier: Option<RetryClassifier>,
    /// Leaves an endpoint alone that fails most of the time. Default: none.
    pub circuit_breaker: Option<BreakerConfig>,
    /// A limit of our own on how fast requests are sent. Default: none.
    pub rate_limit: Option<RateLimit>,
    /// How long each phase of an attempt may take.
    pub timeouts: Timeouts,
    /// How long a call may take with all its attempts and waits, until the head of its answer or, if that
    /// is not streamed, its end. `None`, the default, is for ever.
    pub operation_timeout: Option<Duration>,
    /// Which bodies are hashed into the signature.
    pub payload_signing: PayloadSigning,
    /// Whether bucket names of old and of other stores are let through (capitals, underscores).
    pub relaxed_bucket_names: bool,
    /// Whether downloads are checked against the service's checksum. Default: yes.
    pub verify_checksums: bool,
    /// When requests carry a checksum that nobody asked for: a CRC64NVME with data. `None`, the default: as
    /// the provider takes it.
    pub request_checksums: Option<ChecksumPolicy>,
    /// The largest answer that is held in memory, in bytes. Default 64 MiB.
    pub max_response: usize,
    /// Whether spans name the keys of objects. Default: no, since keys may be personal data.
    pub trace_keys: bool,
    /// From which size of a body on the service is asked first (`Expect: 100-continue`). `None`, the default:
    /// as the provider takes it, from 1 MiB on to AWS and never to most others. `Some(u64::MAX)` is never.
    pub expect_continue: Option<u64>,
    /// What waits between attempts are drawn from. A driver sets it at random; a fixed one makes runs
    /// repeatable.
    pub seed: u64,
    /// A script in place of the network.
    #[cfg(feature = "testing")]
    pub(crate) mock: Option<crate::testing::Mock>,
}

/// Which bodies are hashed into the signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PayloadSigning {
    /// Over TLS only bodies whose hash is cheap (8 KiB at most, in memory); without TLS all of them, a
    /// streamed one chunk by chunk.
    #[default]
    Auto,
    /// All of them.
    Always,
    /// None: `UNSIGNED-PAYLOAD`. Without TLS nothing then protects the body from changes on its way.
    Never,
}

impl Config {
    /// For Amazon S3 in this region, without credentials yet.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](crate::ErrorKind) if the region cannot be part of a host name.
    pub fn new(region: impl AsRef<str>) -> Result<Self, Error> {
        Ok(Self {
            region: Region::new(region)?,
            endpoint: None,
            provider: None,
            addressing_style: None,
            endpoint_options: EndpointOptions::default(),
            credentials: CredentialsSource::Anonymous,
            retry: RetryConfig::default(),
            retry_classifier: None,
            circuit_breaker: None,
            rate_limit: None,
            timeouts: Timeouts::default(),
            operation_timeout: None,
            payload_signing: PayloadSigning::Auto,
            relaxed_bucket_names: false,
            verify_checksums: true,
            request_checksums: None,
            max_response: 64 << 20,
            trace_keys: false,
            expect_continue: None,
            seed: 0,
            #[cfg(feature = "testing")]
            mock: None,
        })
    }

    /// With these credentials.
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = CredentialsSource::Static(Arc::new(credentials));
        self
    }

    /// With credentials from where the AWS SDKs look for them, beginning with this environment; see
    /// [`DefaultChain`]. They are looked for when they are needed.
    pub fn with_default_credentials(mut self, environment: Environment) -> Self {
        self.credentials = CredentialsSource::Default(DefaultChain::new(environment));
        self
    }

    /// With credentials from this provider, asked when they are needed.
    pub fn with_credentials_provider(mut self, provider: CredentialsProvider) -> Self {
        self.credentials = CredentialsSource::Custom(provider);
        self
    }

    /// To a custom endpoint: `https://` unless `http://` is given.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](crate::ErrorKind) if it is not an endpoint.
    pub fn with_endpoint(mut self, url: impl AsRef<str>) -> Result<Self, Error> {
        self.endpoint = Some(Endpoint::parse(url.as_ref())?);
        Ok(self)
    }

    /// With this addressing style.
    pub fn with_addressing_style(mut self, style: AddressingStyle) -> Self {
        self.addressing_style = Some(style);
        self
    }

    /// With at most so many attempts a call; 1 turns retries off.
    pub fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.retry.max_attempts = attempts.max(1);
        self
    }

    /// Why to repeat after this error, by the classifier or the standard rules; `None` if it is of no use.
    pub(crate) fn reason_to_retry(&self, error: &Error) -> Option<RetryReason> {
        self.retry_classifier.as_ref().map_or_else(|| RetryReason::of(error), |c| c.reason(error))
    }

    /// With this retry mode.
    pub fn with_retry_mode(mut self, mode: RetryMode) -> Self {
        self.retry.mode = mode;
        self
    }

    /// With a circuit breaker for each host.
    pub fn with_circuit_breaker(mut self, breaker: BreakerConfig) -> Self {
        self.circuit_breaker = Some(breaker);
        self
    }

    /// With a limit on how fast requests are sent.
    pub fn with_rate_limit(mut self, limit: RateLimit) -> Self {
        self.rate_limit = Some(limit);
        self
    }

    /// With these time-outs.
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// With these addresses of AWS: dual-stack, FIPS, accelerated and so on.
    pub fn with_endpoint_options(mut self, options: EndpointOptions) -> Self {
        self.endpoint_options = options;
        self
    }

    /// For a store of this kind, whatever its host is called.
    pub fn with_provider(mut self, provider: Provider) -> Self {
        self.provider = Some(provider);
        self
    }

    /// To this mock instead of the network, by its clock. See [`Mock::config`](crate::testing::Mock::config).
    #[cfg(feature = "testing")]
    pub fn with_mock(mut self, mock: &crate::testing::Mock) -> Self {
        self.mock = Some(mock.clone());
        self
    }

    /// What the store does differently: as it was chosen, or as its host tells.
    pub fn provider(&self) -> Provider {
        let by_host = || self.endpoint.as_ref().map_or(Provider::AWS, Provider::of);
        self.provider.unwrap_or_else(by_host)
    }

    /// Where the name of this bucket stands.
    pub(crate) fn addressing_style_for(&self, bucket: Option<&str>) -> AddressingStyle {
        // An ARN has its place in the host, wherever buckets have theirs.
        let by_default = || match bucket {
            Some(bucket) if bucket.starts_with("arn:") => AddressingStyle::Auto,
            _ => self.provider().addressing,
        };
        self.addressing_style.unwrap_or_else(by_default)
    }

    /// When requests carry a checksum that nobody asked for.
    pub(crate) fn checksum_policy(&self) -> ChecksumPolicy {
        self.request_checksums.unwrap_or(self.provider().checksums)
    }

    /// Whether data carries a checksum that nobody asked for.
    pub(crate) fn sends_checksums(&self) -> bool {
        self.checksum_policy() == ChecksumPolicy::WhenSupported
    }

    /// Whether the service is asked before a body of this length is sent.
    pub(crate) fn asks_before(&self, len: u64) -> bool {
        len > 0 && self.expect_continue.or(self.provider().expect_continue).is_some_and(|from| len >= from)
    }
}
