//! The driver against the embedded server.

// Helpers of tests are not known to be tests.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use s3_blocking::{Cancel, Client, Config, Credentials, ErrorKind, Phase, Source};
use s3_test_server::{Fault, Server};

fn setup() -> (Client, Server) {
    let server = server();
    let client = Client::new(config(&server)).unwrap();
    client.create_bucket("bucket").send().unwrap();
    server.clear_requests();
    (client, server)
}

fn server() -> Server {
    Server::builder().credentials("AKID", "SECRET").start_in_thread().unwrap()
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

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("s3-blocking-{name}-{}", std::process::id()))
}

/// The server sees a moment later that a connection is closed.
fn wait_for(what: impl Fn() -> bool) {
    for _ in 0..200 {
        if what() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("it did not come about within two seconds");
}

fn get(client: &Client, key: &str) -> s3_blocking::Body {
    client.get_object("bucket", key).send().unwrap().body
}

#[test]
fn bytes_files_and_readers_of_any_size_arrive_and_come_back() {
    let (client, _server) = setup();
    for len in [0, 1, 256 * 1024, 5 * 1024 * 1024 + 1] {
        let data = data(len);
        let path = path("transfers");
        std::fs::write(&path, &data).unwrap();

        client.put_object("bucket", "bytes", data.clone()).send().unwrap();
        client.put_object("bucket", "file", Source::file(&path).unwrap()).send().unwrap();
        let reader = Source::reader(io::Cursor::new(data.clone()), len as u64);
        client.put_object("bucket", "reader", reader).send().unwrap();
        std::fs::remove_file(&path).unwrap();

        for key in ["bytes", "file", "reader"] {
            let body = get(&client, key);
            assert_eq!(body.content_length(), Some(len as u64));
            assert!(body.collect().unwrap() == data, "{len} bytes of {key}");

            let mut read = Vec::new();
            assert_eq!(get(&client, key).read_to_end(&mut read).unwrap(), len);
            assert!(read == data, "{len} bytes of {key}");
        }
    }
    assert_eq!(client.pool_stats().open, 1, "one connection did it all");
}

#[test]
fn a_body_is_read_in_every_way() {
    let (client, _server) = setup();
    let data = data(1_000_000);
    client.put_object("bucket", "key", data.clone()).send().unwrap();

    let pieces: Result<Vec<_>, _> = get(&client, "key").into_iter().collect();
    assert_eq!(pieces.unwrap().concat(), data);

    let mut start = Vec::new();
    get(&client, "key").take(1000).read_to_end(&mut start).unwrap();
    assert_eq!(start, data[..1000]);

    let mut copied = Vec::new();
    assert_eq!(get(&client, "key").copy_to(&mut copied).unwrap(), 1_000_000);
    assert_eq!(copied, data);

    let path = path("into-file");
    assert_eq!(get(&client, "key").into_file(&path).unwrap(), 1_000_000);
    assert_eq!(std::fs::read(&path).unwrap(), data);
    std::fs::remove_file(&path).unwrap();

    let part = client.get_object("bucket", "key").range(10..20).send().unwrap();
    assert_eq!(part.body.collect().unwrap(), data[10..20]);
}

#[test]
fn a_body_is_uploaded_while_it_is_downloaded() {
    let (client, _server) = setup();
    client.put_object("bucket", "from", data(1_000_000)).send().unwrap();
    let body = get(&client, "from");
    let source = Source::reader(body, 1_000_000);
    client.put_object("bucket", "to", source).send().unwrap();
    assert_eq!(get(&client, "to").collect().unwrap(), data(1_000_000));
}

#[test]
fn a_single_request_refuses_a_source_of_unknown_length() {
    let (client, server) = setup();
    let source = Source::unsized_reader(&b"data"[..]);
    let error = client.put_object("bucket", "key", source).send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(server.requests().is_empty());
}

#[test]
fn a_download_that_ends_early_every_time_is_an_error() {
    let (client, server) = setup();
    client.put_object("bucket", "key", data(1_000_000)).send().unwrap();
    server.on_request(|head| (head.method == "GET").then_some(Fault::CutBody(0)));
    let mut body = get(&client, "key");
    let error = loop {
        match body.next() {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("a short body passed for a whole one"),
        }
    };
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TruncatedBody, Some(Phase::Body)));
    assert!(body.next().is_none(), "there is something after an error");

    let path = path("cut");
    let error = get(&client, "key").into_file(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TruncatedBody);
    assert!(!path.exists() && !path.with_extension("part").exists());
    assert_eq!(client.pool_stats().active, 0);
}

#[test]
fn a_download_that_is_cut_once_goes_on_where_it_was() {
    let (client, server) = setup();
    client.put_object("bucket", "key", data(1_000_000)).send().unwrap();
    server.clear_requests();
    let mut cut = Some(Fault::CutBody(300_000));
    server.on_request(move |_| cut.take());
    let mut body = get(&client, "key");
    let mut all = Vec::new();
    body.read_to_end(&mut all).unwrap();
    assert_eq!(all, data(1_000_000));
    assert_eq!(body.received(), 1_000_000);
    let ranges: Vec<_> =
        server.requests().iter().map(|head| head.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges, [None, Some("bytes=300000-999999".to_owned())]);
}

#[test]
fn nothing_is_read_before_it_is_asked_for_and_dropping_closes() {
    let (client, server) = setup();
    client.put_object("bucket", "key", data(5_000_000)).send().unwrap();
    let mut object = client.get_object("bucket", "key").send().unwrap();
    assert_eq!(object.body.received(), 0);
    assert_eq!(client.pool_stats().active, 1);
    object.body.read_exact(&mut [0; 1000]).unwrap();
    drop(object);
    assert_eq!((client.pool_stats().active, client.pool_stats().open), (0, 0));
    wait_for(|| server.open_connections() == 0);

    // Whoever comes next has a connection without the rest of that body.
    client.put_object("bucket", "small", "small").send().unwrap();
    assert_eq!(get(&client, "small").collect().unwrap(), "small");
}

#[test]
fn a_failed_attempt_is_repeated_from_the_start_of_the_source() {
    let (client, server) = setup();
    let path = path("again");
    std::fs::write(&path, data(500_000)).unwrap();
    let mut fault = Some(Fault::error(503, "SlowDown"));
    server.on_request(move |_| fault.take());
    client.put_object("bucket", "key", Source::file(&path).unwrap()).send().unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(server.requests().len(), 2);
    assert_eq!(get(&client, "key").collect().unwrap(), data(500_000));
}

/// Gives some bytes, and then an error.
struct Failing(usize);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::other("the disk is gone"));
        }
        let read = self.0.min(buffer.len());
        self.0 -= read;
        Ok(read)
    }
}

#[test]
fn a_source_that_fails_is_not_tried_again() {
    let (client, server) = setup();
    let error = client.put_object("bucket", "key", Source::reader(Failing(4), 8)).send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LocalIo);
    assert!(error.to_string().contains("the disk is gone"), "{error}");
    assert!(server.requests().len() <= 1);
    let error = client.put_object("bucket", "key", Source::reader(&b"half"[..], 8)).send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LocalIo);
}

#[test]
fn pages_come_as_they_are_taken() {
    let (client, server) = setup();
    for i in 0..5 {
        client.put_object("bucket", format!("key-{i}"), "x").send().unwrap();
    }
    server.clear_requests();
    let mut keys = Vec::new();
    for (asked, page) in client.list_objects_v2("bucket").max_keys(2_u32).pages().enumerate() {
        keys.extend(page.unwrap().contents.into_iter().map(|object| object.key));
        assert_eq!(server.requests().len(), asked + 1);
    }
    assert_eq!(keys, ["key-0", "key-1", "key-2", "key-3", "key-4"]);
    let all: Result<Vec<_>, _> =
        client.list_all_objects("bucket").map(|object| object.map(|object| object.key)).collect();
    assert_eq!(all.unwrap(), keys);
}

#[test]
fn errors_say_what_happened() {
    let (client, server) = setup();
    let missing = client.get_object("bucket", "missing").send().unwrap_err();
    assert_eq!((missing.kind(), missing.status().map(|s| s.as_u16())), (ErrorKind::NoSuchKey, Some(404)));
    assert!(!client.object_exists("bucket", "missing").unwrap());
    let nowhere = client.list_objects_v2("nowhere").send().unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::NoSuchBucket);
    let wrong = config(&server).with_credentials(Credentials::new("AKID", "WRONG").unwrap());
    let wrong = Client::new(wrong).unwrap().head_bucket("bucket").send().unwrap_err();
    assert_eq!(wrong.status().map(|s| s.as_u16()), Some(403));
    let invalid = client.get_object("bucket", "").send().unwrap_err();
    assert_eq!(invalid.kind(), ErrorKind::InvalidInput);

    drop(server);
    let gone = client.head_bucket("bucket").send().unwrap_err();
    assert_eq!((gone.kind(), gone.phase()), (ErrorKind::Connect, Some(Phase::Connect)));
}

#[test]
fn a_presigned_url_is_for_anybody() {
    let (client, _server) = setup();
    client.put_object("bucket", "key", "for anybody").send().unwrap();
    let presigned = client.get_object("bucket", "key").presign(Duration::from_secs(60)).unwrap();
    let mut answer = ureq::get(presigned.uri.to_string()).call().unwrap();
    assert_eq!(answer.body_mut().read_to_string().unwrap(), "for anybody");
}

#[test]
fn connections_are_opened_ahead() {
    let (client, server) = setup();
    server.on_request(|_| Some(Fault::Delay(Duration::from_millis(50))));
    client.warmup("bucket", 4).unwrap();
    assert!(server.accepted_connections() >= 4, "{}", server.accepted_connections());
    assert_eq!(client.pool_stats().active, 0);
    assert!(client.pool_stats().idle >= 3);
}

#[test]
fn many_calls_at_a_time_keep_to_the_limit() {
    let server = server();
    let client = Client::builder(config(&server)).max_connections_per_host(8).build().unwrap();
    client.create_bucket("bucket").send().unwrap();
    thread::scope(|scope| {
        for i in 0..64 {
            let client = &client;
            scope.spawn(move || {
                let (key, data) = (format!("key-{i}"), data(10_000 + i));
                client.put_object("bucket", &key, data.clone()).send().unwrap();
                assert!(get(client, &key).collect().unwrap() == data, "{key}");
            });
        }
    });
    assert!(server.accepted_connections() <= 8, "{}", server.accepted_connections());
    assert_eq!(client.pool_stats().active, 0);
    assert_eq!(client.list_all_objects("bucket").count(), 64);
}

#[test]
fn phases_have_time_outs_of_their_own() {
    let server = server();
    server.store().create_bucket("bucket", None);
    server.store().put("bucket", "key", data(1_000_000));
    let mut config = config(&server).with_max_attempts(1);
    config.timeouts.first_byte = Some(Duration::from_millis(200));
    config.timeouts.idle = Some(Duration::from_millis(200));
    let client = Client::new(config).unwrap();

    server.on_request(|_| Some(Fault::Stall));
    let error = client.get_object("bucket", "key").send().unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Timeout, Some(Phase::Wait)));

    server.on_request(|_| Some(Fault::StallBody(1000)));
    let error = get(&client, "key").collect().unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Timeout, Some(Phase::Body)));

    // An operation on which the service is silent for long is a matter of the first byte alone.
    server.on_request(|_| Some(Fault::Delay(Duration::from_millis(100))));
    client.copy_object("bucket", "copy", ("bucket", "key")).send().unwrap();
}

#[test]
fn a_call_as_a_whole_has_a_time_limit_that_ends_reading() {
    let server = server();
    server.store().create_bucket("bucket", None);
    let mut config = config(&server);
    config.operation_timeout = Some(Duration::from_millis(200));
    let client = Client::new(config).unwrap();
    for fault in [Fault::Stall, Fault::StallBody(10)] {
        server.on_request(move |_| Some(fault.clone()));
        let began = Instant::now();
        let error = client.list_objects_v2("bucket").send().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(began.elapsed() < Duration::from_secs(2));
        assert_eq!((client.pool_stats().active, client.pool_stats().open), (0, 0));
    }
}

#[test]
fn an_answer_that_got_lost_is_asked_for_again() {
    let (client, server) = setup();
    for fault in [Fault::Close, Fault::LoseResponse, Fault::error(503, "SlowDown")] {
        server.clear_requests();
        let mut fault = Some(fault);
        server.on_request(move |_| fault.take());
        client.put_object("bucket", "key", "data").send().unwrap();
        assert_eq!(server.requests().len(), 2);
    }
}

#[test]
fn large_uploads_wait_for_consent_if_that_is_wanted() {
    let server = server();
    let mut config = config(&server);
    config.expect_continue = Some(1000);
    let client = Client::new(config).unwrap();
    client.create_bucket("bucket").send().unwrap();
    let began = Instant::now();
    client.put_object("bucket", "key", data(100_000)).send().unwrap();
    assert!(began.elapsed() < Duration::from_millis(900), "it did not wait for the time-out");
    assert_eq!(server.requests().pop().unwrap().header("expect"), Some("100-continue"));
    assert_eq!(get(&client, "key").collect().unwrap(), data(100_000));
}

#[test]
fn the_environment_configures_a_client_whose_calls_share_credentials() {
    let server = server();
    server.store().create_bucket("bucket", None);
    let path = path("credentials");
    std::fs::write(&path, "[default]\naws_access_key_id = AKID\naws_secret_access_key = SECRET\n").unwrap();
    let endpoint = server.endpoint();
    let variables = [
        ("AWS_ENDPOINT_URL_S3", endpoint.as_str()),
        ("AWS_SHARED_CREDENTIALS_FILE", path.to_str().unwrap()),
        ("AWS_CONFIG_FILE", "/nowhere/at/all"),
    ];
    let environment =
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
    let client = Client::new(s3_blocking::load_config(environment).unwrap()).unwrap();
    // All of them wait for one look into the files.
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| client.head_bucket("bucket").send().unwrap());
        }
    });
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_call_that_hangs_is_cancelled_from_another_thread() {
    let (client, server) = setup();
    client.put_object("bucket", "key", data(1_000_000)).send().unwrap();
    let cancel = Cancel::new();
    let calls = client.with_cancel(&cancel);

    // Bodies that are being read end as well.
    server.on_request(|_| Some(Fault::StallBody(10)));
    let mut body = get(&calls, "key");
    server.on_request(|_| Some(Fault::Stall));
    let (say, said) = mpsc::channel();
    thread::scope(|scope| {
        let reading = say.clone();
        scope.spawn(move || reading.send(body.read_to_end(&mut Vec::new()).unwrap_err()).unwrap());
        let calling = &calls;
        scope.spawn(move || {
            let error = calling.put_object("bucket", "key", data(10)).send().unwrap_err();
            say.send(io::Error::other(error)).unwrap();
        });
        wait_for(|| server.requests().len() >= 3);
        let began = Instant::now();
        cancel.cancel();
        for error in &said {
            let error = error.get_ref().unwrap().downcast_ref::<s3_blocking::Error>().unwrap();
            assert_eq!(error.kind(), ErrorKind::Cancelled);
        }
        assert!(began.elapsed() < Duration::from_secs(1));
    });
    assert_eq!((client.pool_stats().active, client.pool_stats().open), (0, 0));
    wait_for(|| server.open_connections() == 0);

    server.clear_requests();
    server.clear_hook();
    assert_eq!(calls.head_bucket("bucket").send().unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(server.requests().is_empty(), "a handle that was used stays used");
    client.head_bucket("bucket").send().unwrap();
}
