//! The values that the controller read or made.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};
use snafu::Snafu;

use super::{Data, SecretSpec};

/// A Secret or one of its keys is not there.
#[derive(Debug, Snafu, PartialEq, Eq)]
#[snafu(display("Secret {secret} has no key {key}: {}", remedy(data.as_ref())))]
pub struct MissingCredential {
    /// The Secret.
    pub secret: String,
    /// The key.
    pub key: String,
    /// What holds the value as well, where no other value would do any more.
    pub data: Option<Data>,
}

fn remedy(data: Option<&Data>) -> String {
    match data {
        Some(data) => format!(
            "its value is in the data of {data}, which no other opens; restore it from a backup, or \
             delete the Secret, {} to begin anew without those data",
            data.all()
        ),
        None => "delete the Secret, and it is made anew".to_owned(),
    }
}

/// The values of all required Secrets, complete.
#[derive(Clone, Default)]
pub struct Credentials {
    values: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
}

impl Credentials {
    /// Takes the values by Secret and key, and checks that none is missing.
    ///
    /// # Errors
    /// A required Secret lacks a key.
    pub fn new(
        required: &[SecretSpec],
        values: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    ) -> Result<Self, MissingCredential> {
        for spec in required {
            for key in spec.keys() {
                let held = values
                    .get(spec.name())
                    .is_some_and(|keys| keys.contains_key(key));
                if !held {
                    return MissingCredentialSnafu {
                        secret: spec.name(),
                        key,
                        data: spec.data.clone(),
                    }
                    .fail();
                }
            }
        }
        Ok(Self { values })
    }

    /// One value as text.
    #[must_use]
    pub fn text(&self, secret: &str, key: &str) -> &str {
        self.values
            .get(secret)
            .and_then(|keys| keys.get(key))
            .and_then(|value| std::str::from_utf8(value).ok())
            .unwrap_or_default()
    }

    /// Digest of one value; of nothing when it is not ours.
    #[must_use]
    pub fn digest(&self, secret: &str, key: &str) -> Option<String> {
        self.values.get(secret)?.get(key).map(|value| digest(value))
    }
}

impl fmt::Debug for Credentials {
    /// Names only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// Lower-case hex SHA-256.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
