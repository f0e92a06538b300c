//! What a provider gives for a person.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::OAuth2TokenResponse as _;
use openidconnect::core::{CoreIdToken, CoreIdTokenClaims, CoreTokenResponse};
use serde::{Deserialize, Serialize};

use crate::identity::token::now;

/// What a provider gave for a signed-in person. Stored sealed, never sent to the browser.
#[derive(Clone, Serialize, Deserialize)]
pub struct Tokens {
    /// Proves the person to the APIs: the access token, or the ID token where that is what carries
    /// the audience.
    pub access_token: String,
    /// Gets the next access token.
    pub refresh_token: Option<String>,
    /// Unix seconds at which that token ends.
    pub expires_at: u64,
    /// The ID token, where the provider wants it back at the end and it proves nothing before.
    #[serde(default)]
    pub id_token: Option<String>,
    /// The provider's word for its session (`sid`), if it has one.
    #[serde(default)]
    pub provider_session: Option<String>,
}

impl Tokens {
    /// With what a sign-in gave and a refresh does not give again.
    pub fn after(self, earlier: &Self) -> Self {
        Self {
            id_token: earlier.id_token.clone(),
            provider_session: earlier.provider_session.clone(),
            ..self
        }
    }
}

/// Tokens of which the ID token proves the person.
pub(super) fn identifying(
    response: &CoreTokenResponse,
    id_token: &CoreIdToken,
    claims: &CoreIdTokenClaims,
    previous_refresh: Option<String>,
) -> Tokens {
    Tokens {
        access_token: id_token.to_string(),
        expires_at: u64::try_from(claims.expiration().timestamp()).unwrap_or(0),
        ..tokens(response, previous_refresh)
    }
}

/// Tokens of which the access token proves the person.
pub fn tokens(response: &CoreTokenResponse, previous_refresh: Option<String>) -> Tokens {
    let lifetime = response
        .expires_in()
        .map_or(60, |lifetime| lifetime.as_secs());
    Tokens {
        access_token: response.access_token().secret().clone(),
        refresh_token: response
            .refresh_token()
            .map(|token| token.secret().clone())
            .or(previous_refresh),
        // The provider may say any number.
        expires_at: now().saturating_add(lifetime),
        id_token: None,
        provider_session: None,
    }
}

/// The claim `sid` of an ID token that was verified.
pub fn session_of(verified: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        sid: Option<String>,
    }
    let payload = URL_SAFE_NO_PAD.decode(verified.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Claims>(&payload)
        .ok()?
        .sid
        .filter(|sid| !sid.is_empty())
}
