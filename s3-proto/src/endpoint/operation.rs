//! In what the address depends on the operation.

/// What an operation needs of its address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationNeeds {
    /// It is about the directory bucket itself, and goes to the control endpoint of S3 Express.
    pub express_control: bool,
    /// It is signed with the account's credentials also on S3 Express, not with those of a session.
    pub no_express_session: bool,
    /// It answers a request of Object Lambda, at an endpoint of its own.
    pub object_lambda: bool,
    /// There is nothing that it could do with an access point.
    pub no_access_points: bool,
}

impl OperationNeeds {
    /// Those of the operation with this S3 API name. Source: `staticContextParams` of the service's model.
    pub fn of(operation: &str) -> Self {
        Self {
            express_control: is_about_bucket(operation),
            no_express_session: matches!(operation, "CreateSession" | "CopyObject" | "UploadPartCopy"),
            object_lambda: operation == "WriteGetObjectResponse",
            no_access_points: operation == "CreateBucket",
        }
    }
}

/// Everything that makes, removes or sets up a bucket, but not what any holder of a session may do with one.
fn is_about_bucket(operation: &str) -> bool {
    let verbs = ["Create", "Delete", "Get", "Put", "Update", "List"];
    let noun = verbs.iter().find_map(|verb| operation.strip_prefix(verb)).unwrap_or_default();
    match noun {
        "DirectoryBuckets" | "PublicAccessBlock" => true,
        "Buckets" | "BucketAbac" => false,
        _ => noun.starts_with("Bucket"),
    }
}
