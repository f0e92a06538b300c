//! Sign-in of browsers: authorization code with PKCE, state and nonce.

mod grant;
mod renewal;
mod tokens;

use std::sync::Arc;

use axum::http::StatusCode;
use openidconnect::core::{
    CoreClient, CoreIdTokenVerifier, CoreJwsSigningAlgorithm, CoreResponseType,
};
use openidconnect::{
    AccessTokenHash, AuthType, AuthUrl, AuthenticationFlow, ClientId, ClientSecret, CsrfToken,
    EndpointNotSet, EndpointSet, IssuerUrl, JsonWebKeySet, Nonce, OAuth2TokenResponse as _,
    PkceCodeChallenge, RedirectUrl, RequestTokenError, Scope, TokenResponse as _, TokenUrl,
};
use secrecy::{ExposeSecret as _, SecretString};
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

use grant::Grant;
pub use renewal::{EndError, RefreshFailure};
use tokens::identifying;
pub use tokens::{Tokens, session_of, tokens};

/// A person has this long to sign in.
pub const ATTEMPT_SECONDS: u64 = 600;
/// What the cookie of an attempt is sealed for.
pub const PURPOSE: &[u8] = b"lotoai login attempt v1";

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
    /// What the issuer may know instead of it.
    standby_secret: Option<ClientSecret>,
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

/// What is kept between sending the browser away and its return.
#[derive(Serialize, Deserialize)]
pub struct Attempt {
    state: String,
    nonce: String,
    verifier: String,
    return_to: String,
    until: u64,
}

impl Attempt {
    /// Opens the cookie of an attempt that is not over at `now`, in seconds since 1970.
    pub fn open(key: &SealingKey, cookie: &str, now: u64) -> Option<Self> {
        let plain = key.open_text(PURPOSE, cookie).ok()?;
        let attempt: Self = serde_json::from_slice(&plain).ok()?;
        (attempt.until > now).then_some(attempt)
    }
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
        let secret = |text: &SecretString| ClientSecret::new(text.expose_secret().to_owned());
        Ok(Self {
            client_id: ClientId::new(oidc.client_id.clone()),
            client_secret: secret(&oidc.client_secret),
            standby_secret: oidc.client_secret_standby.as_ref().map(secret),
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

    fn client(&self, endpoints: &Endpoints, secret: &ClientSecret) -> Client {
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
        .set_client_secret(secret.clone())
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
        let client = self.client(&endpoints, &self.client_secret);
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
    /// person, 503 when it cannot be reached or says that it cannot do it now.
    pub async fn finish(
        &self,
        query: CallbackQuery,
        cookie: Option<&str>,
    ) -> Result<(Tokens, String), Failure> {
        let attempt = cookie
            .and_then(|cookie| Attempt::open(&self.key, cookie, now()))
            .ok_or_else(|| expired("the sign-in took too long or began in another browser"))?;
        let state = query.state.unwrap_or_default();
        if !bool::from(state.as_bytes().ct_eq(attempt.state.as_bytes())) {
            return Err(expired(
                "the sign-in is not the last that this browser began",
            ));
        }
        if let Some(error) = query.error {
            tracing::info!(error, "the identity provider refused a sign-in");
            return Err(said_no(&error));
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
        let response = self
            .grant(&endpoints, &Grant::Code { code, verifier })
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

fn broken(message: &'static str) -> Failure {
    begin_again("sign_in_failed", message)
}

/// No fault of anybody: people are slow, open two tabs and go back.
fn expired(message: &'static str) -> Failure {
    begin_again("sign_in_expired", message)
}

fn begin_again(code: &'static str, message: &'static str) -> Failure {
    Failure::new(
        StatusCode::BAD_REQUEST,
        code,
        format!("{message}; begin again at /auth/login"),
    )
}

/// What follows from the provider's word (RFC 6749, section 4.1.2.1, and OpenID Connect Core,
/// section 3.1.2.6). The word itself stays in the log.
fn said_no(error: &str) -> Failure {
    match error {
        "access_denied" => Failure::new(
            StatusCode::FORBIDDEN,
            "sign_in_refused",
            "the identity provider refused the sign-in",
        ),
        // What the provider would say with 503 and 500, had it not a browser to send back.
        "temporarily_unavailable" | "server_error" => provider_unavailable(),
        _ => Failure::new(
            StatusCode::FORBIDDEN,
            "sign_in_failed",
            "the identity provider did not complete the sign-in; begin again at /auth/login, the \
             log has its error under this request id",
        ),
    }
}

/// A path on this site; anything that could lead elsewhere becomes `/`.
pub fn local_path(path: Option<&str>) -> &str {
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
    #[case(Some("/usage"), "/usage")]
    #[case(Some("/\tevil.example.org"), "/")]
    #[case(Some("/\t/evil.example.org"), "/")]
    #[case(Some("///evil.example.org"), "/")]
    #[case(Some("/c/\\..\\evil.example.org"), "/")]
    #[case(Some("javascript:alert(1)"), "/")]
    #[case(Some("evil.example.org"), "/")]
    #[case(Some(""), "/")]
    #[case(Some("/auth/logout"), "/")]
    #[case(Some("/api/me"), "/")]
    #[case(Some("/a\r\nb"), "/")]
    fn only_local_paths(#[case] given: Option<&str>, #[case] expected: &str) {
        assert_eq!(local_path(given), expected);
    }
}
