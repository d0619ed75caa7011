//! Downloads, mass deletion and folders through the fluent form, on a driver that is a model.
// Helpers outside of `#[test]` may fail the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::cell::RefCell;
use std::sync::{Arc, Mutex};

use s3_proto::client::{Client, Driver, Source, Streaming};
use s3_proto::ops::SseCustomerKey;
use s3_proto::transfer::{Compare, Direction};
use s3_proto::{Error, ErrorKind, Machine, Phase, Session};
use support::session;
use support::sim::*;

thread_local! {
    /// Where the machines of this test are driven. It cannot travel between threads, which drivers may.
    static SIM: RefCell<Sim<'static>> = RefCell::new(Sim::new(Store::default()));
}

#[derive(Clone)]
struct Model(Session);

struct NoSource;

impl Source for NoSource {
    fn known_len(&self) -> Option<u64> {
        None
    }
    fn is_replayable(&self) -> bool {
        false
    }
}

impl Driver for Model {
    type Sent<T: Send + 'static> = Result<T, Error>;
    type Source = NoSource;
    type Body = ();
    type Items<T: Send + 'static> = Vec<T>;

    fn session(&self) -> &Session {
        &self.0
    }

    fn run<M>(&self, mut machine: M, _: Option<NoSource>) -> Result<M::Output, Error>
    where
        M: Machine + Send + 'static,
    {
        SIM.with_borrow_mut(|sim| match sim.run_with(&mut machine, drop) {
            End::Done(result) => result,
            End::Stopped => panic!("stopped"),
        })
    }

    fn open<M>(&self, _: M) -> Result<Streaming<M::Item, ()>, Error>
    where
        M: Machine<Output = ()> + Send + 'static,
    {
        unreachable!("nothing is opened here")
    }

    fn items<M>(&self, mut machine: M) -> Vec<M::Item>
    where
        M: Machine<Output = ()> + Send + 'static,
    {
        let mut items = Vec::new();
        SIM.with_borrow_mut(|sim| sim.run_with(&mut machine, |item| items.push(item))).output();
        items
    }
}

/// A client of this store.
fn client(store: Store) -> Client<Model> {
    SIM.with_borrow_mut(|sim| *sim = Sim::new(store));
    Client::new(Model(session()))
}

fn sim<T>(look: impl FnOnce(&Sim<'static>) -> T) -> T {
    SIM.with_borrow(|sim| look(sim))
}

const TEXT: &str = "a text of several parts";

#[test]
fn an_object_goes_into_a_file_a_stream_and_memory_in_the_same_words() {
    let client = client(Store::of([("k", TEXT)]));
    let report = client.download_file("bkt", "k", "dir/file").part_size(5).concurrency(2).send().unwrap();
    assert_eq!((report.bytes, report.parts), (23, 5));
    assert_eq!(sim(|sim| sim.disk.files.values().next().cloned()), Some(TEXT.as_bytes().to_vec()));

    let pieces = client.download_stream("bkt", "k").part_size(5).send();
    assert_eq!((pieces.len(), pieces.concat()), (5, TEXT.as_bytes().to_vec()));

    let all = client.download("bkt", "k").part_size(5).send().unwrap();
    assert_eq!((all.bytes, all.report.parts), (TEXT.into(), 5));
}

#[test]
fn an_object_that_is_not_what_was_expected_is_named() {
    let client = client(Store::of([("k", TEXT)]));
    assert_eq!(client.get_object_string("bkt", "k").unwrap(), TEXT);
    SIM.with_borrow_mut(|sim| {
        let object = sim.store.objects.get_mut("k").unwrap();
        (object.bytes, object.checksum) = (vec![0xff], None);
    });
    let errors = [
        client.get_object_string("bkt", "k").unwrap_err(),
        #[cfg(feature = "json")]
        client.get_object_json::<u8>("bkt", "k").unwrap_err(),
    ];
    for error in errors {
        assert_eq!((error.kind(), error.phase()), (ErrorKind::MalformedResponse, Some(Phase::Parse)));
        let about = (error.operation(), error.bucket(), error.key());
        assert_eq!(about, (Some("GetObject"), Some("bkt"), Some("k")));
        assert!(std::error::Error::source(&error).is_some());
    }
}

#[test]
fn what_is_set_reaches_the_requests() {
    let client = client(Store::of([("k", TEXT)]));
    let all = client
        .download("bkt", "k")
        .range(2..6)
        .version_id("v1")
        .sse_customer_key(SseCustomerKey::new([7; 32]))
        .send()
        .unwrap();
    assert_eq!(all.bytes, "text");
    assert_eq!(sim(|sim| sim.requests.clone()), ["GET /k?versionId=v1 bytes=2-5"]);
    let error = client.download("bkt", "k").if_match("another").send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PreconditionFailed);
    let error = client.download("bkt", "k").max_size(5).send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_checkpoint_is_gone_when_all_is_there() {
    let client = client(Store::of([("k", TEXT)]));
    client.download_file("bkt", "k", "file").part_size(5).checkpoint("state").send().unwrap();
    assert_eq!(sim(|sim| sim.disk.files.len()), 1);
}

#[test]
fn progress_is_told() {
    let client = client(Store::of([("k", TEXT)]));
    let seen = Arc::<Mutex<Vec<u64>>>::default();
    let told = Arc::clone(&seen);
    let tell = move |progress: &s3_proto::transfer::Progress| told.lock().unwrap().push(progress.bytes);
    client.download("bkt", "k").part_size(10).on_progress(tell).send().unwrap();
    assert_eq!(*seen.lock().unwrap(), [10, 20, 23]);
}

#[test]
fn keys_and_prefixes_are_deleted_and_listed() {
    let client = client(Store::of([("a/1", ""), ("a/2", ""), ("b", ""), ("c", "")]));
    assert_eq!(client.list_all("bkt", "a/").len(), 2);
    assert_eq!(client.list_all("bkt", "").len(), 4);
    assert_eq!(client.delete_many("bkt", ["b"]).send().unwrap().deleted, 1);
    assert_eq!(client.delete_prefix("bkt", "a/").batch(1).send().unwrap().deleted, 2);
    assert_eq!(sim(|sim| sim.store.objects.keys().cloned().collect::<Vec<_>>()), ["c"]);
}

#[test]
fn folders_go_up_and_down() {
    let client = client(Store::default());
    SIM.with_borrow_mut(|sim| sim.disk = Disk::with([("dir/a", "1"), ("dir/b/c.tmp", "2")]));
    let report = client.upload_dir("bkt", "p", "dir").exclude("*.tmp").send().unwrap();
    assert_eq!((report.transferred, report.left_out), (1, 1));
    let report = client.download_dir("bkt", "p", "copy").send().unwrap();
    assert_eq!(report.transferred, 1);
    let again = client.sync(Direction::Upload, "bkt", "p", "copy").compare(Compare::SizeAndTime).delete(true);
    let report = again.dry_run(true).send().unwrap();
    assert_eq!((report.unchanged, report.deleted), (1, 0));
}
