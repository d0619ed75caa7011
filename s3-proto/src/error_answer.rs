//! What an error answer says.

use http::{HeaderMap, Uri, response};

use crate::endpoint::region_of_host;
use crate::error::{kind_of_code, kind_of_status};
use crate::redact::hide;
use crate::redirect::{bucket_region, may_be_about_regions};
use crate::xml::Reader;
use crate::{Error, ErrorKind, Phase};

/// The members of an `<Error>` document that matter here.
#[derive(Default)]
struct Document {
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
    host_id: Option<String>,
    region: Option<String>,
    /// The host to use instead.
    endpoint: Option<String>,
}

/// Reads head and body of an error answer. The body may be missing (HEAD), or not XML at all (a proxy's):
/// then the status says what it was. Of these secrets, which some services repeat, nothing is kept, nor of
/// elements such as `StringToSign` and `CanonicalRequest`.
pub(crate) fn read(head: &response::Parts, body: &[u8], secrets: &[&str]) -> Error {
    let mut document = parse(body, secrets);
    let text = |headers: &HeaderMap, name: &str| text(headers, name).map(|text| hide(&text, secrets));
    if document.code.is_none() && (head.status.is_client_error() || head.status.is_server_error()) {
        // Some answers to HEAD say in headers what they cannot say in a body.
        document.code = text(&head.headers, "x-amz-error-code").filter(|code| !code.is_empty());
        document.message = document.message.or_else(|| text(&head.headers, "x-amz-error-message"));
    }
    let region =
        document.region.or_else(|| bucket_region(&head.headers).map(ToOwned::to_owned)).or_else(|| {
            // A new bucket's redirect may name no region, only the host that is in it.
            let location =
                text(&head.headers, "location").filter(|_| may_be_about_regions(Some(head.status)));
            let host = |url: String| Uri::try_from(url).ok()?.host().map(str::to_ascii_lowercase);
            let region = location.and_then(host).or(document.endpoint).and_then(|host| region_of_host(&host));
            region.map(|region| region.as_str().to_owned())
        });
    let request_id = text(&head.headers, "x-amz-request-id").or(document.request_id);
    let host_id = text(&head.headers, "x-amz-id-2").or(document.host_id);
    let late = head.status.is_success();
    let error = match document.code {
        Some(code) => {
            let kind = match kind_of_code(&code, head.status) {
                // Without a region to go to, a malformed authorization is not about regions.
                ErrorKind::WrongRegion if region.is_none() && head.status.as_u16() == 400 => {
                    ErrorKind::Service
                }
                // "Late" failures carry status 200: their code is all there is.
                ErrorKind::Service if late => ErrorKind::ServiceUnavailable,
                kind => kind,
            };
            Error::new(kind, document.message.unwrap_or_default()).with_code(code)
        }
        None if head.status.as_u16() == 400 && region.is_some() => {
            Error::new(ErrorKind::WrongRegion, "the bucket is in another region")
        }
        None => Error::new(kind_of_status(head.status), reason(head)),
    };
    let phase = if late { Phase::Body } else { Phase::Wait };
    error.with_status(head.status).with_phase(phase).with_region(region).with_request_ids(request_id, host_id)
}

fn reason(head: &response::Parts) -> String {
    head.status.canonical_reason().unwrap_or_default().to_ascii_lowercase()
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(ToOwned::to_owned)
}

/// As much as can be read: an error document that is cut off still has a code.
fn parse(body: &[u8], secrets: &[&str]) -> Document {
    let mut document = Document::default();
    let mut reader = Reader::new(body);
    if reader.root().is_ok_and(|root| matches!(root, "Error" | "ErrorResponse")) {
        members(&mut reader, &mut document, secrets);
    }
    document.code = document.code.filter(|code| !code.is_empty());
    document
}

fn members(reader: &mut Reader<'_>, document: &mut Document, secrets: &[&str]) {
    while let Ok(Some(name)) = reader.child() {
        let field = match name {
            // Other services have an <Error> inside of their <ErrorResponse>.
            "Error" => {
                members(reader, document, secrets);
                continue;
            }
            "Code" => &mut document.code,
            "Message" => &mut document.message,
            "RequestId" | "RequestID" => &mut document.request_id,
            "HostId" => &mut document.host_id,
            "Region" => &mut document.region,
            "Endpoint" => &mut document.endpoint,
            _ => {
                if reader.skip().is_err() {
                    break;
                }
                continue;
            }
        };
        match reader.text() {
            Ok(text) => *field = Some(hide(&text, secrets)),
            Err(_) => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, headers: &[(&str, &str)], body: &str) -> Error {
        let mut response = http::Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let (head, ()) = response.body(()).unwrap().into_parts();
        read(&head, body.as_bytes(), &[])
    }

    #[test]
    fn the_document_says_what_happened() {
        let body = "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>The specified key does not exist.\
                    </Message><Key>k</Key><RequestId>R1</RequestId><HostId>H1</HostId></Error>";
        let e = error(404, &[], body);
        assert_eq!(
            (e.kind(), e.code(), e.request_id()),
            (ErrorKind::NoSuchKey, Some("NoSuchKey"), Some("R1"))
        );
        assert_eq!((e.message(), e.extended_request_id()), ("The specified key does not exist.", Some("H1")));
    }

    #[test]
    fn what_the_service_says_cannot_fill_a_log_or_write_to_a_terminal() {
        let body = format!(
            "<Error><Code>Odd\u{1b}[31m</Code><Message>one\ntwo\u{7} {}</Message></Error>",
            "x".repeat(100_000)
        );
        let text = error(400, &[], &body).to_string();
        assert!(text.contains("Odd [31m") && text.contains("one two  xxx"), "{}", &text[..60]);
        assert!(text.len() < 1_200 && !text.contains(char::is_control), "{}", text.len());
    }

    #[test]
    fn a_document_that_is_cut_off_still_has_its_code() {
        let e = error(503, &[], "<Error><Code>SlowDown</Code><Mess");
        assert_eq!(e.kind(), ErrorKind::SlowDown);
    }

    #[test]
    fn without_a_body_the_status_decides() {
        let cases =
            [(404, ErrorKind::NotFound), (403, ErrorKind::AccessDenied), (304, ErrorKind::NotModified)];
        for (status, kind) in cases {
            assert_eq!(error(status, &[("x-amz-request-id", "R2")], "").kind(), kind, "{status}");
        }
    }

    #[test]
    fn headers_say_what_a_head_cannot_say_in_a_body() {
        let headers = [("x-amz-error-code", "ExpiredToken"), ("x-amz-error-message", "it has expired")];
        let e = error(400, &headers, "");
        assert_eq!((e.kind(), e.message()), (ErrorKind::ExpiredToken, "it has expired"));
        let e = error(400, &headers, "<Error><Code>InvalidToken</Code></Error>");
        assert_eq!((e.kind(), e.message()), (ErrorKind::InvalidToken, ""));
    }

    #[test]
    fn nothing_that_was_signed_with_is_kept_of_what_the_service_repeats() {
        let body = "<Error><Code>ExpiredToken</Code><Message>Token t0ken/+secret with signature 51613a</Message>\
                    <Token-0>t0ken/+secret</Token-0><StringToSign>t0ken/+secret</StringToSign>\
                    <CanonicalRequest>x-amz-security-token:t0ken/+secret</CanonicalRequest>\
                    <RequestId>t0ken%2F%2Bsecret</RequestId></Error>";
        let head =
            http::Response::builder().status(400).header("x-amz-id-2", "a t0ken/+secret").body(()).unwrap();
        let e = read(&head.into_parts().0, body.as_bytes(), &["t0ken/+secret", "51613a"]);
        assert_eq!((e.message(), e.request_id()), ("Token ** with signature **", Some("**")));
        assert_eq!(e.extended_request_id(), Some("a **"));
        let shown = format!("{e} {e:?}");
        assert!(!shown.contains("secret") && !shown.contains("51613a"), "{shown}");
    }

    #[test]
    fn a_proxys_page_is_not_mistaken_for_an_answer_of_s3() {
        let e = error(502, &[], "<html><body>Bad Gateway</body></html>");
        assert_eq!((e.kind(), e.code()), (ErrorKind::ServiceUnavailable, None));
    }

    #[test]
    fn the_region_comes_from_header_or_body() {
        let from_header = error(301, &[("x-amz-bucket-region", "eu-west-1")], "");
        let body = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>";
        let from_body = error(400, &[], body);
        let head_400 = error(400, &[("x-amz-bucket-region", "eu-west-1")], "");
        for e in [from_header, from_body, head_400] {
            assert_eq!((e.kind(), e.region()), (ErrorKind::WrongRegion, Some("eu-west-1")));
        }
    }

    #[test]
    fn the_region_follows_from_the_host_that_a_redirect_names_if_that_is_one_of_s3() {
        let to = |url: &str| error(307, &[("location", url)], "").region().map(ToOwned::to_owned);
        assert_eq!(to("https://bkt.s3.us-west-2.amazonaws.com/k"), Some("us-west-2".into()));
        assert_eq!(to("https://bkt.s3-us-west-2.amazonaws.com/k"), Some("us-west-2".into()));
        assert_eq!(to("https://s3.dualstack.cn-north-1.amazonaws.com.cn/bkt/k"), Some("cn-north-1".into()));
        for other in [
            "https://evil.example/k",
            "https://s3.us-west-2.amazonaws.com.evil.example/",
            "https://bkt.s3.amazonaws.com/k",
            "https://bkt.s3-accelerate.amazonaws.com/k",
            "https://ec2.us-west-2.amazonaws.com/",
            "/relative",
        ] {
            assert_eq!(to(other), None, "{other}");
        }
        let body = "<Error><Code>PermanentRedirect</Code><Endpoint>bkt.s3.eu-west-1.amazonaws.com</Endpoint></Error>";
        assert_eq!(error(301, &[], body).region(), Some("eu-west-1"));
        let found = error(200, &[("location", "https://bkt.s3.us-west-2.amazonaws.com/k")], "<Error/>");
        assert_eq!(found.region(), None);
    }

    #[test]
    fn the_error_of_another_service_lies_one_level_deeper() {
        let body = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error>\
                    <RequestId>R3</RequestId></ErrorResponse>";
        let e = error(403, &[], body);
        assert_eq!((e.code(), e.message(), e.request_id()), (Some("AccessDenied"), "no", Some("R3")));
    }

    #[test]
    fn an_internal_error_inside_of_200_may_be_repeated() {
        let e = error(200, &[], "\n<Error><Code>InternalError</Code><Message>try again</Message></Error>");
        assert!(e.is_retryable());
    }
}
