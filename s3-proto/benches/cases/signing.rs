//! Signatures with a cached key, beside the hashing that they need.

use std::hint::black_box;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderValue, Method, Request};
use s3_proto::sign::{
    Explanation, KeyCache, PayloadHash, SigningParams, explain_headers, explain_presigned, presign,
    sign_headers,
};
use s3_proto::{Credentials, Timestamp};
use sha2::{Digest as _, Sha256};

use super::{Case, Work};

const DAY: Duration = Duration::from_secs(86_400);

pub fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "sign a GET",
            work: || get().sign(),
            // The values of `x-amz-date` and `authorization`.
            allocations: 2,
            floor: || get().hash_headers(),
            times: 1.3,
            bytes: 0,
        },
        Case {
            name: "sign a PUT with a known hash",
            work: || put().sign(),
            // Also the value of `x-amz-content-sha256`.
            allocations: 3,
            floor: || put().hash_headers(),
            times: 1.3,
            bytes: 0,
        },
        Case {
            name: "presign a GET",
            work: || get().presign(),
            // Path with query, and what shares it.
            allocations: 2,
            floor: || get().hash_presigned(),
            times: 1.5,
            bytes: 0,
        },
    ]
}

fn get() -> Signing {
    Signing::new(Method::GET, PayloadHash::EMPTY)
}

fn put() -> Signing {
    Signing::new(Method::PUT, PayloadHash::of(b"Hello"))
}

/// The hashing of an ordinary GET, which is what calls are compared with.
pub fn hash_a_get() -> Work {
    get().hash_headers()
}

struct Signing {
    request: Request<()>,
    payload: PayloadHash,
    credentials: Credentials,
    time: Timestamp,
    keys: KeyCache,
}

impl Signing {
    fn new(method: Method, payload: PayloadHash) -> Self {
        let uri = "https://examplebucket.s3.us-east-1.amazonaws.com/photos/2025/11/cat-picture-0001.jpg";
        let mut request = Request::builder().method(method).uri(uri).body(()).unwrap();
        // With room, as the operations make it.
        *request.headers_mut() = HeaderMap::with_capacity(16);
        if payload != PayloadHash::EMPTY {
            request.headers_mut().insert("content-type", HeaderValue::from_static("text/plain"));
        }
        Self {
            request,
            payload,
            credentials: Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
                .unwrap(),
            time: Timestamp::from_unix(1_369_353_600, 0).unwrap(),
            keys: KeyCache::new(),
        }
    }

    fn params(&mut self) -> SigningParams<'_> {
        let key = self.keys.get(&self.credentials, self.time, "us-east-1", "s3").unwrap();
        SigningParams::with_key(&self.credentials, key, self.time).unwrap()
    }

    fn sign(mut self) -> Work {
        Box::new(move || {
            let key = self.keys.get(&self.credentials, self.time, "us-east-1", "s3").unwrap();
            let params = SigningParams::with_key(&self.credentials, key, self.time).unwrap();
            black_box(sign_headers(&mut self.request, &self.payload, &params).unwrap());
        })
    }

    fn presign(mut self) -> Work {
        Box::new(move || {
            let key = self.keys.get(&self.credentials, self.time, "us-east-1", "s3").unwrap();
            let params = SigningParams::with_key(&self.credentials, key, self.time).unwrap();
            drop(black_box(presign(&self.request, &PayloadHash::Unsigned, DAY, &params).unwrap()));
        })
    }

    fn hash_headers(mut self) -> Work {
        let (request, payload) = (self.request.clone(), self.payload);
        hash(explain_headers(&request, &payload, &self.params()).unwrap())
    }

    fn hash_presigned(mut self) -> Work {
        let request = self.request.clone();
        hash(explain_presigned(&request, &PayloadHash::Unsigned, DAY, &self.params()).unwrap())
    }
}

/// SHA-256 of the canonical request and HMAC of the string to sign, both written already, with the key taken in.
fn hash(texts: Explanation) -> Work {
    let keyed = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap();
    Box::new(move || {
        black_box(Sha256::digest(black_box(&texts.canonical_request)));
        let mut mac = keyed.clone();
        mac.update(black_box(texts.string_to_sign.as_bytes()));
        black_box(mac.finalize());
    })
}
