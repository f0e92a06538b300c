//! Who asks.

use crate::Scope;

/// The group whose members administer: they manage everybody's documents and see what others use.
pub const ADMINS: &str = "admins";
/// The group of everybody who is signed in, as documents name it.
pub const EVERYBODY: &str = "*";

/// Who asks, as the gateway found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller<'a> {
    /// OIDC `sub`; of an API key that of its owner.
    pub subject: &'a str,
    /// Groups without a leading slash; of an API key that does not administer, without [`ADMINS`].
    pub groups: &'a [String],
    /// What the caller is known by.
    pub proof: Proof<'a>,
}

/// What a caller is known by, as far as rights depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof<'a> {
    /// A person's token or session.
    Person,
    /// An API key.
    Key(&'a Grant),
    /// The operator's token, which is good for its own question.
    Probe,
}

/// What an API key was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Identity of the key, which is no secret.
    pub id: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The only models that it may name; `None` is every one of its owner.
    pub models: Option<Vec<String>>,
}

impl<'a> Caller<'a> {
    /// Whether the caller administers.
    #[must_use]
    pub fn is_admin(self) -> bool {
        self.is_in(ADMINS)
    }

    /// Whether the caller is a member of `group`.
    #[must_use]
    pub fn is_in(self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }

    /// What the API key that the caller sent was made for, if it sent one.
    #[must_use]
    pub const fn key(self) -> Option<&'a Grant> {
        match self.proof {
            Proof::Key(grant) => Some(grant),
            Proof::Person | Proof::Probe => None,
        }
    }
}
