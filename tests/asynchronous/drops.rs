//! Calls that are dropped or cancelled half-way leave nothing behind: the same tests for each async driver.

use std::path::Path;
use std::pin::{Pin, pin};
use std::task::Poll;

use s3_io::Cancel;
use s3_proto::client::Driver as _;
use s3_proto::files::FileTask;
use s3_proto::ops::GetObject;
use s3_proto::{Error, ErrorKind};
use s3_test_server::Fault;

use super::machines::{FILE, Transfer};
use super::world::{data, setup, wait_for};
use super::{Client, Source, block_on, tasks};

/// Begins a call; files of it are in the folder.
type Call = fn(&Client, &Path) -> Working;
type Working = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// Polls so often, and drops it then if it has not ended.
async fn polled(future: Working, times: usize) -> Option<Result<(), Error>> {
    let (mut future, mut left) = (pin!(future), times);
    std::future::poll_fn(|cx| match left.checked_sub(1) {
        None => Poll::Ready(None),
        Some(rest) => {
            left = rest;
            future.as_mut().poll(cx).map(Some)
        }
    })
    .await
}

fn put(client: &Client, folder: &Path) -> Working {
    let (client, path) = (client.clone(), folder.join("source"));
    Box::pin(
        async move { client.put_object("bucket", "new", Source::file(path).await.unwrap()).await.map(drop) },
    )
}

fn get(client: &Client, _: &Path) -> Working {
    let client = client.clone();
    Box::pin(async move { client.get_object("bucket", "key").await?.body.collect().await.map(drop) })
}

fn get_into_file(client: &Client, folder: &Path) -> Working {
    let (client, path) = (client.clone(), folder.join("copy"));
    Box::pin(async move { client.get_object("bucket", "key").await?.body.into_file(path).await.map(drop) })
}

fn transfer(client: &Client, folder: &Path) -> Working {
    let (from, to) = (folder.join("download.part"), folder.join("download"));
    let create = FileTask::Create { id: FILE, path: from.clone(), keep: false, temporary: true };
    let call = s3_proto::call::Stream::new(client.session().clone(), GetObject::new("bucket", "key"));
    let transfer = Transfer::new(create, [call], FileTask::Commit { id: FILE, from, to });
    client.driver().run(transfer, None)
}

fn list(client: &Client, _: &Path) -> Working {
    let items = client.list_objects_v2("bucket").max_keys(1_u32).entries();
    Box::pin(async move { items.collect().await.map(drop) })
}

#[test]
fn dropping_a_call_at_any_point_leaves_nothing_behind() {
    let calls: [(&str, Call); 5] = [
        ("put", put),
        ("get", get),
        ("get into a file", get_into_file),
        ("transfer", transfer),
        ("list", list),
    ];
    block_on(async {
        for (name, call) in calls {
            let before = tasks();
            let (client, server) = setup().await;
            for key in ["key", "other"] {
                server.store().put("bucket", key, data(3_000_000));
            }
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("source"), data(1_000_000)).unwrap();

            let mut times = 0;
            loop {
                let outcome = polled(call(&client, folder.path()), times).await;
                wait_for(&format!("{name}: no request, after {times} polls"), || {
                    client.pool_stats().active == 0
                })
                .await;
                wait_for(&format!("{name}: no temporary file, after {times} polls"), || {
                    let names =
                        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
                    names.into_iter().all(|name| !name.to_string_lossy().ends_with(".part"))
                })
                .await;
                if let Some(outcome) = outcome {
                    outcome.unwrap();
                    break;
                }
                times += 1;
            }
            println!("{name}: {times} points at which it waits");
            assert!(times > 1, "{name} did not wait for the server");

            // What is left in the pool can be used, and goes with the client.
            client.head_bucket("bucket").await.unwrap();
            wait_for(&format!("{name}: idle connections only"), || {
                let stats = client.pool_stats();
                stats.active == 0 && stats.open == server.open_connections()
            })
            .await;
            drop(client);
            wait_for(&format!("{name}: no connection"), || server.open_connections() == 0).await;
            wait_for(&format!("{name}: no task"), || tasks() <= before).await;
        }
    });
}

#[test]
fn a_body_that_is_being_read_is_cancelled() {
    block_on(async {
        let (client, server) = setup().await;
        server.store().put("bucket", "key", data(1_000_000));
        server.on_request(|_| Some(Fault::StallBody(1000)));
        let cancel = Cancel::new();
        let client = client.with_cancel(&cancel);
        let mut body = client.get_object("bucket", "key").await.unwrap().body;
        assert_eq!(body.next().await.unwrap().unwrap().len(), 1000);

        let canceller = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(50));
            cancel.cancel();
        });
        let error = body.next().await.unwrap().unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        assert!(body.next().await.is_none(), "there is something after an error");
        canceller.join().unwrap();
        wait_for("no connection", || client.pool_stats().open == 0).await;
    });
}
