//! Signatures that another program checks.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use http::{Method, Uri};
use s3_proto::Timestamp;
use s3_proto::ops::Delete;
use s3_proto::sign::{self, PayloadHash, PostPolicy, Presigned, PresignedPost, SigningParams};
use s3_proto::{Error, ErrorKind};

use crate::harness::{HOUR, Harness, Outcome, World, scenarios};

scenarios! {
    a_wrong_secret_is_refused,
    a_presigned_url_reads,
    a_presigned_url_writes,
    a_presigned_url_deletes_many,
    a_presigned_url_expires,
    a_form_uploads_what_its_policy_allows,
}

/// Uses a presigned URL as a program would that knows nothing of S3; HTTP/1.0, so that answers have no chunks.
fn plain_http(url: &Presigned, body: &str) -> (u16, String) {
    let headers = url.headers.iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()));
    send_plainly(&url.method, &url.uri, &headers.collect::<String>(), body)
}

fn send_plainly(method: &Method, uri: &Uri, headers: &str, body: &str) -> (u16, String) {
    assert_eq!(uri.scheme_str(), Some("http"), "these tests speak no TLS");
    let host = uri.authority().unwrap().as_str();
    let mut stream = TcpStream::connect((uri.host().unwrap(), uri.port_u16().unwrap_or(80))).unwrap();
    let target = uri.path_and_query().unwrap();
    let mut request = Vec::from(format!("{method} {target} HTTP/1.0\r\nHost: {host}\r\n{headers}"));
    write!(request, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    stream.write_all(&request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Posts the form as a browser does, with a file of this content.
fn post(signed: &PresignedPost, content: &str) -> (u16, String) {
    let mut body = String::new();
    for (name, value) in &signed.form.fields {
        body.push_str(&format!(
            "--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    }
    body.push_str("--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"cat.txt\"\r\n");
    body.push_str(&format!("Content-Type: text/plain\r\n\r\n{content}\r\n--edge--\r\n"));
    send_plainly(&Method::POST, &signed.uri, "Content-Type: multipart/form-data; boundary=edge\r\n", &body)
}

fn a_wrong_secret_is_refused<H: Harness>(t: &World<H>) -> Outcome {
    let client = t.with_secret("not-the-secret");
    let errors = [
        t.send(client.list_objects_v2(&t.bucket)).map(drop),
        t.send(client.put_object(&t.bucket, "key", "data")).map(drop),
    ];
    for error in errors {
        assert_eq!(error.unwrap_err().kind(), ErrorKind::SignatureDoesNotMatch);
    }
    Ok(())
}

fn a_presigned_url_reads<H: Harness>(t: &World<H>) -> Outcome {
    let key = "a key/with + and ü";
    t.put(key, "data")?;
    let url = t.wait(t.client.get_object(&t.bucket, key).presign(HOUR))?;
    assert_eq!(plain_http(&url, ""), (200, "data".to_owned()));
    let url = t.wait(t.with_secret("not-the-secret").get_object(&t.bucket, key).presign(HOUR))?;
    assert_eq!(plain_http(&url, "").0, 403);
    Ok(())
}

fn a_presigned_url_writes<H: Harness>(t: &World<H>) -> Outcome {
    let put = t.client.put_object(&t.bucket, "key", "").content_type("text/x-test");
    let url = t.wait(put.presign(HOUR))?;
    let (status, answer) = plain_http(&url, "data");
    assert_eq!(status, 200, "{answer}");
    assert_eq!(t.get("key")?, "data");
    let head = t.send(t.client.head_object(&t.bucket, "key"))?;
    assert_eq!(head.content_type.as_deref(), Some("text/x-test"));
    Ok(())
}

/// Any operation can be presigned; its document comes with the URL.
fn a_presigned_url_deletes_many<H: Harness>(t: &World<H>) -> Outcome {
    for key in ["a", "b", "c"] {
        t.put(key, "data")?;
    }
    let url = t.wait(t.client.delete_objects(&t.bucket, Delete::keys(["a", "c"])).presign(HOUR))?;
    let (status, answer) = plain_http(&url, std::str::from_utf8(&url.body).unwrap());
    assert_eq!(status, 200, "{answer}");
    assert_eq!(t.keys()?, ["b"]);
    Ok(())
}

fn a_presigned_url_expires<H: Harness>(t: &World<H>) -> Outcome {
    t.put("key", "data")?;
    let url = t.wait(t.client.get_object(&t.bucket, "key").presign(HOUR))?.uri.to_string();
    let request = http::Request::get(url.split_once('?').unwrap().0).body(()).unwrap();
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let now = Timestamp::from_unix(i64::try_from(now).unwrap(), 0).unwrap();
    let at = |time, expires| -> Result<Presigned, Error> {
        let params = SigningParams::new(&t.credentials, &t.region, "s3", time)?;
        sign::presign(&request, &PayloadHash::Unsigned, expires, &params)
    };
    let minute = Duration::from_mins(1);
    let (live, dead) = (at(now.saturating_sub(minute), HOUR)?, at(now.saturating_sub(HOUR), minute)?);
    assert_eq!(plain_http(&live, ""), (200, "data".to_owned()));
    assert_eq!(plain_http(&dead, "").0, 403);
    Ok(())
}

fn a_form_uploads_what_its_policy_allows<H: Harness>(t: &World<H>) -> Outcome {
    if t.external {
        // Not every store takes forms.
        return Ok(());
    }
    let policy =
        || PostPolicy::lasting(HOUR).key("user/cat").content_length_range(1, 10).success_action_status(204);
    let signed = t.wait(t.client.post_policy(&t.bucket, policy()))?;
    let (status, answer) = post(&signed, "a cat");
    assert_eq!(status, 204, "{answer}");
    assert_eq!(t.get("user/cat")?, "a cat");
    let (status, answer) = post(&signed, "far too much of a cat");
    assert_eq!(status, 400, "{answer}");
    let forged = t.wait(t.with_secret("not-the-secret").post_policy(&t.bucket, policy()))?;
    assert_eq!(post(&forged, "a dog").0, 403);
    assert_eq!(t.get("user/cat")?, "a cat");
    Ok(())
}
