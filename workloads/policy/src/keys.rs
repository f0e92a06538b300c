//! What an API key may be made for: never more than its maker may do.

use crate::{ADMINS, Caller, Refusal, Scope};

/// The groups of a key with these scopes: those that were asked for, or all of its maker's. It
/// administers only where its scopes say so, and then it is in the group of administrators.
///
/// # Errors
/// 403 that names what the maker does not have, 400 when scopes and groups contradict each other.
pub fn groups(
    caller: Caller<'_>,
    scopes: &[Scope],
    wanted: Option<&[String]>,
) -> Result<Vec<String>, Refusal> {
    let administers = scopes.contains(&Scope::Admin);
    if administers && !caller.is_admin() {
        let message = "you are no administrator, so a key of yours cannot be; leave scope \
                       \"admin\" out";
        return Err(beyond("scopes", message.to_owned()));
    }
    let Some(wanted) = wanted else {
        return Ok(held(caller.groups.to_vec(), scopes));
    };
    if let Some(group) = wanted.iter().find(|group| !caller.is_in(group)) {
        let message = format!("you are no member of group {group:?}, so a key of yours cannot be");
        return Err(beyond("groups", message));
    }
    if administers == wanted.iter().any(|group| group == ADMINS) {
        return Ok(wanted.to_vec());
    }
    let message = if administers {
        "a key with scope \"admin\" must be in group \"admins\"; name the group, or leave the \
         scope out"
    } else {
        "a key in group \"admins\" needs scope \"admin\"; add the scope, or leave the group out"
    };
    Err(Refusal::invalid("groups", message))
}

/// What a key with these scopes has of `groups`: administration is not among it unasked.
#[must_use]
pub fn held(mut groups: Vec<String>, scopes: &[Scope]) -> Vec<String> {
    groups.retain(|group| group != ADMINS || scopes.contains(&Scope::Admin));
    groups
}

/// Whether the caller may end a key of `owner`: its own, and an administrator any, since a key that
/// leaked cannot wait for its owner.
#[must_use]
pub fn may_end(caller: Caller<'_>, owner: &str) -> bool {
    owner == caller.subject || caller.is_admin()
}

fn beyond(param: &'static str, message: String) -> Refusal {
    Refusal::forbidden("key_beyond_rights", message).about(param)
}
