//! For an instruction counter: `sign_get sign N` signs a GET N times with a cached key, `sign_get hash N`
//! does only the hashing that this needs, `sign_get nothing N` prepares the requests alone.
//!
//! ```text
//! valgrind --tool=callgrind target/release/examples/sign_get sign 1000
//! ```
#![forbid(unsafe_code)]

use std::error::Error;
use std::hint::black_box;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderValue, Request};
use s3_proto::sign::{KeyCache, PayloadHash, SigningParams, explain_headers, sign_headers};
use s3_proto::{Credentials, Timestamp};
use sha2::{Digest as _, Sha256};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let mode = args.next().unwrap_or_default();
    let count: u32 = args.next().unwrap_or_default().parse()?;

    let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")?;
    let time = Timestamp::from_unix(1_369_353_600, 0).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut cache = KeyCache::new();
    let key = cache.get(&credentials, time, "us-east-1", "s3")?;
    let params = SigningParams::with_key(&credentials, key, time)?;
    let explained = explain_headers(&request()?, &PayloadHash::EMPTY, &params)?;
    let mac = Hmac::<Sha256>::new_from_slice(&[7; 32])?;

    for _ in 0..count {
        match mode.as_str() {
            "sign" => {
                let mut request = request()?;
                let key = cache.get(&credentials, time, "us-east-1", "s3")?;
                let params = SigningParams::with_key(&credentials, key, time)?;
                sign_headers(&mut request, &PayloadHash::EMPTY, &params)?;
                black_box(request);
            }
            "hash" => {
                black_box(Sha256::digest(black_box(&explained.canonical_request)));
                let mut mac = mac.clone();
                mac.update(black_box(explained.string_to_sign.as_bytes()));
                black_box(mac.finalize());
            }
            _ => drop(black_box(request()?)),
        }
    }
    Ok(())
}

fn request() -> Result<Request<()>, http::Error> {
    let uri = "https://bucket.s3.us-east-1.amazonaws.com/folder/key.txt?x-id=GetObject";
    let mut request = Request::get(uri).body(())?;
    *request.headers_mut() = HeaderMap::with_capacity(16);
    request.headers_mut().insert("range", HeaderValue::from_static("bytes=0-1023"));
    Ok(request)
}
