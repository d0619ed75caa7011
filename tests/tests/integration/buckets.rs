//! Buckets.

use s3_tokio::ErrorKind;

use crate::support::{run, unique};

#[tokio::test]
async fn buckets_come_and_go() {
    run(async |t| {
        let name = unique();
        t.client.create_bucket(&name).await?;
        t.client.head_bucket(&name).await?;
        let all = t.client.list_buckets().await?.buckets;
        assert!(all.iter().any(|bucket| bucket.name == name));
        t.client.delete_bucket(&name).await?;
        let error = t.client.head_bucket(&name).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NoSuchBucket), "{error}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_bucket_that_is_there_is_not_created_again() {
    run(async |t| {
        match t.client.create_bucket(&t.bucket).await {
            // In us-east-1, S3 itself does not mind.
            Ok(_) => assert!(t.external, "the bucket was created twice"),
            Err(e) => assert!(
                e.kind() == ErrorKind::BucketAlreadyOwnedByYou
                    || t.external && e.kind() == ErrorKind::BucketAlreadyExists,
                "{e}"
            ),
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_bucket_with_objects_stays() {
    run(async |t| {
        t.put("key", "data").await?;
        let error = t.client.delete_bucket(&t.bucket).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BucketNotEmpty);
        assert_eq!(t.get("key").await?, b"data");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_missing_bucket_is_an_error_of_its_own() {
    run(async |t| {
        let name = unique();
        let errors = [
            t.client.get_object(&name, "key").await.map(drop).unwrap_err(),
            t.client.put_object(&name, "key", "data").await.map(drop).unwrap_err(),
            t.client.list_objects_v2(&name).await.map(drop).unwrap_err(),
            t.client.delete_bucket(&name).await.map(drop).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::NoSuchBucket, "{error}");
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn the_location_is_told() {
    run(async |t| {
        let told = t.client.get_bucket_location(&t.bucket).await;
        let Some(told) = t.if_sound(told)? else { return Ok(()) };
        let location = told.location_constraint;
        // The first region of S3 has no name here.
        let expected = if t.region == "us-east-1" { "" } else { t.region.as_str() };
        assert!(location == expected || t.external && location == t.region, "{location:?}");
        Ok(())
    })
    .await;
}
