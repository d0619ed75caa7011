//! Lists of objects.

use s3_proto::ops::{CommonPrefix, Object};

use crate::harness::{Harness, Outcome, World, scenarios};

scenarios! {
    an_empty_bucket_lists_nothing,
    prefix_and_delimiter_make_folders,
    pages_follow_each_other,
    the_old_list_has_pages_too,
    versions_are_listed,
    odd_keys_are_kept_as_they_are,
}

fn keys(objects: Vec<Object>) -> Vec<String> {
    objects.into_iter().map(|object| object.key).collect()
}

fn prefixes(common: Vec<CommonPrefix>) -> Vec<String> {
    common.into_iter().map(|common| common.prefix).collect()
}

fn an_empty_bucket_lists_nothing<H: Harness>(t: &World<H>) -> Outcome {
    let page = t.send(t.client.list_objects_v2(&t.bucket))?;
    assert_eq!((page.contents.len(), page.common_prefixes.len()), (0, 0));
    assert_ne!(page.is_truncated, Some(true));
    assert!(t.keys()?.is_empty());
    Ok(())
}

fn prefix_and_delimiter_make_folders<H: Harness>(t: &World<H>) -> Outcome {
    for key in ["a/1", "a/2", "a/b/3", "c/4", "top"] {
        t.put(key, "x")?;
    }
    let page = t.send(t.client.list_objects_v2(&t.bucket).prefix("a/"))?;
    assert_eq!(keys(page.contents), ["a/1", "a/2", "a/b/3"]);
    let page = t.send(t.client.list_objects_v2(&t.bucket).delimiter("/"))?;
    assert_eq!(keys(page.contents), ["top"]);
    assert_eq!(prefixes(page.common_prefixes), ["a/", "c/"]);
    let page = t.send(t.client.list_objects_v2(&t.bucket).prefix("a/").delimiter("/"))?;
    assert_eq!(keys(page.contents), ["a/1", "a/2"]);
    assert_eq!(prefixes(page.common_prefixes), ["a/b/"]);
    let page = t.send(t.client.list_objects_v2(&t.bucket).start_after("a/b/3"))?;
    assert_eq!(keys(page.contents), ["c/4", "top"]);
    let page = t.send(t.client.list_objects_v2(&t.bucket).prefix("none"))?;
    assert_eq!(page.contents, []);
    Ok(())
}

fn pages_follow_each_other<H: Harness>(t: &World<H>) -> Outcome {
    let all = ["k0", "k1", "k2 +%", "k3", "k4"];
    for key in all {
        t.put(key, "x")?;
    }
    let mut pages = t.client.list_objects_v2(&t.bucket).max_keys(2_u32).pages();
    let mut sizes = Vec::new();
    while let Some(page) = H::next(&mut pages) {
        sizes.push(page?.contents.len());
    }
    assert_eq!(sizes, [2, 2, 1]);
    let entries = t.all(t.client.list_objects_v2(&t.bucket).max_keys(2_u32).entries())?;
    assert!(entries.iter().all(|object| object.size == 1 && object.etag.is_some()));
    assert_eq!(keys(entries), all);
    Ok(())
}

fn the_old_list_has_pages_too<H: Harness>(t: &World<H>) -> Outcome {
    for key in ["a", "b", "c", "d/e"] {
        t.put(key, "x")?;
    }
    let entries = t.all(t.client.list_objects(&t.bucket).max_keys(2_u32).entries())?;
    assert_eq!(keys(entries), ["a", "b", "c", "d/e"]);
    let page = t.send(t.client.list_objects(&t.bucket).delimiter("/").marker("b"))?;
    assert_eq!(keys(page.contents), ["c"]);
    assert_eq!(prefixes(page.common_prefixes), ["d/"]);
    Ok(())
}

fn versions_are_listed<H: Harness>(t: &World<H>) -> Outcome {
    t.put("a", "x")?;
    t.put("b", "x")?;
    let page = t.send(t.client.list_object_versions(&t.bucket))?;
    let keys: Vec<_> = page.versions.iter().map(|version| version.key.as_str()).collect();
    assert_eq!(keys, ["a", "b"]);
    assert!(page.versions.iter().all(|version| version.is_latest == Some(true)));
    assert!(page.delete_markers.is_empty());
    Ok(())
}

/// Not for a store with a file system below.
const NOT_PATHS: [&str; 7] = ["back\\slash", "a//b", "dir/./..", "./x", "../y", "folder/", "folder/in it"];

const ODD: [&str; 12] = [
    "with space",
    "plus+plus",
    "per%cent",
    "%2Fencoded%20",
    "amp&<x>\"quotes'",
    "what?q=1#frag",
    "semi;colon:at@",
    "~tilde*star(!)",
    "ünï/çødé",
    "日本語",
    "🦀",
    "e\u{301} decomposed",
];

fn odd_keys_are_kept_as_they_are<H: Harness>(t: &World<H>) -> Outcome {
    let mut all = ODD.to_vec();
    if std::env::var("S3_SKIP_ODD_KEYS").is_ok_and(|value| value == "1") {
        println!("left out, because S3_SKIP_ODD_KEYS is set: {NOT_PATHS:?}");
    } else {
        all.extend(NOT_PATHS);
    }
    all.sort_unstable();
    for key in &all {
        t.send(t.client.put_object(&t.bucket, *key, key.to_string()))?;
    }
    let mut listed = t.keys()?;
    if t.external {
        // Not all sort by bytes.
        listed.sort_unstable();
    }
    assert_eq!(listed, all);
    for key in all {
        assert_eq!(t.get(key)?, key.as_bytes(), "{key}");
        if let Some(page) = t.if_sound(t.send(t.client.list_objects_v2(&t.bucket).prefix(key)))? {
            assert!(keys(page.contents).iter().any(|listed| listed == key), "{key}");
        }
        let copy = format!("copies/{}", key.len());
        t.send(t.client.copy_object(&t.bucket, &copy, (&t.bucket, key)))?;
        assert_eq!(t.get(&copy)?, key.as_bytes(), "{key}");
        t.send(t.client.delete_object(&t.bucket, key))?;
        assert!(!t.wait(t.client.object_exists(&t.bucket, key))?, "{key}");
    }
    Ok(())
}
