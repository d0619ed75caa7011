//! Transfers through the fluent form, on a driver that is a model.
// Helpers outside of `#[test]` may fail the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::cell::RefCell;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use s3_proto::client::{Client, Driver, Source, Streaming};
use s3_proto::transfer::Progress;
use s3_proto::{Error, Machine, Session};
use support::yard::{Yard, source};
use support::*;

thread_local! {
    /// Where the machines of this test are driven. It cannot travel between threads, which drivers may.
    static YARD: RefCell<Yard> = RefCell::new(Yard::new());
}

#[derive(Clone)]
struct Model(Session);

/// A source of a length that may be known.
struct Data(Bytes, Option<u64>);

impl Source for Data {
    fn known_len(&self) -> Option<u64> {
        self.1
    }
    fn is_replayable(&self) -> bool {
        self.1.is_some()
    }
}

impl Driver for Model {
    type Sent<T: Send + 'static> = Result<T, Error>;
    type Source = Data;
    type Body = ();
    type Items<T: Send + 'static> = Vec<T>;

    fn session(&self) -> &Session {
        &self.0
    }

    fn run<M>(&self, machine: M, source: Option<Data>) -> Result<M::Output, Error>
    where
        M: Machine + Send + 'static,
    {
        YARD.with_borrow_mut(|yard| {
            yard.call = source.map(|Data(bytes, _)| bytes).unwrap_or_default();
            yard.run(machine).result.unwrap()
        })
    }

    fn open<M>(&self, _: M) -> Result<Streaming<M::Item, ()>, Error>
    where
        M: Machine<Output = ()> + Send + 'static,
    {
        unreachable!("nothing is downloaded here")
    }

    fn items<M>(&self, _: M) -> Vec<M::Item>
    where
        M: Machine<Output = ()> + Send + 'static,
    {
        unreachable!("nothing is listed here")
    }
}

const LEN: usize = 5 << 20;
const PART: u64 = LEN as u64;

fn client() -> Client<Model> {
    Client::new(Model(session()))
}

fn object(key: &str) -> store::Object {
    YARD.with_borrow(|yard| yard.store.objects[key].clone())
}

#[test]
fn bytes_files_and_streams_are_uploaded_in_the_same_words() {
    let content = source(2 * LEN + 1);
    YARD.with_borrow_mut(|yard| *yard = Yard::new().with_file("/data/film", content.clone()));

    let file =
        client().upload_file("bkt", "file", "/data/film").part_size(PART).threshold(PART).send().unwrap();
    let bytes =
        client().upload("bkt", "bytes", content.clone()).part_size(PART).threshold(PART).send().unwrap();
    let known = Data(content.clone(), Some(content.len() as u64));
    let known = client().upload_stream("bkt", "known", known).part_size(PART).threshold(PART).send().unwrap();
    let unknown = Data(content.clone(), None);
    let unknown = client().upload_stream("bkt", "unknown", unknown).part_size(PART).send().unwrap();

    for (key, report) in [("file", file), ("bytes", bytes), ("known", known), ("unknown", unknown)] {
        assert_eq!((report.bytes, report.parts_sent), (content.len() as u64, 3), "{key}");
        assert!(object(key).is(&content), "{key}");
    }
}

#[test]
fn members_of_the_object_are_set_beside_how_it_is_uploaded() {
    client()
        .upload("bkt", "page", "<p>")
        .content_type("text/html")
        .metadata("title", "Night")
        .storage_class("STANDARD_IA")
        .with(|put| put.cache_control = Some("no-store".into()))
        .send()
        .unwrap();
    let headers = object("page").headers;
    for (name, value) in [
        ("content-type", "text/html"),
        ("x-amz-meta-title", "Night"),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(headers[name], value);
    }
}

#[test]
fn progress_is_told_on_the_way() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let teller = Arc::clone(&told);
    client()
        .upload("bkt", "film", source(3 * LEN))
        .part_size(PART)
        .threshold(PART)
        .concurrency(1)
        .on_progress(move |progress: &Progress| teller.lock().unwrap().push(progress.bytes))
        .send()
        .unwrap();
    assert_eq!(*told.lock().unwrap(), [0, PART, 2 * PART, 3 * PART]);
}

#[test]
fn objects_are_copied_in_the_same_words() {
    let content = source(2 * LEN);
    client().upload("bkt", "film", content.clone()).send().unwrap();
    let report =
        client().copy("bkt", "copy", ("bkt", "film")).threshold(PART).part_size(PART).send().unwrap();
    assert_eq!((report.bytes, report.parts), (2 * PART, 2));
    assert!(object("copy").is(&content));
}
