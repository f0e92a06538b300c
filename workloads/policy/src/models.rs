//! Which models a caller may name. The groups that an agent role asks for are weighed by
//! [`declared::may_use`](crate::declared::may_use); here an API key is held to its list.

use crate::{Caller, Needs, Scope, admit};

/// Whether the caller may name `model`, as far as its credential says.
#[must_use]
pub fn may_name(caller: Caller<'_>, model: &str) -> bool {
    let only = caller.key().and_then(|grant| grant.models.as_ref());
    only.is_none_or(|models| models.iter().any(|allowed| allowed == model))
}

/// Whether the caller may ask models for answers at all.
#[must_use]
pub fn may_ask(caller: Caller<'_>) -> bool {
    admit(Needs::Scope(Scope::Chat), caller).is_ok()
}

/// Whether the caller may have vectors of `model`.
#[must_use]
pub fn may_embed(caller: Caller<'_>, model: &str) -> bool {
    may_name(caller, model) && admit(Needs::Scope(Scope::Embed), caller).is_ok()
}
