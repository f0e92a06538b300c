//! Requests for tokens, with either secret of the client.

use openidconnect::core::{CoreErrorResponseType, CoreTokenResponse};
use openidconnect::{
    AuthorizationCode, ClientSecret, PkceCodeVerifier, RefreshToken, RequestTokenError,
    StandardErrorResponse,
};

use super::Login;
use crate::identity::discovery::Endpoints;
use crate::identity::provider::ProviderError;

/// Why there are no tokens.
pub(super) type GrantError =
    RequestTokenError<ProviderError, StandardErrorResponse<CoreErrorResponseType>>;

/// What tokens are asked for with.
pub(super) enum Grant {
    /// What a browser brought back, and what proves that it was sent away from here.
    Code {
        /// The code.
        code: String,
        /// The proof.
        verifier: String,
    },
    /// What came with earlier tokens.
    Refresh(RefreshToken),
}

impl Login {
    /// Asks with the secret in use and, when the provider does not know it, with the other one:
    /// while a secret is made anew, the provider learns it at a moment of its own. It looks at
    /// the secret first, so neither code nor token is spent by the attempt that fails.
    pub(super) async fn grant(
        &self,
        endpoints: &Endpoints,
        grant: &Grant,
    ) -> Result<CoreTokenResponse, GrantError> {
        let answer = self.ask(endpoints, &self.client_secret, grant).await;
        match (&self.standby_secret, &answer) {
            (Some(standby), Err(error)) if is_unknown_client(error) => {
                self.ask(endpoints, standby, grant).await
            }
            _ => answer,
        }
    }

    async fn ask(
        &self,
        endpoints: &Endpoints,
        secret: &ClientSecret,
        grant: &Grant,
    ) -> Result<CoreTokenResponse, GrantError> {
        let client = self.client(endpoints, secret);
        match grant {
            Grant::Code { code, verifier } => {
                client
                    .exchange_code(AuthorizationCode::new(code.clone()))
                    .set_pkce_verifier(PkceCodeVerifier::new(verifier.clone()))
                    .request_async(&self.http)
                    .await
            }
            Grant::Refresh(token) => {
                client
                    .exchange_refresh_token(token)
                    .request_async(&self.http)
                    .await
            }
        }
    }
}

/// Whether the provider refused the client and not what it brought: `invalid_client` by RFC 6749;
/// Keycloak says `unauthorized_client` too.
fn is_unknown_client(error: &GrantError) -> bool {
    let RequestTokenError::ServerResponse(answer) = error else {
        return false;
    };
    matches!(
        answer.error(),
        CoreErrorResponseType::InvalidClient | CoreErrorResponseType::UnauthorizedClient
    )
}
