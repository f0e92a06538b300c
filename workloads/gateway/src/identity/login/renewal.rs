//! What comes after a sign-in: new tokens for old ones, and the end.

use openidconnect::core::{CoreErrorResponseType, CoreTokenResponse};
use openidconnect::{ClientSecret, Nonce, RefreshToken, RequestTokenError, TokenResponse as _};
use snafu::{ResultExt as _, Snafu};
use url::Url;

use super::grant::Grant;
use super::{Login, Tokens, identifying, tokens};
use crate::identity::discovery::{DiscoveryError, SignOut};
use crate::identity::provider::ProviderError;

/// Why the provider was not told of a sign-out.
#[derive(Debug, Snafu)]
pub enum EndError {
    /// It is not known where.
    #[snafu(display("failed to find where to sign out"))]
    Find {
        /// Cause.
        source: DiscoveryError,
    },
    /// It could not be asked or refused.
    #[snafu(display("failed to sign out"))]
    Tell {
        /// Cause.
        source: ProviderError,
    },
}

/// Why a token could not be refreshed.
pub enum RefreshFailure {
    /// The provider ended the session.
    Ended,
    /// The provider cannot be asked now.
    Unavailable,
}

impl Login {
    /// What a refresh gave, where the ID token proves the person. It carries no nonce: nobody was
    /// sent away for it.
    async fn refreshed(
        &self,
        response: &CoreTokenResponse,
        refresh_token: String,
    ) -> Result<Tokens, RefreshFailure> {
        let Some(id_token) = response.id_token() else {
            tracing::info!("a refresh gave no ID token: the person signs in again");
            return Err(RefreshFailure::Ended);
        };
        let verifier = self
            .id_verifier()
            .await
            .ok_or(RefreshFailure::Unavailable)?;
        match id_token.claims(&verifier, |_: Option<&Nonce>| Ok(())) {
            Ok(claims) => Ok(identifying(response, id_token, claims, Some(refresh_token))),
            Err(error) => {
                tracing::warn!(
                    error = crate::error::chain(&error),
                    "an ID token of a refresh was refused"
                );
                Err(RefreshFailure::Ended)
            }
        }
    }

    /// Gets the next access token.
    ///
    /// # Errors
    /// Says whether the session is over or the provider is away.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Tokens, RefreshFailure> {
        let endpoints = self
            .endpoints()
            .await
            .map_err(|_| RefreshFailure::Unavailable)?;
        let grant = Grant::Refresh(RefreshToken::new(refresh_token.to_owned()));
        match self.grant(&endpoints, &grant).await {
            Ok(response) if self.by_id_token => {
                self.refreshed(&response, refresh_token.to_owned()).await
            }
            Ok(response) => Ok(tokens(&response, Some(refresh_token.to_owned()))),
            Err(RequestTokenError::ServerResponse(error))
                if *error.error() == CoreErrorResponseType::InvalidGrant =>
            {
                tracing::info!("the identity provider ended a session");
                Err(RefreshFailure::Ended)
            }
            Err(error) => {
                tracing::warn!(
                    error = crate::error::chain(&error),
                    "a token was not refreshed"
                );
                Err(RefreshFailure::Unavailable)
            }
        }
    }

    /// Tells the provider that a session is over, as far as it can be told.
    ///
    /// # Errors
    /// When the provider cannot be asked or refuses.
    pub async fn end(&self, refresh_token: &str) -> Result<(), EndError> {
        let endpoints = self.discovery.endpoints().await.context(FindSnafu)?;
        let (url, field) = match &endpoints.sign_out {
            None => return Ok(()),
            Some(SignOut::EndSession(url)) => (url, "refresh_token"),
            Some(SignOut::Revoke(url)) => (url, "token"),
        };
        let said = (field, refresh_token);
        let told = self.tell(url, &self.client_secret, said).await;
        let told = match (&self.standby_secret, told) {
            (Some(standby), Err(ProviderError::Refused { .. })) => {
                self.tell(url, standby, said).await
            }
            (_, told) => told,
        };
        told.context(TellSnafu)
    }

    async fn tell(
        &self,
        url: &Url,
        secret: &ClientSecret,
        said: (&str, &str),
    ) -> Result<(), ProviderError> {
        let form = [
            ("client_id", self.client_id.as_str()),
            ("client_secret", secret.secret().as_str()),
            said,
        ];
        self.http.post_form(url.clone(), &form).await
    }

    /// Where the browser is to be sent, so that the person's stay at the provider ends as well:
    /// OpenID Connect RP-Initiated Logout 1.0. Nowhere, where [`Self::end`] has done that.
    pub async fn leave(&self, tokens: &Tokens) -> Option<Url> {
        let endpoints = self.discovery.endpoints().await.ok()?;
        let mut url = endpoints.leave.clone()?;
        let proof = tokens.id_token.as_deref();
        let proof = proof.or_else(|| self.by_id_token.then_some(&*tokens.access_token));
        let mut query = url.query_pairs_mut();
        query.append_pair("client_id", self.client_id.as_str());
        query.append_pair("post_logout_redirect_uri", self.home.as_str());
        if let Some(id_token) = proof {
            query.append_pair("id_token_hint", id_token);
        }
        drop(query);
        Some(url)
    }
}
