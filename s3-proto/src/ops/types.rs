//! What operations share: enumerations, and structures that travel as XML.

use std::fmt;

use super::describe::{Place, StructureDescription};
use super::draft::Draft;
use super::field::{MembersRef, ToHeaders};
use crate::checksum::{Checksum, ChecksumAlgorithm, content_md5};
use crate::encode::{base64, uri_encode_path_into};
use crate::etag::ETag;
use crate::secret::Secret;
use crate::validate::{BucketRule, check_bucket, check_key, check_part_size};
use crate::{Error, Timestamp};

string_enum! {
    /// What becomes of annotations in a copy.
    AnnotationDirective {
        /// `COPY`.
        Copy = "COPY",
        /// `EXCLUDE`.
        Exclude = "EXCLUDE",
    }
}

string_enum! {
    /// An archive tier.
    ArchiveStatus {
        /// `ARCHIVE_ACCESS`.
        ArchiveAccess = "ARCHIVE_ACCESS",
        /// `DEEP_ARCHIVE_ACCESS`.
        DeepArchiveAccess = "DEEP_ARCHIVE_ACCESS",
    }
}

string_enum! {
    /// A canned ACL of a bucket.
    BucketCannedAcl {
        /// `private`.
        Private = "private",
        /// `public-read`.
        PublicRead = "public-read",
        /// `public-read-write`.
        PublicReadWrite = "public-read-write",
        /// `authenticated-read`.
        AuthenticatedRead = "authenticated-read",
    }
}

string_enum! {
    /// A namespace of bucket names.
    BucketNamespace {
        /// `account-regional`.
        AccountRegional = "account-regional",
        /// `global`.
        Global = "global",
    }
}

string_enum! {
    /// A kind of bucket.
    BucketType {
        /// `Directory`.
        Directory = "Directory",
    }
}

string_enum! {
    /// Whether the service sends its checksum.
    ChecksumMode {
        /// `ENABLED`.
        Enabled = "ENABLED",
    }
}

string_enum! {
    /// What a checksum is of.
    ChecksumType {
        /// `COMPOSITE`.
        Composite = "COMPOSITE",
        /// `FULL_OBJECT`.
        FullObject = "FULL_OBJECT",
    }
}

string_enum! {
    /// How data is spread.
    DataRedundancy {
        /// `SingleAvailabilityZone`.
        SingleAvailabilityZone = "SingleAvailabilityZone",
        /// `SingleLocalZone`.
        SingleLocalZone = "SingleLocalZone",
    }
}

string_enum! {
    /// How keys are encoded in a list.
    EncodingType {
        /// `url`.
        Url = "url",
    }
}

string_enum! {
    /// A kind of place of a directory bucket.
    LocationType {
        /// `AvailabilityZone`.
        AvailabilityZone = "AvailabilityZone",
        /// `LocalZone`.
        LocalZone = "LocalZone",
    }
}

string_enum! {
    /// What becomes of metadata in a copy.
    MetadataDirective {
        /// `COPY`.
        Copy = "COPY",
        /// `REPLACE`.
        Replace = "REPLACE",
    }
}

string_enum! {
    /// An attribute of an object.
    ObjectAttributes {
        /// `ETag`.
        ETag = "ETag",
        /// `Checksum`.
        Checksum = "Checksum",
        /// `ObjectParts`.
        ObjectParts = "ObjectParts",
        /// `StorageClass`.
        StorageClass = "StorageClass",
        /// `ObjectSize`.
        ObjectSize = "ObjectSize",
    }
}

string_enum! {
    /// A canned ACL of an object.
    ObjectCannedAcl {
        /// `private`.
        Private = "private",
        /// `public-read`.
        PublicRead = "public-read",
        /// `public-read-write`.
        PublicReadWrite = "public-read-write",
        /// `authenticated-read`.
        AuthenticatedRead = "authenticated-read",
        /// `aws-exec-read`.
        AwsExecRead = "aws-exec-read",
        /// `bucket-owner-read`.
        BucketOwnerRead = "bucket-owner-read",
        /// `bucket-owner-full-control`.
        BucketOwnerFullControl = "bucket-owner-full-control",
    }
}

string_enum! {
    /// Whether an event hold is on.
    ObjectLockEventHold {
        /// `ON`.
        On = "ON",
        /// `OFF`.
        Off = "OFF",
    }
}

string_enum! {
    /// Whether a legal hold is on.
    ObjectLockLegalHoldStatus {
        /// `ON`.
        On = "ON",
        /// `OFF`.
        Off = "OFF",
    }
}

string_enum! {
    /// A retention mode of object lock.
    ObjectLockMode {
        /// `GOVERNANCE`.
        Governance = "GOVERNANCE",
        /// `COMPLIANCE`.
        Compliance = "COMPLIANCE",
    }
}

string_enum! {
    /// Who owns the objects that others write.
    ObjectOwnership {
        /// `BucketOwnerPreferred`.
        BucketOwnerPreferred = "BucketOwnerPreferred",
        /// `ObjectWriter`.
        ObjectWriter = "ObjectWriter",
        /// `BucketOwnerEnforced`.
        BucketOwnerEnforced = "BucketOwnerEnforced",
    }
}

string_enum! {
    /// The storage class of a listed object.
    ObjectStorageClass {
        /// `STANDARD`.
        Standard = "STANDARD",
        /// `REDUCED_REDUNDANCY`.
        ReducedRedundancy = "REDUCED_REDUNDANCY",
        /// `GLACIER`.
        Glacier = "GLACIER",
        /// `STANDARD_IA`.
        StandardIa = "STANDARD_IA",
        /// `ONEZONE_IA`.
        OnezoneIa = "ONEZONE_IA",
        /// `INTELLIGENT_TIERING`.
        IntelligentTiering = "INTELLIGENT_TIERING",
        /// `DEEP_ARCHIVE`.
        DeepArchive = "DEEP_ARCHIVE",
        /// `OUTPOSTS`.
        Outposts = "OUTPOSTS",
        /// `GLACIER_IR`.
        GlacierIr = "GLACIER_IR",
        /// `SNOW`.
        Snow = "SNOW",
        /// `EXPRESS_ONEZONE`.
        ExpressOnezone = "EXPRESS_ONEZONE",
        /// `FSX_OPENZFS`.
        FsxOpenzfs = "FSX_OPENZFS",
        /// `FSX_ONTAP`.
        FsxOntap = "FSX_ONTAP",
        /// `AWS_BACKUP_WARM`.
        AwsBackupWarm = "AWS_BACKUP_WARM",
        /// `AWS_BACKUP_LOW_COST_WARM`.
        AwsBackupLowCostWarm = "AWS_BACKUP_LOW_COST_WARM",
    }
}

string_enum! {
    /// The storage class of a listed version.
    ObjectVersionStorageClass {
        /// `STANDARD`.
        Standard = "STANDARD",
    }
}

string_enum! {
    /// What entries of a list can say besides.
    OptionalObjectAttributes {
        /// `RestoreStatus`.
        RestoreStatus = "RestoreStatus",
    }
}

string_enum! {
    /// How far replication is.
    ReplicationStatus {
        /// `COMPLETE`.
        Complete = "COMPLETE",
        /// `PENDING`.
        Pending = "PENDING",
        /// `FAILED`.
        Failed = "FAILED",
        /// `REPLICA`.
        Replica = "REPLICA",
        /// `COMPLETED`.
        Completed = "COMPLETED",
    }
}

string_enum! {
    /// Who was charged for a request.
    RequestCharged {
        /// `requester`.
        Requester = "requester",
    }
}

string_enum! {
    /// Who pays for a request.
    RequestPayer {
        /// `requester`.
        Requester = "requester",
    }
}

string_enum! {
    /// How the service encrypts an object.
    ServerSideEncryption {
        /// `AES256`.
        Aes256 = "AES256",
        /// `aws:fsx`.
        AwsFsx = "aws:fsx",
        /// `aws:backup`.
        AwsBackup = "aws:backup",
        /// `aws:kms`.
        AwsKms = "aws:kms",
        /// `aws:kms:dsse`.
        AwsKmsDsse = "aws:kms:dsse",
    }
}

string_enum! {
    /// A storage class.
    StorageClass {
        /// `STANDARD`.
        Standard = "STANDARD",
        /// `REDUCED_REDUNDANCY`.
        ReducedRedundancy = "REDUCED_REDUNDANCY",
        /// `STANDARD_IA`.
        StandardIa = "STANDARD_IA",
        /// `ONEZONE_IA`.
        OnezoneIa = "ONEZONE_IA",
        /// `INTELLIGENT_TIERING`.
        IntelligentTiering = "INTELLIGENT_TIERING",
        /// `GLACIER`.
        Glacier = "GLACIER",
        /// `DEEP_ARCHIVE`.
        DeepArchive = "DEEP_ARCHIVE",
        /// `OUTPOSTS`.
        Outposts = "OUTPOSTS",
        /// `GLACIER_IR`.
        GlacierIr = "GLACIER_IR",
        /// `SNOW`.
        Snow = "SNOW",
        /// `EXPRESS_ONEZONE`.
        ExpressOnezone = "EXPRESS_ONEZONE",
        /// `FSX_OPENZFS`.
        FsxOpenzfs = "FSX_OPENZFS",
        /// `FSX_ONTAP`.
        FsxOntap = "FSX_ONTAP",
        /// `AWS_BACKUP_WARM`.
        AwsBackupWarm = "AWS_BACKUP_WARM",
        /// `AWS_BACKUP_LOW_COST_WARM`.
        AwsBackupLowCostWarm = "AWS_BACKUP_LOW_COST_WARM",
    }
}

string_enum! {
    /// What becomes of tags in a copy.
    TaggingDirective {
        /// `COPY`.
        Copy = "COPY",
        /// `REPLACE`.
        Replace = "REPLACE",
    }
}

structure! {
    /// An object in a list.
    Object {
        /// The key of the object.
        key: String = "Key",
        /// When it was last changed.
        last_modified: Option<Timestamp> = "LastModified",
        /// The entity tag.
        etag: Option<ETag> = "ETag",
        /// The algorithm of the checksum that is computed.
        checksum_algorithm: Option<ChecksumAlgorithm> = "ChecksumAlgorithm",
        /// Whether the checksum is of the whole object or of its parts.
        checksum_type: Option<ChecksumType> = "ChecksumType",
        /// The size in bytes.
        size: u64 = "Size",
        /// The storage class.
        storage_class: Option<ObjectStorageClass> = "StorageClass",
        /// Who owns it.
        owner: Option<Owner> = "Owner",
        /// The state of a restore from an archive class.
        restore_status: Option<RestoreStatus> = "RestoreStatus",
    }
}

structure! {
    /// A group of keys with the same beginning.
    CommonPrefix {
        /// The beginning that they share, with the delimiter at its end.
        prefix: String = "Prefix",
    }
}

structure! {
    /// An owner.
    Owner {
        /// The name to show.
        display_name: Option<String> = "DisplayName",
        /// The id.
        id: Option<String> = "ID",
    }
}

structure! {
    /// Who started an upload.
    Initiator {
        /// The id.
        id: Option<String> = "ID",
        /// The name to show.
        display_name: Option<String> = "DisplayName",
    }
}

structure! {
    /// The state of a restore from an archive class.
    RestoreStatus {
        /// Whether a restore is under way.
        is_restore_in_progress: Option<bool> = "IsRestoreInProgress",
        /// Until when the restored copy is kept.
        restore_expiry_date: Option<Timestamp> = "RestoreExpiryDate",
    }
}

structure! {
    /// A version of an object.
    ObjectVersion {
        /// The key of the object.
        key: String = "Key",
        /// The version of the object.
        version_id: Option<String> = "VersionId",
        /// Whether this is the current version.
        is_latest: Option<bool> = "IsLatest",
        /// When it was last changed.
        last_modified: Option<Timestamp> = "LastModified",
        /// The entity tag.
        etag: Option<ETag> = "ETag",
        /// The algorithm of the checksum that is computed.
        checksum_algorithm: Option<ChecksumAlgorithm> = "ChecksumAlgorithm",
        /// Whether the checksum is of the whole object or of its parts.
        checksum_type: Option<ChecksumType> = "ChecksumType",
        /// The size in bytes.
        size: u64 = "Size",
        /// The storage class.
        storage_class: Option<ObjectVersionStorageClass> = "StorageClass",
        /// Who owns it.
        owner: Option<Owner> = "Owner",
        /// The state of a restore from an archive class.
        restore_status: Option<RestoreStatus> = "RestoreStatus",
    }
}

structure! {
    /// A delete marker.
    DeleteMarkerEntry {
        /// Who owns it.
        owner: Option<Owner> = "Owner",
        /// The key of the object.
        key: String = "Key",
        /// The version of the marker.
        version_id: Option<String> = "VersionId",
        /// Whether this is the current version.
        is_latest: Option<bool> = "IsLatest",
        /// When it was made.
        last_modified: Option<Timestamp> = "LastModified",
    }
}

structure! {
    /// A bucket in a list.
    Bucket {
        /// The name of the bucket.
        name: String = "Name",
        /// When it was created.
        creation_date: Option<Timestamp> = "CreationDate",
        /// The region of the bucket.
        bucket_region: Option<String> = "BucketRegion",
        /// The ARN of the bucket.
        bucket_arn: Option<String> = "BucketArn",
    }
}

structure! {
    /// What to delete.
    Delete {
        /// The objects to delete, 1,000 at most.
        objects: Vec<ObjectIdentifier> = "Object",
        /// Leave out of the answer what was deleted.
        quiet: Option<bool> = "Quiet",
    }
}

structure! {
    /// An object or a version to delete.
    ObjectIdentifier {
        /// The key of the object.
        key: String = "Key",
        /// The version; absent: the current one.
        version_id: Option<String> = "VersionId",
        /// Only if it has this ETag.
        etag: Option<ETag> = "ETag",
        /// Only if it was last changed then (directory buckets).
        last_modified_time: Option<Timestamp> = "LastModifiedTime",
        /// Only if it has this size in bytes (directory buckets).
        size: Option<u64> = "Size",
    }
}

structure! {
    /// An object that was deleted.
    DeletedObject {
        /// The key of the object.
        key: Option<String> = "Key",
        /// The version of the object.
        version_id: Option<String> = "VersionId",
        /// Whether a delete marker was made or deleted.
        delete_marker: Option<bool> = "DeleteMarker",
        /// The version of the delete marker.
        delete_marker_version_id: Option<String> = "DeleteMarkerVersionId",
    }
}

structure! {
    /// An object that could not be deleted.
    DeleteError {
        /// The key of the object.
        key: Option<String> = "Key",
        /// The version of the object.
        version_id: Option<String> = "VersionId",
        /// The error code.
        code: Option<String> = "Code",
        /// What the service says.
        message: Option<String> = "Message",
    }
}

structure! {
    /// What a copy is.
    CopyObjectResult {
        /// The entity tag.
        etag: Option<ETag> = "ETag",
        /// When it was last changed.
        last_modified: Option<Timestamp> = "LastModified",
        /// Whether the checksum is of the whole object or of its parts.
        checksum_type: Option<ChecksumType> = "ChecksumType",
        /// The checksum that the service keeps.
        checksum: Option<Checksum> = "checksum",
    }
}

structure! {
    /// What a copied part is.
    CopyPartResult {
        /// The entity tag.
        etag: Option<ETag> = "ETag",
        /// When it was last changed.
        last_modified: Option<Timestamp> = "LastModified",
        /// The checksum that the service keeps.
        checksum: Option<Checksum> = "checksum",
    }
}

structure! {
    /// The region and other properties of a new bucket.
    CreateBucketConfiguration {
        /// The region; empty means `us-east-1`.
        location_constraint: Option<String> = "LocationConstraint",
        /// Where a directory bucket is to be.
        location: Option<LocationInfo> = "Location",
        /// What a directory bucket is to be.
        bucket: Option<BucketInfo> = "Bucket",
        /// The tags.
        tags: Vec<Tag> = "Tags/Tag",
    }
}

structure! {
    /// Where a directory bucket is.
    LocationInfo {
        /// The kind of zone.
        kind: Option<LocationType> = "Type",
        /// The id of the zone, such as `usw2-az1`.
        name: Option<String> = "Name",
    }
}

structure! {
    /// What a directory bucket is.
    BucketInfo {
        /// How the data is spread.
        data_redundancy: Option<DataRedundancy> = "DataRedundancy",
        /// The kind.
        kind: Option<BucketType> = "Type",
    }
}

structure! {
    /// The parts that an object is made of.
    CompletedMultipartUpload {
        /// The parts.
        parts: Vec<CompletedPart> = "Part",
    }
}

structure! {
    /// A part that was uploaded.
    CompletedPart {
        /// The entity tag that its upload gave.
        etag: ETag = "ETag",
        /// The checksum of the part, if it was uploaded with one.
        checksum: Option<Checksum> = "checksum",
        /// The number of the part, 1 to 10,000.
        part_number: u32 = "PartNumber",
    }
}

structure! {
    /// An upload in progress.
    MultipartUpload {
        /// The id of the upload.
        upload_id: String = "UploadId",
        /// The key of the object.
        key: String = "Key",
        /// When it was started.
        initiated: Option<Timestamp> = "Initiated",
        /// The storage class.
        storage_class: Option<StorageClass> = "StorageClass",
        /// Who owns it.
        owner: Option<Owner> = "Owner",
        /// Who started it.
        initiator: Option<Initiator> = "Initiator",
        /// The algorithm of the checksum that is computed.
        checksum_algorithm: Option<ChecksumAlgorithm> = "ChecksumAlgorithm",
        /// Whether the checksum is of the whole object or of its parts.
        checksum_type: Option<ChecksumType> = "ChecksumType",
        /// The version of the object.
        version_id: Option<String> = "VersionId",
    }
}

structure! {
    /// A part in a list.
    Part {
        /// The number of the part, 1 to 10,000.
        part_number: u32 = "PartNumber",
        /// When it was last changed.
        last_modified: Option<Timestamp> = "LastModified",
        /// The entity tag.
        etag: Option<ETag> = "ETag",
        /// The size in bytes.
        size: u64 = "Size",
        /// The checksum that the service keeps.
        checksum: Option<Checksum> = "checksum",
    }
}

structure! {
    /// The parts of an object.
    GetObjectAttributesParts {
        /// How many parts there are in all.
        total_parts_count: Option<u32> = "PartsCount",
        /// Only parts after this number.
        part_number_marker: Option<u32> = "PartNumberMarker",
        /// What to give as `part_number_marker` for the next page.
        next_part_number_marker: Option<u32> = "NextPartNumberMarker",
        /// At most so many parts, 1,000 at most.
        max_parts: Option<u32> = "MaxParts",
        /// Whether there is more.
        is_truncated: Option<bool> = "IsTruncated",
        /// The parts.
        parts: Vec<ObjectPart> = "Part",
    }
}

structure! {
    /// A part of an object.
    ObjectPart {
        /// The number of the part, 1 to 10,000.
        part_number: Option<u32> = "PartNumber",
        /// The size in bytes.
        size: Option<u64> = "Size",
        /// The checksum that the service keeps.
        checksum: Option<Checksum> = "checksum",
    }
}

structure! {
    /// The checksum of an object.
    ObjectChecksum {
        /// The checksum that the service keeps.
        checksum: Option<Checksum> = "checksum",
        /// Whether the checksum is of the whole object or of its parts.
        checksum_type: Option<ChecksumType> = "ChecksumType",
    }
}

structure! {
    /// A set of tags.
    Tagging {
        /// The tags.
        tag_set: Vec<Tag> = "TagSet/Tag",
    }
}

structure! {
    /// A tag.
    Tag {
        /// The key of the tag: at most 128 characters.
        key: String = "Key",
        /// The value: at most 256 characters.
        value: String = "Value",
    }
}

string_enum! {
    /// What a session with a directory bucket may do.
    SessionMode {
        /// `ReadOnly`.
        ReadOnly = "ReadOnly",
        /// `ReadWrite`.
        ReadWrite = "ReadWrite",
    }
}

structure! {
    /// The credentials of a session with a directory bucket. `Debug` hides the secret parts.
    SessionCredentials {
        /// The public half.
        access_key_id: String = "AccessKeyId",
        /// The secret half.
        secret_access_key: Secret<String> = "SecretAccessKey",
        /// What goes with each request, in `x-amz-s3session-token`.
        session_token: Secret<String> = "SessionToken",
        /// When the session ends, five minutes after its beginning.
        expiration: Timestamp = "Expiration",
    }
}

/// The declarations of all structures here.
pub fn structures() -> Vec<StructureDescription> {
    vec![
        Object::description(),
        CommonPrefix::description(),
        Owner::description(),
        Initiator::description(),
        RestoreStatus::description(),
        ObjectVersion::description(),
        DeleteMarkerEntry::description(),
        Bucket::description(),
        Delete::description(),
        ObjectIdentifier::description(),
        DeletedObject::description(),
        DeleteError::description(),
        CopyObjectResult::description(),
        CopyPartResult::description(),
        CreateBucketConfiguration::description(),
        LocationInfo::description(),
        BucketInfo::description(),
        CompletedMultipartUpload::description(),
        CompletedPart::description(),
        MultipartUpload::description(),
        Part::description(),
        GetObjectAttributesParts::description(),
        ObjectPart::description(),
        ObjectChecksum::description(),
        Tagging::description(),
        Tag::description(),
        SessionCredentials::description(),
    ]
}

impl Delete {
    /// These keys, each in its current version.
    pub fn keys<K: Into<String>>(keys: impl IntoIterator<Item = K>) -> Self {
        Self { objects: keys.into_iter().map(ObjectIdentifier::new).collect(), quiet: None }
    }
}

impl From<Vec<ObjectIdentifier>> for Delete {
    fn from(objects: Vec<ObjectIdentifier>) -> Self {
        Self { objects, quiet: None }
    }
}

impl ObjectIdentifier {
    /// The current version of this key.
    pub fn new(key: impl Into<String>) -> Self {
        Self { key: key.into(), version_id: None, etag: None, last_modified_time: None, size: None }
    }
}

impl<K: Into<String>> From<K> for ObjectIdentifier {
    /// The current version of this key.
    fn from(key: K) -> Self {
        Self::new(key)
    }
}

impl CompletedPart {
    /// This part, with the ETag that its upload gave.
    pub fn new(part_number: u32, etag: impl Into<ETag>) -> Self {
        Self { part_number, etag: etag.into(), checksum: None }
    }
}

impl From<Vec<CompletedPart>> for CompletedMultipartUpload {
    fn from(parts: Vec<CompletedPart>) -> Self {
        Self { parts }
    }
}

impl Tag {
    /// A tag.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

impl Tagging {
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.tag_set.iter().map(|tag| (tag.key.as_str(), tag.value.as_str()))
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for Tagging {
    fn from(tags: [(K, V); N]) -> Self {
        Self { tag_set: tags.into_iter().map(|(k, v)| Tag::new(k, v)).collect() }
    }
}

impl From<Vec<Tag>> for Tagging {
    fn from(tag_set: Vec<Tag>) -> Self {
        Self { tag_set }
    }
}

impl LocationInfo {
    /// A place of this kind and name, such as `usw2-az1`.
    pub fn new(kind: impl Into<LocationType>, name: impl Into<String>) -> Self {
        Self { kind: Some(kind.into()), name: Some(name.into()) }
    }
}

impl BucketInfo {
    /// A directory bucket whose data is spread like this.
    pub fn directory(data_redundancy: impl Into<DataRedundancy>) -> Self {
        Self { data_redundancy: Some(data_redundancy.into()), kind: Some(BucketType::Directory) }
    }
}

/// In the region that the service takes for one without a name, `us-east-1`.
impl Default for CreateBucketConfiguration {
    fn default() -> Self {
        Self { location_constraint: None, location: None, bucket: None, tags: Vec::new() }
    }
}

impl CreateBucketConfiguration {
    /// In this region.
    pub fn region(name: impl Into<String>) -> Self {
        Self { location_constraint: Some(name.into()), ..Self::default() }
    }
}

/// Which bytes of an object are wanted (`Range`).
///
/// ```
/// use s3_proto::ops::ByteRange;
///
/// assert_eq!(ByteRange::from(0..1024).to_string(), "bytes=0-1023");
/// assert_eq!(ByteRange::from(1024..).to_string(), "bytes=1024-");
/// assert_eq!(ByteRange::last(512).to_string(), "bytes=-512");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByteRange {
    /// From this byte to the last one named, both included.
    Inclusive(u64, u64),
    /// From this byte to the end.
    From(u64),
    /// So many bytes at the end.
    Last(u64),
    /// No byte at all: refused before it is sent, since HTTP cannot say it.
    Nothing,
}

impl ByteRange {
    /// The last `len` bytes.
    pub const fn last(len: u64) -> Self {
        Self::Last(len)
    }
}

impl From<std::ops::Range<u64>> for ByteRange {
    fn from(range: std::ops::Range<u64>) -> Self {
        if range.is_empty() { Self::Nothing } else { Self::Inclusive(range.start, range.end - 1) }
    }
}

impl From<std::ops::RangeInclusive<u64>> for ByteRange {
    fn from(range: std::ops::RangeInclusive<u64>) -> Self {
        if range.is_empty() { Self::Nothing } else { Self::Inclusive(*range.start(), *range.end()) }
    }
}

impl From<std::ops::RangeFrom<u64>> for ByteRange {
    fn from(range: std::ops::RangeFrom<u64>) -> Self {
        Self::From(range.start)
    }
}

impl From<std::ops::RangeToInclusive<u64>> for ByteRange {
    fn from(range: std::ops::RangeToInclusive<u64>) -> Self {
        Self::Inclusive(0, range.end)
    }
}

impl From<std::ops::RangeTo<u64>> for ByteRange {
    fn from(range: std::ops::RangeTo<u64>) -> Self {
        Self::from(0..range.end)
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inclusive(first, last) => write!(f, "bytes={first}-{last}"),
            Self::From(first) => write!(f, "bytes={first}-"),
            Self::Last(len) => write!(f, "bytes=-{len}"),
            Self::Nothing => f.write_str("bytes=1-0"),
        }
    }
}

impl ToHeaders for Option<ByteRange> {
    fn to_headers(&self, name: &'static str, draft: &mut Draft) -> Result<(), Error> {
        match self {
            None => Ok(()),
            Some(ByteRange::Nothing | ByteRange::Last(0)) => {
                Err(Error::invalid_input("the range is empty: ask for one byte at least, or use HeadObject"))
            }
            // A server takes it for no range at all, and sends the whole object.
            Some(ByteRange::Inclusive(first, last)) if first > last => Err(Error::invalid_input(format!(
                "the range from byte {first} ends before it, at byte {last}"
            ))),
            Some(range) => draft.add_text(name, &range.to_string()),
        }
    }
}

/// Which bytes of the source a part copies: up to 5 GiB. Both ends must be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CopySourceRange {
    first: u64,
    /// The byte after the last one.
    end: u64,
}

impl From<std::ops::RangeInclusive<u64>> for CopySourceRange {
    fn from(range: std::ops::RangeInclusive<u64>) -> Self {
        Self { first: *range.start(), end: range.end().saturating_add(1) }
    }
}

impl From<std::ops::Range<u64>> for CopySourceRange {
    fn from(range: std::ops::Range<u64>) -> Self {
        Self { first: range.start, end: range.end }
    }
}

impl ToHeaders for Option<CopySourceRange> {
    fn to_headers(&self, name: &'static str, draft: &mut Draft) -> Result<(), Error> {
        let Some(CopySourceRange { first, end }) = *self else { return Ok(()) };
        if first >= end {
            let message =
                format!("the range to copy is empty: it ends before byte {end} and begins at {first}");
            return Err(Error::invalid_input(message));
        }
        check_part_size(end - first, true)?;
        draft.add_text(name, &format!("bytes={first}-{}", end - 1))
    }
}

/// Where a copy comes from: bucket, key, and version if it is not the current one (`x-amz-copy-source`).
///
/// The bucket can be the ARN or the alias of an access point.
///
/// ```
/// use s3_proto::ops::CopySource;
///
/// let source = CopySource::new("bucket", "a key+").version_id("v1");
/// assert_eq!(source.to_string(), "bucket/a%20key%2B?versionId=v1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CopySource {
    bucket: String,
    key: String,
    version_id: Option<String>,
}

impl CopySource {
    /// The current version of this object.
    pub fn new(bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), key: key.into(), version_id: None }
    }

    /// This version of it.
    pub fn version_id(mut self, id: impl Into<String>) -> Self {
        self.version_id = Some(id.into());
        self
    }

    /// Bucket, key and version.
    pub(crate) fn parts(&self) -> (&str, &str, Option<&String>) {
        (&self.bucket, &self.key, self.version_id.as_ref())
    }
}

impl<B: Into<String>, K: Into<String>> From<(B, K)> for CopySource {
    fn from((bucket, key): (B, K)) -> Self {
        Self::new(bucket, key)
    }
}

impl fmt::Display for CopySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path = String::new();
        uri_encode_path_into(&self.bucket, &mut path);
        // The ARN of an object at an access point ("CopyObject" in the API reference).
        path.push_str(if self.bucket.starts_with("arn:") { "/object/" } else { "/" });
        uri_encode_path_into(&self.key, &mut path);
        f.write_str(&path)?;
        match &self.version_id {
            Some(id) => write!(f, "?versionId={}", crate::encode::uri_encode(id)),
            None => Ok(()),
        }
    }
}

impl ToHeaders for CopySource {
    fn to_headers(&self, name: &'static str, draft: &mut Draft) -> Result<(), Error> {
        let in_source = |e: Error| Error::invalid_input(format!("the source of the copy: {}", e.message()));
        // The source may be a bucket that another store, or an older rule, allowed.
        let rule = if self.bucket.starts_with("arn:") { BucketRule::Existing } else { BucketRule::Relaxed };
        check_bucket(&self.bucket, rule).map_err(in_source)?;
        check_key(&self.key).map_err(in_source)?;
        if self.version_id.as_deref() == Some("") {
            return Err(Error::invalid_input("the version to copy is empty"));
        }
        draft.add_text(name, &self.to_string())
    }
}

/// A 256-bit key of your own with which the service encrypts an object and then forgets (SSE-C).
///
/// The same key is needed to read the object. It travels in the request: S3 refuses it without TLS.
#[derive(Clone, PartialEq, Eq)]
pub struct SseCustomerKey(Secret<[u8; 32]>);

impl SseCustomerKey {
    /// An AES-256 key.
    pub const fn new(key: [u8; 32]) -> Self {
        Self(Secret::new(key))
    }
}

impl fmt::Debug for SseCustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SseCustomerKey(**)")
    }
}

impl From<[u8; 32]> for SseCustomerKey {
    fn from(key: [u8; 32]) -> Self {
        Self::new(key)
    }
}

/// The three headers of a key of one's own, for the object or for the source of a copy.
impl ToHeaders for Option<SseCustomerKey> {
    fn to_headers(&self, prefix: &'static str, draft: &mut Draft) -> Result<(), Error> {
        let Some(SseCustomerKey(key)) = self else { return Ok(()) };
        let [algorithm, value, md5] = sse_customer_headers(prefix);
        draft.add_text(algorithm, &"AES256".to_owned())?;
        let text = Secret::new(base64(key.expose()));
        draft.add_secret(value, text.expose())?;
        draft.add_secret(md5, &content_md5(key.expose()))
    }

    fn describe(field: &'static str, prefix: &'static str, to: &mut MembersRef<'_>) {
        let fields = match field {
            "sse_customer_key" => ["sse_customer_algorithm", "sse_customer_key", "sse_customer_key_md5"],
            _ => [
                "copy_source_sse_customer_algorithm",
                "copy_source_sse_customer_key",
                "copy_source_sse_customer_key_md5",
            ],
        };
        for (field, header) in fields.into_iter().zip(sse_customer_headers(prefix)) {
            to.0.add(field, Place::Header, header);
        }
    }
}

fn sse_customer_headers(prefix: &'static str) -> [&'static str; 3] {
    if prefix.contains("copy-source") {
        [
            "x-amz-copy-source-server-side-encryption-customer-algorithm",
            "x-amz-copy-source-server-side-encryption-customer-key",
            "x-amz-copy-source-server-side-encryption-customer-key-md5",
        ]
    } else {
        [
            "x-amz-server-side-encryption-customer-algorithm",
            "x-amz-server-side-encryption-customer-key",
            "x-amz-server-side-encryption-customer-key-md5",
        ]
    }
}
