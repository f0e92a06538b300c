//! What an API key may be made for: never more than its maker may do.

use axum::http::StatusCode;

use crate::domain::key_request::KeyRequest;
use crate::failure::Failure;
use crate::identity::{ADMINS, Identity};

/// The groups of a key: those that were asked for, or all of its maker's but for administration,
/// which must be asked for by name.
///
/// # Errors
/// 403 that names a group which the maker does not have.
pub fn groups(identity: &Identity, request: &KeyRequest) -> Result<Vec<String>, Failure> {
    let Some(wanted) = &request.groups else {
        let own = identity.groups.iter();
        return Ok(own.filter(|group| *group != ADMINS).cloned().collect());
    };
    match wanted.iter().find(|group| !identity.is_in(group)) {
        None => Ok(wanted.clone()),
        Some(group) => {
            let mut failure = Failure::new(
                StatusCode::FORBIDDEN,
                "key_beyond_rights",
                format!("you are no member of group {group:?}, so a key of yours cannot be"),
            );
            failure.param = Some("groups".to_owned());
            Err(failure)
        }
    }
}

/// Whether the caller may end a key of `owner`: its own, and an administrator any, since a key that
/// leaked cannot wait for its owner.
pub fn may_end(identity: &Identity, owner: &str) -> bool {
    owner == identity.subject || identity.is_admin()
}
