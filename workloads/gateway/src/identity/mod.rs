//! Who is calling: bearer tokens and API keys for programs, sealed sessions for browsers.

pub mod api_key;
pub mod authenticate;
pub mod back_channel;
pub mod claims;
pub mod csrf;
pub mod discovery;
pub mod jwks;
pub mod key_ring;
pub mod login;
pub mod probe;
pub mod provider;
pub mod seal;
pub mod session;
pub mod token;
pub mod watch;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::sync::Arc;

use crate::failure::Failure;
use crate::policy::Scope;

/// The group whose members administer: they manage everybody's documents and see what others use.
pub const ADMINS: &str = "admins";

/// The caller, as stated by a verified token.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Identity {
    /// OIDC `sub`.
    pub subject: String,
    /// `preferred_username`, else `email`, else the subject.
    pub name: String,
    /// Groups without a leading slash; of an API key that does not administer, without [`ADMINS`].
    pub groups: Vec<String>,
    /// Unix seconds at which the token ends.
    #[serde(skip)]
    pub expires_at: u64,
    /// Unix seconds at which the issuer said all this; 0 where it does not say when.
    #[serde(skip)]
    pub issued_at: u64,
    /// What proves all this.
    #[serde(skip)]
    pub credential: Credential,
}

/// What a caller is known by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Credential {
    /// A token of the issuer, as sent.
    #[default]
    Token,
    /// A browser session, by the hash of its cookie.
    Session(SessionHash),
    /// An API key.
    Key(Arc<Grant>),
    /// The operator's token: it may ask its own question and do nothing else.
    Probe,
}

/// SHA-256 of the cookie of a session.
pub type SessionHash = [u8; 32];

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

impl Identity {
    /// Whether the caller administers.
    pub fn is_admin(&self) -> bool {
        self.is_in(ADMINS)
    }

    /// Whether the caller is a member of `group`.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }

    /// What the API key that the caller sent was made for, if it sent one.
    pub fn grant(&self) -> Option<&Grant> {
        match &self.credential {
            Credential::Key(grant) => Some(grant),
            Credential::Token | Credential::Session(_) | Credential::Probe => None,
        }
    }

    /// The browser session that the caller is known by, if it is one.
    pub fn session(&self) -> Option<&SessionHash> {
        match &self.credential {
            Credential::Session(hash) => Some(hash),
            Credential::Token | Credential::Key(_) | Credential::Probe => None,
        }
    }

    /// Identity of the API key that the caller sent, if it sent one.
    pub fn api_key(&self) -> Option<&str> {
        self.grant().map(|grant| grant.id.as_str())
    }

    /// Whether it is the operator with its own question.
    pub fn is_probe(&self) -> bool {
        self.credential == Credential::Probe
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
