//! What is measured.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What a client does again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// Reads a small object.
    Get,
    /// Writes a small object.
    Put,
    /// Writes a small object, with its SHA-256 in the signature.
    PutSigned,
    /// Reads the large object as it comes.
    Read,
    /// Uploads the large object from a file, in parts.
    Upload,
    /// Downloads the large object into a file, in parts.
    Download,
    /// Lists all of the bucket.
    List,
}

/// A row of the result.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) op: Op,
    /// Operations at a time.
    pub(crate) in_flight: usize,
}

pub(crate) const WORKLOADS: [Workload; 9] = [
    Workload { name: "get-small-1", op: Op::Get, in_flight: 1 },
    Workload { name: "get-small-64", op: Op::Get, in_flight: 64 },
    Workload { name: "put-small-1", op: Op::Put, in_flight: 1 },
    Workload { name: "put-small-64", op: Op::Put, in_flight: 64 },
    Workload { name: "put-signed-64", op: Op::PutSigned, in_flight: 64 },
    Workload { name: "get-large", op: Op::Read, in_flight: 1 },
    Workload { name: "upload-large", op: Op::Upload, in_flight: 1 },
    Workload { name: "download-large", op: Op::Download, in_flight: 1 },
    Workload { name: "list", op: Op::List, in_flight: 1 },
];

/// How much is moved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Operations on small objects: in turn, and side by side.
    pub(crate) in_turn: u64,
    pub(crate) side_by_side: u64,
    /// Bytes of a small object.
    pub(crate) small: u64,
    /// Bytes of the large one, whole mebibytes.
    pub(crate) object: u64,
    /// Pages of the list, of 1,000 keys each.
    pub(crate) pages: u64,
}

impl Scale {
    pub(crate) const FULL: Self =
        Self { in_turn: 8_000, side_by_side: 20_000, small: 1024, object: 1 << 30, pages: 100 };
    pub(crate) const QUICK: Self =
        Self { in_turn: 500, side_by_side: 2_000, small: 1024, object: 64 << 20, pages: 10 };

    /// How often a workload's operation is done.
    pub(crate) fn operations(&self, workload: &Workload) -> u64 {
        match workload.op {
            Op::Get | Op::Put | Op::PutSigned if workload.in_flight == 1 => self.in_turn,
            Op::Get | Op::Put | Op::PutSigned => self.side_by_side,
            _ => 1,
        }
    }

    /// What an operation has to come to: bytes, or keys.
    pub(crate) fn expected(&self, op: Op) -> u64 {
        match op {
            Op::Get | Op::Put | Op::PutSigned => self.small,
            Op::Read | Op::Upload | Op::Download => self.object,
            Op::List => self.pages * 1_000,
        }
    }
}

pub(crate) const BUCKET: &str = "bucket";
pub(crate) const PART: u64 = 8 << 20;
pub(crate) const CONNECTIONS: usize = 8;

/// The large object as a file.
pub(crate) const SOURCE: &str = "source";

/// Where a client is.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) source: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) scale: Scale,
    /// Keys, which tell the origin how long an object is.
    pub(crate) small: String,
    pub(crate) large: String,
    /// Whether an async runtime has a thread for each processor.
    pub(crate) spread: bool,
}

impl World {
    pub(crate) fn new(address: SocketAddr, folder: &Path, scale: Scale, spread: bool) -> Self {
        Self {
            address,
            source: folder.join(SOURCE),
            target: folder.join("target"),
            scale,
            small: format!("object-{}", scale.small),
            large: format!("object-{}", scale.object),
            spread,
        }
    }

    /// First byte and end of each part of the large object.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (u64, u64)> + Send + use<> {
        let len = self.scale.object;
        (0..len.div_ceil(PART)).map(move |part| (part * PART, (part * PART + PART).min(len)))
    }
}
