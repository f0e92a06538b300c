//! Passwords as PostgreSQL keeps them (SCRAM-SHA-256, RFC 7677). Statements carry these and not
//! the passwords, because statements end up in the server's log.

use std::num::NonZeroU32;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{hmac, pbkdf2, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Rounds, as the server itself does them by default.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();
const SALT_BYTES: usize = 16;

/// What the server keeps of a password. The password is taken as it is: generated ones are ASCII,
/// which needs no preparation.
pub(super) fn verifier(password: &str) -> Result<String, Unspecified> {
    let mut salt = [0; SALT_BYTES];
    rand::fill(&mut salt)?;
    let (stored, server) = keys(password, &salt);
    Ok(format!(
        "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored),
        STANDARD.encode(server),
    ))
}

/// `StoredKey` and `ServerKey`.
fn keys(password: &str, salt: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut salted = [0; 32];
    let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
    pbkdf2::derive(
        algorithm,
        ITERATIONS,
        salt,
        password.as_bytes(),
        &mut salted,
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let client = hmac::sign(&key, b"Client Key");
    let server = hmac::sign(&key, b"Server Key");
    let stored = digest(&SHA256, client.as_ref());
    (stored.as_ref().to_vec(), server.as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677, section 3.
    #[test]
    fn keys_are_those_of_the_standard() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let (_, server) = keys("pencil", &salt);
        let messages = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
                        r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                        s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
                        c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let key = hmac::Key::new(hmac::HMAC_SHA256, &server);
        let signature = hmac::sign(&key, messages.as_bytes());
        assert_eq!(
            STANDARD.encode(signature),
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
    }

    #[test]
    fn the_password_is_not_in_it_and_the_salt_is_new() {
        let [one, two] = [verifier("hunter2").unwrap(), verifier("hunter2").unwrap()];
        assert!(one.starts_with("SCRAM-SHA-256$4096:"), "{one}");
        assert!(!one.contains("hunter2"), "{one}");
        assert_ne!(one, two);
    }
}
