//! Who may do what. Every route declares what it needs ([`Needs`]), and every other decision on
//! rights is a function of this module: nothing here reads or writes.

pub mod documents;
pub mod keys;
pub mod models;
pub mod streams;
mod surface;
pub mod usage;

use std::fmt;

use axum::http::StatusCode;
use utoipa::ToSchema;

pub use surface::Surface;

use crate::failure::Failure;
use crate::identity::Identity;

/// What a route needs of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it comes before a sign-in, or the request proves itself.
    Nothing,
    /// Somebody who is known.
    Caller,
    /// A person, or an API key with this scope.
    Scope(Scope),
    /// A person: an API key can neither make keys nor end sessions.
    Person,
    /// A person who is an administrator.
    Admin,
}

/// What an API key may be made for. A person has all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
pub enum Scope {
    /// Answers of models.
    #[schema(rename = "chat")]
    Chat,
    /// Vectors of texts.
    #[schema(rename = "embeddings")]
    Embed,
    /// Stored conversations and responses, read, with what they ask consent for.
    #[schema(rename = "conversations:read")]
    ReadConversations,
    /// Stored conversations, renamed, branched, deleted and brought back; responses, deleted.
    #[schema(rename = "conversations:write")]
    WriteConversations,
    /// Documents, read.
    #[schema(rename = "documents:read")]
    ReadDocuments,
    /// Documents, uploaded, retried and deleted.
    #[schema(rename = "documents:write")]
    WriteDocuments,
    /// Administration, with what the other scopes open: what others use, and everybody's documents.
    #[schema(rename = "admin")]
    Admin,
}

impl Scope {
    /// All there are.
    pub const ALL: [Self; 7] = [
        Self::Chat,
        Self::Embed,
        Self::ReadConversations,
        Self::WriteConversations,
        Self::ReadDocuments,
        Self::WriteDocuments,
        Self::Admin,
    ];

    /// As the API writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embed => "embeddings",
            Self::ReadConversations => "conversations:read",
            Self::WriteConversations => "conversations:write",
            Self::ReadDocuments => "documents:read",
            Self::WriteDocuments => "documents:write",
            Self::Admin => "admin",
        }
    }

    /// The scope of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Lets a caller through to a route, or not.
///
/// # Errors
/// 403 that says what is missing.
pub fn admit(needs: Needs, identity: &Identity) -> Result<(), Failure> {
    match (needs, identity.grant()) {
        (Needs::Nothing | Needs::Caller, _) | (Needs::Scope(_) | Needs::Person, None) => Ok(()),
        (Needs::Scope(scope), Some(grant)) if grant.scopes.contains(&scope) => Ok(()),
        (Needs::Scope(scope), Some(_)) => Err(forbidden(
            "key_scope_missing",
            format!("this API key has no scope {scope}; make one that has it with POST /api/keys"),
        )),
        (Needs::Admin, None) if identity.is_admin() => Ok(()),
        (Needs::Admin, None) => Err(forbidden(
            "admin_required",
            "only administrators may do this".to_owned(),
        )),
        (Needs::Person | Needs::Admin, Some(_)) => Err(forbidden(
            "person_required",
            "an API key may not do this; sign in, or send an access token".to_owned(),
        )),
    }
}

/// Whether the caller may go on with a conversation, or read it.
pub fn may_read_conversations(identity: &Identity) -> bool {
    admit(Needs::Scope(Scope::ReadConversations), identity).is_ok()
}

fn forbidden(code: &'static str, message: String) -> Failure {
    Failure::new(StatusCode::FORBIDDEN, code, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{ADMINS, Credential, Grant};

    fn identity(groups: &[&str], credential: Credential) -> Identity {
        Identity {
            subject: "ana".to_owned(),
            name: "Ana".to_owned(),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
            expires_at: 0,
            issued_at: 0,
            credential,
        }
    }

    fn key(groups: &[&str], scopes: &[Scope]) -> Identity {
        let grant = Grant {
            id: "k".to_owned(),
            scopes: scopes.to_vec(),
            models: None,
        };
        identity(groups, Credential::Key(grant.into()))
    }

    fn code(needs: Needs, identity: &Identity) -> String {
        admit(needs, identity).map_or_else(|failure| failure.code.into_owned(), |()| "ok".into())
    }

    #[test]
    fn people_have_every_scope_and_keys_have_theirs() {
        let person = identity(&[], Credential::Token);
        for scope in Scope::ALL {
            assert_eq!(Scope::of_name(scope.name()), Some(scope));
            assert_eq!(code(Needs::Scope(scope), &person), "ok");
            assert_eq!(code(Needs::Scope(scope), &key(&[], &[scope])), "ok");
            let others: Vec<_> = Scope::ALL.into_iter().filter(|it| *it != scope).collect();
            assert_eq!(
                code(Needs::Scope(scope), &key(&[], &others)),
                "key_scope_missing"
            );
        }
    }

    #[test]
    fn a_key_is_no_person() {
        let all = key(&[ADMINS], &Scope::ALL);
        assert_eq!(code(Needs::Person, &all), "person_required");
        assert_eq!(code(Needs::Caller, &all), "ok");
        let person = identity(&["staff"], Credential::Token);
        assert_eq!(code(Needs::Person, &person), "ok");
    }
}
