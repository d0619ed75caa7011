//! What is stored.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use s3s::dto::{ETag, ServerSideEncryption, Timestamp};
use s3s::{S3Result, s3_error};

use super::invalid_argument;
use crate::blob::Blob;
use crate::checksum::{Algorithm, Checksum, Kind};
use crate::ids::VERSION_ID_LEN;

/// A tag set, in the order in which it was given.
pub(super) type Tags = Vec<(String, String)>;

#[derive(Default)]
pub(super) struct State {
    pub(super) buckets: BTreeMap<String, Bucket>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Versioning {
    /// Never turned on.
    Off,
    Enabled,
    Suspended,
}

pub(super) struct Bucket {
    pub(super) region: String,
    pub(super) created: SystemTime,
    pub(super) versioning: Versioning,
    pub(super) tags: Option<Tags>,
    /// The versions of each key, the newest last, never none.
    pub(super) keys: BTreeMap<String, Vec<Version>>,
    /// By key and upload id, which is in the order of their start.
    pub(super) uploads: BTreeMap<(String, String), Upload>,
}

pub(super) struct Version {
    pub(super) id: String,
    pub(super) modified: SystemTime,
    pub(super) content: Content,
    pub(super) tags: Tags,
}

pub(super) enum Content {
    Object(Arc<Object>),
    DeleteMarker,
}

pub(super) struct Object {
    pub(super) blob: Blob,
    /// Without quotes.
    pub(super) etag: String,
    pub(super) checksum: Option<Checksum>,
    pub(super) attributes: Attributes,
    pub(super) encryption: Encryption,
    /// Of a multipart upload; else empty.
    pub(super) parts: Vec<PartInfo>,
}

/// What is kept of a part when the upload is complete.
pub(super) struct PartInfo {
    pub(super) number: i32,
    pub(super) size: u64,
    pub(super) checksum: Option<(Algorithm, String)>,
}

/// Headers that are stored with an object and come back with it.
#[derive(Debug, Clone, Default)]
pub(super) struct Attributes {
    pub(super) content_type: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) expires: Option<Timestamp>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) storage_class: Option<String>,
    pub(super) website_redirect: Option<String>,
}

/// How an object is said to be encrypted. Nothing is encrypted here; what S3 answers is modelled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Encryption {
    #[default]
    S3,
    Kms {
        algorithm: String,
        key_id: Option<String>,
    },
    Customer {
        key_md5: String,
    },
}

impl Encryption {
    /// The value of `x-amz-server-side-encryption`.
    pub(super) fn algorithm(&self) -> Option<ServerSideEncryption> {
        match self {
            Self::S3 => Some(ServerSideEncryption::from_static(ServerSideEncryption::AES256)),
            Self::Kms { algorithm, .. } => Some(ServerSideEncryption::from(algorithm.clone())),
            Self::Customer { .. } => None,
        }
    }

    pub(super) fn kms_key(&self) -> Option<String> {
        match self {
            Self::Kms { key_id, .. } => key_id.clone(),
            _ => None,
        }
    }

    pub(super) fn customer_key_md5(&self) -> Option<String> {
        match self {
            Self::Customer { key_md5 } => Some(key_md5.clone()),
            _ => None,
        }
    }

    pub(super) fn customer_algorithm(&self) -> Option<String> {
        self.customer_key_md5().map(|_| "AES256".to_owned())
    }
}

pub(super) struct Upload {
    pub(super) initiated: SystemTime,
    pub(super) attributes: Attributes,
    pub(super) encryption: Encryption,
    pub(super) tags: Tags,
    pub(super) algorithm: Algorithm,
    pub(super) kind: Kind,
    /// Whether the client chose the algorithm; else it is S3's default and is not mentioned.
    pub(super) chosen: bool,
    pub(super) parts: BTreeMap<i32, UploadedPart>,
}

pub(super) struct UploadedPart {
    pub(super) blob: Blob,
    pub(super) modified: SystemTime,
    pub(super) etag: String,
    pub(super) md5: [u8; 16],
    /// In the algorithm of the upload.
    pub(super) digest: Vec<u8>,
}

impl Version {
    pub(super) fn object(&self) -> Option<&Arc<Object>> {
        match &self.content {
            Content::Object(object) => Some(object),
            Content::DeleteMarker => None,
        }
    }
}

impl Object {
    pub(super) fn etag(&self) -> ETag {
        ETag::Strong(self.etag.clone())
    }

    pub(super) fn storage_class(&self) -> &str {
        self.attributes.storage_class.as_deref().unwrap_or("STANDARD")
    }
}

pub(super) const NULL: &str = "null";

impl Bucket {
    pub(super) fn new(region: String, created: SystemTime) -> Self {
        Self {
            region,
            created,
            versioning: Versioning::Off,
            tags: None,
            keys: BTreeMap::new(),
            uploads: BTreeMap::new(),
        }
    }

    /// The newest version of a key, which may be a delete marker.
    pub(super) fn current(&self, key: &str) -> Option<&Version> {
        self.keys.get(key)?.last()
    }

    /// The ETag that conditions of a write are compared with.
    pub(super) fn current_etag(&self, key: &str) -> Option<&str> {
        Some(&self.current(key)?.object()?.etag)
    }

    /// Whether version ids are told to the client.
    pub(super) fn versioned(&self) -> bool {
        self.versioning != Versioning::Off
    }

    /// The version id for an answer.
    pub(super) fn shown(&self, id: &str) -> Option<String> {
        self.versioned().then(|| id.to_owned())
    }

    /// All keys whose newest version is an object.
    pub(super) fn objects(&self) -> impl Iterator<Item = (&str, &Version, &Arc<Object>)> {
        self.keys.iter().filter_map(|(key, versions)| {
            let version = versions.last()?;
            Some((key.as_str(), version, version.object()?))
        })
    }

    /// Makes `content` the newest version; `id` is used when versioning is on. Gives the id for the answer.
    pub(super) fn insert(
        &mut self,
        key: &str,
        content: Content,
        tags: Tags,
        modified: SystemTime,
        id: String,
    ) -> Option<String> {
        let versions = self.keys.entry(key.to_owned()).or_default();
        let id = if self.versioning == Versioning::Enabled {
            id
        } else {
            versions.retain(|v| v.id != NULL);
            NULL.to_owned()
        };
        versions.push(Version { id: id.clone(), modified, content, tags });
        self.shown(&id)
    }

    /// Removes the one version, and the key with its last version.
    pub(super) fn remove(&mut self, key: &str, id: &str) -> Option<Version> {
        let versions = self.keys.get_mut(key)?;
        let place = versions.iter().position(|v| v.id == id)?;
        let removed = versions.remove(place);
        if versions.is_empty() {
            self.keys.remove(key);
        }
        Some(removed)
    }

    /// The version that a request names, which may be a delete marker.
    pub(super) fn version(&self, key: &str, id: Option<&str>) -> S3Result<&Version> {
        let Some(id) = id else {
            return self.current(key).ok_or_else(|| s3_error!(NoSuchKey));
        };
        check_version_id(id)?;
        let found = self.keys.get(key).and_then(|versions| versions.iter().find(|v| v.id == id));
        found.ok_or_else(|| s3_error!(NoSuchVersion))
    }

    /// As [`Bucket::version`], to change its tags.
    pub(super) fn version_mut(&mut self, key: &str, id: Option<&str>) -> S3Result<&mut Version> {
        let id = self.version(key, id)?.id.clone();
        let found = self.keys.get_mut(key).and_then(|versions| versions.iter_mut().find(|v| v.id == id));
        found.ok_or_else(|| s3_error!(NoSuchVersion))
    }
}

pub(super) fn check_version_id(id: &str) -> S3Result<()> {
    if id == NULL || id.len() == VERSION_ID_LEN {
        return Ok(());
    }
    Err(invalid_argument("Invalid version id specified"))
}
