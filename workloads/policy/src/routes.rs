//! What routes need of their callers, and what API keys are made for.

use std::fmt;

use utoipa::ToSchema;

use crate::{Caller, Refusal};

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
    #[must_use]
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
    #[must_use]
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
pub fn admit(needs: Needs, caller: Caller<'_>) -> Result<(), Refusal> {
    match (needs, caller.key()) {
        (Needs::Nothing | Needs::Caller, _) | (Needs::Scope(_) | Needs::Person, None) => Ok(()),
        (Needs::Scope(scope), Some(grant)) if grant.scopes.contains(&scope) => Ok(()),
        (Needs::Scope(scope), Some(_)) => Err(Refusal::forbidden(
            "key_scope_missing",
            format!("this API key has no scope {scope}; make one that has it with POST /api/keys"),
        )),
        (Needs::Admin, None) if caller.is_admin() => Ok(()),
        (Needs::Admin, None) => Err(Refusal::forbidden(
            "admin_required",
            "only administrators may do this",
        )),
        (Needs::Person | Needs::Admin, Some(_)) => Err(Refusal::forbidden(
            "person_required",
            "an API key may not do this; sign in, or send an access token",
        )),
    }
}

/// Whether the caller may go on with a conversation, or read it.
#[must_use]
pub fn may_read_conversations(caller: Caller<'_>) -> bool {
    admit(Needs::Scope(Scope::ReadConversations), caller).is_ok()
}
