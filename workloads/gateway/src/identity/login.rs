//! Sign-in of browsers: authorization code with PKCE, state and nonce.

mod renewal;

use std::sync::Arc;

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{
    CoreClient, CoreIdToken, CoreIdTokenClaims, CoreIdTokenVerifier, CoreJwsSigningAlgorithm,
    CoreResponseType, CoreTokenResponse,
};
use openidconnect::{
    AccessTokenHash, AuthType, AuthUrl, AuthenticationFlow, AuthorizationCode, ClientId,
    ClientSecret, CsrfToken, EndpointNotSet, EndpointSet, IssuerUrl, JsonWebKeySet, Nonce,
    OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError,
    Scope, TokenResponse as _, TokenUrl,
};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use snafu::{ResultExt as _, Snafu};
use subtle::ConstantTimeEq as _;
use url::Url;
use utoipa::IntoParams;

use super::discovery::{Discovery, Endpoints};
use super::jwks::Jwks;
use super::provider::ProviderHttp;
use super::seal::SealingKey;
use super::token::{now, provider_unavailable};
use crate::config::OidcArgs;
use crate::failure::Failure;

pub use renewal::{EndError, RefreshFailure};

/// A person has this long to sign in.
pub const ATTEMPT_SECONDS: u64 = 600;
const PURPOSE: &[u8] = b"lotoai login attempt v1";

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
    EndpointNotSet,
>;

/// Why sign-in could not be set up.
#[derive(Debug, Snafu)]
pub enum LoginSetupError {
    /// An address from the configuration does not fit.
    #[snafu(display("failed to build the addresses for sign-in"))]
    Address {
        /// Cause.
        source: url::ParseError,
    },
}

/// The relying party.
pub struct Login {
    client_id: ClientId,
    client_secret: ClientSecret,
    issuer: IssuerUrl,
    callback: RedirectUrl,
    home: Url,
    scopes: Vec<Scope>,
    by_id_token: bool,
    discovery: Arc<Discovery>,
    jwks: Arc<Jwks>,
    http: ProviderHttp,
    key: SealingKey,
}

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

/// What is kept between sending the browser away and its return.
#[derive(Serialize, Deserialize)]
struct Attempt {
    state: String,
    nonce: String,
    verifier: String,
    return_to: String,
    until: u64,
}

/// Query of the return from the provider.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CallbackQuery {
    /// What the provider gives tokens for.
    code: Option<String>,
    /// The sign-in that this is the end of.
    state: Option<String>,
    /// Why the provider refused.
    error: Option<String>,
}

impl Login {
    /// A relying party that is called back at `<public_url>/auth/callback`.
    ///
    /// # Errors
    /// When an address cannot be built.
    pub fn new(
        oidc: &OidcArgs,
        public_url: &Url,
        discovery: Arc<Discovery>,
        jwks: Arc<Jwks>,
        http: ProviderHttp,
        key: SealingKey,
    ) -> Result<Self, LoginSetupError> {
        let callback = public_url.join("/auth/callback").context(AddressSnafu)?;
        Ok(Self {
            client_id: ClientId::new(oidc.client_id.clone()),
            client_secret: ClientSecret::new(oidc.client_secret.expose_secret().to_owned()),
            issuer: IssuerUrl::new(oidc.issuer.to_string()).context(AddressSnafu)?,
            callback: RedirectUrl::from_url(callback),
            home: public_url.join("/").context(AddressSnafu)?,
            scopes: oidc
                .scopes()
                .map(|scope| Scope::new(scope.to_owned()))
                .collect(),
            by_id_token: oidc.by_id_token(),
            discovery,
            jwks,
            http,
            key,
        })
    }

    async fn endpoints(&self) -> Result<Arc<Endpoints>, Failure> {
        self.discovery.endpoints().await.map_err(|error| {
            tracing::warn!(
                error = crate::error::chain(&error),
                "nobody can sign in: the identity provider's endpoints are not known"
            );
            provider_unavailable()
        })
    }

    fn client(&self, endpoints: &Endpoints) -> Client {
        let auth_type = if endpoints.secret_in_form {
            AuthType::RequestBody
        } else {
            AuthType::BasicAuth
        };
        CoreClient::new(
            self.client_id.clone(),
            self.issuer.clone(),
            JsonWebKeySet::new(Vec::new()),
        )
        .set_client_secret(self.client_secret.clone())
        .set_auth_type(auth_type)
        .set_auth_uri(AuthUrl::from_url(endpoints.authorization.clone()))
        .set_token_uri(TokenUrl::from_url(endpoints.token.clone()))
        .set_redirect_uri(self.callback.clone())
    }

    /// Begins an attempt: where to send the browser, and the cookie value to keep.
    ///
    /// # Errors
    /// 500 when the attempt cannot be sealed, 503 when it is not known where people sign in.
    pub async fn begin(&self, return_to: Option<&str>) -> Result<(Url, String), Failure> {
        let endpoints = self.endpoints().await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let client = self.client(&endpoints);
        let (url, state, nonce) = client
            .authorize_url(
                AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .add_scopes(self.scopes.iter().cloned())
            .set_pkce_challenge(challenge)
            .url();
        let attempt = Attempt {
            state: state.secret().clone(),
            nonce: nonce.secret().clone(),
            verifier: verifier.secret().clone(),
            return_to: local_path(return_to).to_owned(),
            until: now() + ATTEMPT_SECONDS,
        };
        let plain = serde_json::to_vec(&attempt).map_err(|_| Failure::internal())?;
        let cookie = self
            .key
            .seal_text(PURPOSE, &plain)
            .map_err(|_| Failure::internal())?;
        Ok((url, cookie))
    }

    /// Ends an attempt: the tokens and the local path to go on with.
    ///
    /// # Errors
    /// 400 when the return does not belong to the attempt, 403 when the provider refused the
    /// person, 503 when it cannot be reached.
    pub async fn finish(
        &self,
        query: CallbackQuery,
        cookie: Option<&str>,
    ) -> Result<(Tokens, String), Failure> {
        let attempt = cookie
            .and_then(|cookie| self.key.open_text(PURPOSE, cookie).ok())
            .and_then(|plain| serde_json::from_slice::<Attempt>(&plain).ok())
            .filter(|attempt| attempt.until > now())
            .ok_or_else(|| broken("the sign-in took too long or began in another browser"))?;
        let state = query.state.unwrap_or_default();
        if !bool::from(state.as_bytes().ct_eq(attempt.state.as_bytes())) {
            return Err(broken("the sign-in does not belong to this browser"));
        }
        if let Some(error) = query.error {
            tracing::info!(error, "the identity provider refused a sign-in");
            return Err(Failure::new(
                StatusCode::FORBIDDEN,
                "sign_in_refused",
                "the identity provider refused the sign-in",
            ));
        }
        let code = query
            .code
            .ok_or_else(|| broken("the identity provider sent no code"))?;
        let tokens = self.redeem(code, attempt.verifier, attempt.nonce).await?;
        Ok((tokens, attempt.return_to))
    }

    async fn redeem(
        &self,
        code: String,
        verifier: String,
        nonce: String,
    ) -> Result<Tokens, Failure> {
        let endpoints = self.endpoints().await?;
        let client = self.client(&endpoints);
        let response = client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier))
            .request_async(&self.http)
            .await
            .map_err(|error| match error {
                RequestTokenError::Request(cause) => {
                    tracing::warn!(error = crate::error::chain(&cause), "no answer to a code");
                    provider_unavailable()
                }
                other => {
                    tracing::warn!(error = %other, "a code was not redeemed");
                    broken("the identity provider did not accept the code")
                }
            })?;
        let id_token = response
            .id_token()
            .ok_or_else(|| broken("the identity provider sent no ID token"))?;
        let id_verifier = self.id_verifier().await.ok_or_else(provider_unavailable)?;
        let claims = id_token
            .claims(&id_verifier, &Nonce::new(nonce))
            .map_err(|error| {
                tracing::warn!(
                    error = crate::error::chain(&error),
                    "an ID token was refused"
                );
                broken("the ID token is not valid")
            })?;
        // An access token that was swapped on the way does not match the hash in the ID token.
        if let Some(expected) = claims.access_token_hash() {
            let matches = id_token
                .signing_alg()
                .ok()
                .zip(id_token.signing_key(&id_verifier).ok())
                .and_then(|(alg, key)| {
                    AccessTokenHash::from_token(response.access_token(), alg, key).ok()
                })
                .is_some_and(|actual| actual == *expected);
            if !matches {
                return Err(broken("the access token does not belong to the ID token"));
            }
        }
        let text = id_token.to_string();
        let given = if self.by_id_token {
            identifying(&response, id_token, claims, None)
        } else {
            tokens(&response, None)
        };
        Ok(Tokens {
            provider_session: session_of(&text),
            id_token: (endpoints.leave.is_some() && !self.by_id_token).then_some(text),
            ..given
        })
    }

    /// Checks ID tokens; nothing while no signing key is known.
    async fn id_verifier(&self) -> Option<CoreIdTokenVerifier<'static>> {
        let verifier = CoreIdTokenVerifier::new_confidential_client(
            self.client_id.clone(),
            self.client_secret.clone(),
            self.issuer.clone(),
            self.jwks.for_sign_in().await?,
        );
        Some(verifier.set_allowed_algs([
            CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
            CoreJwsSigningAlgorithm::EcdsaP256Sha256,
        ]))
    }
}

/// Tokens of which the ID token proves the person.
fn identifying(
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

fn tokens(response: &CoreTokenResponse, previous_refresh: Option<String>) -> Tokens {
    let lifetime = response
        .expires_in()
        .map_or(60, |lifetime| lifetime.as_secs());
    Tokens {
        access_token: response.access_token().secret().clone(),
        refresh_token: response
            .refresh_token()
            .map(|token| token.secret().clone())
            .or(previous_refresh),
        expires_at: now() + lifetime,
        id_token: None,
        provider_session: None,
    }
}

/// The claim `sid` of an ID token that was verified.
fn session_of(verified: &str) -> Option<String> {
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

fn broken(message: &'static str) -> Failure {
    Failure::new(
        StatusCode::BAD_REQUEST,
        "sign_in_failed",
        format!("{message}; begin again at /auth/login"),
    )
}

/// A path on this site; anything that could lead elsewhere becomes `/`.
fn local_path(path: Option<&str>) -> &str {
    match path {
        Some(path)
            if path.starts_with('/')
                && !path.starts_with("//")
                && !path.contains('\\')
                && !path.chars().any(char::is_control)
                && !crate::failure::is_api(path) =>
        {
            path
        }
        _ => "/",
    }
}

#[cfg(test)]
mod tests {
    use super::local_path;

    #[rstest::rstest]
    #[case(None, "/")]
    #[case(Some("/c/1"), "/c/1")]
    #[case(Some("//evil.example.org"), "/")]
    #[case(Some("/\\evil.example.org"), "/")]
    #[case(Some("https://evil.example.org"), "/")]
    #[case(Some("/auth/logout"), "/")]
    #[case(Some("/a\r\nb"), "/")]
    fn only_local_paths(#[case] given: Option<&str>, #[case] expected: &str) {
        assert_eq!(local_path(given), expected);
    }
}
