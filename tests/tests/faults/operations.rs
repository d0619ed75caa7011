//! What is done while something goes wrong. None of it may leave or return wrong bytes, also where it fails.

use std::sync::LazyLock;

use bytes::Bytes;
use s3_proto::ops::Delete;
use s3_proto::{Error, ErrorKind};

use crate::harness::{Harness, World, data};

/// Its name, and what it does; it panics when something is there that nobody has put.
pub(crate) type Operation<H> = (&'static str, fn(&Pair<'_, H>) -> Result<(), Error>);

pub(crate) fn all<H: Harness>() -> Vec<Operation<H>> {
    vec![
        ("put small", put_small),
        ("put large", put_large),
        ("get small", get_small),
        ("get large", get_large),
        ("head", head),
        ("list", list),
        ("delete", delete),
        ("upload", upload),
        ("download", download),
        ("copy", copy),
    ]
}

/// The world behind the proxy, and a client before it.
pub(crate) struct Pair<'a, H: Harness> {
    pub(crate) world: &'a World<H>,
    pub(crate) client: &'a H::Client,
}

const SMALL: usize = 4_000;
const LARGE: usize = 1_000_000;
/// Of two parts.
const PARTS: usize = (5 << 20) + 100_000;

/// The bytes that all objects begin with.
fn bytes(len: usize) -> Bytes {
    static ALL: LazyLock<Bytes> = LazyLock::new(|| data(PARTS).into());
    ALL.slice(..len)
}

impl<H: Harness> Pair<'_, H> {
    pub(crate) fn prepare(&self) {
        let store = self.world.server().store();
        store.put(&self.world.bucket, "small", bytes(SMALL));
        store.put(&self.world.bucket, "large", bytes(LARGE));
        for n in 0..5 {
            store.put(&self.world.bucket, &format!("many/{n}"), "one of many");
        }
        store.put(&self.world.bucket, "other", "another object");
    }

    /// Calls after the one that was in trouble, with the same client.
    pub(crate) fn check_others(&self) {
        for _ in 0..2 {
            let get = || {
                let body = H::wait(self.client.get_object(&self.world.bucket, "other").send())?.body;
                self.world.read(body)
            };
            // A machine may be slow for as long as one call.
            let got =
                get().or_else(|error| if error.kind() == ErrorKind::Timeout { get() } else { Err(error) });
            assert_eq!(got.unwrap(), "another object", "of a later call");
        }
    }

    /// Whatever the caller was told, nothing else is there; if it was told that it is there, it is.
    fn stored(&self, key: &str, len: usize, result: &Result<(), Error>) {
        let stored = self.world.server().store().read(&self.world.bucket, key);
        assert!(stored.as_ref().is_none_or(|stored| *stored == bytes(len)), "something else is in the store");
        assert!(stored.is_some() || result.is_err(), "what was acknowledged is not there");
    }
}

fn put_small<H: Harness>(t: &Pair<'_, H>) -> Result<(), Error> {
    let result = H::wait(t.client.put_object(&t.world.bucket, "key", bytes(SMALL)).send()).map(drop);
    t.stored("key", SMALL, &result);
    result
}

/// From a file, so that it can be read again.
fn put_large<H: Harness>(t: &Pair<'_, H>) -> Result<(), Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, bytes(LARGE)).unwrap();
    let put = t.client.put_object(&t.world.bucket, "key", H::file(&path));
    let result = H::wait(put.send()).map(drop);
    t.stored("key", LARGE, &result);
    result
}

fn get<H: Harness>(t: &Pair<'_, H>, key: &str, len: usize) -> Result<(), Error> {
    let body = H::wait(t.client.get_object(&t.world.bucket, key).send())?.body;
    let got = t.world.read(body)?;
    assert!(got == bytes(len), "{} other bytes came", got.len());
    Ok(())
}

fn get_small<H: Harness>(t: &Pair<'_, H>) -> Result<(), Error> {
    get(t, "small", SMALL)
}

fn get_large<H: Harness>(t: &Pair<'_, H>) -> Result<(), Error> {
    get(t, "large", LARGE)
}

fn head<H: Harness>(t: &Pair<'_, H>) -> Result<(), Error> {
    let head = H::wait(t.client.head_object(&t.world.bucket, "small").send())?;
    assert_eq!(head.content_length, Some(SMALL as u64));
    Ok(())
}

fn list<H: Harness>(t: &Pair<'_, H>) -> Result<(), Error> {
    let list = t.client.list_objects_v2(&t.world.bucket).prefix("many/").max_keys(2_u32);
    let keys: Vec<_> = t.world.all(list.entries())?.into_iter().map(|object| object.key).collect();
    assert_eq!(keys, ["many/0", "many/1", "many/2", "many/3", "many/4"]);
    Ok(())
}

fn delete<H: Harness>(t: &Pair<'_, H>) -> Result<(), Error> {
    let keys = (0..5).map(|n| format!("many/{n}"));
    let deleted = H::wait(t.client.delete_objects(&t.world.bucket, Delete::keys(keys)).send())?;
    assert_eq!(deleted.errors.len(), 0);
    assert_eq!(t.world.server().store().keys(&t.world.bucket), ["large", "other", "small"]);
    Ok(())
}

fn upload<H: Harness>(t: &Pair<'_, H>) -> Result<(), Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, bytes(PARTS)).unwrap();
    let upload = t.client.upload_file(&t.world.bucket, "key", &path).part_size(5 << 20).threshold(0);
    let result = H::wait(upload.send()).map(drop);
    t.stored("key", PARTS, &result);
    result
}

fn download<H: Harness>(t: &Pair<'_, H>) -> Result<(), Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let download = t.client.download_file(&t.world.bucket, "large", &path).part_size(300_000);
    let result = H::wait(download.send()).map(drop);
    match std::fs::read(&path) {
        Ok(read) => {
            assert!(read == bytes(LARGE) && result.is_ok(), "{} other bytes are in the file", read.len());
        }
        Err(_) => assert!(result.is_err(), "the file is not there"),
    }
    result
}

fn copy<H: Harness>(t: &Pair<'_, H>) -> Result<(), Error> {
    let copy = t.client.copy_object(&t.world.bucket, "key", (&t.world.bucket, "small"));
    let result = H::wait(copy.send()).map(drop);
    t.stored("key", SMALL, &result);
    result
}
