//! Rights on streams of answers.

use crate::Caller;

/// Whether the caller may come back to a stream, or end it: the person who asked, and of their API
/// keys only the one that asked. `subject` asked, with the key `api_key`; empty = with none.
#[must_use]
pub fn may_come_back(caller: Caller<'_>, subject: &str, api_key: &str) -> bool {
    caller.subject == subject && caller.key().is_none_or(|key| key.id == api_key)
}
