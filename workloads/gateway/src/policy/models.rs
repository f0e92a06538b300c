//! Which models a caller may name. What groups an agent role asks for is the agents service's to
//! say; here an API key is held to its list.

use axum::http::StatusCode;

use super::{Needs, Scope, admit};
use crate::failure::Failure;
use crate::identity::Identity;

/// Whether the caller may name `model`, as far as its credential says.
pub fn may_name(identity: &Identity, model: &str) -> bool {
    let only = identity.grant().and_then(|grant| grant.models.as_ref());
    only.is_none_or(|models| models.iter().any(|allowed| allowed == model))
}

/// Whether the caller may ask models for answers at all.
pub fn may_ask(identity: &Identity) -> bool {
    admit(Needs::Scope(Scope::Chat), identity).is_ok()
}

/// Whether the caller may have vectors of `model`.
pub fn may_embed(identity: &Identity, model: &str) -> bool {
    may_name(identity, model) && admit(Needs::Scope(Scope::Embed), identity).is_ok()
}

/// 404 for a model that does not exist or that the caller may not name.
pub fn unknown() -> Failure {
    let mut failure = Failure::new(
        StatusCode::NOT_FOUND,
        "model_not_found",
        "there is no such model; GET /v1/models lists the names",
    );
    failure.param = Some("model".to_owned());
    failure
}
