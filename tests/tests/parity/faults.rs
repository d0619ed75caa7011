//! What goes wrong on the way, and what the driver and the core make of it together.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use s3_io::Cancel;
use s3_proto::{Config, Error, ErrorKind, Phase};
use s3_test_server::{Credentials, Fault, RequestHead, Server, WrongRegion};

use crate::harness::{Harness, Outcome, World, data, scenarios};

scenarios! {
    a_failure_that_passes_is_repeated,
    a_failure_that_stays_says_how_often_it_was_tried,
    a_lost_answer_is_asked_for_again,
    a_host_that_does_not_exist_is_not_asked_again,
    a_port_where_nobody_listens_is_an_error_of_its_own,
    a_service_that_does_not_answer_is_not_waited_for,
    a_copy_that_takes_no_end_is_given_up,
    a_body_that_stalls_is_not_waited_for,
    a_handshake_that_hangs_is_not_waited_for,
    a_connection_that_does_not_come_free_is_not_waited_for,
    a_call_with_all_its_attempts_has_a_limit,
    a_body_that_breaks_off_is_resumed,
    a_body_that_always_breaks_off_is_an_error,
    a_body_that_is_left_does_not_reach_the_next_call,
    a_call_is_cancelled_from_outside,
    a_handle_that_was_used_ends_later_calls_at_once,
    a_bucket_in_another_region_is_found,
    data_that_can_be_read_once_goes_to_where_the_bucket_is,
    credentials_that_expire_are_fetched_anew,
}

const SHORT: Option<Duration> = Some(Duration::from_millis(200));

/// Does this to the first `times` requests that are not about the bucket itself.
fn first(times: usize, fault: Fault) -> impl FnMut(&RequestHead) -> Option<Fault> + Send + 'static {
    let mut left = times;
    move |_| {
        left = left.checked_sub(1)?;
        Some(fault.clone())
    }
}

/// One attempt, with these time-outs.
fn impatient<H: Harness>(t: &World<H>, change: impl FnOnce(&mut Config)) -> H::Client {
    t.client_with(|config, _| {
        config.retry.max_attempts = 1;
        change(config);
    })
}

fn is(error: &Error, kind: ErrorKind, phase: Phase) {
    assert_eq!((error.kind(), error.phase()), (kind, Some(phase)), "{error}");
}

fn a_failure_that_passes_is_repeated<H: Harness>(t: &World<H>) -> Outcome {
    t.server().on_request(first(2, Fault::error(503, "InternalError")));
    t.put("key", "data")?;
    assert_eq!(t.server().requests().len(), 3);
    assert_eq!(t.get("key")?, "data");
    Ok(())
}

fn a_failure_that_stays_says_how_often_it_was_tried<H: Harness>(t: &World<H>) -> Outcome {
    t.server().on_request(|_| Some(Fault::error(500, "InternalError")));
    let error = t.put("key", "data").unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::ServiceUnavailable, 3), "{error}");
    assert_eq!((error.key(), error.request_id()), (Some("key"), Some("FAULT")));
    Ok(())
}

fn a_lost_answer_is_asked_for_again<H: Harness>(t: &World<H>) -> Outcome {
    t.server().on_request(first(1, Fault::LoseResponse));
    t.put("key", "data")?;
    assert_eq!(t.server().requests().len(), 2);
    Ok(())
}

fn a_host_that_does_not_exist_is_not_asked_again<H: Harness>(t: &World<H>) -> Outcome {
    let client = t.client_with(|config, _| {
        *config = config.clone().with_endpoint("http://does-not-exist.invalid").unwrap();
    });
    let error = t.send(client.head_bucket(&t.bucket)).unwrap_err();
    is(&error, ErrorKind::Dns, Phase::Resolve);
    assert_eq!(error.attempts(), 1);
    Ok(())
}

fn a_port_where_nobody_listens_is_an_error_of_its_own<H: Harness>(t: &World<H>) -> Outcome {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = t.client_with(|config, _| {
        *config = config.clone().with_endpoint(format!("http://{free}")).unwrap();
    });
    let error = t.send(client.head_bucket(&t.bucket)).unwrap_err();
    is(&error, ErrorKind::Connect, Phase::Connect);
    assert_eq!(error.attempts(), 3);
    Ok(())
}

fn a_service_that_does_not_answer_is_not_waited_for<H: Harness>(t: &World<H>) -> Outcome {
    let client = impatient(t, |config| config.timeouts.first_byte = SHORT);
    t.server().on_request(|_| Some(Fault::Stall));
    is(&t.send(client.head_object(&t.bucket, "key")).unwrap_err(), ErrorKind::Timeout, Phase::Wait);
    Ok(())
}

fn a_copy_that_takes_no_end_is_given_up<H: Harness>(t: &World<H>) -> Outcome {
    let client = impatient(t, |config| config.timeouts.slow = SHORT);
    t.server().on_request(|_| Some(Fault::Stall));
    let copy = client.copy_object(&t.bucket, "copy", (&t.bucket, "key"));
    is(&t.send(copy).unwrap_err(), ErrorKind::Timeout, Phase::Wait);
    Ok(())
}

fn a_body_that_stalls_is_not_waited_for<H: Harness>(t: &World<H>) -> Outcome {
    t.send(t.client.put_object(&t.bucket, "key", data(1_000_000)))?;
    let client = impatient(t, |config| config.timeouts.idle = SHORT);
    t.server().on_request(|_| Some(Fault::StallBody(100_000)));
    let body = t.send(client.get_object(&t.bucket, "key"))?.body;
    is(&t.read(body).unwrap_err(), ErrorKind::Timeout, Phase::Body);
    Ok(())
}

fn a_handshake_that_hangs_is_not_waited_for<H: Harness>(t: &World<H>) -> Outcome {
    // Connections are made by the system; nobody ever says anything on them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("https://{}", silent.local_addr().unwrap());
    let client = impatient(t, |config| {
        *config = config.clone().with_endpoint(endpoint).unwrap();
        config.timeouts.tls = SHORT;
    });
    is(&t.send(client.head_bucket(&t.bucket)).unwrap_err(), ErrorKind::Timeout, Phase::Connect);
    Ok(())
}

fn a_connection_that_does_not_come_free_is_not_waited_for<H: Harness>(t: &World<H>) -> Outcome {
    t.send(t.client.put_object(&t.bucket, "large", data(8_000_000)))?;
    let client = t.client_with(|config, options| {
        config.retry.max_attempts = 1;
        config.timeouts.pool = SHORT;
        options.max_connections = Some(1);
    });
    let held = t.send(client.get_object(&t.bucket, "large"))?.body;
    let error = t.send(client.head_bucket(&t.bucket)).unwrap_err();
    is(&error, ErrorKind::PoolExhausted, Phase::Connect);
    assert_eq!(H::pool_stats(&client).active, 1);

    drop(held);
    t.send(client.head_bucket(&t.bucket))?;
    Ok(())
}

fn a_call_with_all_its_attempts_has_a_limit<H: Harness>(t: &World<H>) -> Outcome {
    let client = t.client_with(|config, _| config.operation_timeout = SHORT);
    t.server().on_request(|_| Some(Fault::Stall));
    let began = Instant::now();
    let error = t.send(client.head_object(&t.bucket, "key")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(began.elapsed() < Duration::from_secs(10), "it waited for something else");
    Ok(())
}

fn a_body_that_breaks_off_is_resumed<H: Harness>(t: &World<H>) -> Outcome {
    let whole = data(1_000_000);
    t.send(t.client.put_object(&t.bucket, "key", whole.clone()))?;
    t.server().clear_requests();
    t.server().on_request(first(2, Fault::CutBody(300_000)));
    assert_eq!(t.get("key")?, whole);
    let requests = t.server().requests();
    let ranges: Vec<_> = requests.iter().map(|request| request.header("range")).collect();
    assert_eq!(ranges, [None, Some("bytes=300000-999999"), Some("bytes=600000-999999")]);
    Ok(())
}

fn a_body_that_always_breaks_off_is_an_error<H: Harness>(t: &World<H>) -> Outcome {
    t.send(t.client.put_object(&t.bucket, "key", data(1_000_000)))?;
    t.server().on_request(|_| Some(Fault::CutBody(0)));
    let body = t.send(t.client.get_object(&t.bucket, "key"))?.body;
    let error = t.read(body).unwrap_err();
    is(&error, ErrorKind::TruncatedBody, Phase::Body);
    assert_eq!((error.message(), error.key()), ("the body ended after 0 of 1000000 bytes", Some("key")));
    Ok(())
}

fn a_body_that_is_left_does_not_reach_the_next_call<H: Harness>(t: &World<H>) -> Outcome {
    t.send(t.client.put_object(&t.bucket, "large", data(8_000_000)))?;
    t.put("small", "data")?;
    for _ in 0..4 {
        let mut body = t.send(t.client.get_object(&t.bucket, "large"))?.body;
        H::chunk(&mut body).unwrap()?;
        drop(body);
        assert_eq!(t.get("small")?, "data");
    }
    Ok(())
}

fn a_call_is_cancelled_from_outside<H: Harness>(t: &World<H>) -> Outcome {
    let cancel = Cancel::new();
    let client = t.client_with(|_, options| options.cancel = Some(cancel.clone()));
    let (asked, waiting) = std::sync::mpsc::channel();
    t.server().on_request(move |_| {
        asked.send(()).unwrap();
        Some(Fault::Stall)
    });
    let canceller = thread::spawn(move || {
        waiting.recv().unwrap();
        cancel.cancel();
    });
    let error = t.send(client.get_object(&t.bucket, "key")).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    canceller.join().unwrap();
    Ok(())
}

fn a_handle_that_was_used_ends_later_calls_at_once<H: Harness>(t: &World<H>) -> Outcome {
    let cancel = Cancel::new();
    cancel.cancel();
    let client = t.client_with(|_, options| options.cancel = Some(cancel));
    let error = t.send(client.head_bucket(&t.bucket)).unwrap_err();
    assert_eq!((error.kind(), t.server().requests().len()), (ErrorKind::Cancelled, 0));
    Ok(())
}

/// A server with the bucket `elsewhere`, and how a client is configured that looks for it in another region.
fn elsewhere(how: WrongRegion) -> Result<(Server, Config), Error> {
    let server = Server::builder().credentials("AKID", "SECRET").region("eu-west-1").enforce_region(how);
    let server = server.start_in_thread().unwrap();
    server.store().create_bucket("elsewhere", Some("eu-west-1"));
    let config = Config::new("us-east-1")?
        .with_endpoint(server.endpoint())?
        .with_credentials(s3_proto::Credentials::new("AKID", "SECRET")?);
    Ok((server, config))
}

fn data_that_can_be_read_once_goes_to_where_the_bucket_is<H: Harness>(t: &World<H>) -> Outcome {
    const LEN: usize = 1_000_000;
    let (server, mut config) = elsewhere(WrongRegion::Redirect)?;
    config.expect_continue = Some(64 << 10);
    let client = H::client(config, &crate::harness::Options::default())?;
    let source = H::pieces(std::iter::once(data(LEN).into()), LEN as u64);

    H::wait(client.put_object("elsewhere", "key", source).send())?;

    assert_eq!(server.requests().len(), 2);
    assert_eq!(t.read(H::wait(client.get_object("elsewhere", "key").send())?.body)?, data(LEN));
    Ok(())
}

fn a_bucket_in_another_region_is_found<H: Harness>(_: &World<H>) -> Outcome {
    for how in [WrongRegion::Redirect, WrongRegion::Malformed] {
        let (server, config) = elsewhere(how)?;
        server.store().put("elsewhere", "key", "data");
        let client = H::client(config, &crate::harness::Options::default())?;
        for requests in [2, 3] {
            let head = H::wait(client.head_object("elsewhere", "key").send())?;
            assert_eq!(head.content_length, Some(4));
            // The first call is sent again, the second knows the region.
            assert_eq!(server.requests().len(), requests, "{how:?}");
        }
    }
    Ok(())
}

fn credentials_that_expire_are_fetched_anew<H: Harness>(t: &World<H>) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let (file, none) = (folder.path().join("credentials"), folder.path().join("none"));
    let write = |key: &str, secret: &str| {
        let text = format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n");
        std::fs::write(&file, text).unwrap();
    };
    write("AKID", "SECRET");
    let config = H::load_config(&[
        ("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap()),
        ("AWS_CONFIG_FILE", none.to_str().unwrap()),
        ("AWS_ENDPOINT_URL_S3", &t.server().endpoint()),
        ("AWS_REGION", "us-east-1"),
    ])?;
    let client = H::client(config, &crate::harness::Options::default())?;
    t.send(client.put_object(&t.bucket, "key", "data"))?;

    t.server().set_credentials([Credentials::new("AKIDNEW", "NEWSECRET")]);
    write("AKIDNEW", "NEWSECRET");
    t.server().on_request(first(1, Fault::error(400, "ExpiredToken")));
    let body = t.send(client.get_object(&t.bucket, "key"))?.body;
    assert_eq!(t.read(body)?, "data");
    Ok(())
}
