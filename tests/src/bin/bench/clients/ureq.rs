//! ureq with its pool of connections, and nothing else.

use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read};
use std::sync::Mutex;
use std::thread;

use bytes::Bytes;
use s3_io::files;
use s3_proto::checksum::Hasher;
use sha2::{Digest as _, Sha256};
use ureq::{Agent, SendBody};

use super::{Blocking, scan, small_object};
use crate::object;
use crate::workload::{BUCKET, CONNECTIONS, Op, PART, World};

/// What is read at once.
const PIECE: usize = 128 << 10;

pub(crate) struct Ureq {
    agent: Agent,
    world: World,
    object: Bytes,
}

impl Blocking for Ureq {
    fn new(world: &World) -> Self {
        // By default it keeps three a host.
        let config =
            Agent::config_builder().max_idle_connections(64).max_idle_connections_per_host(64).build();
        Self { agent: config.new_agent(), object: small_object(world), world: world.clone() }
    }

    fn call(&self, op: Op) -> u64 {
        match op {
            Op::Get => {
                let answer = self.agent.get(self.uri(&self.world.small)).call();
                object::check(&answer.unwrap().body_mut().read_to_vec().unwrap())
            }
            Op::Put | Op::PutSigned => {
                if op == Op::PutSigned {
                    black_box(Sha256::digest(&self.object));
                }
                let answer = self.agent.put(self.uri(&self.world.small)).send(&self.object[..]);
                answer.unwrap().body_mut().read_to_vec().unwrap();
                self.object.len() as u64
            }
            Op::Read => self.receive(&self.world.large, None, |_, _| {}),
            Op::Upload => self.upload(),
            Op::Download => self.download(),
            Op::List => self.list(),
        }
    }
}

impl Ureq {
    fn uri(&self, key: &str) -> String {
        format!("http://{}/{BUCKET}/{key}", self.world.address)
    }

    /// Reads and hashes a body, and says how long it is.
    fn receive(&self, key: &str, range: Option<String>, mut take: impl FnMut(&[u8], u64)) -> u64 {
        let mut request = self.agent.get(self.uri(key));
        if let Some(range) = range {
            request = request.header("range", range);
        }
        let mut body = request.call().unwrap().into_body().into_reader();
        let (mut buffer, mut hasher, mut read) = (vec![0; PIECE], object::hasher(), 0);
        loop {
            match body.read(&mut buffer).unwrap() {
                0 => break,
                len => {
                    hasher.update(&buffer[..len]);
                    take(&buffer[..len], read);
                    read += len as u64;
                }
            }
        }
        black_box(hasher.finish());
        read
    }

    /// Works on all parts, some at a time.
    fn each_part(&self, work: impl Fn(u64, u64) + Sync) {
        let parts = Mutex::new(self.world.parts());
        let next = || parts.lock().unwrap().next();
        thread::scope(|scope| {
            for _ in 0..CONNECTIONS {
                scope.spawn(|| {
                    while let Some((first, end)) = next() {
                        work(first, end);
                    }
                });
            }
        });
    }

    fn post(&self, uri: String) {
        self.agent.post(uri).send_empty().unwrap().body_mut().read_to_vec().unwrap();
    }

    fn upload(&self) -> u64 {
        let file = File::open(&self.world.source).unwrap();
        let uri = self.uri(&self.world.large);
        self.post(format!("{uri}?uploads"));
        self.each_part(|first, end| {
            let mut part = Part { file: &file, at: first, end, hasher: object::hasher() };
            let request = self.agent.put(format!("{uri}?partNumber={}&uploadId=upload", first / PART + 1));
            let request = request.header("content-length", end - first);
            let answer = request.send(SendBody::from_reader(&mut part));
            answer.unwrap().body_mut().read_to_vec().unwrap();
            black_box(part.hasher.finish());
        });
        self.post(format!("{uri}?uploadId=upload"));
        self.world.scale.object
    }

    fn download(&self) -> u64 {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&self.world.target)
            .unwrap();
        file.set_len(self.world.scale.object).unwrap();
        self.each_part(|first, end| {
            let range = format!("bytes={first}-{}", end - 1);
            let len = self.receive(&self.world.large, Some(range), |piece, at| {
                files::write_all_at(&file, piece, first + at).unwrap();
            });
            assert_eq!(len, end - first);
        });
        file.sync_data().unwrap();
        self.world.scale.object
    }

    fn list(&self) -> u64 {
        let (mut keys, mut token) = (0, String::new());
        loop {
            let uri = format!("http://{}/{BUCKET}?list-type=2{token}", self.world.address);
            let page = self.agent.get(uri).call().unwrap().body_mut().read_to_string().unwrap();
            let (found, next) = scan(&page);
            keys += found;
            match next {
                Some(next) => token = format!("&continuation-token={next}"),
                None => return keys,
            }
        }
    }
}

/// A part of the file, hashed as it is read.
struct Part<'a> {
    file: &'a File,
    at: u64,
    end: u64,
    hasher: Hasher,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = buffer.len().min(usize::try_from(self.end - self.at).unwrap());
        let read = files::read_full_at(self.file, &mut buffer[..len], self.at)?;
        self.hasher.update(&buffer[..read]);
        self.at += read as u64;
        Ok(read)
    }
}
