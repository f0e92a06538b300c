//! Hashes of values that are compared within one process.

use std::hash::{DefaultHasher, Hash, Hasher};

/// A hash that is the same for the same value for as long as this process runs.
pub(crate) fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
