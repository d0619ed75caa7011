//! Signatures that another program checks.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use s3_tokio::s3_proto::Timestamp;
use s3_tokio::s3_proto::sign::{self, PayloadHash, Presigned, SigningParams};
use s3_tokio::{Error, ErrorKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{HOUR, run};

/// Uses a presigned URL as a program would that knows nothing of S3; HTTP/1.0, so that answers have no chunks.
async fn plain_http(method: &str, url: &Presigned, body: &str) -> (u16, String) {
    assert_eq!(url.uri.scheme_str(), Some("http"), "these tests speak no TLS");
    let host = url.uri.authority().unwrap().as_str();
    let port = url.uri.port_u16().unwrap_or(80);
    let mut stream = TcpStream::connect((url.uri.host().unwrap(), port)).await.unwrap();
    let mut request = format!("{method} {} HTTP/1.0\r\nHost: {host}\r\n", url.uri.path_and_query().unwrap());
    for (name, value) in &url.headers {
        write!(request, "{name}: {}\r\n", value.to_str().unwrap()).unwrap();
    }
    write!(request, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn a_wrong_secret_is_refused() {
    run(async |t| {
        let client = t.with_secret("not-the-secret");
        let errors = [
            client.list_objects_v2(&t.bucket).await.map(drop),
            client.put_object(&t.bucket, "key", "data").await.map(drop),
        ];
        for error in errors {
            assert_eq!(error.unwrap_err().kind(), ErrorKind::SignatureDoesNotMatch);
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_presigned_url_reads() {
    run(async |t| {
        let key = "a key/with + and ü";
        t.put(key, "data").await?;
        let url = t.client.get_object(&t.bucket, key).presign(HOUR).await?;
        assert_eq!(plain_http("GET", &url, "").await, (200, "data".to_owned()));
        let url = t.with_secret("not-the-secret").get_object(&t.bucket, key).presign(HOUR).await?;
        assert_eq!(plain_http("GET", &url, "").await.0, 403);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_presigned_url_writes() {
    run(async |t| {
        let put = t.client.put_object(&t.bucket, "key", "").content_type("text/x-test");
        let url = put.presign(HOUR).await?;
        let (status, answer) = plain_http("PUT", &url, "data").await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(t.get("key").await?, b"data");
        let head = t.client.head_object(&t.bucket, "key").await?;
        assert_eq!(head.content_type.as_deref(), Some("text/x-test"));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_presigned_url_expires() {
    run(async |t| {
        t.put("key", "data").await?;
        let url = t.client.get_object(&t.bucket, "key").presign(HOUR).await?.uri.to_string();
        let request = http::Request::get(url.split_once('?').unwrap().0).body(()).unwrap();
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let now = Timestamp::from_unix(i64::try_from(now).unwrap(), 0).unwrap();
        let at = |time, expires| -> Result<Presigned, Error> {
            let params = SigningParams::new(&t.credentials, &t.region, "s3", time)?;
            sign::presign(&request, &PayloadHash::Unsigned, expires, &params)
        };
        let minute = Duration::from_mins(1);
        let (live, dead) = (at(now.saturating_sub(minute), HOUR)?, at(now.saturating_sub(HOUR), minute)?);
        assert_eq!(plain_http("GET", &live, "").await, (200, "data".to_owned()));
        assert_eq!(plain_http("GET", &dead, "").await.0, 403);
        Ok(())
    })
    .await;
}
