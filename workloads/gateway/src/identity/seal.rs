//! Authenticated encryption of what the gateway hands out or stores: AES-256-GCM under
//! `SESSION_KEY`, bound to a purpose so that one sealed thing cannot stand in for another.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use snafu::Snafu;

/// The key behind every sealed value, and another that only opens.
#[derive(Clone)]
pub struct SealingKey {
    seals: Arc<RandomizedNonceKey>,
    opens: Option<Arc<RandomizedNonceKey>>,
}

/// Why something could not be sealed or opened.
#[derive(Debug, Snafu, PartialEq, Eq)]
pub enum SealError {
    /// The cryptography library refused.
    #[snafu(display("failed to encrypt"))]
    Encrypt,
    /// Forged, damaged, for another purpose, or sealed with another key.
    #[snafu(display("failed to open a sealed value"))]
    Open,
}

impl FromStr for SealingKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = STANDARD
            .decode(text.trim())
            .map_err(|_| "must be base64 of 32 bytes".to_owned())?;
        if bytes.len() != 32 {
            return Err(format!(
                "must be base64 of 32 bytes, this is {} bytes",
                bytes.len()
            ));
        }
        RandomizedNonceKey::new(&AES_256_GCM, &bytes)
            .map(|key| Self {
                seals: Arc::new(key),
                opens: None,
            })
            .map_err(|_| "the cryptography library refused the key".to_owned())
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

impl SealingKey {
    /// This key, which also opens what `other` sealed.
    #[must_use]
    pub fn beside(self, other: &Self) -> Self {
        Self {
            opens: Some(Arc::clone(&other.seals)),
            ..self
        }
    }

    /// Encrypts `plain` for `purpose`: nonce, then ciphertext and tag.
    ///
    /// # Errors
    /// When the cryptography library refuses.
    pub fn seal(&self, purpose: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut body = plain.to_vec();
        let nonce = self
            .seals
            .seal_in_place_append_tag(Aad::from(purpose), &mut body)
            .map_err(|_| SealError::Encrypt)?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    /// Decrypts what [`Self::seal`] made for the same `purpose`.
    ///
    /// # Errors
    /// When it is not such a value.
    pub fn open(&self, purpose: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut keys = [Some(&self.seals), self.opens.as_ref()]
            .into_iter()
            .flatten();
        keys.find_map(|key| open(key, purpose, sealed).ok())
            .ok_or(SealError::Open)
    }

    /// [`Self::seal`], as text for a cookie.
    ///
    /// # Errors
    /// As [`Self::seal`].
    pub fn seal_text(&self, purpose: &[u8], plain: &[u8]) -> Result<String, SealError> {
        Ok(URL_SAFE_NO_PAD.encode(self.seal(purpose, plain)?))
    }

    /// The opposite of [`Self::seal_text`].
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_text(&self, purpose: &[u8], text: &str) -> Result<Vec<u8>, SealError> {
        self.open(
            purpose,
            &URL_SAFE_NO_PAD.decode(text).map_err(|_| SealError::Open)?,
        )
    }
}

fn open(key: &RandomizedNonceKey, purpose: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError::Open)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Open)?;
    // Opening overwrites it, also when it fails.
    let mut body = body.to_vec();
    let plain = key
        .open_in_place(nonce, Aad::from(purpose), &mut body)
        .map_err(|_| SealError::Open)?;
    Ok(plain.to_vec())
}

/// 32 random bytes, as text for a cookie.
///
/// # Errors
/// When the system has no random numbers.
pub fn random_text() -> Result<String, SealError> {
    Ok(URL_SAFE_NO_PAD.encode(random::<32>()?))
}

/// Random bytes.
///
/// # Errors
/// When the system has no random numbers.
pub fn random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| SealError::Encrypt)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SealingKey {
        STANDARD.encode([byte; 32]).parse().unwrap()
    }

    #[test]
    fn what_is_sealed_opens_again_and_never_looks_the_same() {
        let sealed = key(1).seal_text(b"login", b"secret").unwrap();
        assert_eq!(key(1).open_text(b"login", &sealed).unwrap(), b"secret");
        assert_ne!(sealed, key(1).seal_text(b"login", b"secret").unwrap());
    }

    #[test]
    fn another_key_another_purpose_or_a_changed_byte_is_refused() {
        let sealed = key(1).seal(b"login", b"secret").unwrap();
        assert_eq!(key(2).open(b"login", &sealed), Err(SealError::Open));
        assert_eq!(key(1).open(b"session", &sealed), Err(SealError::Open));
        for position in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[position] ^= 1;
            assert_eq!(key(1).open(b"login", &forged), Err(SealError::Open));
        }
        assert_eq!(key(1).open(b"login", b"short"), Err(SealError::Open));
    }

    #[test]
    fn a_standby_opens_and_never_seals() {
        let both = key(1).beside(&key(2));
        let old = key(2).seal(b"login", b"secret").unwrap();
        assert_eq!(both.open(b"login", &old).unwrap(), b"secret");
        assert_eq!(both.open(b"session", &old), Err(SealError::Open));
        let new = both.seal(b"login", b"secret").unwrap();
        assert_eq!(both.open(b"login", &new).unwrap(), b"secret");
        assert_eq!(key(1).open(b"login", &new).unwrap(), b"secret");
        assert_eq!(key(2).open(b"login", &new), Err(SealError::Open));
        // Once the standby is gone, so is what it sealed.
        assert_eq!(key(1).open(b"login", &old), Err(SealError::Open));
        let stranger = key(3).seal(b"login", b"secret").unwrap();
        assert_eq!(both.open(b"login", &stranger), Err(SealError::Open));
    }

    #[rstest::rstest]
    #[case("")]
    #[case("not base64!")]
    #[case("c2hvcnQ=")]
    fn a_bad_key_is_explained(#[case] text: &str) {
        assert!(SealingKey::from_str(text).unwrap_err().contains("32 bytes"));
    }
}
