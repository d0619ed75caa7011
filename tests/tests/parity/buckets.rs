//! Buckets.

use s3_proto::ErrorKind;

use crate::harness::{Harness, Outcome, World, scenarios, unique};

scenarios! {
    buckets_come_and_go,
    a_bucket_that_is_there_is_not_created_again,
    a_bucket_with_objects_stays,
    a_missing_bucket_is_an_error_of_its_own,
    the_location_is_told,
}

fn buckets_come_and_go<H: Harness>(t: &World<H>) -> Outcome {
    let name = unique();
    t.send(t.client.create_bucket(&name))?;
    t.send(t.client.head_bucket(&name))?;
    let all = t.send(t.client.list_buckets())?.buckets;
    assert!(all.iter().any(|bucket| bucket.name == name));
    t.send(t.client.delete_bucket(&name))?;
    let error = t.send(t.client.head_bucket(&name)).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NoSuchBucket), "{error}");
    Ok(())
}

fn a_bucket_that_is_there_is_not_created_again<H: Harness>(t: &World<H>) -> Outcome {
    match t.send(t.client.create_bucket(&t.bucket)) {
        // In us-east-1, S3 itself does not mind.
        Ok(_) => assert!(t.external, "the bucket was created twice"),
        Err(e) => assert!(
            e.kind() == ErrorKind::BucketAlreadyOwnedByYou
                || t.external && e.kind() == ErrorKind::BucketAlreadyExists,
            "{e}"
        ),
    }
    Ok(())
}

fn a_bucket_with_objects_stays<H: Harness>(t: &World<H>) -> Outcome {
    t.put("key", "data")?;
    let error = t.send(t.client.delete_bucket(&t.bucket)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BucketNotEmpty);
    assert_eq!(t.get("key")?, "data");
    Ok(())
}

fn a_missing_bucket_is_an_error_of_its_own<H: Harness>(t: &World<H>) -> Outcome {
    let name = unique();
    let errors = [
        t.send(t.client.get_object(&name, "key")).map(drop).unwrap_err(),
        t.send(t.client.put_object(&name, "key", "data")).map(drop).unwrap_err(),
        t.send(t.client.list_objects_v2(&name)).map(drop).unwrap_err(),
        t.send(t.client.delete_bucket(&name)).map(drop).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::NoSuchBucket, "{error}");
    }
    Ok(())
}

fn the_location_is_told<H: Harness>(t: &World<H>) -> Outcome {
    let told = t.send(t.client.get_bucket_location(&t.bucket));
    let Some(told) = t.if_sound(told)? else { return Ok(()) };
    let location = told.location_constraint;
    // The first region of S3 has no name here.
    let expected = if t.region == "us-east-1" { "" } else { t.region.as_str() };
    assert!(location == expected || t.external && location == t.region, "{location:?}");
    Ok(())
}
