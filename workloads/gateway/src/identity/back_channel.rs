//! What a provider says when it ended a session: a logout token, as in OpenID Connect Back-Channel
//! Logout 1.0.

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::token::{SKEW_SECONDS, TokenVerifier, now};
use crate::failure::Failure;

/// The claim that makes a token a logout token.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// Logout tokens are sent as soon as they are made; an older one is refused.
const OLDEST_SECONDS: u64 = 300;
/// After this long a logout token that was used cannot come again.
pub const GOOD_FOR_SECONDS: u64 = OLDEST_SECONDS + 2 * SKEW_SECONDS;

/// Whose sessions are over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logout {
    /// Identity of the token.
    pub id: String,
    /// The person; there is a person or a session.
    pub subject: Option<String>,
    /// The provider's word for its session; without it all sessions of the person are over.
    pub provider_session: Option<String>,
}

/// What is read of a logout token.
#[derive(Debug, Deserialize)]
pub struct Claims {
    iat: u64,
    jti: Option<String>,
    sub: Option<String>,
    sid: Option<String>,
    #[serde(default)]
    events: Map<String, Value>,
    nonce: Option<Value>,
}

impl TokenVerifier {
    /// Checks a logout token: signed by the issuer, for this client, made just now, and nothing
    /// else than a logout token.
    ///
    /// # Errors
    /// 400 with the reason, or 503 when the key is unknown and the provider cannot be asked.
    pub async fn logout(&self, token: &str) -> Result<Logout, Failure> {
        let required = ["exp", "iss", "aud"];
        let signed = self
            .signed::<Claims>(token, self.client_id(), &required)
            .await;
        let (header, claims) = signed.map_err(|failure| {
            if failure.status == StatusCode::UNAUTHORIZED {
                refused(failure.message)
            } else {
                failure
            }
        })?;
        let kind = header.typ.as_deref().map(str::to_ascii_lowercase);
        if !matches!(
            kind.as_deref(),
            None | Some("jwt" | "logout+jwt" | "application/logout+jwt")
        ) {
            return Err(refused("its typ is not that of a logout token"));
        }
        check(claims, now())
    }
}

/// The logout token of a form that the provider posts.
///
/// # Errors
/// 400 when it has none.
pub fn token_of(form: &[u8]) -> Result<String, Failure> {
    let mut fields = url::form_urlencoded::parse(form);
    let token = fields.find(|(name, _)| name == "logout_token");
    let (_, token) = token.ok_or_else(|| refused("the form has no field logout_token"))?;
    Ok(token.into_owned())
}

/// Checks what a token says, whose signature is good, at `now`, in seconds since 1970.
///
/// # Errors
/// 400 with the reason.
pub fn check(claims: Claims, now: u64) -> Result<Logout, Failure> {
    if !claims.events.get(EVENT).is_some_and(Value::is_object) {
        return Err(refused("it does not say that a session ended"));
    }
    if claims.nonce.is_some() {
        return Err(refused("a logout token has no nonce"));
    }
    if claims.iat > now + SKEW_SECONDS || claims.iat + OLDEST_SECONDS + SKEW_SECONDS < now {
        return Err(refused("it was not made just now; check the clocks"));
    }
    let said = |text: Option<String>| text.filter(|text| !text.is_empty());
    let (subject, provider_session) = (said(claims.sub), said(claims.sid));
    if subject.is_none() && provider_session.is_none() {
        return Err(refused("it names neither sub nor sid"));
    }
    let id = said(claims.jti).ok_or_else(|| refused("it has no jti"))?;
    Ok(Logout {
        id,
        subject,
        provider_session,
    })
}

/// 400 for a token that ends nothing.
pub fn refused(reason: impl std::fmt::Display) -> Failure {
    let mut failure = Failure::new(
        StatusCode::BAD_REQUEST,
        "logout_token_invalid",
        format!("the logout token is refused: {reason}"),
    );
    failure.param = Some("logout_token".to_owned());
    failure
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn read(change: impl FnOnce(&mut Value)) -> Result<Logout, Failure> {
        let mut claims = json!({
            "iat": NOW, "jti": "j", "sub": "ana", "sid": "s", "events": { EVENT: {} },
        });
        change(&mut claims);
        check(serde_json::from_value(claims).unwrap(), NOW)
    }

    #[test]
    fn a_logout_token_names_a_person_a_session_or_both() {
        let both = read(|_| ()).unwrap();
        assert_eq!(both.subject.as_deref(), Some("ana"));
        assert_eq!(both.provider_session.as_deref(), Some("s"));
        assert_eq!(read(|it| it["sub"] = json!(null)).unwrap().subject, None);
        let person = read(|it| it["sid"] = json!(null)).unwrap();
        assert_eq!(person.provider_session, None);
        assert!(read(|it| it["iat"] = json!(NOW - 320)).is_ok());
        assert!(read(|it| it["iat"] = json!(NOW + 20)).is_ok());
    }

    #[rstest::rstest]
    #[case(json!({"events": {}}), "session ended")]
    #[case(json!({"events": {"http://schemas.openid.net/event/other": {}}}), "session ended")]
    #[case(json!({"events": {EVENT: true}}), "session ended")]
    #[case(json!({"nonce": "n"}), "nonce")]
    #[case(json!({"iat": NOW - 331}), "just now")]
    #[case(json!({"iat": NOW + 31}), "just now")]
    #[case(json!({"sub": null, "sid": null}), "neither")]
    #[case(json!({"sub": "", "sid": ""}), "neither")]
    #[case(json!({"jti": null}), "jti")]
    fn anything_else_is_refused(#[case] change: Value, #[case] reason: &str) {
        let failure = read(|claims| {
            let change = change.as_object().unwrap().clone();
            claims.as_object_mut().unwrap().extend(change);
        })
        .unwrap_err();
        assert!(failure.message.contains(reason), "{}", failure.message);
    }
}
