//! Who is calling: bearer tokens for programs, sealed sessions for browsers.

pub mod authenticate;
pub mod csrf;
pub mod discovery;
pub mod jwks;
pub mod login;
pub mod probe;
pub mod provider;
pub mod seal;
pub mod session;
pub mod token;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::sync::Arc;

use crate::failure::Failure;

/// The group whose members may manage everybody's documents.
pub const ADMINS: &str = "admins";

/// The caller, as stated by a verified token.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Identity {
    /// OIDC `sub`.
    pub subject: String,
    /// `preferred_username`, else `email`, else the subject.
    pub name: String,
    /// Groups without a leading slash.
    pub groups: Vec<String>,
    /// Unix seconds at which the token ends.
    #[serde(skip)]
    pub expires_at: u64,
    /// Whether it is the operator, which may ask its own question and do nothing else.
    #[serde(skip)]
    pub probe: bool,
}

impl Identity {
    /// Whether the caller may manage everybody's documents.
    pub fn is_admin(&self) -> bool {
        self.is_in(ADMINS)
    }

    /// Whether the caller is a member of `group`.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }

    /// The caller as the services behind the gateway know them.
    pub fn to_caller(&self) -> lotoai_contracts::v1::Caller {
        lotoai_contracts::v1::Caller {
            subject: self.subject.clone(),
            name: self.name.clone(),
            groups: self.groups.clone(),
        }
    }
}

/// Extractor for the caller that the authentication layer established.
#[derive(Debug, Clone)]
pub struct SignedIn(pub Arc<Identity>);

impl<S: Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(authenticate::sign_in_required)
    }
}
