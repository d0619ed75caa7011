//! Signing is on the path of every request: what it takes from the allocator is counted.

use http::{HeaderMap, Request};
use s3_proto::sign::{KeyCache, PayloadHash, SigningParams, sign_headers};
use s3_proto::{Credentials, Timestamp};

#[test]
fn a_get_with_a_cached_key_takes_two_allocations() {
    let credentials =
        Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").unwrap();
    let time = Timestamp::from_unix(1_369_353_600, 0).unwrap();
    let mut cache = KeyCache::new();
    cache.get(&credentials, time, "us-east-1", "s3").unwrap();
    // With room in the header map, as the operations make it.
    let uri = "https://bucket.s3.us-east-1.amazonaws.com/folder/key.txt?x-id=GetObject";
    let mut request = Request::get(uri).body(()).unwrap();
    *request.headers_mut() = HeaderMap::with_capacity(16);
    request.headers_mut().insert("range", "bytes=0-1023".parse().unwrap());

    let counted = allocation_counter::measure(|| {
        let key = cache.get(&credentials, time, "us-east-1", "s3").unwrap();
        let params = SigningParams::with_key(&credentials, key, time).unwrap();
        sign_headers(&mut request, &PayloadHash::EMPTY, &params).unwrap();
    });
    // The values of `x-amz-date` and `authorization`.
    assert_eq!(counted.count_total, 2, "{counted:?}");
}
