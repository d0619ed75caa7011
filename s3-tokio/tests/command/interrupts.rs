//! Ctrl-C.
#![cfg(unix)]

use std::io::Write as _;
use std::process::{Child, Command};
use std::time::Duration;

use super::random::Random;
use super::world::{Ran, World, finish, moves_data, wait_until};

const INTERRUPTED: Option<i32> = Some(130);

/// A server that takes a part now and then, and a file of five parts.
fn setup() -> (World, Vec<u8>) {
    let (world, data) = (World::new(), Random::new(7).bytes(25 << 20));
    world.write("file", &data);
    world.server.store().put("bucket", "object", data.clone());
    world.slow_down(Duration::from_millis(200));
    (world, data)
}

/// Presses Ctrl-C once parts have gone.
fn interrupt_in_the_middle(world: &World, args: &[&str]) -> Ran {
    let child = world.start(args);
    wait_until("parts are on their way", || {
        world.server.requests().iter().filter(|head| moves_data(head)).count() >= 3
    });
    interrupt(&child);
    let ran = finish(child);
    world.settle();
    ran
}

fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn an_upload_leaves_nothing() {
    let (world, _) = setup();
    let ran = interrupt_in_the_middle(
        &world,
        &["cp", "file", "s3://bucket/key", "--part-size", "5MiB", "--concurrency", "2"],
    );
    assert_eq!(ran.code, INTERRUPTED, "{ran:?}");
    assert!(ran.stderr.contains("nothing unfinished was left behind"), "{}", ran.stderr);
    assert_eq!(world.server.store().uploads("bucket"), []);
    assert_eq!(world.object("key"), None);
}

#[test]
fn uploads_of_a_folder_that_cannot_be_aborted_are_told_of() {
    let world = World::new();
    world.write("folder/file", &vec![1; 25 << 20]);
    world.refuse_to_abort(Duration::from_millis(200));
    let ran = interrupt_in_the_middle(&world, &["sync", "folder", "s3://bucket/", "--part-size", "5MiB"]);
    assert_eq!(ran.code, INTERRUPTED, "{ran:?}");
    let left = world.server.store().uploads("bucket");
    assert_eq!(left.len(), 1);
    assert!(ran.stderr.contains(&format!("Aborting upload '{}' failed too", left[0].1)), "{}", ran.stderr);
}

#[test]
fn an_upload_with_a_checkpoint_leaves_that_and_goes_on_from_it() {
    let (world, data) = setup();
    let args = [
        "cp",
        "file",
        "s3://bucket/key",
        "--part-size",
        "5MiB",
        "--concurrency",
        "2",
        "--checkpoint",
        "state",
    ];
    let ran = interrupt_in_the_middle(&world, &args);
    assert_eq!(ran.code, INTERRUPTED, "{ran:?}");
    assert!(ran.stderr.contains("goes on from the checkpoint 'state'"), "{}", ran.stderr);
    assert!(world.path("state").exists());

    let said = world.json(&args);
    assert!(said[0]["parts_found"].as_u64().unwrap() >= 1, "{said:?}");
    assert!(world.object("key").unwrap() == data);
    assert_eq!(world.names(), ["file"]);
    assert_eq!(world.server.store().uploads("bucket"), []);
}

#[test]
fn an_upload_from_an_input_that_says_nothing_more_leaves_nothing() {
    let world = World::new();
    let mut child = world.start(&["cp", "-", "s3://bucket/key", "--part-size", "5MiB"]);
    let mut input = child.stdin.take().unwrap();
    input.write_all(&vec![0; 6 << 20]).unwrap();
    wait_until("a part is on its way", || world.server.requests().iter().any(moves_data));
    interrupt(&child);
    let ran = finish(child);
    drop(input);
    assert_eq!(ran.code, INTERRUPTED, "{ran:?}");
    assert!(ran.stderr.contains("nothing unfinished was left behind"), "{}", ran.stderr);
    assert_eq!(world.server.store().uploads("bucket"), []);
    assert_eq!(world.object("key"), None);
}

#[test]
fn a_download_leaves_nothing() {
    let (world, _) = setup();
    let ran = interrupt_in_the_middle(
        &world,
        &["cp", "s3://bucket/object", "copy", "--part-size", "5MiB", "--concurrency", "2"],
    );
    assert_eq!(ran.code, INTERRUPTED, "{ran:?}");
    assert!(ran.stderr.contains("nothing unfinished was left behind"), "{}", ran.stderr);
    assert_eq!(world.names(), ["file"]);
}

#[test]
fn a_download_with_a_checkpoint_leaves_that_and_goes_on_from_it() {
    let (world, data) = setup();
    let args = [
        "cp",
        "s3://bucket/object",
        "copy",
        "--part-size",
        "5MiB",
        "--concurrency",
        "2",
        "--checkpoint",
        "state",
    ];
    let ran = interrupt_in_the_middle(&world, &args);
    assert_eq!(ran.code, INTERRUPTED, "{ran:?}");
    assert!(ran.stderr.contains("goes on from the checkpoint 'state'"), "{}", ran.stderr);

    let said = world.json(&args);
    assert!(said[0]["resumed"].as_u64().unwrap() >= 5 << 20, "{said:?}");
    assert!(world.read("copy") == data);
    assert_eq!(world.names(), ["copy", "file"]);
}
