//! The key pair of Signature Version 4a, which signs for several regions at once.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-signing-elements.html> and the vectors
//! of `aws-c-auth`. The key follows from the access key alone, so that every region can compute its public half.

use hmac::{Hmac, KeyInit as _, Mac as _};
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use p256::ecdsa::{Signature as P256Signature, SigningKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::Signature;
use crate::credentials::Credentials;
use crate::{Error, ErrorKind};

pub(super) const ALGORITHM: &str = "AWS4-ECDSA-P256-SHA256";

/// A private key, wiped on drop.
#[derive(Clone)]
pub(super) struct KeyPair {
    private: SigningKey,
    pub(super) region_set: String,
}

/// The order of the curve less two, the largest number that a candidate may be.
const LARGEST: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
    0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x4f,
];

impl KeyPair {
    /// The first candidate that is a private key; each is one with a probability of more than 1 - 2^-32.
    pub(super) fn derive(credentials: &Credentials, region_set: &str) -> Result<Self, Error> {
        let secret = credentials.secret_access_key().expose();
        let input = Zeroizing::new([b"AWS4A", secret.as_bytes()].concat());
        for counter in 1..=254 {
            let candidate = candidate(&input, credentials.access_key_id(), counter)?;
            if *candidate <= LARGEST {
                let private = SigningKey::from_slice(&*plus_one(&candidate)).map_err(|_| unusable())?;
                return Ok(Self { private, region_set: region_set.to_owned() });
            }
        }
        Err(unusable())
    }

    /// Signs, with a nonce that follows from key and text (RFC 6979), so the same text has the same signature.
    pub(super) fn sign(&self, pieces: &[&[u8]]) -> Signature {
        let mut hash = Sha256::new();
        for piece in pieces {
            hash.update(piece);
        }
        let signed: Result<P256Signature, _> = self.private.sign_prehash(&hash.finalize());
        // A digest of this length is always signed; an empty signature would be refused by the service.
        signed.map_or_else(|_| Signature::from_bytes(&[]), |signature| der(&signature))
    }

    /// Both coordinates of the public key.
    pub(super) fn public_key(&self) -> Option<([u8; 32], [u8; 32])> {
        let point = self.private.verifying_key().to_sec1_point(false);
        Some(((*point.x()?).into(), (*point.y()?).into()))
    }
}

/// NIST SP 800-108 in counter mode, with the counter of the attempt in its context.
fn candidate(input: &[u8], access_key_id: &str, counter: u8) -> Result<Zeroizing<[u8; 32]>, Error> {
    let mut mac = Hmac::<Sha256>::new_from_slice(input).map_err(|_| unusable())?;
    for piece in [
        &1_u32.to_be_bytes()[..],
        ALGORITHM.as_bytes(),
        &[0],
        access_key_id.as_bytes(),
        &[counter],
        &256_u32.to_be_bytes(),
    ] {
        mac.update(piece);
    }
    Ok(Zeroizing::new(mac.finalize().into_bytes().into()))
}

fn plus_one(number: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    let mut sum = Zeroizing::new(*number);
    for byte in sum.iter_mut().rev() {
        let (next, carry) = byte.overflowing_add(1);
        *byte = next;
        if !carry {
            break;
        }
    }
    sum
}

/// `SEQUENCE { r INTEGER, s INTEGER }`, each number without leading zeros but positive: at most 72 bytes.
fn der(signature: &P256Signature) -> Signature {
    let (r, s) = signature.split_bytes();
    let mut body = Vec::with_capacity(72);
    for number in [&r[..], &s[..]] {
        let zeros = number.iter().take_while(|byte| **byte == 0).count().min(number.len() - 1);
        let digits = &number[zeros..];
        let sign: &[u8] = if digits[0] & 0x80 == 0 { &[] } else { &[0] };
        body.extend_from_slice(&[0x02, short_len(sign.len() + digits.len())]);
        body.extend_from_slice(sign);
        body.extend_from_slice(digits);
    }
    let head = [0x30, short_len(body.len())];
    Signature::from_bytes(&[&head[..], &body].concat())
}

/// All lengths here are below 128, which take one byte.
fn short_len(len: usize) -> u8 {
    u8::try_from(len).unwrap_or(u8::MAX)
}

fn unusable() -> Error {
    Error::new(ErrorKind::InvalidInput, "no key for Signature V4a follows from this access key")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::hex;
    use p256::ecdsa::signature::hazmat::PrehashVerifier as _;

    fn credentials() -> Credentials {
        Credentials::new("AKISORANDOMAASORANDOM", "q+jcrXGc+0zWN6uzclKVhvMmUsIfRPa4rlRandom").unwrap()
    }

    #[test]
    fn the_published_key_is_derived() {
        let pair = KeyPair::derive(&credentials(), "*").unwrap();
        assert_eq!(
            hex(&pair.private.to_bytes()).as_str(),
            "7fd3bd010c0d9c292141c2b77bfbde1042c92e6836fff749d1269ec890fca1bd"
        );
    }

    #[test]
    fn a_number_is_carried_over() {
        let mut number = [0xff; 32];
        number[0] = 7;
        let mut sum = [0; 32];
        sum[0] = 8;
        assert_eq!(*plus_one(&number), sum);
    }

    #[test]
    fn signatures_are_deterministic_der_that_verifies() {
        let pair = KeyPair::derive(&credentials(), "*").unwrap();
        for n in 0..200_u32 {
            let text = n.to_string();
            let signature = pair.sign(&[text.as_bytes()]);
            assert_eq!(signature, pair.sign(&[text.as_bytes()]));
            let bytes: Vec<u8> = (0..signature.as_str().len() / 2)
                .map(|at| u8::from_str_radix(&signature.as_str()[2 * at..2 * at + 2], 16).unwrap())
                .collect();
            let parsed = P256Signature::from_der(&bytes).unwrap();
            let digest = Sha256::digest(text.as_bytes());
            pair.private.verifying_key().verify_prehash(&digest, &parsed).unwrap();
        }
    }
}
