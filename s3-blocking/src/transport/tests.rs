use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use s3_io::proxy::Proxy;
use s3_proto::{Payload, Timeouts};

use super::*;
use crate::source::Source;

fn transport_with(change: impl FnOnce(&mut Options)) -> Transport {
    let settings = Settings { connections: 4, ..Settings::default() };
    let mut options = Options { settings, ..Options::default() };
    change(&mut options);
    Transport::new(options).unwrap()
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download").field("left", &self.left).finish_non_exhaustive()
    }
}

fn transport() -> Transport {
    transport_with(|_| {})
}

fn task(method: &str, uri: &str, payload: Payload) -> HttpTask {
    let mut request = http::Request::builder().method(method).uri(uri);
    if !payload.is_empty() || method == "PUT" {
        request = request.header("content-length", payload.len());
    }
    HttpTask {
        request: request.body(payload).unwrap(),
        encoder: None,
        timeouts: Timeouts::default(),
        expect_continue: false,
    }
}

fn get(uri: &str) -> HttpTask {
    task("GET", uri, Payload::Empty)
}

trait Stream: io::Read + io::Write {}

impl<T: io::Read + io::Write> Stream for T {}

type Answered = Result<(http::response::Parts, Download), Unanswered>;

fn send(transport: &Transport, task: HttpTask) -> Answered {
    send_until(transport, task, &Cancel::new())
}

fn send_until(transport: &Transport, task: HttpTask, cancel: &Cancel) -> Answered {
    let body = match task.request.body() {
        Payload::Bytes(bytes) => Some((Reader::Bytes(bytes.clone().reader()), identity(bytes.len() as u64))),
        _ => None,
    };
    transport.send(task, body, cancel)
}

fn identity(len: u64) -> BodyEncoder {
    BodyEncoder::identity(len)
}

/// Answers each connection with `respond`.
fn server(respond: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let respond = Arc::new(respond);
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let respond = respond.clone();
            thread::spawn(move || respond(stream));
        }
    });
    format!("http://{address}/bucket/key")
}

fn head_of(stream: &mut (impl io::Read + ?Sized)) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Waits until the other side goes away.
fn hang(mut stream: TcpStream) {
    let _ = stream.read_to_end(&mut Vec::new());
}

fn failed(result: Answered) -> (Phase, TransportErrorKind) {
    match result.unwrap_err() {
        Unanswered::Failed(failure) => (failure.phase, failure.cause.kind()),
        Unanswered::Source(error) => panic!("the source failed: {error:?}"),
    }
}

fn read(mut download: Download) -> Result<Vec<u8>, TransportErrorKind> {
    let (mut all, mut buffer) = (Vec::new(), [0; 1000]);
    loop {
        match download.read(&mut buffer).map_err(|error| error.kind())? {
            0 => return Ok(all),
            read => all.extend_from_slice(&buffer[..read]),
        }
    }
}

fn data(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect()
}

const MOMENT: Option<Duration> = Some(Duration::from_millis(100));

/// Takes a PUT of a megabyte and sends it back.
fn echo(mut stream: TcpStream) {
    let head = head_of(&mut stream);
    assert!(head.starts_with("PUT /bucket/key HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("content-length: 1000000\r\n"), "{head}");
    let mut body = vec![0; 1_000_000];
    stream.read_exact(&mut body).unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1000000\r\n\r\n").unwrap();
    stream.write_all(&body).unwrap();
}

#[test]
fn bytes_and_sources_go_out_and_come_back() {
    let uri = server(echo);
    let data = data(1_000_000);
    let transport = transport();

    let sent = task("PUT", &uri, Payload::Bytes(data.clone().into()));
    let (head, download) = send(&transport, sent).unwrap();
    assert_eq!(head.status, 200);
    assert_eq!(read(download).unwrap(), data);

    let mut source = Source::reader(io::Cursor::new(data.clone()), 1_000_000);
    let sent = task("PUT", &uri, Payload::source(1_000_000, false));
    let body = (source.range(0, 1_000_000).unwrap(), identity(1_000_000));
    let (_, download) = transport.send(sent, Some(body), &Cancel::new()).unwrap();
    assert_eq!(read(download).unwrap(), data);
}

#[test]
fn a_short_body_is_sent_with_its_head() {
    let uri = server(|mut stream| {
        let mut all = vec![0; 4096];
        let read = stream.read(&mut all).unwrap();
        assert!(all[..read].ends_with(b"\r\n\r\nbody"), "{}", String::from_utf8_lossy(&all[..read]));
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    });
    let sent = task("PUT", &uri, Payload::Bytes(Bytes::from_static(b"body")));
    assert_eq!(send(&transport(), sent).unwrap().0.status, 200);
}

#[test]
fn nothing_is_added_to_a_request_and_nothing_taken_from_an_answer() {
    let uri = server(|mut stream| {
        let head = head_of(&mut stream);
        let answer = "HTTP/1.1 301 Moved Permanently\r\nlocation: http://127.0.0.1:1/\r\n\
            content-encoding: gzip\r\nconnection: close\r\nx-head: ";
        let head = head.replace("\r\n", "|");
        write!(stream, "{answer}{head}\r\ncontent-length: 4\r\n\r\nbody").unwrap();
    });
    let (uri, transport) = (uri.replace("/key", "//a%2Fb?x=%20"), transport());
    for (method, framing) in [("GET", ""), ("PUT", "content-length: 0|"), ("DELETE", ""), ("POST", "")] {
        let mut sent = task(method, &uri, Payload::Empty);
        if method == "POST" {
            // The core says so itself.
            sent.request.headers_mut().insert("content-length", HeaderValue::from_static("0"));
        }
        let framing = if method == "POST" { "content-length: 0|" } else { framing };
        let (head, download) = send(&transport, sent).unwrap();
        assert_eq!(
            (head.status.as_u16(), &head.headers["content-encoding"]),
            (301, &HeaderValue::from_static("gzip"))
        );
        assert_eq!(read(download).unwrap(), b"body");
        let seen = head.headers["x-head"].to_str().unwrap();
        let host = http::Uri::try_from(&uri).unwrap().authority().unwrap().to_string();
        let mut lines: Vec<_> = seen.split_terminator('|').filter(|line| !line.is_empty()).collect();
        lines.sort_unstable();
        let mut expected = vec![format!("{method} /bucket//a%2Fb?x=%20 HTTP/1.1"), format!("host: {host}")];
        expected.extend(framing.strip_suffix('|').map(str::to_owned));
        expected.sort_unstable();
        assert_eq!(lines, expected);
    }
}

#[test]
fn a_source_of_the_wrong_length_is_the_sources_fault() {
    let uri = server(hang);
    for (reader, len) in [(&b"half"[..], 8), (b"", 8)] {
        let mut source = Source::reader(reader, len);
        let sent = task("PUT", &uri, Payload::source(len, false));
        let body = (source.range(0, len).unwrap(), identity(len));
        let result = transport().send(sent, Some(body), &Cancel::new());
        assert!(matches!(result, Err(Unanswered::Source(_))), "{result:?}");
    }
}

struct Names(io::ErrorKind);

impl Resolve for Names {
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match host {
            // Nobody listens at the first one.
            "two.example" => Ok(vec![SocketAddr::from(([127, 0, 0, 1], 1)), ([127, 0, 0, 1], port).into()]),
            "slow.example" => {
                thread::sleep(Duration::from_secs(1));
                Ok(Vec::new())
            }
            "none.example" => Ok(Vec::new()),
            _ => Err(self.0.into()),
        }
    }
}

#[test]
fn names_are_looked_up_and_addresses_tried_in_turn() {
    let uri = server(|mut stream| {
        head_of(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    });
    let transport = transport_with(|options| options.resolver = Arc::new(Names(io::ErrorKind::Other)));
    assert!(send(&transport, get(&uri.replace("127.0.0.1", "two.example"))).is_ok());

    let result = send(&transport, get("http://other.example/"));
    assert_eq!(failed(result), (Phase::Resolve, TransportErrorKind::DnsTemporary));
    let result = send(&transport, get("http://none.example/"));
    assert_eq!(failed(result), (Phase::Resolve, TransportErrorKind::DnsNotFound));
    let mut slow = get("http://slow.example/");
    slow.timeouts.connect = MOMENT;
    assert_eq!(failed(send(&transport, slow)), (Phase::Resolve, TransportErrorKind::Timeout));
    let transport = transport_with(|options| options.resolver = Arc::new(Names(io::ErrorKind::NotFound)));
    let result = send(&transport, get("http://other.example/"));
    assert_eq!(failed(result), (Phase::Resolve, TransportErrorKind::DnsNotFound));
    assert_eq!(transport.stats(), PoolStats::default());
}

#[test]
fn nobody_listens() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let result = send(&transport(), get(&format!("http://{address}/")));
    assert_eq!(failed(result), (Phase::Connect, TransportErrorKind::Refused));
}

#[test]
fn the_first_byte_does_not_come() {
    let uri = server(hang);
    let mut sent = get(&uri);
    sent.timeouts.first_byte = MOMENT;
    let transport = transport();
    assert_eq!(failed(send(&transport, sent)), (Phase::Wait, TransportErrorKind::Timeout));
    assert_eq!(transport.stats(), PoolStats::default(), "the connection is closed");
}

#[test]
fn nobody_takes_the_body() {
    let uri = server(|mut stream| {
        head_of(&mut stream);
        thread::sleep(Duration::from_secs(3));
    });
    let mut sent = task("PUT", &uri, Payload::Bytes(Bytes::from(vec![0; 64 << 20])));
    sent.timeouts.idle = MOMENT;
    assert_eq!(failed(send(&transport(), sent)), (Phase::Send, TransportErrorKind::Timeout));
}

#[test]
fn the_handshake_stalls_or_meets_no_tls() {
    let uri = server(hang);
    let mut sent = get(&uri.replace("http:", "https:"));
    sent.timeouts.tls = MOMENT;
    assert_eq!(failed(send(&transport(), sent)), (Phase::Connect, TransportErrorKind::Timeout));

    let uri = server(|mut stream| stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap());
    let result = send(&transport(), get(&uri.replace("http:", "https:")));
    assert_eq!(failed(result), (Phase::Connect, TransportErrorKind::TlsRejected));

    let uri = server(drop);
    let result = send(&transport(), get(&uri.replace("http:", "https:")));
    assert_eq!(failed(result), (Phase::Connect, TransportErrorKind::TlsBroken));
}

#[test]
fn megabytes_go_through_tls_both_ways() {
    let uri = tls_server(|stream| {
        head_of(stream);
        let mut body = vec![0; 1_000_000];
        stream.read_exact(&mut body).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").unwrap();
        stream.write_all(&body).unwrap();
        stream.flush().unwrap();
        head_of(stream);
    });
    let transport = transport_with(|options| options.settings.trust.accept_invalid = true);
    let sent = task("PUT", &uri, Payload::Bytes(data(1_000_000).into()));
    let (_, download) = send(&transport, sent).unwrap();
    assert!(read(download).unwrap() == data(1_000_000));
    assert_eq!(counts(&transport), (0, 1, 1));
}

#[test]
fn the_connection_closes_before_the_answer_or_in_it() {
    for (answer, expected) in [
        ("", (Phase::Wait, TransportErrorKind::Closed)),
        ("HTTP/1.1 200 OK\r\ncontent-le", (Phase::Wait, TransportErrorKind::Closed)),
        ("SMTP ready when you are\r\n\r\n", (Phase::Wait, TransportErrorKind::Protocol)),
    ] {
        let uri = server(move |mut stream| {
            head_of(&mut stream);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        assert_eq!(failed(send(&transport(), get(&uri))), expected, "{answer}");
    }
    for framing in ["content-length: 10\r\n\r\nhalf", "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        let uri = server(move |mut stream| {
            head_of(&mut stream);
            write!(stream, "HTTP/1.1 200 OK\r\n{framing}").unwrap();
        });
        let (_, download) = send(&transport(), get(&uri)).unwrap();
        assert_eq!(read(download), Err(TransportErrorKind::Closed), "{framing}");
    }
}

#[test]
fn an_answer_that_comes_before_the_end_of_the_body_is_heard() {
    let refuse = |stream: &mut dyn Stream| {
        head_of(stream);
        let refusal = "HTTP/1.1 403 Forbidden\r\ncontent-length: 6\r\nconnection: close\r\n\r\nreason";
        stream.write_all(refusal.as_bytes()).unwrap();
        // Closing with data unread resets the connection, after the answer has got there.
        thread::sleep(Duration::from_millis(100));
    };
    let transport = transport_with(|options| options.settings.trust.accept_invalid = true);
    for uri in [server(move |mut stream| refuse(&mut stream)), tls_server(refuse)] {
        let sent = task("PUT", &uri, Payload::Bytes(Bytes::from(vec![0; 64 << 20])));
        let (head, download) = send(&transport, sent).unwrap();
        assert_eq!(head.status, 403);
        assert_eq!(read(download).unwrap(), b"reason");
        assert_eq!(counts(&transport), (0, 0, 0));
    }
}

#[test]
fn a_success_is_not_believed_before_all_is_sent() {
    for (consent, len) in [(true, 4), (false, 64 << 20)] {
        let uri = server(|mut stream| {
            head_of(&mut stream);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
            thread::sleep(Duration::from_millis(100));
        });
        let mut sent = task("PUT", &uri, Payload::Bytes(vec![0; len].into()));
        sent.expect_continue = consent;
        assert_eq!(failed(send(&transport(), sent)), (Phase::Send, TransportErrorKind::Closed));
    }
}

#[test]
fn a_connection_that_breaks_in_the_middle_of_the_request_may_have_sent_it() {
    let uri = server(|mut stream| {
        head_of(&mut stream);
    });
    let sent = task("PUT", &uri, Payload::Bytes(Bytes::from(vec![0; 64 << 20])));
    assert_eq!(failed(send(&transport(), sent)), (Phase::Send, TransportErrorKind::Closed));
}

#[test]
fn a_body_that_stalls_is_an_error_only_while_somebody_reads() {
    let uri = server(|mut stream| {
        head_of(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").unwrap();
        hang(stream);
    });
    let mut sent = get(&uri);
    sent.timeouts.idle = MOMENT;
    let (_, mut download) = send(&transport(), sent).unwrap();
    thread::sleep(Duration::from_millis(200));
    let mut buffer = [0; 10];
    assert_eq!(download.read(&mut buffer).unwrap(), 4);
    assert_eq!(download.read(&mut buffer).unwrap_err().kind(), TransportErrorKind::Timeout);
    assert_eq!(download.read(&mut buffer).unwrap(), 0, "there is nothing after an error");
}

#[test]
fn all_connections_are_busy() {
    let uri = server(|mut stream| {
        head_of(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").unwrap();
        hang(stream);
    });
    let transport = transport_with(|options| options.settings.connections = 1);
    let (_, first) = send(&transport, get(&uri)).unwrap();
    let mut second = get(&uri);
    second.timeouts.pool = MOMENT;
    assert_eq!(failed(send(&transport, second)), (Phase::Connect, TransportErrorKind::PoolExhausted));

    let cancel = Cancel::new();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| send_until(&transport, get(&uri), &cancel));
        cancel.cancel();
        assert_eq!(failed(waiting.join().unwrap()).1, TransportErrorKind::PoolExhausted);
    });
    drop(first);
    send(&transport, get(&uri)).unwrap();
}

/// Answers all requests of a connection with `body`.
fn serve(mut stream: TcpStream, body: &str) {
    while !head_of(&mut stream).is_empty() {
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
    }
}

#[test]
fn connections_are_used_again_until_they_are_too_old_or_closed() {
    let uri = server(|stream| serve(stream, "body"));
    let transport = transport();
    for _ in 0..3 {
        let (_, mut download) = send(&transport, get(&uri)).unwrap();
        assert_eq!(counts(&transport), (1, 0, 1));
        // Just as much as was announced.
        assert_eq!(download.read(&mut [0; 4]).unwrap(), 4);
        assert_eq!(counts(&transport), (0, 1, 1));
    }

    let transport = transport_with(|options| options.settings.idle_connections = Duration::from_millis(1));
    for _ in 0..2 {
        assert_eq!(read(send(&transport, get(&uri)).unwrap().1).unwrap(), b"body");
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(counts(&transport), (0, 1, 1), "the older one is closed");

    let uri = server(|mut stream| {
        head_of(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nonce").unwrap();
    });
    for _ in 0..3 {
        assert_eq!(read(send(&transport, get(&uri)).unwrap().1).unwrap(), b"once");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_connection_with_something_left_in_it_is_not_used_again() {
    let uri = server(|mut stream| {
        head_of(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody and more").unwrap();
        hang(stream);
    });
    let transport = transport();
    for _ in 0..2 {
        assert_eq!(read(send(&transport, get(&uri)).unwrap().1).unwrap(), b"body");
        assert_eq!(counts(&transport), (0, 0, 0));
    }
}

#[test]
fn a_body_that_is_dropped_takes_its_connection_along() {
    let long: &str = Box::leak("x".repeat(1_000_000).into_boxed_str());
    let uri = server(move |mut stream| {
        if !head_of(&mut stream).is_empty() {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", long.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(long.as_bytes()));
        }
    });
    let transport = transport();
    let (_, mut download) = send(&transport, get(&uri)).unwrap();
    assert!(download.read(&mut [0; 100]).unwrap() > 0);
    drop(download);
    assert_eq!(counts(&transport), (0, 0, 0));
    assert_eq!(read(send(&transport, get(&uri)).unwrap().1).unwrap(), long.as_bytes());
}

#[test]
fn the_body_waits_for_continue() {
    let uri = server(|mut stream| {
        let head = head_of(&mut stream);
        assert!(head.contains("expect: 100-continue\r\n"), "{head}");
        let mut body = [0; 4];
        stream.set_read_timeout(MOMENT).unwrap();
        assert!(stream.read_exact(&mut body).is_err(), "the body came too early");
        stream.set_read_timeout(None).unwrap();
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        stream.read_exact(&mut body).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n").unwrap();
        stream.write_all(&body).unwrap();
    });
    let mut sent = task("PUT", &uri, Payload::Bytes(Bytes::from_static(b"body")));
    sent.expect_continue = true;
    let started = Instant::now();
    let (_, download) = send(&transport(), sent).unwrap();
    assert_eq!(read(download).unwrap(), b"body");
    assert!(started.elapsed() < Duration::from_millis(900), "it did not wait for the time-out");
}

#[test]
fn consent_that_does_not_come_is_not_waited_for_for_ever() {
    let uri = server(|mut stream| {
        head_of(&mut stream);
        let mut body = [0; 4];
        stream.read_exact(&mut body).unwrap();
        // Late, but not wrong.
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n").unwrap();
        stream.write_all(&body).unwrap();
    });
    let mut sent = task("PUT", &uri, Payload::Bytes(Bytes::from_static(b"body")));
    sent.expect_continue = true;
    let (_, download) = send(&transport(), sent).unwrap();
    assert_eq!(read(download).unwrap(), b"body");
}

#[test]
fn a_refusal_spares_the_body() {
    let uri = server(|mut stream| {
        head_of(&mut stream);
        let refusal = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(refusal).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty(), "the body was sent all the same");
    });
    let mut sent = task("PUT", &uri, Payload::Bytes(Bytes::from_static(b"body")));
    sent.expect_continue = true;
    let transport = transport();
    let (head, _) = send(&transport, sent).unwrap();
    assert_eq!(head.status, 403);
    assert_eq!(counts(&transport), (0, 0, 0));
}

#[test]
fn cancelling_ends_reading_and_writing_and_what_comes_later() {
    let uri = server(hang);
    let answers = server(|mut stream| {
        head_of(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").unwrap();
        hang(stream);
    });
    let no_one_reads = server(|mut stream| {
        head_of(&mut stream);
        thread::sleep(Duration::from_secs(3));
    });
    let upload = task("PUT", &no_one_reads, Payload::Bytes(Bytes::from(vec![0; 64 << 20])));
    let tls = get(&uri.replace("http:", "https:"));
    let transport = transport();
    let began = Instant::now();
    for sent in [get(&uri), upload, tls, get(&answers)] {
        let cancel = Cancel::new();
        let handle = cancel.clone();
        let canceller = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            handle.cancel();
        });
        let result = send_until(&transport, sent, &cancel);
        assert!(result.is_err() || read(result.unwrap().1) == Err(TransportErrorKind::Closed));
        canceller.join().unwrap();
        assert_eq!(counts(&transport), (0, 0, 0));
    }
    let cancel = Cancel::new();
    cancel.cancel();
    assert!(send_until(&transport, get(&uri), &cancel).is_err());
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_connection_that_is_given_back_is_not_closed_by_whoever_had_it() {
    let uri = server(|stream| serve(stream, "body"));
    let (transport, cancel) = (transport(), Cancel::new());
    assert_eq!(read(send_until(&transport, get(&uri), &cancel).unwrap().1).unwrap(), b"body");
    let (_, download) = send(&transport, get(&uri)).unwrap();
    cancel.cancel();
    assert_eq!(read(download).unwrap(), b"body");
    assert_eq!(counts(&transport), (0, 1, 1));
}

#[test]
fn a_proxy_tunnels_https_and_may_refuse() {
    let proxy = server(|mut stream| {
        let head = head_of(&mut stream);
        assert!(head.starts_with("CONNECT s3.example:443 HTTP/1.1\r\n"), "{head}");
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").unwrap();
    });
    let proxy = proxy.trim_end_matches("/bucket/key").to_owned();
    let transport = transport_with(|options| options.settings.proxy = Proxy::new(&proxy, "").map(Some));
    let result = send(&transport, get("https://s3.example/"));
    assert_eq!(failed(result), (Phase::Connect, TransportErrorKind::Proxy));

    let proxy = server(hang).trim_end_matches("/bucket/key").to_owned();
    let transport = transport_with(|options| options.settings.proxy = Proxy::new(&proxy, "").map(Some));
    let mut sent = get("https://s3.example/");
    sent.timeouts.connect = MOMENT;
    assert_eq!(failed(send(&transport, sent)), (Phase::Connect, TransportErrorKind::Timeout));
}

const CERTIFICATE: &[u8] = include_bytes!("../../../s3-tokio/tests/data/localhost.pem");
const KEY: &[u8] = include_bytes!("../../../s3-tokio/tests/data/localhost.key");

/// A server whose certificate nobody has signed.
fn tls_server(respond: impl Fn(&mut dyn Stream) + Send + Sync + 'static) -> String {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::from_pem_slice(KEY).unwrap())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let config = Arc::new(config);
    let uri = server(move |mut tcp| {
        let mut tls = rustls::ServerConnection::new(config.clone()).unwrap();
        respond(&mut rustls::Stream::new(&mut tls, &mut tcp));
    });
    uri.replace("http://127.0.0.1", "https://localhost")
}

#[test]
fn certificates_are_checked_unless_that_is_turned_off() {
    let uri = tls_server(|stream| {
        while !head_of(stream).is_empty() {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret").unwrap();
        }
    });
    let result = send(&transport(), get(&uri));
    assert_eq!(failed(result), (Phase::Connect, TransportErrorKind::TlsRejected));

    let trusting = transport_with(|options| options.settings.trust.extra_roots.push(CERTIFICATE.to_vec()));
    for _ in 0..3 {
        let (_, download) = send(&trusting, get(&uri)).unwrap();
        assert_eq!(read(download).unwrap(), b"secret");
        assert_eq!(counts(&trusting), (0, 1, 1));
    }
    // The certificate is for another name.
    let other = uri.replace("localhost", "127.0.0.1");
    let result = send(&trusting, get(&other));
    assert_eq!(failed(result), (Phase::Connect, TransportErrorKind::TlsRejected));

    let reckless = transport_with(|options| options.settings.trust.accept_invalid = true);
    let (_, download) = send(&reckless, get(&other)).unwrap();
    assert_eq!(read(download).unwrap(), b"secret");
}

/// Active, idle and open connections.
fn counts(transport: &Transport) -> (usize, usize, usize) {
    let stats = transport.stats();
    (stats.active, stats.idle, stats.open)
}
