//! The key of a day, region and service.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::{Zeroize as _, Zeroizing};

#[cfg(feature = "sigv4a")]
use super::v4a::KeyPair;
use super::{ALGORITHM, Signature};
use crate::Error;
use crate::credentials::Credentials;
use crate::timestamp::Timestamp;

/// The key that signs for one access key, day, region and service. Cheap to clone; wiped with its last
/// copy.
#[derive(Clone)]
pub struct SigningKey(pub(super) Arc<Inner>);

pub(super) struct Inner {
    signer: Signer,
    /// `AKID/20130524/us-east-1/s3/aws4_request`; with Version 4a without the region.
    credential: String,
    /// Where `20130524/...` starts in it.
    scope_at: usize,
}

enum Signer {
    /// The HMAC with the key already taken in: saves two of the compressions of each signature.
    Hmac(Hmac<Sha256>),
    #[cfg(feature = "sigv4a")]
    Ecdsa(KeyPair),
}

impl SigningKey {
    /// Derives the key for the day of `time`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if region or service is empty, or has
    /// characters that cannot stand in a credential scope.
    pub fn derive(
        credentials: &Credentials,
        time: Timestamp,
        region: &str,
        service: &str,
    ) -> Result<Self, Error> {
        check_scope("region", region)?;
        check_scope("service", service)?;
        let now = time.amz_date();
        let date = std::str::from_utf8(&now[..8]).unwrap_or_default();
        let access_key_id = credentials.access_key_id();
        let credential = [access_key_id, "/", date, "/", region, "/", service, "/aws4_request"].concat();

        let secret = credentials.secret_access_key().expose();
        let mut first = Zeroizing::new(Vec::with_capacity(4 + secret.len()));
        first.extend_from_slice(b"AWS4");
        first.extend_from_slice(secret.as_bytes());
        let mut mac = keyed(&first)?;
        for step in [date, region, service, "aws4_request"] {
            mac.update(step.as_bytes());
            let mut key = Zeroizing::new([0; 32]);
            let mut output = mac.finalize().into_bytes();
            key.copy_from_slice(&output);
            output.as_mut_slice().zeroize();
            mac = keyed(&*key)?;
        }
        let signer = Signer::Hmac(mac);
        Ok(Self(Arc::new(Inner { signer, credential, scope_at: access_key_id.len() + 1 })))
    }

    /// Derives the key of Version 4a, which signs for a set of regions (`*`, or several with commas and `*`),
    /// for the day of `time`.
    ///
    /// # Errors
    /// As [`derive`](Self::derive).
    #[cfg(feature = "sigv4a")]
    pub fn derive_v4a(
        credentials: &Credentials,
        time: Timestamp,
        region_set: &str,
        service: &str,
    ) -> Result<Self, Error> {
        region_set.split(',').try_for_each(|region| check_scope("region", region))?;
        check_scope("service", service)?;
        let now = time.amz_date();
        let date = std::str::from_utf8(&now[..8]).unwrap_or_default();
        let access_key_id = credentials.access_key_id();
        let credential = [access_key_id, "/", date, "/", service, "/aws4_request"].concat();
        let signer = Signer::Ecdsa(KeyPair::derive(credentials, region_set)?);
        Ok(Self(Arc::new(Inner { signer, credential, scope_at: access_key_id.len() + 1 })))
    }

    /// The name of the algorithm, such as `AWS4-HMAC-SHA256`.
    pub fn algorithm(&self) -> &'static str {
        match &self.0.signer {
            Signer::Hmac(_) => ALGORITHM,
            #[cfg(feature = "sigv4a")]
            Signer::Ecdsa(_) => super::v4a::ALGORITHM,
        }
    }

    /// The regions that a key of Version 4a signs for.
    pub fn region_set(&self) -> Option<&str> {
        match &self.0.signer {
            Signer::Hmac(_) => None,
            #[cfg(feature = "sigv4a")]
            Signer::Ecdsa(pair) => Some(&pair.region_set),
        }
    }

    /// Both coordinates of the public key, of a key of Version 4a.
    #[cfg(feature = "sigv4a")]
    pub fn public_key(&self) -> Option<([u8; 32], [u8; 32])> {
        match &self.0.signer {
            Signer::Hmac(_) => None,
            Signer::Ecdsa(pair) => pair.public_key(),
        }
    }

    /// The value of `Credential=` and `X-Amz-Credential`, which is not secret.
    pub fn credential(&self) -> &str {
        &self.0.credential
    }

    /// The credential scope: date, region, service and `aws4_request`.
    pub fn scope(&self) -> &str {
        &self.0.credential[self.0.scope_at..]
    }

    /// The access key id.
    pub fn access_key_id(&self) -> &str {
        &self.0.credential[..self.0.scope_at - 1]
    }

    /// The day, such as `20130524`.
    pub fn date(&self) -> &str {
        self.scope_part(0)
    }

    /// The region, or the set of them.
    pub fn region(&self) -> &str {
        self.region_set().unwrap_or_else(|| self.scope_part(1))
    }

    /// The service's signing name, such as `s3`.
    pub fn service(&self) -> &str {
        self.scope_part(if self.region_set().is_some() { 1 } else { 2 })
    }

    fn scope_part(&self, index: usize) -> &str {
        self.scope().split('/').nth(index).unwrap_or_default()
    }

    /// Whether it is the key of this access key id, day, region (or set of them) and service.
    pub(super) fn is_of(
        &self,
        access_key_id: &str,
        date: &str,
        region: (Option<&str>, &str),
        service: &str,
    ) -> bool {
        let (region_set, region) = region;
        let scope = [access_key_id, "/", date, "/", region, "/", service, "/aws4_request"];
        let scope = if region_set.is_some() { [&scope[..4], &scope[6..]] } else { [&scope[..], &[]] };
        let mut parts = scope.into_iter().flatten();
        self.region_set() == region_set
            && parts.try_fold(self.credential(), |rest, part| rest.strip_prefix(part)) == Some("")
    }

    /// Signs the pieces of a string to sign.
    pub(super) fn sign(&self, pieces: &[&[u8]]) -> Signature {
        match &self.0.signer {
            Signer::Hmac(keyed) => {
                let mut mac = keyed.clone();
                for piece in pieces {
                    mac.update(piece);
                }
                Signature::from_bytes(&mac.finalize().into_bytes())
            }
            #[cfg(feature = "sigv4a")]
            Signer::Ecdsa(pair) => pair.sign(pieces),
        }
    }

    /// Signs `algorithm`, time, scope and hexadecimal digests, a line each: all strings to sign but a POST
    /// policy's look like this.
    pub(super) fn sign_digests(&self, algorithm: &str, now: &[u8; 16], digests: &[&[u8]]) -> Signature {
        let mut text = StackText::new();
        write_string_to_sign(&mut |piece| text.push(piece), algorithm, now, self.scope(), digests);
        if let Some(text) = text.as_bytes() {
            return self.sign(&[text]);
        }
        let mut text = Vec::new();
        let mut put = |piece: &[u8]| text.extend_from_slice(piece);
        write_string_to_sign(&mut put, algorithm, now, self.scope(), digests);
        self.sign(&[&text])
    }

    /// The string to sign of a request.
    pub(super) fn string_to_sign(&self, now: &[u8; 16], canonical_request: &[u8; 64]) -> String {
        let mut text = Vec::new();
        let mut put = |piece: &[u8]| text.extend_from_slice(piece);
        write_string_to_sign(&mut put, self.algorithm(), now, self.scope(), &[canonical_request]);
        String::from_utf8_lossy(&text).into_owned()
    }
}

fn check_scope(what: &str, text: &str) -> Result<(), Error> {
    if text.is_empty() {
        return Err(Error::invalid_input(format!("the {what} to sign for is empty")));
    }
    if !text.bytes().all(|b| b.is_ascii_graphic() && b != b'/' && b != b',') {
        let message = format!("the {what} {text:?} has a character that cannot be signed");
        return Err(Error::invalid_input(message));
    }
    Ok(())
}

fn write_string_to_sign(
    put: &mut impl FnMut(&[u8]),
    algorithm: &str,
    now: &[u8; 16],
    scope: &str,
    digests: &[&[u8]],
) {
    put(algorithm.as_bytes());
    put(b"\n");
    put(now);
    put(b"\n");
    put(scope.as_bytes());
    for digest in digests {
        put(b"\n");
        put(digest);
    }
}

/// Room for a string to sign with a scope of ordinary length: one call of the hash instead of ten.
struct StackText {
    bytes: [u8; 384],
    len: Option<usize>,
}

impl StackText {
    const fn new() -> Self {
        Self { bytes: [0; 384], len: Some(0) }
    }

    fn push(&mut self, piece: &[u8]) {
        let end = self.len.map(|len| len + piece.len());
        let room = self.len.zip(end).and_then(|(from, to)| self.bytes.get_mut(from..to));
        self.len = match room {
            Some(room) => {
                room.copy_from_slice(piece);
                end
            }
            None => None,
        };
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        self.len.and_then(|len| self.bytes.get(..len))
    }
}

fn keyed(key: &[u8]) -> Result<Hmac<Sha256>, Error> {
    // HMAC takes keys of any length (RFC 2104 section 3); the library's type does not say so.
    Hmac::new_from_slice(key).map_err(|_| Error::invalid_input("the secret access key cannot be used"))
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.credential())
    }
}
