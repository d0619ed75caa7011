//! Lists of objects and versions.

#[allow(clippy::wildcard_imports)]
use super::types::*;
use super::{Description, Draft, KeysOf, Operation};
use crate::Error;
use crate::encode::uri_decode_query;
use crate::pages::Paginated;

operation! {
    /// Lists the objects of a bucket (`ListObjectsV2`): up to 1,000 an answer, in the order of their UTF-8 bytes.
    list_objects_v2 ListObjectsV2: GET [bucket] "list-type=2" => Whole;
    query {
        /// Keys are grouped up to this text after the prefix.
        delimiter: Option<String> = "delimiter",
        /// How keys are encoded in the answer; by default `url`, and decoded here.
        encoding_type: Option<EncodingType> = "encoding-type",
        /// At most so many entries, 1,000 at most.
        max_keys: Option<u32> = "max-keys",
        /// Only what begins with this.
        prefix: Option<String> = "prefix",
        /// Where to go on, from the page before.
        continuation_token: Option<String> = "continuation-token",
        /// Whether entries are to name their owners.
        fetch_owner: Option<bool> = "fetch-owner",
        /// Only keys after this.
        start_after: Option<String> = "start-after",
    }
    header {
        /// Confirms that the requester pays.
        request_payer: Option<RequestPayer> = "x-amz-request-payer",
        /// Fail with `AccessDenied` unless this account owns the bucket.
        expected_bucket_owner: Option<String> = "x-amz-expected-bucket-owner",
        /// What else entries are to say, such as the state of a restore.
        optional_object_attributes: Vec<OptionalObjectAttributes> = "x-amz-optional-object-attributes",
    }
    prepare url_encode_keys;
    finish decode_v2;
    output ListObjectsV2Output {
        header {
            /// Whether the requester was charged.
            request_charged: Option<RequestCharged> = "x-amz-request-charged",
        }
        body {
            /// Whether there is more.
            is_truncated: Option<bool> = "IsTruncated",
            /// The objects.
            contents: Vec<Object> = "Contents",
            /// The name of the bucket.
            name: Option<String> = "Name",
            /// Only what begins with this.
            prefix: Option<String> = "Prefix",
            /// Keys are grouped up to this text after the prefix.
            delimiter: Option<String> = "Delimiter",
            /// At most so many entries, 1,000 at most.
            max_keys: Option<u32> = "MaxKeys",
            /// The groups that `delimiter` makes.
            common_prefixes: Vec<CommonPrefix> = "CommonPrefixes",
            /// How keys are encoded in the answer; by default `url`, and decoded here.
            encoding_type: Option<EncodingType> = "EncodingType",
            /// How many entries this page has.
            key_count: Option<u32> = "KeyCount",
            /// The `continuation_token` of this page, if there was one.
            continuation_token: Option<String> = "ContinuationToken",
            /// What to give as `continuation_token` for the next page.
            next_continuation_token: Option<String> = "NextContinuationToken",
            /// Only keys after this.
            start_after: Option<String> = "StartAfter",
        }
    }
}

operation! {
    /// Lists the objects of a bucket by the older form (`ListObjects`), for stores without the newer one.
    list_objects ListObjects: GET [bucket] "" => Whole;
    query {
        /// Keys are grouped up to this text after the prefix.
        delimiter: Option<String> = "delimiter",
        /// How keys are encoded in the answer; by default `url`, and decoded here.
        encoding_type: Option<EncodingType> = "encoding-type",
        /// Only keys after this.
        marker: Option<String> = "marker",
        /// At most so many entries, 1,000 at most.
        max_keys: Option<u32> = "max-keys",
        /// Only what begins with this.
        prefix: Option<String> = "prefix",
    }
    header {
        /// Confirms that the requester pays.
        request_payer: Option<RequestPayer> = "x-amz-request-payer",
        /// Fail with `AccessDenied` unless this account owns the bucket.
        expected_bucket_owner: Option<String> = "x-amz-expected-bucket-owner",
        /// What else entries are to say, such as the state of a restore.
        optional_object_attributes: Vec<OptionalObjectAttributes> = "x-amz-optional-object-attributes",
    }
    prepare url_encode_keys;
    finish decode_v1;
    output ListObjectsOutput {
        header {
            /// Whether the requester was charged.
            request_charged: Option<RequestCharged> = "x-amz-request-charged",
        }
        body {
            /// Whether there is more.
            is_truncated: Option<bool> = "IsTruncated",
            /// Only keys after this.
            marker: Option<String> = "Marker",
            /// What to give as `marker` for the next page.
            next_marker: Option<String> = "NextMarker",
            /// The objects.
            contents: Vec<Object> = "Contents",
            /// The name of the bucket.
            name: Option<String> = "Name",
            /// Only what begins with this.
            prefix: Option<String> = "Prefix",
            /// Keys are grouped up to this text after the prefix.
            delimiter: Option<String> = "Delimiter",
            /// At most so many entries, 1,000 at most.
            max_keys: Option<u32> = "MaxKeys",
            /// The groups that `delimiter` makes.
            common_prefixes: Vec<CommonPrefix> = "CommonPrefixes",
            /// How keys are encoded in the answer; by default `url`, and decoded here.
            encoding_type: Option<EncodingType> = "EncodingType",
        }
    }
}

operation! {
    /// Lists versions and delete markers (`ListObjectVersions`).
    list_object_versions ListObjectVersions: GET [bucket] "versions" => Whole;
    query {
        /// Keys are grouped up to this text after the prefix.
        delimiter: Option<String> = "delimiter",
        /// How keys are encoded in the answer; by default `url`, and decoded here.
        encoding_type: Option<EncodingType> = "encoding-type",
        /// Only what comes after this key.
        key_marker: Option<String> = "key-marker",
        /// At most so many entries, 1,000 at most.
        max_keys: Option<u32> = "max-keys",
        /// Only what begins with this.
        prefix: Option<String> = "prefix",
        /// Only what comes after this version; goes with `key_marker`.
        version_id_marker: Option<String> = "version-id-marker",
    }
    header {
        /// Fail with `AccessDenied` unless this account owns the bucket.
        expected_bucket_owner: Option<String> = "x-amz-expected-bucket-owner",
        /// Confirms that the requester pays.
        request_payer: Option<RequestPayer> = "x-amz-request-payer",
        /// What else entries are to say, such as the state of a restore.
        optional_object_attributes: Vec<OptionalObjectAttributes> = "x-amz-optional-object-attributes",
    }
    prepare url_encode_keys;
    finish decode_versions;
    output ListObjectVersionsOutput {
        header {
            /// Whether the requester was charged.
            request_charged: Option<RequestCharged> = "x-amz-request-charged",
        }
        body {
            /// Whether there is more.
            is_truncated: Option<bool> = "IsTruncated",
            /// Only what comes after this key.
            key_marker: Option<String> = "KeyMarker",
            /// Only what comes after this version; goes with `key_marker`.
            version_id_marker: Option<String> = "VersionIdMarker",
            /// What to give as `key_marker` for the next page.
            next_key_marker: Option<String> = "NextKeyMarker",
            /// What to give as `version_id_marker` for the next page.
            next_version_id_marker: Option<String> = "NextVersionIdMarker",
            /// The versions of objects.
            versions: Vec<ObjectVersion> = "Version",
            /// The delete markers.
            delete_markers: Vec<DeleteMarkerEntry> = "DeleteMarker",
            /// The name of the bucket.
            name: Option<String> = "Name",
            /// Only what begins with this.
            prefix: Option<String> = "Prefix",
            /// Keys are grouped up to this text after the prefix.
            delimiter: Option<String> = "Delimiter",
            /// At most so many entries, 1,000 at most.
            max_keys: Option<u32> = "MaxKeys",
            /// The groups that `delimiter` makes.
            common_prefixes: Vec<CommonPrefix> = "CommonPrefixes",
            /// How keys are encoded in the answer; by default `url`, and decoded here.
            encoding_type: Option<EncodingType> = "EncodingType",
        }
    }
}

pub(super) fn listing_operations(all: &mut Vec<Description>) {
    all.extend([ListObjectsV2::description(), ListObjects::description(), ListObjectVersions::description()]);
}

/// Asks for keys in URL encoding unless told otherwise: raw control characters break the XML of a list.
#[allow(clippy::unnecessary_wraps)]
pub(super) fn url_encode_keys<O: Operation>(_: &O, draft: &mut Draft) -> Result<(), Error> {
    if !draft.query.contains("encoding-type=") {
        let uploads = O::NAME == super::ListMultipartUploads::NAME;
        draft.encodes_keys = Some(if uploads { KeysOf::Uploads } else { KeysOf::Objects });
    }
    Ok(())
}

/// Decodes these texts if the answer says that they are encoded. What only repeats the request stays as it is
/// where it cannot be decoded: SeaweedFS sends it raw.
macro_rules! decode {
    ($output:ident: $($texts:expr),*; echoed $($echoed:ident)*) => {
        if $output.encoding_type == Some(EncodingType::Url) {
            $(for text in $texts { uri_decode_query(text)?; })*
            $(if let Some(text) = &mut $output.$echoed { let _ = uri_decode_query(text); })*
        }
    };
}
pub(super) use decode;

fn decode_v2(_: &ListObjectsV2, out: &mut ListObjectsV2Output) -> Result<(), Error> {
    decode!(out:
        out.contents.iter_mut().map(|o| &mut o.key),
        out.common_prefixes.iter_mut().map(|p| &mut p.prefix);
        echoed prefix delimiter start_after
    );
    Ok(())
}

fn decode_v1(_: &ListObjects, out: &mut ListObjectsOutput) -> Result<(), Error> {
    decode!(out:
        out.contents.iter_mut().map(|o| &mut o.key),
        out.common_prefixes.iter_mut().map(|p| &mut p.prefix),
        out.next_marker.iter_mut();
        echoed prefix delimiter marker
    );
    Ok(())
}

fn decode_versions(_: &ListObjectVersions, out: &mut ListObjectVersionsOutput) -> Result<(), Error> {
    decode!(out:
        out.versions.iter_mut().map(|o| &mut o.key),
        out.delete_markers.iter_mut().map(|o| &mut o.key),
        out.common_prefixes.iter_mut().map(|p| &mut p.prefix),
        out.next_key_marker.iter_mut();
        echoed prefix delimiter key_marker
    );
    Ok(())
}

impl Paginated for ListObjectsV2 {
    type Entry = Object;

    fn next(&self, page: &ListObjectsV2Output) -> Option<Self> {
        let token = page.next_continuation_token.clone().filter(|_| page.is_truncated == Some(true))?;
        Some(Self { continuation_token: Some(token), ..self.clone() })
    }

    fn is_cut_short(page: &ListObjectsV2Output) -> bool {
        page.is_truncated == Some(true)
    }

    fn entries(page: ListObjectsV2Output) -> Vec<Object> {
        page.contents
    }
}

impl Paginated for ListObjects {
    type Entry = Object;

    /// Without a delimiter S3 sends no `NextMarker`: the last key is the marker.
    fn next(&self, page: &ListObjectsOutput) -> Option<Self> {
        if page.is_truncated != Some(true) {
            return None;
        }
        // S3 sends `NextMarker` only with a delimiter, and some stores never: then it is the last entry.
        let last_key = page.contents.last().map(|o| o.key.as_str());
        let last_prefix = page.common_prefixes.last().map(|p| p.prefix.as_str());
        let marker = page.next_marker.clone().or_else(|| last_key.max(last_prefix).map(str::to_owned))?;
        Some(Self { marker: Some(marker), ..self.clone() })
    }

    fn is_cut_short(page: &ListObjectsOutput) -> bool {
        page.is_truncated == Some(true)
    }

    fn entries(page: ListObjectsOutput) -> Vec<Object> {
        page.contents
    }
}

impl Paginated for ListObjectVersions {
    type Entry = ObjectVersion;

    fn next(&self, page: &ListObjectVersionsOutput) -> Option<Self> {
        let key_marker = page.next_key_marker.clone().filter(|_| page.is_truncated == Some(true))?;
        let version_id_marker = page.next_version_id_marker.clone().filter(|id| !id.is_empty());
        Some(Self { key_marker: Some(key_marker), version_id_marker, ..self.clone() })
    }

    fn is_cut_short(page: &ListObjectVersionsOutput) -> bool {
        page.is_truncated == Some(true)
    }

    fn entries(page: ListObjectVersionsOutput) -> Vec<ObjectVersion> {
        page.versions
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::etag::ETag;

    fn listed(entry: &str) -> Object {
        let page = format!("<ListBucketResult><Contents>{entry}</Contents></ListBucketResult>");
        let (head, ()) = http::Response::new(()).into_parts();
        ListObjectsV2::new("bucket").response(&head, page.as_bytes()).unwrap().contents.remove(0)
    }

    proptest! {
        #[test]
        fn elements_may_come_in_any_order(
            elements in Just(vec![
                "<Key>a&amp;b</Key>",
                "<LastModified>2025-11-12T10:11:12.000Z</LastModified>",
                "<ETag>&quot;9b2c&quot;</ETag>",
                "<ChecksumType/>",
                "<Size>7</Size>",
                "<StorageClass></StorageClass>",
                "<Owner><ID>me</ID></Owner>",
                "<New>thing</New>",
                "<Key2>c</Key2>",
            ])
            .prop_shuffle(),
            space in "[ \n]{0,1}",
        ) {
            let object = listed(&elements.join(&space));
            prop_assert_eq!(object.key, "a&b");
            prop_assert_eq!(object.last_modified.unwrap().to_string(), "2025-11-12T10:11:12Z");
            prop_assert_eq!(object.etag, Some(ETag::new("9b2c")));
            prop_assert_eq!(object.size, 7);
            prop_assert_eq!(object.owner.unwrap().id.unwrap(), "me");
        }
    }

    #[test]
    fn a_prefix_that_a_store_repeats_undecoded_does_not_spoil_the_list() {
        let page = b"<ListBucketResult><EncodingType>url</EncodingType><Prefix>per%cent</Prefix>\
            <IsTruncated>false</IsTruncated><Contents><Key>per%25cent+1</Key><Size>1</Size></Contents>\
            </ListBucketResult>";
        let (head, ()) = http::Response::new(()).into_parts();
        let output = ListObjectsV2::new("bucket").response(&head, page).unwrap();
        assert_eq!(output.prefix.as_deref(), Some("per%cent"));
        assert_eq!(output.contents[0].key, "per%cent 1");
    }

    #[test]
    fn a_page_that_is_cut_off_is_an_error_that_says_where_and_how_much_was_read() {
        let page =
            b"<ListBucketResult><Name>b</Name><Contents><Key>a</Key><Size>1</Size></Contents><Contents><Ke";
        let (head, ()) = http::Response::new(()).into_parts();
        let error = ListObjectsV2::new("bucket").response(&head, page).unwrap_err();
        assert!(error.message().contains("ListBucketResult/Contents"), "{error}");
        assert!(error.message().ends_with("(2 elements before it were read)"), "{error}");
    }
}
