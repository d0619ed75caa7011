//! The traits of futures-io and streams, and the executors of async-std and of smol.

use bytes::Bytes;
use futures_util::io::{AsyncReadExt as _, Cursor};
use futures_util::{StreamExt as _, stream};
use s3_async_std::{Client, ErrorKind, Source};
use s3_test_server::Fault;

use super::world::{data, setup};

#[async_std::test]
async fn bytes_files_readers_and_streams_arrive() {
    let (client, _server) = setup().await;
    let data = data(3_000_000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, &data).unwrap();
    let len = data.len() as u64;
    let pieces: Vec<_> = data.chunks(77_777).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();

    client.put_object("bucket", "bytes", data.clone()).await.unwrap();
    client.put_object("bucket", "file", Source::file(&path).await.unwrap()).await.unwrap();
    client.put_object("bucket", "reader", Source::reader(Cursor::new(data.clone()), len)).await.unwrap();
    client.put_object("bucket", "stream", Source::stream(stream::iter(pieces), len)).await.unwrap();
    let async_file = async_std::fs::File::open(&path).await.unwrap();
    client.put_object("bucket", "async file", Source::reader(async_file, len)).await.unwrap();

    for key in ["bytes", "file", "reader", "stream", "async file"] {
        let object = client.get_object("bucket", key).await.unwrap();
        assert_eq!(object.body.content_length(), Some(len));
        assert!(object.body.collect().await.unwrap() == data, "{key}");
    }
}

#[async_std::test]
async fn a_body_is_read_in_every_way() {
    let (client, server) = setup().await;
    let data = data(1_000_000);
    server.store().put("bucket", "key", data.clone());
    let body = async || client.get_object("bucket", "key").await.unwrap().body;

    let chunks: Vec<_> = body().await.map(Result::unwrap).collect().await;
    assert!(chunks.concat() == data);

    let mut read = Vec::new();
    body().await.read_to_end(&mut read).await.unwrap();
    assert!(read == data);

    let mut copied = Vec::new();
    assert_eq!(body().await.copy_to(&mut copied).await.unwrap(), 1_000_000);
    assert!(copied == data);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    assert_eq!(body().await.into_file(&path).await.unwrap(), 1_000_000);
    assert!(std::fs::read(&path).unwrap() == data);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[async_std::test]
async fn an_error_of_a_body_is_an_error_of_its_reader() {
    let (client, server) = setup().await;
    server.store().put("bucket", "key", data(1_000_000));
    server.on_request(|_| Some(Fault::CutBody(0)));
    let mut body = client.get_object("bucket", "key").await.unwrap().body;
    let error = body.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    let error = error.get_ref().unwrap().downcast_ref::<s3_async_std::Error>().unwrap();
    assert_eq!((error.kind(), error.key()), (ErrorKind::TruncatedBody, Some("key")));
}

#[test]
fn a_program_on_smol_puts_and_gets() {
    let executor = smol::Executor::new();
    let task = executor.spawn(async {
        let (client, _server) = setup().await;
        let data = data(1_000_000);
        let reader = smol::io::Cursor::new(data.clone());
        client.put_object("bucket", "key", Source::reader(reader, 1_000_000)).await.unwrap();
        let mut read = Vec::new();
        let mut body = client.get_object("bucket", "key").await.unwrap().body;
        smol::io::AsyncReadExt::read_to_end(&mut body, &mut read).await.unwrap();
        assert!(read == data);
    });
    smol::block_on(executor.run(task));
}

#[test]
fn futures_of_calls_can_go_to_another_thread() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let (client, _server) = smol::block_on(setup());
    drop(is_send(client.put_object("bucket", "key", "data").send()));
    drop(is_send(async move {
        let body = client.get_object("bucket", "key").await?.body;
        body.into_file("/nowhere/at/all").await
    }));
    drop(is_send(Source::file("/nowhere/at/all")));
    drop(is_send(Client::from_env()));
}
