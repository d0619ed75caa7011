//! ListObjectVersions.

use std::ops::Bound;

use s3s::dto::{
    CommonPrefix, DeleteMarkerEntry, ListObjectVersionsInput, ListObjectVersionsOutput, ObjectVersion,
    Timestamp,
};
use s3s::{S3Result, s3_error};

use super::listing::{Coding, Last, Query, group};
use super::model::{Bucket, Version, check_version_id};
use super::{Store, as_i64, invalid_argument, owner};

impl Store {
    pub(super) fn versions(&self, input: &ListObjectVersionsInput) -> S3Result<ListObjectVersionsOutput> {
        let query =
            Query::new(input.prefix.as_deref(), input.delimiter.as_deref(), input.max_keys, "max-keys")?;
        let coding = Coding::new(input.encoding_type.as_ref())?;
        let version_marker = input.version_id_marker.as_deref().filter(|id| !id.is_empty());
        if let Some(id) = version_marker {
            check_version_id(id)?;
            if input.key_marker.as_deref().unwrap_or_default().is_empty() {
                return Err(invalid_argument(
                    "A version-id marker cannot be specified without a key marker.",
                ));
            }
        }
        self.with_bucket(&input.bucket, |bucket| {
            let marker = input.key_marker.as_deref().unwrap_or_default();
            let items = after(bucket, marker, version_marker)?;
            let skip = query.ends_in_delimiter(marker).then_some(marker);
            let page = group(items, &query, skip);
            let mut output = ListObjectVersionsOutput {
                name: Some(input.bucket.clone()),
                prefix: Some(coding.text(query.prefix)),
                delimiter: query.delimiter.map(|d| coding.text(d)),
                encoding_type: input.encoding_type.clone(),
                key_marker: Some(coding.text(marker)),
                version_id_marker: Some(version_marker.unwrap_or_default().to_owned()),
                max_keys: Some(query.shown_max()),
                is_truncated: Some(page.truncated),
                ..ListObjectVersionsOutput::default()
            };
            if page.truncated {
                output.next_key_marker = page.last.as_ref().map(|last| coding.text(last.text()));
                if let (Some(Last::Key(_)), Some((_, (version, _)))) = (&page.last, page.items.last()) {
                    output.next_version_id_marker = Some(version.id.clone());
                }
            }
            output.common_prefixes =
                Some(page.prefixes.iter().map(|p| CommonPrefix { prefix: Some(coding.text(p)) }).collect());
            let (mut versions, mut markers) = (Vec::new(), Vec::new());
            for (key, (version, latest)) in page.items {
                match listed(coding.text(key), version, latest) {
                    Ok(version) => versions.push(version),
                    Err(marker) => markers.push(marker),
                }
            }
            output.versions = Some(versions);
            output.delete_markers = Some(markers);
            Ok(output)
        })
    }
}

type Item<'a> = (&'a str, (&'a Version, bool));

/// All versions behind the markers, the newest of each key first.
fn after<'a>(
    bucket: &'a Bucket,
    key_marker: &'a str,
    version_marker: Option<&'a str>,
) -> S3Result<impl Iterator<Item = Item<'a>>> {
    let place = match version_marker {
        None => 0,
        // How many versions of the marker's key, from the oldest, are still to come.
        Some(id) => match bucket.keys.get(key_marker) {
            Some(versions) => versions
                .iter()
                .position(|v| v.id == id)
                .ok_or_else(|| s3_error!(InvalidArgument, "Invalid version id specified"))?,
            None => 0,
        },
    };
    Ok(bucket.keys.range::<str, _>((Bound::Included(key_marker), Bound::Unbounded)).flat_map(
        move |(key, versions)| {
            let at_marker = key == key_marker && !key_marker.is_empty();
            let count = if at_marker { place } else { versions.len() };
            let newest = versions.len() - 1;
            versions.iter().enumerate().take(count).rev().map(move |(i, v)| (key.as_str(), (v, i == newest)))
        },
    ))
}

fn listed(key: String, version: &Version, latest: bool) -> Result<ObjectVersion, DeleteMarkerEntry> {
    let last_modified = Some(Timestamp::from(version.modified));
    let Some(object) = version.object() else {
        return Err(DeleteMarkerEntry {
            is_latest: Some(latest),
            key: Some(key),
            last_modified,
            owner: Some(owner()),
            version_id: Some(version.id.clone()),
        });
    };
    Ok(ObjectVersion {
        e_tag: Some(object.etag()),
        is_latest: Some(latest),
        key: Some(key),
        last_modified,
        owner: Some(owner()),
        size: Some(as_i64(object.blob.len())),
        storage_class: Some(object.storage_class().to_owned().into()),
        version_id: Some(version.id.clone()),
        ..ObjectVersion::default()
    })
}
