//! Sessions with directory buckets (S3 Express One Zone).
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-create-session.html>

use super::Credentials;
use crate::ops::CreateSessionOutput;
use crate::{Error, ErrorKind, Phase};

/// What the requests of a session are signed with.
pub(crate) fn session_credentials(output: CreateSessionOutput) -> Result<Credentials, Error> {
    let session = output.credentials;
    let credentials = Credentials::new(session.access_key_id, session.secret_access_key.clone());
    let unusable = |error: Error| {
        let message =
            format!("CreateSession was answered with credentials that cannot be used: {}", error.message());
        Error::new(ErrorKind::MalformedResponse, message).with_phase(Phase::Parse)
    };
    Ok(credentials
        .map_err(unusable)?
        .with_session_token(session.session_token.clone())
        .with_expiry(session.expiration))
}
