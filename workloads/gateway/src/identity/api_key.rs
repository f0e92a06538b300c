//! The form of an API key: `loto_`, 16 digits of its id, 64 of its secret and 8 of a checksum, all
//! hexadecimal in lower case.
//!
//! The checksum is the first 4 bytes of the SHA-256 of what stands before it: a scanner can tell a
//! key from anything else, and a key that was copied badly is refused without asking the database.

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::seal::{SealError, random};

/// What every key begins with.
pub const PREFIX: &str = "loto_";
const ID_BYTES: usize = 8;
/// A key this random needs no slow hash.
const SECRET_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 4;
const DIGITS: usize = 2 * (ID_BYTES + SECRET_BYTES + CHECKSUM_BYTES);

/// A key that was just made. Nobody sees it again.
#[derive(Debug)]
pub struct NewKey {
    /// Its id, which is no secret.
    pub id: String,
    /// The whole key.
    pub text: SecretString,
}

/// A key as sent, with a good checksum.
#[derive(Debug, PartialEq, Eq)]
pub struct SentKey<'t> {
    /// Its id.
    pub id: &'t str,
    /// SHA-256 of the whole key.
    pub hash: [u8; 32],
}

impl NewKey {
    /// A new random key.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn random() -> Result<Self, SealError> {
        let id = hex::encode(random::<ID_BYTES>()?);
        let secret = hex::encode(random::<SECRET_BYTES>()?);
        let body = format!("{PREFIX}{id}{secret}");
        let text = format!("{body}{}", checksum(&body)).into();
        Ok(Self { id, text })
    }

    /// What is stored of it.
    pub fn hash(&self) -> [u8; 32] {
        hash(self.text.expose_secret())
    }
}

/// Reads a key; `None` when it is none or was copied badly.
pub fn read(text: &str) -> Option<SentKey<'_>> {
    let digits = text.strip_prefix(PREFIX)?;
    let plain = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    if digits.len() != DIGITS || !digits.bytes().all(plain) {
        return None;
    }
    let (body, said) = text.split_at_checked(text.len() - 2 * CHECKSUM_BYTES)?;
    let id = digits.get(..2 * ID_BYTES)?;
    (checksum(body) == said).then(|| SentKey {
        id,
        hash: hash(text),
    })
}

/// What people see of a key, to know it again.
pub fn shown(id: &str) -> String {
    format!("{PREFIX}{id}…")
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn checksum(body: &str) -> String {
    hex::encode(hash(body).get(..CHECKSUM_BYTES).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_read_and_no_two_are_alike() {
        let (one, two) = (NewKey::random().unwrap(), NewKey::random().unwrap());
        let text = one.text.expose_secret();
        assert_eq!(text.len(), 93);
        let sent = read(text).unwrap();
        assert_eq!((sent.id, sent.hash), (one.id.as_str(), one.hash()));
        assert_ne!((&one.id, one.hash()), (&two.id, two.hash()));
        assert!(!format!("{one:?}").contains(&text[21..]), "{one:?}");
    }

    #[test]
    fn every_single_mistake_is_seen() {
        let key = NewKey::random().unwrap();
        let text = key.text.expose_secret();
        for at in 0..text.len() {
            let mut wrong = text.as_bytes().to_vec();
            wrong[at] = if wrong[at] == b'0' { b'1' } else { b'0' };
            let wrong = String::from_utf8(wrong).unwrap();
            assert_eq!(read(&wrong), None, "{at}");
        }
        for wrong in [
            "",
            "loto_",
            &text[..92],
            &text[1..],
            &format!("{text}0"),
            &text.to_uppercase(),
            &"loto_é".repeat(20),
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
