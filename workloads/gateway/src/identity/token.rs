//! Verification of access tokens.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header};
use moka::Expiry;
use moka::sync::Cache;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::Identity;
use super::claims::{ClaimRules, Claims};
use super::jwks::{Jwks, Lookup};
use crate::admission::overloaded;
use crate::config::OidcArgs;
use crate::failure::Failure;

/// The challenge of a 401 because of what was sent, as RFC 6750 asks for.
pub const INVALID_TOKEN: &str = r#"Bearer realm="lotoai", error="invalid_token""#;
/// Clocks may differ by this many seconds.
pub const SKEW_SECONDS: u64 = 30;
/// Keycloak's tokens are 1 to 3 KB; a header this long is an attack or a mistake.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// Verdicts kept; each is about 300 bytes.
const CACHED_VERDICTS: u64 = 10_000;

/// Accepts access tokens of one issuer for one audience.
pub struct TokenVerifier {
    jwks: Arc<Jwks>,
    issuer: String,
    audience: String,
    client_id: String,
    rules: ClaimRules,
    // The key is the SHA-256 of the whole token: a shorter key would let two people share one.
    verdicts: Cache<[u8; 32], Verdict>,
}

#[derive(Clone)]
struct Verdict {
    identity: Arc<Identity>,
    generation: u64,
}

struct UntilTokenEnds;

impl Expiry<[u8; 32], Verdict> for UntilTokenEnds {
    fn expire_after_create(
        &self,
        _: &[u8; 32],
        verdict: &Verdict,
        _: std::time::Instant,
    ) -> Option<Duration> {
        Some(Duration::from_secs(
            verdict.identity.expires_at.saturating_sub(now()),
        ))
    }
}

impl TokenVerifier {
    /// A verifier for tokens of the given issuer and audience.
    pub fn new(jwks: Arc<Jwks>, oidc: &OidcArgs) -> Self {
        Self {
            jwks,
            issuer: oidc.issuer.to_string(),
            audience: oidc.audience.clone(),
            client_id: oidc.client_id.clone(),
            rules: ClaimRules {
                groups_claim: oidc.groups_claim.clone(),
                admin_group: oidc.admin_group.clone(),
                id_tokens: oidc.by_id_token(),
            },
            verdicts: Cache::builder()
                .max_capacity(CACHED_VERDICTS)
                .expire_after(UntilTokenEnds)
                .build(),
        }
    }

    /// The keys that tokens are checked with.
    pub const fn jwks(&self) -> &Arc<Jwks> {
        &self.jwks
    }

    /// The client that browsers sign in as.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Says who the bearer of `token` is.
    ///
    /// # Errors
    /// 401 with the reason, 503 when the key is unknown and the provider cannot be asked, 429 when too
    /// many wait for such keys.
    pub async fn verify(&self, token: &str) -> Result<Arc<Identity>, Failure> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let generation = self.jwks.generation();
        if let Some(verdict) = self.verdicts.get(&digest)
            && verdict.generation == generation
            && verdict.identity.expires_at > now()
        {
            return Ok(verdict.identity);
        }
        let identity = Arc::new(self.check(token).await?);
        let verdict = Verdict {
            identity: Arc::clone(&identity),
            generation,
        };
        self.verdicts.insert(digest, verdict);
        Ok(identity)
    }

    async fn check(&self, token: &str) -> Result<Identity, Failure> {
        let required = ["exp", "iss", "aud", "sub"];
        let (header, claims) = self
            .signed::<Claims>(token, &self.audience, &required)
            .await?;
        self.rules.identity(header.typ.as_deref(), claims)
    }

    /// The header and claims of a token that the issuer signed for `audience` and that is not over.
    ///
    /// # Errors
    /// 401 with the reason, or 503 when the key is unknown and the provider cannot be asked.
    pub(super) async fn signed<C: DeserializeOwned>(
        &self,
        token: &str,
        audience: &str,
        required: &[&str],
    ) -> Result<(Header, C), Failure> {
        let (header, key_id) = header_of(token)?;
        let key = match self.jwks.find(&key_id).await {
            Lookup::Found(key) => key,
            Lookup::Unknown => {
                return Err(refused(
                    "token_invalid",
                    "the access token is signed with a key that the identity provider does not \
                     publish; sign in again",
                ));
            }
            Lookup::Unavailable => return Err(provider_unavailable()),
            Lookup::Crowded => return Err(overloaded("unknown_keys")),
        };
        // The algorithm comes from the key, never from the token.
        let mut validation = Validation::new(key.algorithm);
        validation.leeway = SKEW_SECONDS;
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(required);
        let claims = decode::<C>(token, &key.key, &validation)
            .map_err(|error| self.explain(error.kind(), audience))?
            .claims;
        Ok((header, claims))
    }

    fn explain(&self, kind: &ErrorKind, audience: &str) -> Failure {
        match kind {
            ErrorKind::ExpiredSignature => refused(
                "token_expired",
                "the access token has expired; get a new one",
            ),
            ErrorKind::ImmatureSignature => refused(
                "token_not_yet_valid",
                "the access token is not valid yet; check the clock",
            ),
            ErrorKind::InvalidAudience => refused(
                "token_wrong_audience",
                format!("the access token is not meant for audience {audience:?}"),
            ),
            ErrorKind::InvalidIssuer => refused(
                "token_wrong_issuer",
                format!("the access token was not issued by {}", self.issuer),
            ),
            ErrorKind::MissingRequiredClaim(claim) => refused(
                "token_invalid",
                format!("the access token has no claim {claim:?}"),
            ),
            _ => refused(
                "token_invalid",
                "the access token's signature or content is not valid",
            ),
        }
    }
}

/// What is read of a token before its signature is checked: its header, and the id of its key.
///
/// # Errors
/// 401 when it is no token, or one that is signed in another way than the issuer's are.
pub fn header_of(token: &str) -> Result<(Header, String), Failure> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(refused("token_invalid", "the access token is too long"));
    }
    let header = decode_header(token).map_err(|_| {
        refused(
            "token_invalid",
            "the access token is not a JWT signed with RS256 or ES256; sign in again",
        )
    })?;
    if !matches!(header.alg, Algorithm::RS256 | Algorithm::ES256) {
        return Err(refused(
            "token_algorithm_refused",
            "the access token is signed with an algorithm other than RS256 and ES256",
        ));
    }
    let Some(key_id) = header.kid.clone() else {
        return Err(refused(
            "token_invalid",
            "the access token names no signing key",
        ));
    };
    Ok((header, key_id))
}

/// 503 for requests whose caller cannot be told without the identity provider.
pub fn provider_unavailable() -> Failure {
    Failure::unavailable(
        "identity_unavailable",
        "the identity provider cannot be reached, so the caller cannot be checked; try again soon",
    )
}

/// 401 with the challenge that RFC 6750 asks for.
pub(super) fn refused(code: &'static str, message: impl Into<String>) -> Failure {
    let mut failure = Failure::new(StatusCode::UNAUTHORIZED, code, message);
    failure.challenge = Some(INVALID_TOKEN);
    failure
}

/// Unix time in seconds.
pub fn now() -> u64 {
    jsonwebtoken::get_current_timestamp()
}
