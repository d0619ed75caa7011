//! HTTP over sockets, without S3: what is sent, how it fails, and how long each phase may take.

// Helpers of tests are not known to be tests.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, FuturesUnordered, StreamExt as _};
use http_body_util::Full;
use hyper_util::rt::TokioExecutor;
use s3_io::driver::transport::{Download, Options};
use s3_io::driver::{Reader, Resolve, Resolving};
use s3_io::proxy::Proxy;
use s3_io::tls::Trust;
use s3_io::{PoolStats, Settings, Unanswered};
use s3_proto::sign::BodyEncoder;
use s3_proto::{HttpTask, Payload, Phase, Timeouts, TransportErrorKind};
use s3_tokio::{Source, Tokio};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

type Transport = s3_io::driver::transport::Transport<Tokio>;

fn transport_with(change: impl FnOnce(&mut Options)) -> Transport {
    let settings = Settings { connections: 4, ..Settings::default() };
    let mut options = Options { settings, streams: 4, ..Options::default() };
    change(&mut options);
    Transport::new(Tokio::default(), options).unwrap()
}

fn transport() -> Transport {
    transport_with(|_| {})
}

fn task(method: &str, uri: &str, payload: Payload) -> Box<HttpTask> {
    let mut request = http::Request::builder().method(method).uri(uri);
    if !payload.is_empty() {
        request = request.header("content-length", payload.len());
    }
    Box::new(HttpTask {
        request: request.body(payload).unwrap(),
        encoder: None,
        timeouts: Timeouts::default(),
        expect_continue: false,
    })
}

/// Answers each connection with `respond`.
async fn server<F, R>(respond: F) -> String
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(respond(stream));
        }
    });
    format!("http://{address}/bucket/key")
}

async fn head_of(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

fn failed(result: Result<(http::response::Parts, Download), Unanswered>) -> (Phase, TransportErrorKind) {
    match result.unwrap_err() {
        Unanswered::Failed(failure) => (failure.phase, failure.cause.kind()),
        Unanswered::Source(error) => panic!("the source failed: {error:?}"),
    }
}

/// All of a source, from its beginning.
fn start(source: &s3_io::driver::Source) -> io::Result<Reader> {
    source.range::<Tokio>(0, source.known_len().unwrap())
}

async fn read(mut download: Download) -> Result<Vec<u8>, TransportErrorKind> {
    let mut all = Vec::new();
    while let Some(chunk) = download.chunk().await {
        all.extend_from_slice(&chunk.map_err(|error| error.kind())?);
    }
    Ok(all)
}

#[tokio::test]
async fn bytes_go_out_and_come_back() {
    let uri = server(async |mut stream| {
        let head = head_of(&mut stream).await;
        assert!(head.starts_with("PUT /bucket/key HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("content-length: 1000000\r\n"), "{head}");
        let mut body = vec![0; 1_000_000];
        stream.read_exact(&mut body).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").await.unwrap();
        stream.write_all(&body).await.unwrap();
    })
    .await;
    let data: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
    let sent = task("PUT", &uri, Payload::Bytes(Bytes::from(data.clone())));
    let transport = transport();
    let (head, download) = transport.send(sent, None).await.unwrap();
    assert_eq!(head.status, 200);
    assert_eq!(transport.stats().active, 1);
    assert_eq!(read(download).await.unwrap(), data);
    assert_eq!(transport.stats().active, 0);
}

#[tokio::test]
async fn a_source_is_cut_into_the_chunks_of_its_framing() {
    let trailer = s3_proto::sign::Trailer::checksum(&s3_proto::checksum::ChecksumAlgorithm::Crc32).unwrap();
    let encoder = BodyEncoder::unsigned_trailer(25, 10, vec![trailer]).unwrap();
    let len = encoder.encoded_len();
    let (sender, mut bodies) = tokio::sync::mpsc::unbounded_channel();
    let uri = server(move |mut stream| {
        let sender = sender.clone();
        async move {
            head_of(&mut stream).await;
            let mut body = vec![0; usize::try_from(len).unwrap()];
            stream.read_exact(&mut body).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            sender.send(String::from_utf8(body).unwrap()).unwrap();
        }
    })
    .await;
    let pieces = ["abcdefgh", "ijklmnopqrstuvw", "x", "y"];
    let pieces = pieces.map(|piece| io::Result::Ok(Bytes::from_static(piece.as_bytes())));
    let source = Source::stream(stream::iter(pieces), 25).into();
    let mut sent = task("PUT", &uri, Payload::source(25, false));
    sent.request.headers_mut().insert("content-length", len.into());
    sent.encoder = Some(encoder);
    transport().send(sent, Some(start(&source).unwrap())).await.unwrap();
    let body = bodies.recv().await.unwrap();
    assert!(
        body.starts_with("a\r\nabcdefghij\r\na\r\nklmnopqrst\r\n5\r\nuvwxy\r\n0\r\nx-amz-checksum-crc32:"),
        "{body}"
    );
}

#[tokio::test]
async fn a_source_that_is_too_short_is_not_the_networks_fault() {
    let uri = server(async |mut stream| {
        head_of(&mut stream).await;
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    })
    .await;
    let source = Source::reader(&b"short"[..], 10).into();
    let sent = task("PUT", &uri, Payload::source(10, false));
    let result = transport().send(sent, Some(start(&source).unwrap())).await;
    assert!(matches!(result, Err(Unanswered::Source(_))), "{result:?}");
    assert!(start(&source).is_err(), "a reader is read once");
}

#[tokio::test]
async fn a_file_is_read_as_often_as_needed() {
    let path = std::env::temp_dir().join(format!("s3-tokio-source-{}", std::process::id()));
    let data = vec![7; 600_000];
    std::fs::write(&path, &data).unwrap();
    let source = Source::file(&path).await.unwrap().into();
    for _ in 0..2 {
        let mut all = Vec::new();
        let mut reader = start(&source).unwrap();
        while let Some(piece) = futures_util::StreamExt::next(&mut reader).await {
            all.extend_from_slice(&piece.unwrap());
        }
        assert_eq!(all, data);
    }
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let result = transport().send(task("GET", &uri, Payload::Empty), None).await;
    assert_eq!(failed(result), (Phase::Connect, TransportErrorKind::Refused));
}

type Lookup = fn() -> io::Result<Vec<SocketAddr>>;

struct Fixed(Lookup);

impl Resolve for Fixed {
    fn resolve(&self, _: &str, _: u16) -> Resolving {
        let answer = (self.0)();
        Box::pin(async move { answer })
    }
}

#[tokio::test]
async fn names_that_do_not_exist_differ_from_a_resolver_that_is_down() {
    let cases: [(Lookup, TransportErrorKind); 3] = [
        (|| Err(io::ErrorKind::NotFound.into()), TransportErrorKind::DnsNotFound),
        (|| Ok(Vec::new()), TransportErrorKind::DnsNotFound),
        (|| Err(io::Error::other("Temporary failure in name resolution")), TransportErrorKind::DnsTemporary),
    ];
    for (answer, kind) in cases {
        let transport = transport_with(|options| options.resolver = Some(Arc::new(Fixed(answer))));
        let result = transport.send(task("GET", "https://s3.example/", Payload::Empty), None).await;
        assert_eq!(failed(result), (Phase::Resolve, kind));
    }
}

#[tokio::test]
async fn the_first_byte_does_not_come() {
    let uri = server(async |mut stream| {
        head_of(&mut stream).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    })
    .await;
    let mut sent = task("GET", &uri, Payload::Empty);
    sent.timeouts.first_byte = Some(Duration::from_millis(100));
    let transport = transport();
    let result = transport.send(sent, None).await;
    assert_eq!(failed(result), (Phase::Wait, TransportErrorKind::Timeout));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(transport.stats(), PoolStats::default(), "the connection is closed");
}

#[tokio::test]
async fn nobody_takes_the_body() {
    let uri = server(async |mut stream| {
        head_of(&mut stream).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    })
    .await;
    let mut sent = task("PUT", &uri, Payload::Bytes(Bytes::from(vec![0; 64 << 20])));
    sent.timeouts.idle = Some(Duration::from_millis(200));
    let result = transport().send(sent, None).await;
    assert_eq!(failed(result), (Phase::Send, TransportErrorKind::Timeout));
}

#[tokio::test]
async fn the_handshake_stalls_or_meets_no_tls() {
    let uri = server(async |stream| {
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(stream);
    })
    .await;
    let mut sent = task("GET", &uri.replace("http:", "https:"), Payload::Empty);
    sent.timeouts.tls = Some(Duration::from_millis(100));
    let result = transport().send(sent, None).await;
    assert_eq!(failed(result), (Phase::Connect, TransportErrorKind::Timeout));

    let uri =
        server(async |mut stream| stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap()).await;
    let sent = task("GET", &uri.replace("http:", "https:"), Payload::Empty);
    let result = transport().send(sent, None).await;
    assert_eq!(failed(result), (Phase::Connect, TransportErrorKind::TlsRejected));

    let uri = server(async |stream| drop(stream)).await;
    let sent = task("GET", &uri.replace("http:", "https:"), Payload::Empty);
    let result = transport().send(sent, None).await;
    assert_eq!(failed(result), (Phase::Connect, TransportErrorKind::TlsBroken));
}

#[tokio::test]
async fn the_connection_closes_before_the_answer_or_in_it() {
    let uri = server(async |mut stream| {
        head_of(&mut stream).await;
    })
    .await;
    let result = transport().send(task("GET", &uri, Payload::Empty), None).await;
    assert_eq!(failed(result), (Phase::Wait, TransportErrorKind::Closed));

    let uri = server(async |mut stream| {
        head_of(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
    })
    .await;
    let (_, download) = transport().send(task("GET", &uri, Payload::Empty), None).await.unwrap();
    assert_eq!(read(download).await, Err(TransportErrorKind::Closed));

    let uri = server(async |mut stream| {
        head_of(&mut stream).await;
        stream.write_all(b"SMTP ready when you are\r\n\r\n").await.unwrap();
    })
    .await;
    let result = transport().send(task("GET", &uri, Payload::Empty), None).await;
    assert_eq!(failed(result), (Phase::Wait, TransportErrorKind::Protocol));
}

#[tokio::test]
async fn a_body_that_stalls_is_an_error_only_while_somebody_reads() {
    let uri = server(async |mut stream| {
        head_of(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
    })
    .await;
    let mut sent = task("GET", &uri, Payload::Empty);
    sent.timeouts.idle = Some(Duration::from_millis(100));
    let (_, mut download) = transport().send(sent, None).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(download.chunk().await.unwrap().unwrap(), "half");
    assert_eq!(download.chunk().await.unwrap().unwrap_err().kind(), TransportErrorKind::Timeout);
}

#[tokio::test]
async fn all_connections_are_busy() {
    let uri = server(async |mut stream| {
        head_of(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
    })
    .await;
    let transport = transport_with(|options| options.settings.connections = 1);
    let (_, first) = transport.send(task("GET", &uri, Payload::Empty), None).await.unwrap();
    let mut second = task("GET", &uri, Payload::Empty);
    second.timeouts.pool = Some(Duration::from_millis(50));
    let result = transport.send(second, None).await;
    assert_eq!(failed(result), (Phase::Connect, TransportErrorKind::PoolExhausted));
    drop(first);
    transport.send(task("GET", &uri, Payload::Empty), None).await.unwrap();
}

#[tokio::test]
async fn connections_are_used_again() {
    let uri = server(async |mut stream| {
        loop {
            if head_of(&mut stream).await.is_empty() {
                break;
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody").await.unwrap();
        }
    })
    .await;
    let transport = transport();
    for _ in 0..3 {
        let (_, download) = transport.send(task("GET", &uri, Payload::Empty), None).await.unwrap();
        download.discard().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(counts(&transport), (0, 1, 1));
}

/// Answers every request on a connection with four bytes.
async fn four_bytes_each(mut stream: TcpStream) {
    while !head_of(&mut stream).await.is_empty() {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody").await.unwrap();
    }
}

#[tokio::test]
async fn connections_that_nobody_uses_are_closed_in_time() {
    let uri = server(four_bytes_each).await;
    let transport = transport_with(|options| options.settings.idle_connections = Duration::from_millis(200));
    let (_, download) = transport.send(task("GET", &uri, Payload::Empty), None).await.unwrap();
    assert_eq!(read(download).await.unwrap(), b"body");
    assert_eq!(counts(&transport), (0, 1, 1));
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(counts(&transport), (0, 0, 0));
}

/// Finds this machine once, and then takes for ever.
struct Once(SocketAddr, AtomicBool);

impl Resolve for Once {
    fn resolve(&self, _: &str, _: u16) -> Resolving {
        let (address, again) = (self.0, self.1.swap(true, Ordering::Relaxed));
        Box::pin(async move { if again { std::future::pending().await } else { Ok(vec![address]) } })
    }
}

#[tokio::test]
async fn a_connection_that_comes_free_is_taken_before_a_new_one_is_made() {
    let uri = server(four_bytes_each).await;
    let address = uri.split('/').nth(2).unwrap().parse().unwrap();
    let transport = transport_with(|options| options.resolver = Some(Arc::new(Once(address, false.into()))));
    let get = || task("GET", "http://s3.example/bucket/key", Payload::Empty);
    let (_, first) = transport.send(get(), None).await.unwrap();
    let free = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        read(first).await.unwrap()
    };
    let (second, _) = tokio::join!(transport.send(get(), None), free);
    assert_eq!(read(second.unwrap().1).await.unwrap(), b"body");
}

#[tokio::test]
async fn a_connection_that_the_service_has_closed_is_not_used() {
    let uri = server(async |mut stream| {
        head_of(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody").await.unwrap();
    })
    .await;
    let transport = transport();
    for _ in 0..3 {
        let (_, download) = transport.send(task("GET", &uri, Payload::Empty), None).await.unwrap();
        assert_eq!(read(download).await.unwrap(), b"body");
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(counts(&transport), (0, 0, 0));
    }
}

#[tokio::test]
async fn a_connection_with_the_rest_of_a_request_on_it_is_not_used_again() {
    let uri = server(async |mut stream| {
        head_of(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let transport = transport();
    for _ in 0..2 {
        let sent = task("PUT", &uri, Payload::Bytes(Bytes::from(vec![0; 64 << 20])));
        let (_, download) = transport.send(sent, None).await.unwrap();
        assert_eq!(read(download).await.unwrap(), b"body");
    }
    assert_eq!(transport.stats().active, 0);
}

#[tokio::test]
async fn interim_answers_without_end_are_an_error() {
    let uri = server(async |mut stream| {
        head_of(&mut stream).await;
        while stream.write_all(&b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100)).await.is_ok() {}
    })
    .await;
    let result = transport().send(task("GET", &uri, Payload::Empty), None).await;
    assert_eq!(failed(result), (Phase::Wait, TransportErrorKind::Protocol));
}

#[tokio::test]
async fn the_body_waits_for_continue() {
    let uri = server(async |mut stream| {
        let head = head_of(&mut stream).await;
        assert!(head.contains("expect: 100-continue\r\n"), "{head}");
        let mut body = [0; 4];
        let early = tokio::time::timeout(Duration::from_millis(100), stream.read_exact(&mut body)).await;
        assert!(early.is_err(), "the body came too early");
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
        stream.read_exact(&mut body).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n").await.unwrap();
        stream.write_all(&body).await.unwrap();
    })
    .await;
    let mut sent = task("PUT", &uri, Payload::Bytes(Bytes::from_static(b"body")));
    sent.expect_continue = true;
    let started = Instant::now();
    let (_, download) = transport().send(sent, None).await.unwrap();
    assert_eq!(read(download).await.unwrap(), b"body");
    assert!(started.elapsed() < Duration::from_millis(900), "it did not wait for the time-out");
}

#[tokio::test]
async fn a_refusal_spares_the_body() {
    let uri = server(async |mut stream| {
        head_of(&mut stream).await;
        let refusal = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(refusal).await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty(), "the body was sent all the same");
    })
    .await;
    let mut sent = task("PUT", &uri, Payload::Bytes(Bytes::from_static(b"body")));
    sent.expect_continue = true;
    let (head, _) = transport().send(sent, None).await.unwrap();
    assert_eq!(head.status, 403);
}

#[tokio::test]
async fn a_proxy_tunnels_https_and_may_refuse() {
    let proxy = server(async |mut stream| {
        let head = head_of(&mut stream).await;
        assert!(head.starts_with("CONNECT s3.example:443 HTTP/1.1\r\n"), "{head}");
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await.unwrap();
    })
    .await;
    let proxy = proxy.trim_end_matches("/bucket/key").to_owned();
    let transport = transport_with(|options| {
        options.settings.proxy = Proxy::new(&proxy, "internal.example").map(Some);
    });
    let result = transport.send(task("GET", "https://s3.example/", Payload::Empty), None).await;
    assert_eq!(failed(result), (Phase::Connect, TransportErrorKind::Proxy));
}

#[tokio::test]
async fn a_proxy_that_agrees_is_a_tunnel() {
    let secure = tls_server().await;
    let (sender, mut heads) = tokio::sync::mpsc::unbounded_channel();
    let proxy = server(move |mut stream| {
        let sender = sender.clone();
        async move {
            let head = head_of(&mut stream).await;
            let to = head.split(' ').nth(1).unwrap().replace("s3.example", "127.0.0.1");
            sender.send(head).unwrap();
            let mut onward = TcpStream::connect(to).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
            // Whichever side goes first ends the tunnel.
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut onward).await;
        }
    })
    .await;
    let proxy = proxy.trim_end_matches("/bucket/key").replace("http://", "http://user:password@");
    let transport = transport_with(|options| {
        options.settings.trust.accept_invalid = true;
        options.settings.proxy = Proxy::new(&proxy, "").map(Some);
    });
    let secure = secure.replace("127.0.0.1", "s3.example").replace("localhost", "s3.example");

    let (_, download) = transport.send(task("GET", &secure, Payload::Empty), None).await.unwrap();

    assert_eq!(read(download).await.unwrap(), b"secret");
    let head = heads.recv().await.unwrap();
    let authority = secure.trim_start_matches("https://").trim_end_matches("/bucket/key");
    assert!(head.starts_with(&format!("CONNECT {authority} HTTP/1.1\r\n")), "{head}");
    assert!(head.to_ascii_lowercase().contains("proxy-authorization: basic dxnlcjpwyxnzd29yza=="), "{head}");
}

#[tokio::test]
async fn this_machine_is_not_asked_for_through_a_proxy() {
    let secure = tls_server().await;
    let transport = transport_with(|options| {
        options.settings.trust.extra_roots.push(CERTIFICATE.to_vec());
        options.settings.proxy = Proxy::new("http://127.0.0.1:1", "").map(Some);
    });
    let (_, download) = transport.send(task("GET", &secure, Payload::Empty), None).await.unwrap();
    assert_eq!(read(download).await.unwrap(), b"secret");
}

#[tokio::test]
async fn a_host_that_does_not_take_connections_is_not_waited_for() {
    // Nobody accepts, and once the queue is full the system does not answer either.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    let patience = Duration::from_millis(200);
    while let Ok(connected) = tokio::time::timeout(patience, TcpStream::connect(address)).await {
        queue.push(connected.unwrap());
        assert!(queue.len() < 100, "the queue has no end");
    }
    let mut sent = task("GET", &format!("http://{address}/"), Payload::Empty);
    sent.timeouts.connect = Some(patience);
    let transport = transport();

    let result = transport.send(sent, None).await;

    assert_eq!(failed(result), (Phase::Connect, TransportErrorKind::Timeout));
    assert_eq!(transport.stats(), PoolStats::default());
}

const CERTIFICATE: &[u8] = include_bytes!("data/localhost.pem");
const KEY: &[u8] = include_bytes!("data/localhost.key");

fn acceptor(protocols: &[&[u8]]) -> tokio_rustls::TlsAcceptor {
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
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    tokio_rustls::TlsAcceptor::from(Arc::new(config))
}

/// A server whose certificate nobody has signed.
async fn tls_server() -> String {
    let acceptor = acceptor(&[b"http/1.1"]);
    let uri = server(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret").await.unwrap();
            stream.shutdown().await.unwrap();
        }
    })
    .await;
    uri.replace("http://127.0.0.1", "https://localhost")
}

#[tokio::test]
async fn certificates_are_checked_unless_that_is_turned_off() {
    let uri = tls_server().await;
    let result = transport().send(task("GET", &uri, Payload::Empty), None).await;
    assert_eq!(failed(result), (Phase::Connect, TransportErrorKind::TlsRejected));

    let trusting = transport_with(|options| options.settings.trust.extra_roots.push(CERTIFICATE.to_vec()));
    let (_, download) = trusting.send(task("GET", &uri, Payload::Empty), None).await.unwrap();
    assert_eq!(read(download).await.unwrap(), b"secret");
    // The certificate is for another name.
    let other = uri.replace("localhost", "127.0.0.1");
    let result = trusting.send(task("GET", &other, Payload::Empty), None).await;
    assert_eq!(failed(result), (Phase::Connect, TransportErrorKind::TlsRejected));

    let reckless = transport_with(|options| options.settings.trust.accept_invalid = true);
    let (_, download) = reckless.send(task("GET", &other, Payload::Empty), None).await.unwrap();
    assert_eq!(read(download).await.unwrap(), b"secret");
}

#[test]
fn a_root_that_is_no_certificate_is_refused() {
    let trust = Trust { extra_roots: vec![b"hello".to_vec()], accept_invalid: false };
    assert_eq!(trust.config(true).unwrap_err().kind(), s3_proto::ErrorKind::Configuration);
}

/// A server of HTTP/2 that takes `requests` over each connection, and says farewell then.
async fn h2_server(requests: usize) -> String {
    let acceptor = acceptor(&[b"h2"]);
    let uri = server(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let stream = hyper_util::rt::TokioIo::new(acceptor.accept(stream).await.unwrap());
            let served = Arc::new(AtomicUsize::new(0));
            let seen = served.clone();
            let service = hyper::service::service_fn(move |_| {
                seen.fetch_add(1, Ordering::Relaxed);
                async {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    io::Result::Ok(http::Response::new(Full::new(Bytes::from(vec![1; 100_000]))))
                }
            });
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let mut connection = std::pin::pin!(connection.serve_connection(stream, service));
            let mut is_over = false;
            let _ = std::future::poll_fn(|cx| {
                let ended = connection.as_mut().poll(cx);
                if ended.is_pending() && !is_over && served.load(Ordering::Relaxed) >= requests {
                    is_over = true;
                    connection.as_mut().graceful_shutdown();
                    return connection.as_mut().poll(cx);
                }
                ended
            })
            .await;
        }
    })
    .await;
    uri.replace("http://127.0.0.1", "https://localhost")
}

#[tokio::test]
async fn requests_share_a_connection_over_http_2() {
    let uri = h2_server(100).await;
    let transport = transport_with(|options| {
        options.settings.trust.accept_invalid = true;
        (options.settings.connections, options.streams) = (1, 10);
    });
    let (head, download) = transport.send(task("GET", &uri, Payload::Empty), None).await.unwrap();
    assert_eq!(head.version, http::Version::HTTP_2);
    assert_eq!(read(download).await.unwrap().len(), 100_000);
    let calls = (0..10).map(|_| transport.send(task("GET", &uri, Payload::Empty), None));
    let answers: Vec<_> =
        futures_util::future::join_all(calls).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(counts(&transport), (10, 0, 1));
    for (_, download) in answers {
        assert_eq!(read(download).await.unwrap().len(), 100_000);
    }
    assert_eq!(counts(&transport), (0, 1, 1));
}

#[tokio::test]
async fn requests_that_set_out_at_once_end_up_on_one_connection_over_http_2() {
    let (uri, transport) = (h2_server(100).await, trusting());
    let calls = (0..8).map(async |_| {
        let (_, download) = transport.send(task("GET", &uri, Payload::Empty), None).await.unwrap();
        assert_eq!(read(download).await.unwrap().len(), 100_000);
    });
    futures_util::future::join_all(calls).await;

    let one = async {
        while counts(&transport) != (0, 1, 1) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), one).await.unwrap();
}

#[tokio::test]
async fn a_connection_of_http_2_that_the_service_ends_costs_no_request() {
    let (uri, transport) = (h2_server(3).await, trusting());
    for _ in 0..20 {
        let (_, download) = transport.send(task("GET", &uri, Payload::Empty), None).await.unwrap();
        assert_eq!(read(download).await.unwrap().len(), 100_000);
    }
}

/// A server of HTTP/2 that lets `streams` requests at a time come over a connection. It answers the first that comes over
/// each; then it does as `deaf` says: it hears nothing any more, or only answers nothing.
async fn silent_h2_server(streams: u32, deaf: bool) -> String {
    let acceptor = acceptor(&[b"h2"]);
    let uri = server(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let stream = hyper_util::rt::TokioIo::new(acceptor.accept(stream).await.unwrap());
            let served = Arc::new(AtomicUsize::new(0));
            let seen = served.clone();
            let service = hyper::service::service_fn(move |_| {
                let first = seen.fetch_add(1, Ordering::Relaxed) == 0;
                async move {
                    if !first {
                        std::future::pending::<()>().await;
                    }
                    io::Result::Ok(http::Response::new(Full::new(Bytes::from("answer"))))
                }
            });
            let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let mut connection =
                std::pin::pin!(builder.max_concurrent_streams(streams).serve_connection(stream, service));
            let _ = std::future::poll_fn(|cx| {
                if deaf && served.load(Ordering::Relaxed) > 1 {
                    return std::task::Poll::Pending;
                }
                connection.as_mut().poll(cx)
            })
            .await;
        }
    })
    .await;
    uri.replace("http://127.0.0.1", "https://localhost")
}

fn trusting() -> Transport {
    transport_with(|options| {
        options.settings.trust.accept_invalid = true;
        options.streams = 10;
    })
}

/// A request that is answered.
async fn works(transport: &Transport, uri: &str) {
    let (head, download) = transport.send(task("GET", uri, Payload::Empty), None).await.unwrap();
    assert_eq!(head.version, http::Version::HTTP_2);
    assert_eq!(read(download).await.unwrap(), b"answer");
}

#[tokio::test]
async fn a_connection_of_http_2_that_let_a_request_wait_is_not_used_again() {
    let (uri, transport) = (silent_h2_server(10, false).await, trusting());
    works(&transport, &uri).await;
    for body in [0, 100_000] {
        let payload = if body == 0 { Payload::Empty } else { Payload::Bytes(vec![1; body].into()) };
        let mut waits = task("PUT", &uri, payload);
        waits.timeouts.first_byte = Some(Duration::from_millis(100));
        let result = transport.send(waits, None).await;
        assert_eq!(failed(result), (Phase::Wait, TransportErrorKind::Timeout));

        works(&transport, &uri).await;
    }
}

#[tokio::test]
async fn a_connection_of_http_2_that_is_dead_is_found_out() {
    for len in [0, 10_000_000] {
        let (uri, transport) = (silent_h2_server(10, true).await, trusting());
        works(&transport, &uri).await;
        let payload = if len == 0 { Payload::Empty } else { Payload::Bytes(vec![1; len].into()) };
        let mut waits = task("PUT", &uri, payload);
        (waits.timeouts.first_byte, waits.timeouts.idle) = (None, None);
        tokio::time::pause();
        let began = Instant::now();
        let result = transport.send(waits, None).await;
        let waited = began.elapsed();
        tokio::time::resume();

        assert_eq!(failed(result).1, TransportErrorKind::Timeout);
        assert!(waited < Duration::from_secs(25), "{waited:?}");
        works(&transport, &uri).await;
    }
}

#[tokio::test]
async fn the_signs_of_life_of_a_connection_are_none_of_a_request() {
    let (uri, transport) = (silent_h2_server(10, false).await, trusting());
    works(&transport, &uri).await;
    let mut waits = task("PUT", &uri, Payload::Bytes(vec![1; 100_000].into()));
    waits.timeouts.first_byte = Some(Duration::from_secs(30));
    tokio::time::pause();
    let began = Instant::now();
    let result = transport.send(waits, None).await;

    assert_eq!(failed(result), (Phase::Wait, TransportErrorKind::Timeout));
    assert!(began.elapsed() < Duration::from_secs(35), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_request_that_http_2_has_no_room_for_is_not_kept_for_ever() {
    let (uri, transport) = (silent_h2_server(1, false).await, trusting());
    works(&transport, &uri).await;
    let mut sent = FuturesUnordered::new();
    for _ in 0..4 {
        let mut waits = task("GET", &uri, Payload::Empty);
        (waits.timeouts.pool, waits.timeouts.first_byte) = (Some(Duration::from_millis(100)), None);
        sent.push(transport.send(waits, None));
    }
    let result = tokio::time::timeout(Duration::from_secs(10), sent.next()).await.unwrap().unwrap();
    assert_eq!(failed(result), (Phase::Connect, TransportErrorKind::PoolExhausted));
}

/// Active, idle and open connections.
fn counts(transport: &Transport) -> (usize, usize, usize) {
    let stats = transport.stats();
    (stats.active, stats.idle, stats.open)
}
