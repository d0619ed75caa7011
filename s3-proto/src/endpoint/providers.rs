//! What stores differ in, as data.
//!
//! A profile is a few fields. Each that departs from [`Provider::AWS`] or [`Provider::GENERIC`] has its public
//! source beside it; `rclone` is <https://github.com/rclone/rclone/tree/master/backend/s3/provider>, the widest
//! collection of such facts. What a store is not known to do is not asked of it.

use super::custom::Endpoint;
use super::partition::is_aws_host;
use super::resolve::AddressingStyle;
use crate::validate::{MAX_PART_NUMBER, MAX_PART_SIZE, MIN_PART_SIZE};

/// When requests carry a checksum that nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChecksumPolicy {
    /// With all data that is sent (`when_supported`).
    WhenSupported,
    /// Where S3 demands one, such as with DeleteObjects (`when_required`).
    WhenRequired,
    /// Never, for stores that refuse each kind.
    Off,
}

/// What a client has to know of a store. Plain data: take the nearest one and change what is different.
///
/// ```
/// use s3_proto::Config;
/// use s3_proto::endpoint::Provider;
///
/// let config = Config::new("auto")?.with_endpoint("https://account.r2.cloudflarestorage.com")?;
/// assert_eq!(config.provider().name, "cloudflare");
/// assert!(config.provider().equal_parts);
///
/// let mut store = Provider::GENERIC;
/// store.expect_continue = Some(1 << 20);
/// let config = Config::new("us-east-1")?.with_endpoint("store.example")?.with_provider(store);
/// # Ok::<(), s3_proto::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Provider {
    /// How it is called in [`Provider::named`].
    pub name: &'static str,
    /// Where the bucket stands unless the configuration says otherwise.
    pub addressing: AddressingStyle,
    /// When requests carry a checksum, unless the configuration says otherwise.
    pub checksums: ChecksumPolicy,
    /// Bodies may be signed chunk by chunk (`STREAMING-AWS4-HMAC-SHA256-PAYLOAD`).
    pub signed_chunks: bool,
    /// A checksum may follow a body in chunks without signatures (`STREAMING-UNSIGNED-PAYLOAD-TRAILER`).
    pub trailers: bool,
    /// A checksum may follow a body that is signed chunk by chunk.
    pub signed_trailers: bool,
    /// XML bodies, such as that of DeleteObjects, carry `Content-MD5`; otherwise a CRC32C.
    pub content_md5: bool,
    /// Lists come by ListObjectsV2; otherwise by ListObjects, where the choice is ours.
    pub list_v2: bool,
    /// Lists of objects and versions come URL-encoded if that is asked for, and say so.
    pub encodes_lists: bool,
    /// So do lists of uploads.
    pub encodes_uploads: bool,
    /// All parts of an upload but the last have to be of one size.
    pub equal_parts: bool,
    /// Parts can be copied from other objects (UploadPartCopy).
    pub part_copy: bool,
    /// The smallest part but the last, in bytes.
    pub min_part_size: u64,
    /// The largest part, in bytes.
    pub max_part_size: u64,
    /// The most parts of an upload.
    pub max_parts: u32,
    /// From which size of a body on the store is asked first (`Expect: 100-continue`); `None` is never.
    pub expect_continue: Option<u64>,
    /// Headers, in lower case, that are left out where we would add them of our own accord.
    pub left_out: &'static [&'static str],
}

impl Provider {
    /// Amazon S3.
    pub const AWS: Self = Self {
        name: "aws",
        addressing: AddressingStyle::Auto,
        // https://docs.aws.amazon.com/sdkref/latest/guide/feature-dataintegrity.html
        checksums: ChecksumPolicy::WhenSupported,
        signed_chunks: true,
        trailers: true,
        signed_trailers: true,
        content_md5: true,
        list_v2: true,
        encodes_lists: true,
        encodes_uploads: true,
        equal_parts: false,
        part_copy: true,
        min_part_size: MIN_PART_SIZE,
        max_part_size: MAX_PART_SIZE,
        max_parts: MAX_PART_NUMBER,
        // https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html, 100-continue
        expect_continue: Some(1 << 20),
        left_out: &[],
    };

    /// A store of which nothing is known: what nearly all of them do.
    pub const GENERIC: Self = Self {
        name: "generic",
        // Each store answers to path style; the other one needs wildcard DNS and a certificate for it.
        addressing: AddressingStyle::Path,
        // Older stores refuse headers of checksums: https://github.com/aws/aws-sdk-js-v3/issues/6810
        checksums: ChecksumPolicy::WhenRequired,
        // Some say that a list of uploads is encoded and send it raw (SeaweedFS, versity/versitygw#2156), and a
        // `+` is then read as a space.
        encodes_uploads: false,
        // Some hang on it: https://github.com/rustfs/rustfs/issues/336
        expect_continue: None,
        ..Self::AWS
    };

    /// MinIO.
    pub const MINIO: Self = Self {
        name: "minio",
        // CRC64NVME since early 2025: https://github.com/minio/minio/pull/20855
        checksums: ChecksumPolicy::WhenSupported,
        encodes_uploads: true,
        ..Self::GENERIC
    };

    /// Ceph RADOS Gateway.
    pub const CEPH: Self = Self {
        name: "ceph",
        // Neither trailers nor checksum headers before release 20: seen with 16.2.15, which refuses the trailers
        // and drops the headers.
        trailers: false,
        signed_trailers: false,
        // Since release 15: https://github.com/ceph/ceph/pull/30993
        encodes_uploads: true,
        ..Self::GENERIC
    };

    /// Garage.
    pub const GARAGE: Self = Self {
        name: "garage",
        // Seen with 2.5.0: checksum headers are stored, trailers taken without signatures only.
        checksums: ChecksumPolicy::WhenSupported,
        signed_trailers: false,
        encodes_uploads: true,
        ..Self::GENERIC
    };

    /// SeaweedFS.
    pub const SEAWEEDFS: Self = Self {
        name: "seaweedfs",
        // Seen with 4.48: checksum headers are stored, trailers taken.
        checksums: ChecksumPolicy::WhenSupported,
        ..Self::GENERIC
    };

    /// Cloudflare R2.
    pub const CLOUDFLARE: Self = Self {
        name: "cloudflare",
        // It knows some algorithms (https://developers.cloudflare.com/r2/api/s3/api/), but refused what clients
        // sent by default: https://github.com/aws/aws-sdk-js-v3/issues/6810
        trailers: false,
        signed_trailers: false,
        // "All parts except the last must be the same size":
        // https://developers.cloudflare.com/r2/objects/multipart-objects/
        equal_parts: true,
        ..Self::GENERIC
    };

    /// Backblaze B2, by its S3 API.
    pub const BACKBLAZE: Self = Self {
        name: "backblaze",
        // "Unsupported header 'x-amz-checksum-crc32'": https://github.com/stonith404/pingvin-share/issues/798,
        // https://www.backblaze.com/docs/cloud-storage-s3-compatible-api
        trailers: false,
        signed_trailers: false,
        left_out: &["x-amz-checksum-mode"],
        ..Self::GENERIC
    };

    /// Google Cloud Storage, by its XML API.
    pub const GOOGLE: Self = Self {
        name: "google",
        // It takes none of the chunked forms: https://github.com/milvus-io/milvus/pull/49978
        signed_chunks: false,
        trailers: false,
        signed_trailers: false,
        // No UploadPartCopy: rclone, GCS.yaml, https://issuetracker.google.com/issues/323465186
        part_copy: false,
        left_out: &["x-amz-checksum-mode"],
        ..Self::GENERIC
    };

    /// DigitalOcean Spaces.
    pub const DIGITALOCEAN: Self = Self {
        name: "digitalocean",
        // rclone, DigitalOcean.yaml: `list_url_encode: false`.
        encodes_lists: false,
        ..Self::CEPH
    };

    /// Wasabi.
    pub const WASABI: Self = Self {
        name: "wasabi",
        // None of the newer checksums works: https://github.com/stonith404/pingvin-share/issues/788
        trailers: false,
        signed_trailers: false,
        ..Self::GENERIC
    };

    /// Hetzner Object Storage, which is Ceph.
    pub const HETZNER: Self = Self { name: "hetzner", ..Self::CEPH };

    /// Scaleway Object Storage.
    pub const SCALEWAY: Self = Self {
        name: "scaleway",
        // rclone, Scaleway.yaml: `max_upload_parts: 1000`.
        max_parts: 1_000,
        ..Self::GENERIC
    };

    /// OVHcloud Object Storage.
    pub const OVH: Self = Self {
        name: "ovh",
        // https://github.com/ovh/public-cloud-roadmap/issues/781
        trailers: false,
        signed_trailers: false,
        ..Self::GENERIC
    };

    /// Oracle Cloud Infrastructure Object Storage, by its Amazon S3 Compatibility API.
    pub const ORACLE: Self = Self {
        name: "oracle",
        // "AWS chunked encoding not supported": https://github.com/activepieces/activepieces/issues/14110,
        // https://github.com/treeverse/lakeFS/issues/2527
        signed_chunks: false,
        trailers: false,
        signed_trailers: false,
        left_out: &["x-amz-checksum-mode"],
        ..Self::GENERIC
    };

    /// Tencent Cloud Object Storage.
    pub const TENCENT: Self = Self {
        name: "tencent",
        // New buckets answer only by their own host:
        // https://www.tencentcloud.com/document/product/436/34688
        addressing: AddressingStyle::Auto,
        // rclone, TencentCOS.yaml: `use_data_integrity_protections: false`, `list_version: 1`;
        // https://github.com/milvus-io/milvus/pull/49978
        trailers: false,
        signed_trailers: false,
        list_v2: false,
        left_out: &["x-amz-checksum-mode"],
        ..Self::GENERIC
    };

    /// Alibaba Cloud Object Storage Service.
    pub const ALIBABA: Self = Self {
        name: "alibaba",
        // Path style is refused (`SecondLevelDomainForbidden`):
        // https://github.com/vectordotdev/vector/issues/20746
        addressing: AddressingStyle::Auto,
        // Chunks only with signatures: https://github.com/apache/polaris/issues/3346
        trailers: false,
        signed_trailers: false,
        left_out: &["x-amz-checksum-mode"],
        ..Self::GENERIC
    };

    /// LocalStack.
    pub const LOCALSTACK: Self = Self {
        name: "localstack",
        // It follows S3 in both: https://docs.localstack.cloud/aws/services/s3/
        checksums: ChecksumPolicy::WhenSupported,
        encodes_uploads: true,
        ..Self::GENERIC
    };

    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::AWS,
        Self::MINIO,
        Self::CEPH,
        Self::GARAGE,
        Self::SEAWEEDFS,
        Self::CLOUDFLARE,
        Self::BACKBLAZE,
        Self::GOOGLE,
        Self::DIGITALOCEAN,
        Self::WASABI,
        Self::HETZNER,
        Self::SCALEWAY,
        Self::OVH,
        Self::ORACLE,
        Self::TENCENT,
        Self::ALIBABA,
        Self::LOCALSTACK,
        Self::GENERIC,
    ];

    /// The one of this name, in any case of letters.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|provider| provider.name.eq_ignore_ascii_case(name)).copied()
    }

    /// The one that answers at this endpoint, as far as its host tells; else [`GENERIC`](Self::GENERIC).
    pub fn of(endpoint: &Endpoint) -> Self {
        let host = endpoint.host().trim_end_matches('.');
        if is_aws_host(host) {
            return Self::AWS;
        }
        let is_below =
            |suffix: &str| host.strip_suffix(suffix).is_some_and(|r| r.is_empty() || r.ends_with('.'));
        HOSTS.iter().find(|(suffix, _)| is_below(suffix)).map_or(Self::GENERIC, |(_, provider)| *provider)
    }
}

/// The hosts that providers answer at, and all below them.
const HOSTS: &[(&str, Provider)] = &[
    ("play.min.io", Provider::MINIO),
    ("r2.cloudflarestorage.com", Provider::CLOUDFLARE),
    ("backblazeb2.com", Provider::BACKBLAZE),
    ("storage.googleapis.com", Provider::GOOGLE),
    ("digitaloceanspaces.com", Provider::DIGITALOCEAN),
    ("wasabisys.com", Provider::WASABI),
    ("your-objectstorage.com", Provider::HETZNER),
    ("scw.cloud", Provider::SCALEWAY),
    ("cloud.ovh.net", Provider::OVH),
    ("cloud.ovh.us", Provider::OVH),
    ("oraclecloud.com", Provider::ORACLE),
    ("customer-oci.com", Provider::ORACLE),
    ("myqcloud.com", Provider::TENCENT),
    ("aliyuncs.com", Provider::ALIBABA),
    ("localstack.cloud", Provider::LOCALSTACK),
];
