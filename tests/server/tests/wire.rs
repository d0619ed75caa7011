//! The socket, the log, and faults.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use s3_test_server::{Fault, Server};

fn start() -> Server {
    let server = Server::builder().anonymous().start_in_thread().unwrap();
    server.store().put("bkt", "k", "0123456789");
    server
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    stream
}

fn send(stream: &mut TcpStream, method: &str, target: &str, body: &str, last: bool) {
    let close = if last { "connection: close\r\n" } else { "" };
    let length = body.len();
    let head =
        format!("{method} {target} HTTP/1.1\r\nhost: x\r\n{close}content-length: {length}\r\n\r\n{body}");
    stream.write_all(head.as_bytes()).unwrap();
}

/// All that comes until the end, or until nothing comes.
fn receive(stream: &mut TcpStream) -> String {
    let mut out = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        out.extend_from_slice(&buffer[..n]);
    }
    String::from_utf8(out).unwrap()
}

fn ask(server: &Server, method: &str, target: &str, body: &str) -> String {
    let mut stream = connect(server);
    send(&mut stream, method, target, body, true);
    receive(&mut stream)
}

fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn serves_keeps_alive_and_logs() {
    let server = start();
    let mut stream = connect(&server);
    send(&mut stream, "PUT", "/bkt/new?x=1", "hello", false);
    let mut buffer = [0; 4096];
    let n = stream.read(&mut buffer).unwrap();
    let put = String::from_utf8_lossy(&buffer[..n]);
    assert!(put.starts_with("HTTP/1.1 200 OK"), "{put}");
    assert_eq!(server.open_connections(), 1);
    send(&mut stream, "GET", "/bkt/new", "", true);
    let got = receive(&mut stream);
    assert!(got.ends_with("\r\n\r\nhello"), "{got}");
    until(|| server.open_connections() == 0);
    assert_eq!(server.accepted_connections(), 1);
    let log = server.requests();
    assert_eq!((log[0].method.as_str(), log[0].target.as_str(), log.len()), ("PUT", "/bkt/new?x=1", 2));
    assert_eq!(log[0].header("content-length"), Some("5"));
    server.clear_requests();
    assert!(server.requests().is_empty());
    assert!(ask(&server, "HEAD", "/bkt/k", "").contains("content-length: 10"));
    assert!(!ask(&server, "HEAD", "/bkt/no", "").contains("<Error>"));
}

#[test]
fn faults() {
    let server = start();
    server.on_request(|head| match head.target.as_str() {
        "/bkt/slow" => Some(Fault::error(503, "SlowDown")),
        "/bkt/close" => Some(Fault::Close),
        "/bkt/lost" => Some(Fault::LoseResponse),
        "/bkt/k?cut" => Some(Fault::CutBody(4)),
        "/bkt/k?stall" => Some(Fault::StallBody(4)),
        "/bkt/k?never" => Some(Fault::Stall),
        "/bkt/k?later" => Some(Fault::Delay(Duration::from_millis(50))),
        _ => None,
    });
    let slow = ask(&server, "PUT", "/bkt/slow", "x");
    assert!(slow.starts_with("HTTP/1.1 503") && slow.contains("<Code>SlowDown</Code>"), "{slow}");
    assert_eq!(ask(&server, "PUT", "/bkt/close", "x"), "");
    assert_eq!(ask(&server, "PUT", "/bkt/lost", "x"), "");
    assert_eq!(server.store().keys("bkt"), ["k", "lost"]);
    for target in ["/bkt/k?cut", "/bkt/k?stall"] {
        let part = ask(&server, "GET", target, "");
        assert!(part.contains("content-length: 10") && part.ends_with("\r\n\r\n0123"), "{part}");
    }
    assert_eq!(ask(&server, "GET", "/bkt/k?never", ""), "");
    assert!(ask(&server, "GET", "/bkt/k?later", "").ends_with("0123456789"));
    server.clear_hook();
    assert!(ask(&server, "GET", "/bkt/k?cut", "").ends_with("0123456789"));
}

#[test]
fn stops_when_dropped() {
    let server = start();
    let address = server.address();
    let mut idle = connect(&server);
    until(|| server.open_connections() == 1);
    server.on_request(|_| Some(Fault::Stall));
    let mut stalled = connect(&server);
    send(&mut stalled, "GET", "/bkt/k", "", false);
    until(|| server.requests().len() == 1);
    let start = Instant::now();
    drop(server);
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(receive(&mut idle), "");
    assert!(TcpStream::connect(address).is_err());
}

#[tokio::test]
async fn runs_as_a_task() {
    let server = Server::builder().anonymous().start().await.unwrap();
    let address = server.address();
    let idle = tokio::net::TcpStream::connect(address).await.unwrap();
    while server.open_connections() == 0 {
        tokio::task::yield_now().await;
    }
    server.shutdown().await;
    drop(idle);
    Server::builder().start_in_thread().unwrap().shutdown().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());

    let server = Server::builder().anonymous().start().await.unwrap();
    let address = server.address();
    drop(server);
    tokio::task::yield_now().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[test]
fn a_broken_upload_leaves_nothing() {
    let server = start();
    let mut stream = connect(&server);
    stream.write_all(b"PUT /bkt/part HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nonly this").unwrap();
    drop(stream);
    until(|| server.requests().len() == 1 && server.open_connections() == 0);
    assert_eq!(server.store().keys("bkt"), ["k"]);
    let mut stream = connect(&server);
    stream
        .write_all(b"PUT /bkt/p HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
        .unwrap();
    assert!(receive(&mut stream).starts_with("HTTP/1.1 411"));
}
