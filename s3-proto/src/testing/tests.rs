use super::*;

fn sent(uri: &str) -> Sent {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", "swordfish".parse().unwrap());
    Sent {
        operation: None,
        bucket: None,
        key: None,
        method: Method::GET,
        uri: uri.parse().unwrap(),
        headers,
        body: Bytes::from_static(b"swordfish"),
    }
}

#[test]
fn parameters_are_found_and_decoded() {
    let sent = sent("http://host/path?uploads&prefix=a%2Fb%20c&prefix=d");
    assert_eq!(sent.query("prefix").as_deref(), Some("a/b c"));
    assert_eq!(sent.query("uploads").as_deref(), Some(""));
    assert_eq!(sent.query("missing"), None);
}

#[test]
fn a_request_without_an_operation_has_the_path_of_its_uri() {
    assert_eq!(sent("http://169.254.169.254/latest/api/token").path(), "/latest/api/token");
}

#[test]
fn no_secret_is_shown() {
    let sent = sent("http://user:swordfish@host/path?X-Amz-Signature=swordfish");
    let shown = format!("{sent:?} {sent}");
    assert!(!shown.contains("swordfish"), "{shown}");
}

#[test]
#[should_panic(expected = "a b: c is no header")]
fn a_header_that_can_be_none_is_refused() {
    let _ = Reply::status(200).header("a b", "c");
}

#[test]
fn nothing_is_missing_of_a_mock_that_expects_nothing() {
    Mock::new().verify();
}
