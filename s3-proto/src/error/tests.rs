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
fn what_we_know_better_than_the_service_is_said() {
    let theirs = service(ErrorKind::PreconditionFailed, "PreconditionFailed", "At least one did not hold.");
    let ours = theirs.clone().with_message("the object was replaced while it was being read".to_owned());
    let said = "A condition on Object 'path/file' in bucket 'xyz' did not hold";
    assert!(theirs.to_string().starts_with(&format!("{said} (PreconditionFailed, ")), "{theirs}");
    let more = format!("{said}: the object was replaced while it was being read (PreconditionFailed, ");
    assert!(ours.to_string().starts_with(&more), "{ours}");
}

#[test]
fn a_wrong_signature_names_clock_secret_and_what_may_change_data() {
    let e = service(ErrorKind::SignatureDoesNotMatch, "SignatureDoesNotMatch", "It does not match.");
    let text = e.to_string();
    for cause in ["secret access key", "clock", "changes the request or its data"] {
        assert!(text.contains(cause), "{text}");
    }
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
        "HeadBucket on bucket 'b' timed out while waiting for the answer: no answer within 30 s. \
         Raise this time-out if that is how slow it is"
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

/// As it comes from the service: kind, sentence, advice, and whether another try may help.
#[test]
fn each_answer_of_the_service_is_said_for_a_person() {
    use ErrorKind as K;
    type Row = (u16, &'static str, K, &'static str, Option<&'static str>, bool);
    let object = "'path/file' in bucket 'xyz'";
    let rows: [Row; 14] = [
        (404, "NoSuchBucket", K::NoSuchBucket, "Bucket 'xyz' not found (", Some("create it"), false),
        (404, "NoSuchKey", K::NoSuchKey, "Object 'path/file' not found in bucket 'xyz' (", None, false),
        (403, "AccessDenied", K::AccessDenied, "denied: said", Some("allowed to do GetObject"), false),
        (403, "InvalidAccessKeyId", K::InvalidAccessKeyId, object, Some("access key id"), false),
        (403, "SignatureDoesNotMatch", K::SignatureDoesNotMatch, object, Some("clock"), false),
        (409, "BucketAlreadyExists", K::BucketAlreadyExists, "somebody else's", Some("another"), false),
        (409, "BucketAlreadyOwnedByYou", K::BucketAlreadyOwnedByYou, "is yours", Some("used"), false),
        (409, "BucketNotEmpty", K::BucketNotEmpty, "is not empty", Some("delete markers"), false),
        (400, "EntityTooLarge", K::EntityTooLarge, object, Some("multipart"), false),
        (503, "SlowDown", K::SlowDown, "slow down", Some("fewer requests"), true),
        (412, "PreconditionFailed", K::PreconditionFailed, "did not hold", Some("now"), false),
        (403, "RequestTimeTooSkewed", K::RequestTimeTooSkewed, object, Some("local clock"), false),
        (400, "ExpiredToken", K::ExpiredToken, object, Some("new temporary"), false),
        (400, "IllegalLocationConstraintException", K::WrongRegion, object, Some("endpoint of"), false),
    ];
    for (status, code, kind, sentence, advice, retryable) in rows {
        let body = format!(
            "<Error><Code>{code}</Code><Message>said</Message><RequestId>R1</RequestId><Region>r</Region></Error>"
        );
        let (head, ()) = http::Response::builder().status(status).body(()).unwrap().into_parts();
        let e = crate::error_answer::read(&head, body.as_bytes(), &[]).with_target(
            "GetObject",
            Some("xyz"),
            Some("path/file"),
        );
        let text = e.to_string();
        assert_eq!((e.kind(), e.status().map(|s| s.as_u16())), (kind, Some(status)), "{code}");
        assert!(text.contains(sentence) && text.contains(&format!("({code}, request R1)")), "{text}");
        let suggestion = e.suggestion().map(Cow::into_owned);
        assert_eq!(suggestion.is_some(), advice.is_some(), "{code}: {suggestion:?}");
        assert!(advice.is_none_or(|advice| suggestion.unwrap().contains(advice)), "{text}");
        assert_eq!(e.is_retryable(), retryable, "{code}");
    }
}

/// As a driver reports it.
#[test]
fn each_failure_below_http_is_said_for_a_person() {
    use TransportErrorKind as T;
    let rows = [
        (T::DnsNotFound, Phase::Connect, ErrorKind::Dns, "endpoint and region", false),
        (T::DnsTemporary, Phase::Connect, ErrorKind::Dns, "endpoint and region", true),
        (T::TlsRejected, Phase::Connect, ErrorKind::Tls, "certificate", false),
        (T::TlsBroken, Phase::Connect, ErrorKind::Tls, "certificate", true),
        (T::Refused, Phase::Connect, ErrorKind::Connect, "can be reached", true),
        (T::Closed, Phase::Wait, ErrorKind::Connect, "can be reached", true),
        (T::Timeout, Phase::Connect, ErrorKind::Timeout, "connect time-out", true),
        (T::Timeout, Phase::Body, ErrorKind::Timeout, "time-out", true),
        (T::PoolExhausted, Phase::Connect, ErrorKind::PoolExhausted, "connections per host", true),
        (T::Closed, Phase::Body, ErrorKind::TruncatedBody, "again", true),
    ];
    for (transport, phase, kind, advice, retryable) in rows {
        let cause = std::io::Error::other("below");
        let e = TransportError::new(transport, "what happened").with_source(cause).into_error(phase);
        assert_eq!((e.kind(), e.phase(), e.is_retryable()), (kind, Some(phase), retryable), "{transport:?}");
        assert!(e.to_string().contains("what happened"), "{e}");
        assert!(e.suggestion().unwrap().contains(advice), "{e}");
        assert_eq!(std::error::Error::source(&e).unwrap().to_string(), "below");
    }
}

#[test]
fn names_are_neither_endless_nor_commands_to_a_terminal() {
    let e = Error::invalid_input("no").with_target("PutObject", Some("a\u{1b}[2J"), Some(&"k".repeat(9_999)));
    let text = e.to_string();
    assert!(text.contains("'a\\u{1b}[2J'") && text.contains("kkk...'") && text.len() < 1_200, "{text}");
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
        (429, ErrorKind::SlowDown),
        (503, ErrorKind::ServiceUnavailable),
    ];
    for (status, kind) in by_status {
        assert_eq!(kind_of_status(StatusCode::from_u16(status).unwrap()), kind, "{status}");
    }
}
