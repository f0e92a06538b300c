//! The form in which MinIO's admin interface takes bodies that hold secrets.
//!
//! `salt (32) | 0x02 | nonce (8) | fragments`. The key is PBKDF2-HMAC-SHA256 of the caller's secret
//! key with 8192 rounds; 0x02 names that derivation with AES-256-GCM, which every server decrypts.
//! The fragments are a secure-io stream: 16 KiB of plaintext each, sealed with the nonce
//! `nonce | little-endian counter` from 1, and with the associated data `flag | tag`, where `flag` is
//! 0x80 on the last fragment and 0 before, and `tag` is what sealing nothing under counter 0 gives.

use std::num::NonZeroU32;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{pbkdf2, rand};

const ROUNDS: NonZeroU32 = NonZeroU32::new(8192).unwrap();
const PBKDF2_AES_256_GCM: u8 = 0x02;
const FRAGMENT: usize = 16 * 1024;
const LAST: u8 = 0x80;
const SALT: usize = 32;
const NONCE: usize = 8;

/// Encrypts `plain` for a server that knows `password`.
pub(super) fn encrypt(password: &str, plain: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let (mut salt, mut nonce) = ([0; SALT], [0; NONCE]);
    rand::fill(&mut salt)?;
    rand::fill(&mut nonce)?;
    encrypt_with(password, plain, salt, nonce)
}

fn encrypt_with(
    password: &str,
    plain: &[u8],
    salt: [u8; SALT],
    nonce: [u8; NONCE],
) -> Result<Vec<u8>, Unspecified> {
    let mut key = [0; 32];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        ROUNDS,
        &salt,
        password.as_bytes(),
        &mut key,
    );
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key)?);
    let mut tag = Vec::new();
    key.seal_in_place_append_tag(counted(nonce, 0), Aad::empty(), &mut tag)?;

    let mut sealed = [salt.as_slice(), &[PBKDF2_AES_256_GCM], &nonce].concat();
    // Nothing is one empty fragment.
    let fragments: Vec<&[u8]> = if plain.is_empty() {
        vec![plain]
    } else {
        plain.chunks(FRAGMENT).collect()
    };
    let last = fragments.len();
    for (counter, fragment) in (1_u32..).zip(fragments) {
        let flag = if usize::try_from(counter) == Ok(last) {
            LAST
        } else {
            0
        };
        let data = [&[flag], tag.as_slice()].concat();
        let mut text = fragment.to_vec();
        key.seal_in_place_append_tag(counted(nonce, counter), Aad::from(data), &mut text)?;
        sealed.extend_from_slice(&text);
    }
    Ok(sealed)
}

fn counted(nonce: [u8; NONCE], counter: u32) -> Nonce {
    let mut bytes = [0; NONCE + 4];
    bytes[..NONCE].copy_from_slice(&nonce);
    bytes[NONCE..].copy_from_slice(&counter.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::{SHA256, digest};
    use rstest::rstest;

    use super::*;

    fn sealed(plain: &[u8]) -> Vec<u8> {
        encrypt_with("root-password", plain, [7; SALT], [9; NONCE]).unwrap()
    }

    // The vectors come from the Go modules github.com/secure-io/sio-go v0.3.1 and
    // golang.org/x/crypto/pbkdf2 with this salt and nonce.
    #[rstest]
    #[case(b"", "f2028f056cbbe95d110302a55581f40b")]
    #[case(
        br#"{"secretKey":"hunter2","status":"enabled"}"#,
        "a80aa0739ba17270f4778f8bbbade93ff9ce7afa433665661460e0061cfabdb240e41156250e361fd3f19a7b1649c92b863234d64492606b50e9"
    )]
    fn short_bodies_are_as_the_server_expects(#[case] plain: &[u8], #[case] fragments: &str) {
        let header = format!("{}02{}", "07".repeat(SALT), "09".repeat(NONCE));
        assert_eq!(hex::encode(sealed(plain)), header + fragments);
    }

    #[rstest]
    #[case(
        16_384,
        "5e7715ddf7d500039f5b8e4913e10eeb3d4755623d558ae2c869d5fcda08d28e"
    )]
    #[case(
        40_000,
        "d61602efe9662aa049287bd6f1fb597014542c5fbddd4c950b684e38626f04c1"
    )]
    fn long_bodies_are_cut_into_fragments(#[case] length: usize, #[case] sha256: &str) {
        let sealed = sealed(&vec![b'a'; length]);
        assert_eq!(hex::encode(digest(&SHA256, &sealed)), sha256);
    }

    #[test]
    fn two_bodies_never_look_alike() {
        assert_ne!(encrypt("p", b"x").unwrap(), encrypt("p", b"x").unwrap());
    }
}
