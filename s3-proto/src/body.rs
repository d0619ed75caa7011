//! The bytes of a download, checked as they pass.

use crate::checksum::{Checksum, ChecksumAlgorithm, Hasher};
use crate::{Error, ErrorKind, Phase};

/// Counts and hashes the body of a download beside the machine, on whatever thread reads the connection.
///
/// It comes with [`BodyPlan::Deliver`](crate::BodyPlan) and goes back with
/// [`Answer::End`](crate::Answer), where the machine asks it whether the right bytes came.
#[derive(Debug)]
pub struct BodyCheck {
    expected_len: Option<u64>,
    received: u64,
    hasher: Option<Hasher>,
    /// What the service says that comes of it.
    expected: Option<Checksum>,
}

impl BodyCheck {
    /// Expects this many bytes, if that is known, with this checksum, if there is one that can be computed;
    /// computes the other one if there is none.
    pub(crate) fn new(
        expected_len: Option<u64>,
        expected: Option<Checksum>,
        hash: Option<ChecksumAlgorithm>,
    ) -> Self {
        let algorithm = expected.as_ref().map(|c| c.algorithm().clone()).or(hash);
        let hasher = algorithm.and_then(|algorithm| Hasher::new(&algorithm).ok());
        Self { expected_len, received: 0, hasher, expected }
    }

    /// Sees the next chunk, before the user does.
    ///
    /// # Errors
    /// [`ErrorKind::MalformedResponse`] if more bytes come than were announced: stop reading, do not use the
    /// connection again, and give the check back with [`Answer::End`](crate::Answer), so that the machine
    /// says which object it was.
    pub fn update(&mut self, chunk: &[u8]) -> Result<(), Error> {
        self.received += chunk.len() as u64;
        self.check_not_longer()?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(chunk);
        }
        Ok(())
    }

    /// Whether less has come than was announced.
    pub(crate) fn is_short(&self) -> bool {
        self.expected_len.is_some_and(|expected| self.received < expected)
    }

    fn check_not_longer(&self) -> Result<(), Error> {
        match self.expected_len.filter(|expected| self.received > *expected) {
            None => Ok(()),
            Some(expected) => {
                let message = format!("the body is longer than the {expected} bytes that were announced");
                Err(Error::new(ErrorKind::MalformedResponse, message).with_phase(Phase::Body))
            }
        }
    }

    /// How many bytes have passed.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// How many were announced, if the service said so.
    pub fn expected_len(&self) -> Option<u64> {
        self.expected_len
    }

    /// Whether all has come as announced; the checksum, if one was computed.
    pub(crate) fn finish(self) -> Result<Option<Checksum>, Error> {
        self.check_not_longer()?;
        if self.is_short() {
            return Err(truncated(self.received, self.expected_len));
        }
        let actual = self.hasher.map(Hasher::finish);
        if let (Some(actual), Some(expected)) = (&actual, &self.expected) {
            verify(actual, expected)?;
        }
        Ok(actual)
    }
}

/// Compares what came with what the service says of it.
pub(crate) fn verify(actual: &Checksum, expected: &Checksum) -> Result<(), Error> {
    if actual.bytes() == expected.bytes() {
        return Ok(());
    }
    let message = format!("the body's {} is {actual}, but the service says {expected}", expected.algorithm());
    Err(Error::new(ErrorKind::ChecksumMismatch, message).with_phase(Phase::Body))
}

/// The error of a body that ended early.
pub(crate) fn truncated(received: u64, expected: Option<u64>) -> Error {
    let message = match expected {
        Some(expected) => format!("the body ended after {received} of {expected} bytes"),
        None => format!("the body broke off after {received} bytes"),
    };
    Error::new(ErrorKind::TruncatedBody, message).with_phase(Phase::Body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crc32(text: &str) -> Checksum {
        Checksum::parse(ChecksumAlgorithm::Crc32, text).unwrap()
    }

    #[test]
    fn the_right_bytes_pass() {
        let mut check = BodyCheck::new(Some(11), Some(crc32("i9aeUg==")), None);
        check.update(b"Hello ").unwrap();
        check.update(b"world").unwrap();
        assert!(check.finish().is_ok());
    }

    #[test]
    fn a_body_that_ends_early_says_how_much_came() {
        let mut check = BodyCheck::new(Some(11), None, None);
        check.update(b"Hello").unwrap();
        let error = check.finish().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TruncatedBody);
        assert_eq!(error.message(), "the body ended after 5 of 11 bytes");
    }

    #[test]
    fn a_body_that_goes_on_is_refused_at_once() {
        let mut check = BodyCheck::new(Some(4), None, None);
        assert_eq!(check.update(b"Hello").unwrap_err().kind(), ErrorKind::MalformedResponse);
    }

    #[test]
    fn a_changed_byte_is_found() {
        let mut check = BodyCheck::new(Some(11), Some(crc32("i9aeUg==")), None);
        check.update(b"Hello World").unwrap();
        assert_eq!(check.finish().unwrap_err().kind(), ErrorKind::ChecksumMismatch);
    }
}
