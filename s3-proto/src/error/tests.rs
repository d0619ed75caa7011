use super::*;

fn service(kind: ErrorKind, code: &str, message: &'static str) -> Error {
    Error::new(kind, message)
        .with_code(code)
        .with_request_ids(Some("4442587FB7D0A2F9".to_owned()), None)
        .with_target("GetObject", Some("xyz"), Some("path/file"))
}

#[test]
fn a_missing_object_is_one_sentence() {
    let e = service(ErrorKind::NoSuchKey, "NoSuchKey", "The specified key does not exist.");
    assert_eq!(
        e.to_string(),
        "Object 'path/file' not found in bucket 'xyz' (NoSuchKey, request 4442587FB7D0A2F9)"
    );
}

#[test]
fn a_wrong_signature_names_clock_and_secret() {
    let e = service(ErrorKind::SignatureDoesNotMatch, "SignatureDoesNotMatch", "It does not match.");
    let text = e.to_string();
    assert!(text.contains("secret access key") && text.contains("clock"), "{text}");
}

#[test]
fn no_credentials_says_how_to_set_them() {
    let text = Error::new(ErrorKind::NoCredentials, "no credentials found").to_string();
    assert!(text.contains("AWS_ACCESS_KEY_ID") && text.contains("~/.aws/credentials"), "{text}");
}

#[test]
fn a_time_out_says_in_which_phase() {
    let e = TransportError::new(TransportErrorKind::Timeout, "no answer within 30 s")
        .into_error(Phase::Wait)
        .with_target("HeadBucket", Some("b"), None);
    assert_eq!(
        e.to_string(),
        "HeadBucket on bucket 'b' timed out while waiting for the answer: no answer within 30 s"
    );
    assert!(e.is_retryable());
}

#[test]
fn the_redirect_region_is_named() {
    let e = Error::new(ErrorKind::WrongRegion, "moved").with_region(Some("eu-west-1".to_owned()));
    assert_eq!(e.suggestion().unwrap(), "Use region 'eu-west-1'");
}

#[test]
fn control_characters_of_a_key_are_escaped() {
    let e = Error::new(ErrorKind::NoSuchKey, "").with_target("GetObject", Some("b"), Some("a\n\u{1b}[31m"));
    assert_eq!(e.to_string(), "Object 'a\\n\\u{1b}[31m' not found in bucket 'b'");
}

#[test]
fn what_is_known_first_stays() {
    let e = Error::invalid_input("no")
        .with_phase(Phase::Parse)
        .with_target("A", Some("a"), None)
        .with_target("B", Some("b"), Some("k"));
    assert_eq!(
        (e.phase(), e.operation(), e.bucket(), e.key()),
        (Some(Phase::Sign), Some("A"), Some("a"), Some("k"))
    );
}

#[test]
fn tls_is_retried_only_when_the_handshake_broke_off() {
    let rejected = TransportError::new(TransportErrorKind::TlsRejected, "unknown issuer");
    let broken = TransportError::new(TransportErrorKind::TlsBroken, "eof");
    assert!(!rejected.into_error(Phase::Connect).is_retryable());
    assert!(broken.into_error(Phase::Connect).is_retryable());
}

#[test]
fn an_error_is_one_pointer() {
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
}

#[test]
fn each_code_and_status_has_its_kind() {
    let by_code = [
        ("NoSuchBucket", 404, ErrorKind::NoSuchBucket),
        ("InvalidAccessKeyId", 403, ErrorKind::InvalidAccessKeyId),
        ("BucketAlreadyExists", 409, ErrorKind::BucketAlreadyExists),
        ("BucketAlreadyOwnedByYou", 409, ErrorKind::BucketAlreadyOwnedByYou),
        ("BucketNotEmpty", 409, ErrorKind::BucketNotEmpty),
        ("EntityTooLarge", 400, ErrorKind::EntityTooLarge),
        ("SlowDown", 503, ErrorKind::SlowDown),
        ("PreconditionFailed", 412, ErrorKind::PreconditionFailed),
        ("RequestTimeTooSkewed", 403, ErrorKind::RequestTimeTooSkewed),
        ("ExpiredToken", 400, ErrorKind::ExpiredToken),
        ("SomethingNew", 400, ErrorKind::Service),
        ("SomethingNew", 500, ErrorKind::ServiceUnavailable),
    ];
    for (code, status, kind) in by_code {
        assert_eq!(kind_of_code(code, StatusCode::from_u16(status).unwrap()), kind, "{code} {status}");
    }
    let by_status = [
        (304, ErrorKind::NotModified),
        (403, ErrorKind::AccessDenied),
        (404, ErrorKind::NotFound),
        (412, ErrorKind::PreconditionFailed),
        (416, ErrorKind::InvalidRange),
        (500, ErrorKind::ServiceUnavailable),
        (503, ErrorKind::SlowDown),
    ];
    for (status, kind) in by_status {
        assert_eq!(kind_of_status(StatusCode::from_u16(status).unwrap()), kind, "{status}");
    }
}
