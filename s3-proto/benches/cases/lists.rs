//! A full page of a list, beside the events that its XML consists of.

use std::fmt::Write as _;
use std::hint::black_box;

use http::{Response, response};
use s3_proto::ops::{ListObjectVersions, ListObjectsV2, Operation};

use super::{Case, Work};

const ENTRIES: u64 = 1_000;

pub fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "parse a list of 1,000 objects",
            work: || parse(ListObjectsV2::new("bucket"), objects()),
            // Each key; the list as it grows, and what stands around it.
            allocations: ENTRIES + 20,
            floor: || events(objects()),
            times: 0.55,
            bytes: 0,
        },
        Case {
            name: "parse a list of 1,000 versions",
            work: || parse(ListObjectVersions::new("bucket"), versions()),
            // Also the id and the owner of each version.
            allocations: 3 * ENTRIES + 20,
            floor: || events(versions()),
            times: 0.55,
            bytes: 0,
        },
    ]
}

fn parse<O: Operation>(op: O, page: String) -> Work {
    let head = empty_head();
    Box::new(move || drop(black_box(op.response(&head, black_box(page.as_bytes())).unwrap())))
}

fn events(page: String) -> Work {
    Box::new(move || {
        let mut reader = quick_xml::Reader::from_reader(black_box(page.as_bytes()));
        while black_box(reader.read_event().unwrap()) != quick_xml::events::Event::Eof {}
    })
}

fn empty_head() -> response::Parts {
    Response::new(()).into_parts().0
}

/// As Amazon S3 writes it, with URL encoding asked for.
pub fn objects() -> String {
    page("ListBucketResult", |n| {
        format!(
            "<Contents>{}<LastModified>2025-11-12T10:11:12.000Z</LastModified>\
             <ETag>&quot;9b2cf535f27731c974343645a398{n:04x}&quot;</ETag><Size>{}</Size>\
             <StorageClass>STANDARD</StorageClass></Contents>",
            key(n),
            1_000 + n
        )
    })
}

fn versions() -> String {
    page("ListVersionsResult", |n| {
        format!(
            "<Version>{}<VersionId>3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40Nr8{n:04}</VersionId>\
             <IsLatest>true</IsLatest><LastModified>2025-11-12T10:11:12.000Z</LastModified>\
             <ETag>&quot;9b2cf535f27731c974343645a398{n:04x}&quot;</ETag><Size>{}</Size>\
             <StorageClass>STANDARD</StorageClass><Owner>\
             <ID>75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a</ID></Owner></Version>",
            key(n),
            1_000 + n
        )
    })
}

fn key(n: u64) -> String {
    format!("<Key>warehouse/events/dt=2025-11-12/part-{n:08}-4f1c-9d5e-a1b2c3d4e5f6.snappy.parquet</Key>")
}

fn page(root: &str, entry: impl Fn(u64) -> String) -> String {
    let mut page = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>bucket</Name><Prefix>warehouse/</Prefix>\
         <MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>"
    );
    page.extend((0..ENTRIES).map(entry));
    let _ = write!(page, "</{root}>");
    page
}
