//! The bytes of a download, checked as they pass.

use crate::checksum::{Checksum, Hasher};
use crate::{Error, ErrorKind, Phase};

/// Counts and hashes the body of a download beside the machine, on whatever thread reads the connection.
///
/// It comes with [`BodyPlan::Deliver`](crate::BodyPlan) and goes back with
/// [`Answer::End`](crate::Answer), where the machine asks it whether the right bytes came.
#[derive(Debug)]
pub struct BodyCheck {
    expected_len: Option<u64>,
    received: u64,
    checksum: Option<(Hasher, Checksum)>,
}

impl BodyCheck {
    /// Expects this many bytes, if that is known, with this checksum, if there is one that can be computed.
    pub(crate) fn new(expected_len: Option<u64>, checksum: Option<Checksum>) -> Self {
        let checksum = checksum.and_then(|c| Some((Hasher::new(c.algorithm()).ok()?, c)));
        Self { expected_len, received: 0, checksum }
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
        if let Some((hasher, _)) = &mut self.checksum {
            hasher.update(chunk);
        }
        Ok(())
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

    /// Whether all has come as announced.
    pub(crate) fn finish(self) -> Result<(), Error> {
        self.check_not_longer()?;
        if let Some(expected) = self.expected_len.filter(|expected| self.received < *expected) {
            return Err(truncated(self.received, Some(expected)));
        }
        match self.checksum {
            Some((hasher, expected)) => verify(hasher, &expected),
            None => Ok(()),
        }
    }
}

fn verify(hasher: Hasher, expected: &Checksum) -> Result<(), Error> {
    let actual = hasher.finish();
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
    use crate::checksum::ChecksumAlgorithm;

    fn crc32(text: &str) -> Checksum {
        Checksum::parse(ChecksumAlgorithm::Crc32, text).unwrap()
    }

    #[test]
    fn the_right_bytes_pass() {
        let mut check = BodyCheck::new(Some(11), Some(crc32("i9aeUg==")));
        check.update(b"Hello ").unwrap();
        check.update(b"world").unwrap();
        assert!(check.finish().is_ok());
    }

    #[test]
    fn a_body_that_ends_early_says_how_much_came() {
        let mut check = BodyCheck::new(Some(11), None);
        check.update(b"Hello").unwrap();
        let error = check.finish().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TruncatedBody);
        assert_eq!(error.message(), "the body ended after 5 of 11 bytes");
    }

    #[test]
    fn a_body_that_goes_on_is_refused_at_once() {
        let mut check = BodyCheck::new(Some(4), None);
        assert_eq!(check.update(b"Hello").unwrap_err().kind(), ErrorKind::MalformedResponse);
    }

    #[test]
    fn a_changed_byte_is_found() {
        let mut check = BodyCheck::new(Some(11), Some(crc32("i9aeUg==")));
        check.update(b"Hello World").unwrap();
        assert_eq!(check.finish().unwrap_err().kind(), ErrorKind::ChecksumMismatch);
    }
}
