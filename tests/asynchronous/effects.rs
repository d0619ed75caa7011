//! What machines ask for beside plain requests: the same tests for each async driver.

use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use s3_io::driver::{Resolve, Resolving};
use s3_proto::call::Stream;
use s3_proto::client::Driver as _;
use s3_proto::files::FileTask;
use s3_proto::ops::{GetObject, PutObject};
use s3_proto::{Call, ErrorKind, Secret, SourceId, Task};
use s3_test_server::Fault;

use super::machines::{FILE, Script, Transfer, part};
use super::world::{config, data, setup};
use super::{Client, Source, block_on};

#[test]
fn a_source_without_a_length_is_read_as_it_is_asked_for() {
    block_on(async {
        let (client, _server) = setup().await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "abcdefghij").unwrap();
        let pieces = ["abc", "defgh", "", "ij"].map(|piece| io::Result::Ok(Bytes::from(piece)));
        let sources = [
            Source::unsized_stream(stream::iter(pieces)),
            Source::unsized_reader(&b"abcdefghij"[..]),
            Source::file(&path).await.unwrap(),
        ];
        for source in sources {
            let script = Script::new([4, 5, 4, 4].map(|len| Task::Fill { len }));
            let answers = client.driver().run(script, Some(source)).await.unwrap();
            assert_eq!(answers, ["abcd", "efghi", "j", ""].map(|text| format!("filled {text:?}")));
        }
    });
}

#[test]
fn a_source_that_fails_or_is_not_there_says_so() {
    block_on(async {
        let (client, _server) = setup().await;
        let broken = Source::unsized_stream(stream::iter([Err(io::Error::other("the disk is gone"))]));
        for (source, text) in [(Some(broken), "the disk is gone"), (None, "no source came with the call")] {
            let answers = client.driver().run(Script::new([Task::Fill { len: 4 }]), source).await.unwrap();
            assert!(answers[0].contains(text), "{answers:?}");
        }
    });
}

#[test]
fn what_may_block_is_carried_out() {
    block_on(async {
        let (client, _server) = setup().await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let content = Secret::new(b"content".to_vec());
        let argv = Secret::new(["echo", "printed"].map(str::to_owned).to_vec());
        let script = Script::new([
            Task::File(FileTask::Save { path: path.clone(), content }),
            Task::ReadFile(path.clone()),
            Task::File(FileTask::Remove { path: path.clone() }),
            Task::ReadFile(path),
            Task::Run { argv, limit: Duration::from_secs(60) },
        ]);
        let answers = client.driver().run(script, None).await.unwrap();
        let expected = [
            "Filed(Ok(Done))",
            "file \"content\"",
            "Filed(Ok(Done))",
            "File(Ok(None))",
            "exit Some(0) \"printed\\n\"",
        ];
        assert_eq!(answers, expected);
    });
}

/// Gives these answers one after the other, and the last one for ever.
struct Answers(Mutex<Vec<SocketAddr>>);

impl Answers {
    fn new(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self(Mutex::new(addresses.into_iter().collect()))
    }
}

impl Resolve for Answers {
    fn resolve(&self, _: &str, _: u16) -> Resolving {
        let mut left = self.0.lock().unwrap();
        let address = if left.len() > 1 { left.remove(0) } else { left[0] };
        Box::pin(async move { Ok(vec![address]) })
    }
}

#[test]
fn names_are_looked_up_by_the_resolver_that_was_given() {
    block_on(async {
        let (_, server) = setup().await;
        let resolver = Answers::new([([192, 0, 2, 1], 0).into()]);
        let client = Client::builder(config(&server)).resolver(resolver).build().unwrap();
        let answers = client.driver().run(Script::new([Task::Resolve("name.example".into())]), None).await;
        assert_eq!(answers.unwrap(), ["Resolved(Ok([192.0.2.1]))"]);
    });
}

#[test]
fn a_reader_of_which_nothing_was_read_serves_the_next_attempt() {
    static DATA: [u8; 100_000] = [7; 100_000];
    block_on(async {
        let (_, server) = setup().await;
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let endpoint = format!("http://s3.example:{}", server.address().port());
        let client = Client::builder(config(&server).with_endpoint(endpoint).unwrap())
            .resolver(Answers::new([nobody, server.address()]))
            .build()
            .unwrap();
        let source = Source::reader(&DATA[..], 100_000);
        client.put_object("bucket", "key", source).await.unwrap();
        let body = client.get_object("bucket", "key").await.unwrap().body;
        assert_eq!(body.collect().await.unwrap(), &DATA[..]);
    });
}

#[test]
fn ranges_of_one_source_and_of_a_file_are_sent_at_once() {
    block_on(async {
        let (client, _server) = setup().await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let data = data(1_000_000);
        std::fs::write(&path, &data).unwrap();
        for from in [SourceId::Call, SourceId::File(FILE)] {
            let put = |n: u64| {
                let op = PutObject::new("bucket", format!("part-{n}"), part(from, n * 250_000, 250_000));
                Call::new(client.session().clone(), op)
            };
            let open = FileTask::Open { id: FILE, path: path.clone() };
            let transfer = Transfer::new(open, (0..4).map(put), FileTask::Close { id: FILE });
            let source = Source::file(&path).await.unwrap();
            client.driver().run(transfer, Some(source)).await.unwrap();

            for (n, part) in data.chunks(250_000).enumerate() {
                let key = format!("part-{n}");
                let body = client.get_object("bucket", &key).await.unwrap().body;
                assert_eq!(body.collect().await.unwrap(), part, "{key}");
                client.delete_object("bucket", &key).await.unwrap();
            }
        }
    });
}

/// Reads `key` in ranges of `len` bytes.
fn ranges(
    client: &Client,
    key: &'static str,
    len: u64,
    count: u64,
) -> impl Iterator<Item = Stream<GetObject>> {
    let session = client.session().clone();
    (0..count).map(move |n| {
        let mut op = GetObject::new("bucket", key);
        op.range = Some((n * len..(n + 1) * len).into());
        Stream::new(session.clone(), op)
    })
}

#[test]
fn ranges_of_an_object_go_into_one_file_at_once_and_are_resumed() {
    block_on(async {
        let (client, server) = setup().await;
        let data = data(8_000_000);
        client.put_object("bucket", "key", data.clone()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("new.part"), folder.path().join("new"));
        let create = FileTask::Create { id: FILE, path: from.clone(), keep: false, temporary: true };
        let commit = FileTask::Commit { id: FILE, from, to: to.clone() };
        // Each range breaks off once.
        let mut left = 4;
        server.on_request(move |_| {
            left -= 1;
            (left >= 0).then_some(Fault::CutBody(1_300_000))
        });
        server.clear_requests();

        let transfer = Transfer::new(create, ranges(&client, "key", 2_000_000, 4), commit);
        client.driver().run(transfer, None).await.unwrap();

        assert!(std::fs::read(to).unwrap() == data, "the file differs");
        assert_eq!(server.requests().len(), 8);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    });
}

#[test]
fn what_cannot_be_written_is_a_local_error_and_not_tried_again() {
    block_on(async {
        let (client, server) = setup().await;
        client.put_object("bucket", "key", data(1_000_000)).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "").unwrap();
        server.clear_requests();
        // Opened to be read.
        let open = FileTask::Open { id: FILE, path };
        let transfer =
            Transfer::new(open, ranges(&client, "key", 1_000_000, 1), FileTask::Close { id: FILE });
        let error = client.driver().run(transfer, None).await.unwrap_err();
        assert_eq!((error.kind(), server.requests().len()), (ErrorKind::LocalIo, 1), "{error}");
    });
}
