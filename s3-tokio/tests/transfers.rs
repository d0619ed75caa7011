//! The driver against the embedded server.

// Helpers of tests are not known to be tests.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use s3_test_server::{Fault, Server};
use s3_tokio::{Client, Config, Credentials, ErrorKind, Phase, Source};
use tokio::io::AsyncReadExt as _;

async fn setup() -> (Client, Server) {
    let server = Server::builder().credentials("AKID", "SECRET").start().await.unwrap();
    let client = Client::new(config(&server)).unwrap();
    client.create_bucket("bucket").await.unwrap();
    server.clear_requests();
    (client, server)
}

fn config(server: &Server) -> Config {
    Config::new("us-east-1")
        .unwrap()
        .with_endpoint(server.endpoint())
        .unwrap()
        .with_credentials(Credentials::new("AKID", "SECRET").unwrap())
}

fn data(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect()
}

/// Connections close a moment after what held them is gone.
async fn wait_for(what: impl Fn() -> bool) {
    for _ in 0..100 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come about within a second");
}

#[tokio::test]
async fn bytes_files_readers_and_streams_arrive() {
    let (client, _server) = setup().await;
    let data = data(3_000_000);
    let path = std::env::temp_dir().join(format!("s3-tokio-transfers-{}", std::process::id()));
    std::fs::write(&path, &data).unwrap();
    let len = data.len() as u64;

    client.put_object("bucket", "bytes", data.clone()).await.unwrap();
    client.put_object("bucket", "file", Source::file(&path).await.unwrap()).await.unwrap();
    let reader = Source::reader(std::io::Cursor::new(data.clone()), len);
    client.put_object("bucket", "reader", reader).await.unwrap();
    let pieces: Vec<_> = data.chunks(77_777).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    client.put_object("bucket", "stream", Source::stream(stream::iter(pieces), len)).await.unwrap();

    for key in ["bytes", "file", "reader", "stream"] {
        let object = client.get_object("bucket", key).await.unwrap();
        assert_eq!(object.body.content_length(), Some(len));
        assert_eq!(object.body.collect().await.unwrap(), data, "{key}");
    }
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn a_body_is_read_in_every_way() {
    let (client, _server) = setup().await;
    let data = data(1_000_000);
    client.put_object("bucket", "key", data.clone()).await.unwrap();
    let body = async || client.get_object("bucket", "key").await.unwrap().body;

    let chunks: Vec<_> = body().await.map(Result::unwrap).collect().await;
    assert_eq!(chunks.concat(), data);

    let mut read = Vec::new();
    body().await.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, data);

    let mut copied = Vec::new();
    assert_eq!(body().await.copy_to(&mut copied).await.unwrap(), 1_000_000);
    assert_eq!(copied, data);

    let path = std::env::temp_dir().join(format!("s3-tokio-into-file-{}", std::process::id()));
    assert_eq!(body().await.into_file(&path).await.unwrap(), 1_000_000);
    assert_eq!(std::fs::read(&path).unwrap(), data);
    std::fs::remove_file(&path).unwrap();

    let part = client.get_object("bucket", "key").range(10..20).await.unwrap();
    assert_eq!(part.body.collect().await.unwrap(), data[10..20]);
}

#[tokio::test]
async fn an_empty_object_is_an_empty_body() {
    let (client, _server) = setup().await;
    client.put_object("bucket", "empty", "").await.unwrap();
    client.put_object("bucket", "empty source", Source::reader(&b""[..], 0)).await.unwrap();
    for key in ["empty", "empty source"] {
        let object = client.get_object("bucket", key).await.unwrap();
        assert_eq!(object.body.collect().await.unwrap(), "", "{key}");
    }
}

#[tokio::test]
async fn a_download_that_ends_early_is_an_error() {
    let (client, server) = setup().await;
    client.put_object("bucket", "key", data(1_000_000)).await.unwrap();
    // The rest is asked for in vain, too.
    server.on_request(|head| Some(Fault::CutBody(if head.header("range").is_none() { 100_000 } else { 0 })));
    let mut body = client.get_object("bucket", "key").await.unwrap().body;
    let error = loop {
        match body.next().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("a short body passed for a whole one"),
        }
    };
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TruncatedBody, Some(Phase::Body)));
    assert!(body.next().await.is_none(), "there is something after an error");

    let path = std::env::temp_dir().join(format!("s3-tokio-cut-{}", std::process::id()));
    let body = client.get_object("bucket", "key").await.unwrap().body;
    assert_eq!(body.into_file(&path).await.unwrap_err().kind(), ErrorKind::TruncatedBody);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_body_that_breaks_off_is_resumed_with_the_bytes_that_are_missing() {
    let (client, server) = setup().await;
    client.put_object("bucket", "key", data(1_000_000)).await.unwrap();
    server.clear_requests();
    server.on_request(|head| head.header("range").is_none().then_some(Fault::CutBody(300_000)));

    let body = client.get_object("bucket", "key").await.unwrap().body;
    assert_eq!(body.collect().await.unwrap(), data(1_000_000));

    let ranges: Vec<_> =
        server.requests().iter().map(|head| head.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges, [None, Some("bytes=300000-999999".to_owned())]);
}

#[tokio::test]
async fn nothing_is_read_before_it_is_asked_for_and_dropping_closes() {
    let (client, server) = setup().await;
    client.put_object("bucket", "key", data(20_000_000)).await.unwrap();
    let object = client.get_object("bucket", "key").await.unwrap();
    assert_eq!(object.body.received(), 0);
    assert_eq!(client.pool_stats().active, 1);
    drop(object);
    assert_eq!(client.pool_stats().active, 0);
    let pool = || client.pool_stats().open;
    wait_for(|| pool() <= 1 && server.open_connections() <= 1).await;
}

#[tokio::test]
async fn dropping_a_call_leaks_nothing() {
    let (client, server) = setup().await;
    server.on_request(|_| Some(Fault::Stall));
    let call = client.get_object("bucket", "key").send();
    assert!(tokio::time::timeout(Duration::from_millis(100), call).await.is_err());
    assert_eq!(client.pool_stats().active, 0);
    wait_for(|| server.open_connections() == 0).await;
}

#[tokio::test]
async fn a_failed_attempt_is_repeated_from_the_start_of_the_source() {
    let (client, server) = setup().await;
    let path = std::env::temp_dir().join(format!("s3-tokio-again-{}", std::process::id()));
    std::fs::write(&path, data(500_000)).unwrap();
    let mut left = 1;
    server.on_request(move |_| {
        left -= 1;
        (left >= 0).then(|| Fault::error(503, "SlowDown"))
    });
    client.put_object("bucket", "key", Source::file(&path).await.unwrap()).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(server.requests().len(), 2);
    let object = client.get_object("bucket", "key").await.unwrap();
    assert_eq!(object.body.collect().await.unwrap(), data(500_000));
}

#[tokio::test]
async fn a_source_that_fails_is_not_tried_again() {
    let (client, server) = setup().await;
    let pieces = [Ok(Bytes::from_static(b"half")), Err(std::io::Error::other("the disk is gone"))];
    let source = Source::stream(stream::iter(pieces), 8);
    let error = client.put_object("bucket", "key", source).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LocalIo);
    assert!(error.to_string().contains("the disk is gone"), "{error}");
    assert!(server.requests().len() <= 1);
}

#[tokio::test]
async fn pages_come_as_they_are_taken() {
    let (client, server) = setup().await;
    for i in 0..5 {
        client.put_object("bucket", format!("key-{i}"), "x").await.unwrap();
    }
    server.clear_requests();
    let mut pages = client.list_objects_v2("bucket").max_keys(2_u32).pages();
    let mut keys = Vec::new();
    let mut asked = 0;
    while let Some(page) = pages.next().await {
        keys.extend(page.unwrap().contents.into_iter().map(|object| object.key));
        asked += 1;
        assert_eq!(server.requests().len(), asked);
    }
    assert_eq!(keys, ["key-0", "key-1", "key-2", "key-3", "key-4"]);
    assert_eq!(asked, 3);
}

#[tokio::test]
async fn a_service_that_is_not_there() {
    let (client, server) = setup().await;
    server.shutdown().await;
    let error = client.head_bucket("bucket").await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Connect, Some(Phase::Connect)));
}

#[tokio::test]
async fn connections_are_opened_ahead() {
    let (client, server) = setup().await;
    client.warmup("bucket", 4).await.unwrap();
    assert!(server.accepted_connections() >= 2, "{}", server.accepted_connections());
    assert_eq!(client.pool_stats().active, 0);
}

#[tokio::test]
async fn many_calls_at_a_time_keep_to_the_limit() {
    let server = Server::builder().credentials("AKID", "SECRET").start().await.unwrap();
    let client = Client::builder(config(&server)).max_connections_per_host(3).build().unwrap();
    client.create_bucket("bucket").await.unwrap();
    let calls = (0..30).map(|i| client.put_object("bucket", format!("key-{i}"), "x").send());
    for result in futures_util::future::join_all(calls).await {
        result.unwrap();
    }
    assert!(server.accepted_connections() <= 6, "{}", server.accepted_connections());
}

#[tokio::test]
async fn phases_have_time_outs_of_their_own() {
    let server = Server::builder().credentials("AKID", "SECRET").start().await.unwrap();
    server.store().create_bucket("bucket", None);
    server.store().put("bucket", "key", data(1_000_000));
    let mut config = config(&server).with_max_attempts(1);
    config.timeouts.first_byte = Some(Duration::from_millis(200));
    config.timeouts.idle = Some(Duration::from_millis(200));
    let client = Client::new(config).unwrap();

    server.on_request(|_| Some(Fault::Stall));
    let error = client.get_object("bucket", "key").await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Timeout, Some(Phase::Wait)));

    server.on_request(|_| Some(Fault::StallBody(1000)));
    let body = client.get_object("bucket", "key").await.unwrap().body;
    let error = body.collect().await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Timeout, Some(Phase::Body)));

    // An operation on which the service is silent for long is a matter of the first byte alone.
    server.on_request(|_| Some(Fault::Delay(Duration::from_millis(100))));
    client.copy_object("bucket", "copy", ("bucket", "key")).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_got_lost_is_asked_for_again() {
    let (client, server) = setup().await;
    for fault in [Fault::Close, Fault::LoseResponse] {
        server.clear_requests();
        let mut fault = Some(fault);
        server.on_request(move |_| fault.take());
        client.put_object("bucket", "key", "data").await.unwrap();
        assert_eq!(server.requests().len(), 2);
    }
}

#[tokio::test]
async fn large_uploads_wait_for_consent_if_that_is_wanted() {
    let server = Server::builder().credentials("AKID", "SECRET").start().await.unwrap();
    let mut config = config(&server);
    config.expect_continue = Some(1000);
    let client = Client::new(config).unwrap();
    client.create_bucket("bucket").await.unwrap();
    client.put_object("bucket", "key", data(100_000)).await.unwrap();
    let put = server.requests().pop().unwrap();
    assert_eq!(put.header("expect"), Some("100-continue"));
    let body = client.get_object("bucket", "key").await.unwrap().body;
    assert_eq!(body.collect().await.unwrap(), data(100_000));
}

#[tokio::test]
async fn the_environment_configures_a_client() {
    let server = Server::builder().credentials("AKID", "SECRET").start().await.unwrap();
    server.store().create_bucket("bucket", None);
    let path = std::env::temp_dir().join(format!("s3-tokio-credentials-{}", std::process::id()));
    std::fs::write(&path, "[default]\naws_access_key_id = AKID\naws_secret_access_key = SECRET\n").unwrap();
    let endpoint = server.endpoint();
    let variables = [
        ("AWS_ENDPOINT_URL_S3", endpoint.as_str()),
        ("AWS_SHARED_CREDENTIALS_FILE", path.to_str().unwrap()),
        ("AWS_CONFIG_FILE", "/nowhere/at/all"),
    ];
    let environment =
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
    let client = Client::new(s3_tokio::load_config(environment).await.unwrap()).unwrap();
    // All of them wait for one look into the files.
    let calls = (0..5).map(|_| client.head_bucket("bucket").send());
    for answer in futures_util::future::join_all(calls).await {
        answer.unwrap();
    }
    std::fs::remove_file(&path).unwrap();
}
