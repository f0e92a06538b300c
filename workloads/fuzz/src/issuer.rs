//! What an identity provider answers to us, and what its tokens say.

use std::sync::LazyLock;

use lotoai_gateway::identity::claims::{ClaimRules, Claims};
use lotoai_gateway::identity::discovery::{Endpoints, SignOut, endpoints_of};
use lotoai_gateway::identity::jwks::key_set;
use lotoai_gateway::identity::login::{self, session_of};
use lotoai_gateway::identity::token::now;
use openidconnect::TokenResponse as _;
use openidconnect::core::CoreTokenResponse;
use serde_json::Value;
use url::Url;

use crate::{promise, refusal};

/// The group that administers; the platform's own name for it is another.
const ADMINS: &str = "it-people";

static INTERNAL: LazyLock<Option<Url>> =
    LazyLock::new(|| Url::parse("http://keycloak:8080/realms/lotoai").ok());

static RULES: LazyLock<ClaimRules> = LazyLock::new(|| ClaimRules {
    groups_claim: "groups".to_owned(),
    admin_group: ADMINS.to_owned(),
    id_tokens: false,
});

/// The signing keys.
pub(crate) fn key_set_answer(bytes: &[u8]) {
    let Ok((keys, _)) = key_set(bytes) else {
        return;
    };
    for key in keys.values() {
        let name = format!("{:?}", key.algorithm);
        promise(
            name == "RS256" || name == "ES256",
            "two algorithms are taken",
        );
    }
}

/// The discovery document, of an issuer that is reached under its own address and of one that is
/// not.
pub(crate) fn discovery_document(bytes: &[u8]) {
    if let Ok(found) = endpoints_of(bytes, "https://login.example.org/realms/lotoai", None) {
        promise(
            addresses(&found).all(|url| url.scheme() == "https" && url.has_host()),
            "TLS leads to nowhere without it",
        );
    }
    let Some(internal) = &*INTERNAL else {
        return;
    };
    let issuer = "https://login.example.org/realms/lotoai";
    if let Ok(found) = endpoints_of(bytes, issuer, Some(internal)) {
        let is_good = |url: &Url| {
            let is_behind = url.as_str().starts_with("http://keycloak:8080/");
            url.scheme() == "https" || is_behind
        };
        promise(
            addresses(&found).all(is_good),
            "nothing but the provider is spoken to without TLS",
        );
        promise(
            found.authorization.scheme() == "https",
            "browsers sign in over TLS",
        );
    }
}

fn addresses(found: &Endpoints) -> impl Iterator<Item = &Url> {
    let sign_out = found.sign_out.as_ref().map(|it| match it {
        SignOut::EndSession(url) | SignOut::Revoke(url) => url,
    });
    [&found.authorization, &found.token, &found.jwks]
        .into_iter()
        .chain(sign_out)
        .chain(&found.leave)
}

/// The answer to a code or a refresh token.
pub(crate) fn token_answer(bytes: &[u8]) {
    let Ok(answer) = serde_json::from_slice::<CoreTokenResponse>(bytes) else {
        return;
    };
    let begun = now();
    let tokens = login::tokens(&answer, Some("earlier".to_owned()));
    promise(tokens.refresh_token.is_some(), "what came before is kept");
    promise(tokens.expires_at >= begun, "no token ends before it begins");
    if let Some(id_token) = answer.id_token() {
        let session = session_of(&id_token.to_string());
        promise(
            session.is_none_or(|it| !it.is_empty()),
            "a session is named",
        );
    }
}

/// What an access token says, once its signature was found to be good. What is no JSON is read as
/// such a token all the same.
pub(crate) fn token_claims(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let session = session_of(text);
        promise(
            session.is_none_or(|it| !it.is_empty()),
            "a session is named",
        );
    }
    let Ok(claims) = serde_json::from_slice::<Claims>(bytes) else {
        return;
    };
    match RULES.identity(Some("JWT"), claims) {
        Ok(person) => {
            let mut named = std::iter::once(&person.subject).chain(&person.groups);
            promise(
                named.all(|it| !it.is_empty() && !it.contains('\0')),
                "PostgreSQL can tell whose things are",
            );
            let said: Value = serde_json::from_slice(bytes).unwrap_or_default();
            let mut groups = said["groups"].as_array().into_iter().flatten();
            let is_said =
                groups.any(|it| it.as_str().map(|it| it.trim_start_matches('/')) == Some(ADMINS));
            promise(person.who().is_admin() == is_said, "one group administers");
        }
        Err(failure) => {
            promise(failure.status == 401, "a bad token is a 401");
            refusal(&failure);
        }
    }
}
