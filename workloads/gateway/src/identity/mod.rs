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
use lotoai_policy::{Caller, Grant, Proof};
use std::sync::Arc;

use crate::failure::Failure;

/// The caller, as stated by a verified token.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Identity {
    /// OIDC `sub`.
    pub subject: String,
    /// `preferred_username`, else `email`, else the subject.
    pub name: String,
    /// Groups without a leading slash; of an API key that does not administer, without
    /// [`lotoai_policy::ADMINS`].
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

impl Identity {
    /// The caller as the policy weighs them.
    pub fn who(&self) -> Caller<'_> {
        Caller {
            subject: &self.subject,
            groups: &self.groups,
            proof: match &self.credential {
                Credential::Token | Credential::Session(_) => Proof::Person,
                Credential::Key(grant) => Proof::Key(grant),
                Credential::Probe => Proof::Probe,
            },
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
        self.who().key().map(|grant| grant.id.as_str())
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
