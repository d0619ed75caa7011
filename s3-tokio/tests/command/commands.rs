//! What each command does, and what it says to whom.

use super::random::Random;
use super::world::World;

#[test]
fn a_bucket_is_made_listed_and_removed() {
    let world = World::new();
    world.ok(&["mb", "s3://another"]);
    assert_eq!(world.json(&["ls"]).len(), 2);
    assert!(world.ok(&["ls"]).contains("s3://another"));
    world.ok(&["rb", "s3://another"]);
    assert_eq!(world.server.store().buckets(), ["bucket"]);
}

#[test]
fn a_bucket_with_objects_is_removed_by_force_alone() {
    let world = World::new();
    world.server.store().put("bucket", "key", "x");
    let ran = world.run(&["rb", "s3://bucket"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("not empty") || ran.stderr.contains("BucketNotEmpty"), "{}", ran.stderr);
    world.ok(&["rb", "s3://bucket", "--force"]);
    assert!(world.server.store().buckets().is_empty());
}

#[test]
fn files_go_there_and_come_back() {
    let world = World::new();
    let data = Random::new(1).bytes(17 << 20);
    world.write("file", &data);
    // Into a folder of the bucket, under the file's own name, and back into the folder at hand.
    world.ok(&["cp", "file", "s3://bucket/sub/"]);
    world.ok(&["mv", "s3://bucket/sub/file", "s3://bucket/moved"]);
    world.ok(&["cp", "s3://bucket/moved", "copy"]);
    assert_eq!(world.server.store().keys("bucket"), ["moved"]);
    assert!(world.read("copy") == data);
    world.ok(&["mv", "s3://bucket/moved", "./"]);
    world.ok(&["mv", "moved", "s3://bucket/again"]);
    assert!(world.object("again").unwrap() == data);
    assert_eq!(world.server.store().keys("bucket"), ["again"]);
    assert_eq!(world.names(), ["copy", "file"]);
}

#[test]
fn standard_input_and_output_are_places() {
    let world = World::new();
    let data = Random::new(2).bytes(11 << 20);
    let ran = world.run_with_input(&["cp", "-", "s3://bucket/key", "--part-size", "5MiB"], &data);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(world.object("key").unwrap() == data);
    assert!(world.run(&["cp", "s3://bucket/key", "-"]).stdout == data);
    assert!(world.run(&["cat", "s3://bucket/key"]).stdout == data);
}

#[test]
fn folders_go_there_and_come_back() {
    let world = World::new();
    for name in ["tree/a.txt", "tree/sub/b.txt", "tree/sub/c.bin"] {
        world.write(name, name.as_bytes());
    }
    world.ok(&["cp", "--recursive", "tree", "s3://bucket/p", "--exclude", "*.bin"]);
    assert_eq!(world.server.store().keys("bucket"), ["p/a.txt", "p/sub/b.txt"]);
    world.ok(&["cp", "--recursive", "s3://bucket/p", "s3://bucket/q"]);
    world.ok(&["mv", "--recursive", "s3://bucket/q", "s3://bucket/r", "--include", "b.txt"]);
    assert_eq!(world.server.store().keys("bucket"), ["p/a.txt", "p/sub/b.txt", "q/a.txt", "r/sub/b.txt"]);
    world.ok(&["cp", "--recursive", "s3://bucket/p", "back"]);
    assert_eq!(world.read("back/sub/b.txt"), b"tree/sub/b.txt");
}

#[test]
fn a_folder_is_made_like_another() {
    let world = World::new();
    world.write("tree/a", b"a");
    world.server.store().put("bucket", "p/old", "old");
    let dry = world.json(&["sync", "tree", "s3://bucket/p", "--delete", "--dry-run"]);
    assert_eq!(dry.len(), 3, "{dry:?}");
    assert_eq!(world.server.store().keys("bucket"), ["p/old"]);

    let said = world.json(&["sync", "tree", "s3://bucket/p", "--delete"]);
    assert_eq!((&said[0]["transferred"], &said[0]["deleted"]), (&1.into(), &1.into()));
    assert_eq!(world.server.store().keys("bucket"), ["p/a"]);
    let said = world.json(&["sync", "tree", "s3://bucket/p", "--delete", "--checksum"]);
    assert_eq!((&said[0]["transferred"], &said[0]["unchanged"]), (&0.into(), &1.into()));
}

#[test]
fn objects_are_deleted_as_far_as_was_asked() {
    let world = World::new();
    for key in ["a", "p/1", "p/2.log", "pq"] {
        world.server.store().put("bucket", key, "x");
    }
    world.ok(&["rm", "s3://bucket/p", "--recursive", "--dry-run"]);
    assert_eq!(world.server.store().keys("bucket").len(), 4);
    world.ok(&["rm", "s3://bucket/p", "--recursive", "--include", "*.log"]);
    assert_eq!(world.server.store().keys("bucket"), ["a", "p/1", "pq"]);
    // `pq` is in no folder `p`.
    world.ok(&["rm", "s3://bucket/p", "--recursive"]);
    world.ok(&["rm", "s3://bucket/a"]);
    assert_eq!(world.server.store().keys("bucket"), ["pq"]);
}

#[test]
fn objects_are_listed_counted_and_described() {
    let world = World::new();
    world.write("file", b"12345");
    world.ok(&["cp", "file", "s3://bucket/p/one"]);
    world.server.store().put("bucket", "two", "123");
    let listed = world.json(&["ls", "s3://bucket"]);
    assert_eq!((&listed[0]["prefix"], &listed[1]["key"]), (&"p/".into(), &"two".into()));
    assert_eq!(world.json(&["ls", "s3://bucket", "--recursive"]).len(), 2);
    let used = world.json(&["du", "s3://bucket/"]);
    assert_eq!((&used[0]["objects"], &used[0]["bytes"]), (&2.into(), &8.into()));
    let head = world.json(&["head", "s3://bucket/p/one"]);
    assert_eq!(head[0]["content_length"], 5);
    assert!(world.ok(&["head", "s3://bucket/p/one"]).contains("content_length: 5\n"));
}

#[test]
fn a_presigned_address_names_the_object_and_its_expiry() {
    let world = World::new();
    let url = world.ok(&["presign", "s3://bucket/key", "--expires", "60"]);
    assert!(url.starts_with(&format!("{}/bucket/key?", world.server.endpoint())), "{url}");
    assert!(url.contains("X-Amz-Expires=60") && url.contains("X-Amz-Signature="), "{url}");
    assert_eq!(world.json(&["presign", "s3://bucket/key", "--put"])[0]["method"], "PUT");
}

#[test]
fn what_fails_is_told_to_people_and_programs() {
    let world = World::new();
    let ran = world.run(&["cp", "s3://bucket/nothing", "file"]);
    assert_eq!((ran.code, ran.stdout.len()), (Some(1), 0));
    assert!(ran.stderr.starts_with("s3: ") && ran.stderr.contains("nothing"), "{}", ran.stderr);
    assert!(world.names().is_empty());

    let ran = world.run(&["cat", "s3://bucket/nothing", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!((&error["error"]["kind"], &error["error"]["key"]), (&"NoSuchKey".into(), &"nothing".into()));
}

#[test]
fn what_is_called_wrongly_does_nothing() {
    let world = World::new();
    world.server.store().put("bucket", "key", "x");
    let cases: &[&[&str]] = &[
        &[],
        &["copy", "a", "b"],
        &["cp", "a"],
        &["cp", "a", "b"],
        &["ls", "folder"],
        &["rm", "s3://bucket/key", "--delete"],
        &["rm", "s3://bucket/key", "--versions"],
        &["rm", "s3://bucket/"],
        &["rm", "s3://bucket/key", "--include", "x"],
        &["rb", "s3://bucket/key", "--force"],
        &["cp", "s3://bucket/key", "-", "--checkpoint", "state"],
        &["cp", "s3://bucket/key", "file", "--part-size", "5MB"],
        &["mv", "s3://bucket/key", "s3://bucket/key"],
        &["mv", "--recursive", "s3://bucket/", "s3://bucket/sub"],
        &["sync", "a", "b"],
        &["ls", "--unknown"],
    ];
    for args in cases {
        let ran = world.run(args);
        assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("s3 help"), "{args:?}: {}", ran.stderr);
    }
    assert_eq!(world.server.store().keys("bucket"), ["key"]);
    assert!(world.server.requests().is_empty());
}

#[test]
fn help_is_a_result() {
    let world = World::new();
    for args in [["help"], ["--help"]] {
        assert!(world.ok(&args).starts_with("usage: s3 COMMAND"));
    }
}
