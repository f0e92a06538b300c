//! What an API key may be made for: never more than its maker may do.

use axum::http::StatusCode;

use super::Scope;
use crate::domain::key_request::KeyRequest;
use crate::failure::Failure;
use crate::identity::{ADMINS, Identity};

/// The groups of a key: those that were asked for, or all of its maker's. It administers only where
/// its scopes say so, and then it is in the group of administrators.
///
/// # Errors
/// 403 that names what the maker does not have, 400 when scopes and groups contradict each other.
pub fn groups(identity: &Identity, request: &KeyRequest) -> Result<Vec<String>, Failure> {
    let administers = request.scopes.contains(&Scope::Admin);
    if administers && !identity.is_admin() {
        let message = "you are no administrator, so a key of yours cannot be; leave scope \
                       \"admin\" out";
        return Err(beyond("scopes", message.to_owned()));
    }
    let Some(wanted) = &request.groups else {
        return Ok(held(identity.groups.clone(), &request.scopes));
    };
    if let Some(group) = wanted.iter().find(|group| !identity.is_in(group)) {
        let message = format!("you are no member of group {group:?}, so a key of yours cannot be");
        return Err(beyond("groups", message));
    }
    if administers == wanted.iter().any(|group| group == ADMINS) {
        return Ok(wanted.clone());
    }
    let message = if administers {
        "a key with scope \"admin\" must be in group \"admins\"; name the group, or leave the \
         scope out"
    } else {
        "a key in group \"admins\" needs scope \"admin\"; add the scope, or leave the group out"
    };
    Err(Failure::invalid("groups", message))
}

/// What a key with these scopes has of `groups`: administration is not among it unasked.
pub fn held(mut groups: Vec<String>, scopes: &[Scope]) -> Vec<String> {
    groups.retain(|group| group != ADMINS || scopes.contains(&Scope::Admin));
    groups
}

/// Whether the caller may end a key of `owner`: its own, and an administrator any, since a key that
/// leaked cannot wait for its owner.
pub fn may_end(identity: &Identity, owner: &str) -> bool {
    owner == identity.subject || identity.is_admin()
}

fn beyond(param: &str, message: String) -> Failure {
    let mut failure = Failure::new(StatusCode::FORBIDDEN, "key_beyond_rights", message);
    failure.param = Some(param.to_owned());
    failure
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Credential;

    fn made(own: &[&str], scopes: &[Scope], wanted: Option<&[&str]>) -> Result<String, String> {
        let owned = |groups: &[&str]| groups.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        let identity = Identity {
            subject: "ana".to_owned(),
            name: "Ana".to_owned(),
            groups: owned(own),
            expires_at: 0,
            issued_at: 0,
            credential: Credential::Token,
        };
        let request = KeyRequest {
            name: "k".to_owned(),
            scopes: scopes.to_vec(),
            models: None,
            groups: wanted.map(owned),
            days: 1,
        };
        groups(&identity, &request)
            .map(|groups| groups.join(","))
            .map_err(|failure| format!("{} {}", failure.code, failure.param.unwrap_or_default()))
    }

    #[test]
    fn a_key_administers_where_its_scopes_say_so_and_its_maker_does() {
        const CHAT: &[Scope] = &[Scope::Chat];
        const BOTH: &[Scope] = &[Scope::Chat, Scope::Admin];
        let admin = ["hr", ADMINS];
        assert_eq!(made(&admin, CHAT, None).unwrap(), "hr");
        assert_eq!(made(&admin, BOTH, None).unwrap(), "hr,admins");
        assert_eq!(made(&admin, BOTH, Some(&[ADMINS])).unwrap(), "admins");
        assert_eq!(made(&admin, CHAT, Some(&["hr"])).unwrap(), "hr");
        let contradiction = Err("invalid_value groups".to_owned());
        assert_eq!(made(&admin, CHAT, Some(&[ADMINS])), contradiction);
        assert_eq!(made(&admin, BOTH, Some(&["hr"])), contradiction);
        // Who is none makes none.
        let beyond = |param: &str| Err(format!("key_beyond_rights {param}"));
        assert_eq!(made(&["hr"], BOTH, None), beyond("scopes"));
        assert_eq!(made(&["hr"], BOTH, Some(&[ADMINS])), beyond("scopes"));
        assert_eq!(made(&["hr"], CHAT, Some(&[ADMINS])), beyond("groups"));
        assert_eq!(made(&["hr"], CHAT, None).unwrap(), "hr", "the control");
    }
}
