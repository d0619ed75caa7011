//! Object keys that are easily got wrong.

use s3_proto::ops::{GetObject, ListObjectsV2, Operation, PutObject};
use serde_json::Value;

use crate::List;
use crate::drive::{Response, request};
use crate::tally::{Outcome, Tally, Verdict, fail, items, same, text};

pub(crate) const LISTS: &[List] = &[
    ("names.json", "keys", |groups| {
        let mut tally = Tally::default();
        for group in groups.as_array().into_iter().flatten() {
            for key in items(group, "keys") {
                tally.count(&key.to_string(), valid(key));
            }
        }
        tally
    }),
    ("names.json", "paths_on_the_wire", |cases| Tally::of(cases, path)),
    ("names.json", "list_encoding_type_url", |case| {
        let mut tally = Tally::default();
        tally.count("list", listed(case));
        tally
    }),
];

/// The path that reads and writes of this key have on the wire.
fn wire_path(key: &str) -> Result<String, Verdict> {
    let put = request(PutObject::new("bucket", key, s3_proto::Payload::Empty))?;
    // The answer to a get is streamed, its request is like any other.
    let get = request(GetObject::new("bucket", key))?;
    same("path of a get", put.uri().path(), get.uri().path())?;
    Ok(put.uri().path().to_owned())
}

/// The key is taken, and a server that decodes the path once has it again.
fn valid(key: &Value) -> Outcome {
    let key = key.as_str().ok_or_else(|| fail("a text", key.to_string()))?;
    let path = wire_path(key)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/%".contains(&b);
    if let Some(byte) = path.bytes().find(|b| !plain(*b)) {
        return Err(fail("a path without reserved characters", format!("{path} with {byte:#x}")));
    }
    let mut decoded = Vec::new();
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits: String = bytes.by_ref().take(2).map(char::from).collect();
            let value = u8::from_str_radix(&digits, 16);
            decoded.push(value.map_err(|e| fail("two hexadecimal digits", e.to_string()))?);
        } else {
            decoded.push(byte);
        }
    }
    same("key", format!("/{key}").as_bytes(), decoded.as_slice())
}

fn path(case: &Value) -> Outcome {
    same("path", text(case, "path")?, &wire_path(text(case, "key")?)?)
}

fn listed(case: &Value) -> Outcome {
    let strings = |name: &str| items(case, name).iter().filter_map(Value::as_str).collect::<Vec<_>>();
    let keys: Vec<String> = strings("keys_returned")
        .iter()
        .map(|key| format!("<Contents><Key>{key}</Key><Size>0</Size></Contents>"))
        .collect();
    let prefixes: Vec<String> = strings("prefixes_returned")
        .iter()
        .map(|prefix| format!("<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>"))
        .collect();
    let body = format!(
        "<ListBucketResult><EncodingType>url</EncodingType>{}{}</ListBucketResult>",
        keys.concat(),
        prefixes.concat()
    );
    let answer = Response::new(200, &[], &body)?;
    let output = ListObjectsV2::new("bucket").response(&answer.head, &answer.body)?;

    let put = strings("keys_put");
    let mut keys: Vec<&str> = put.iter().copied().filter(|key| !key.contains('/')).collect();
    let mut prefixes: Vec<&str> =
        put.iter().filter_map(|key| key.find('/').and_then(|end| key.get(..=end))).collect();
    keys.sort_unstable();
    prefixes.sort_unstable();
    prefixes.dedup();
    let mut got: Vec<&str> = output.contents.iter().map(|object| object.key.as_str()).collect();
    got.sort_unstable();
    same("keys", &keys, &got)?;
    let mut got: Vec<&str> = output.common_prefixes.iter().map(|p| p.prefix.as_str()).collect();
    got.sort_unstable();
    same("prefixes", &prefixes, &got)
}
