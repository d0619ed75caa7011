//! `kill -9` in the middle of a copy, and the same command again.

use std::thread;
use std::time::Duration;

use http::Method;
use s3_test_server::Fault;
use s3_tokio::s3_proto::transfer::{Checkpoint, DownloadCheckpoint};

use super::random::{Random, setting};
use super::world::{World, moves_data, wait_until};

const PART: u64 = 5 << 20;
const PARTS: u64 = 9;
const LEN: u64 = PART * (PARTS - 1) + 123;

/// Runs a copy and kills it after some requests and a while.
fn kill_in_the_middle(world: &World, args: &[&str], random: &mut Random) {
    world.server.clear_requests();
    let (requests, pause) = (1 + random.below(PARTS + 1), Duration::from_micros(random.below(60_000)));
    let mut child = world.start(args);
    wait_until("the copy gets somewhere", || {
        child.try_wait().unwrap().is_some() || world.server.requests().len() as u64 >= requests
    });
    thread::sleep(pause);
    // It may be through already: then there is nothing to kill.
    let _ = child.kill();
    child.wait().unwrap();
    world.settle();
    world.server.clear_requests();
}

fn requests_for_data(world: &World) -> Vec<s3_test_server::RequestHead> {
    world.server.requests().into_iter().filter(moves_data).collect()
}

#[test]
fn an_upload_that_was_killed_goes_on_with_the_parts_that_are_missing() {
    let mut random = Random::new(setting("S3_SEED", 1));
    let (mut resumed, mut too_early) = (0, 0);
    for round in 0..setting("S3_KILLS", 4) {
        let world = World::new();
        let data = random.bytes(LEN.try_into().unwrap());
        world.write("file", &data);
        let args = [
            "cp",
            "file",
            "s3://bucket/key",
            "--checkpoint",
            "state",
            "--part-size",
            "5MiB",
            "--concurrency",
            "3",
        ];
        world.slow_down(Duration::from_millis(40));

        kill_in_the_middle(&world, &args, &mut random);
        let checkpoint = std::fs::read(world.path("state")).ok();
        let checkpoint = checkpoint.map(|text| Checkpoint::parse(&text).unwrap());
        let is_named = checkpoint.is_some_and(|checkpoint| !checkpoint.upload_id.is_empty());
        let left = world.server.store().uploads("bucket");
        let there = match left.as_slice() {
            [(key, id)] => {
                let (key, id) = (key.clone(), id.clone());
                world.call(async |client| {
                    client.list_parts("bucket", key, id).entries().collect().await.unwrap()
                })
            }
            _ => Vec::new(),
        };
        assert!(is_named || there.is_empty(), "round {round}: parts were sent without a checkpoint");
        let missing = match (is_named, left.is_empty()) {
            (true, true) => 0,
            (true, false) => PARTS - there.len() as u64,
            (false, _) => PARTS,
        };
        world.server.clear_requests();
        let said = world.json(&args);

        assert_eq!(requests_for_data(&world).len() as u64, missing, "round {round}: {said:?}");
        assert!(world.object("key").unwrap() == data, "round {round}: the content is another");
        assert_eq!(world.server.store().uploads("bucket"), [], "round {round}: an upload was left");
        assert_eq!(world.names(), ["file"], "round {round}");
        resumed += u64::from(missing < PARTS);
        too_early += usize::from(!is_named && !left.is_empty());
    }
    println!(
        "uploads: {resumed} went on from parts, {too_early} were killed before the checkpoint could name them"
    );
}

#[test]
fn an_upload_that_was_killed_when_it_had_just_begun_is_not_left_behind() {
    let world = World::new();
    let data = Random::new(1).bytes(LEN.try_into().unwrap());
    world.write("file", &data);
    let args = ["cp", "file", "s3://bucket/key", "--checkpoint", "state", "--part-size", "5MiB"];
    let creates =
        |head: &s3_test_server::RequestHead| head.method == Method::POST && head.target.contains("?uploads");
    world.server.on_request(move |head| creates(head).then_some(Fault::StallBody(0)));
    for _ in 0..2 {
        let before = world.server.store().uploads("bucket").len();
        let mut child = world.start(&args);
        wait_until("an upload is begun", || world.server.store().uploads("bucket").len() > before);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    world.server.on_request(|_| None);

    world.ok(&args);

    assert_eq!(world.server.store().uploads("bucket"), []);
    assert!(world.object("key").unwrap() == data);
    assert_eq!(world.names(), ["file"]);
}

#[test]
fn a_download_that_was_killed_goes_on_with_the_bytes_that_are_missing() {
    let mut random = Random::new(setting("S3_SEED", 1) + 1);
    let world = World::new();
    let data = random.bytes(LEN.try_into().unwrap());
    world.server.store().put("bucket", "key", data.clone());
    world.slow_down(Duration::from_millis(40));
    let args = [
        "cp",
        "s3://bucket/key",
        "file",
        "--checkpoint",
        "state",
        "--part-size",
        "5MiB",
        "--concurrency",
        "3",
    ];
    let mut resumed_ones = 0;
    for round in 0..setting("S3_KILLS", 4) {
        kill_in_the_middle(&world, &args, &mut random);
        let was_through = world.path("file").exists() && !world.path("state").exists();
        let recorded = std::fs::read(world.path("state")).map_or(0, |text| {
            let checkpoint = DownloadCheckpoint::parse(&text).unwrap();
            let len = |number| if number == PARTS - 1 { LEN - number * PART } else { PART };
            checkpoint.parts.iter().map(|part| len(part.number)).sum()
        });
        let said = world.json(&args);

        let resumed = said[0]["resumed"].as_u64().unwrap();
        let ranges = requests_for_data(&world);
        let asked: u64 = ranges.iter().map(|head| length(head.header("range").unwrap())).sum();
        assert_eq!((resumed, asked), (recorded, LEN - recorded), "round {round}");
        assert!(world.read("file") == data, "round {round}: the content is another");
        assert_eq!(world.names(), ["file"], "round {round}");
        std::fs::remove_file(world.path("file")).unwrap();
        resumed_ones += u64::from(resumed > 0);
        println!(
            "round {round}: {resumed} bytes were there{}",
            if was_through { ", all was done" } else { "" }
        );
    }
    println!("downloads: {resumed_ones} went on from parts");
}

/// Of the object's bytes in `bytes=first-last`.
fn length(range: &str) -> u64 {
    let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    (last.parse::<u64>().unwrap() + 1).min(LEN) - first.parse::<u64>().unwrap()
}
