//! What an access token says of a person, once its signature was found to be good.

use lotoai_policy::ADMINS;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::token::refused;
use super::{Credential, Identity};
use crate::failure::Failure;

/// What is read of an access token.
#[derive(Debug, Deserialize)]
pub struct Claims {
    sub: String,
    exp: u64,
    preferred_username: Option<String>,
    email: Option<String>,
    typ: Option<String>,
    iat: Option<u64>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// How the issuer says what people are.
#[derive(Debug)]
pub struct ClaimRules {
    /// The claim with the groups of a person.
    pub groups_claim: String,
    /// The group whose members administer; nobody does when it is empty.
    pub admin_group: String,
    /// Whether ID tokens prove people.
    pub id_tokens: bool,
}

impl ClaimRules {
    /// The person of a token with these claims, whose header calls it a `kind`.
    ///
    /// # Errors
    /// 401 when it is another kind of token, or does not say who somebody is.
    pub fn identity(&self, kind: Option<&str>, claims: Claims) -> Result<Identity, Failure> {
        // A logout token is signed alike, and where ID tokens prove people it has their audience.
        let kind = kind.unwrap_or_default().to_ascii_lowercase();
        if kind.contains("logout") || claims.others.contains_key("events") {
            return Err(refused("token_invalid", "this is not an access token"));
        }
        // Keycloak says what a token is for; others say nothing here.
        let good = match claims.typ.as_deref() {
            None | Some("Bearer") => true,
            Some("ID") => self.id_tokens,
            Some(_) => false,
        };
        if !good {
            return Err(refused("token_invalid", "this is not an access token"));
        }
        // Nothing could be somebody's whom PostgreSQL has no text for.
        if claims.sub.is_empty() || claims.sub.contains('\0') {
            let message = "claim \"sub\" of the access token names nobody";
            return Err(refused("token_invalid", message));
        }
        let groups = self.groups(claims.others)?;
        Ok(Identity {
            name: claims
                .preferred_username
                .or(claims.email)
                .unwrap_or_else(|| claims.sub.clone()),
            subject: claims.sub,
            groups,
            expires_at: claims.exp,
            issued_at: claims.iat.unwrap_or(0),
            credential: Credential::Token,
        })
    }

    /// The groups of a person. The one that the configuration names makes an administrator, and no
    /// other: a group of a company may be called as ours is.
    fn groups(&self, mut claims: Map<String, Value>) -> Result<Vec<String>, Failure> {
        let Some(claim) = claims.remove(&self.groups_claim) else {
            return Ok(Vec::new());
        };
        let groups: Vec<String> = serde_json::from_value(claim).map_err(|_| {
            let message = format!(
                "claim {:?} of the access token is not a list of groups",
                self.groups_claim
            );
            refused("token_invalid", message)
        })?;
        let mut groups: Vec<String> = groups
            .into_iter()
            .map(|group| group.trim_start_matches('/').to_owned())
            // PostgreSQL has no text for NUL, so nothing can be open to such a group.
            .filter(|group| !group.is_empty() && !group.contains('\0'))
            .collect();
        let admin = groups.contains(&self.admin_group);
        if self.admin_group != ADMINS {
            groups.retain(|group| group != ADMINS);
            if admin {
                groups.push(ADMINS.to_owned());
            }
        }
        Ok(groups)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[rstest::rstest]
    #[case(json!("ana"), true)]
    #[case(json!(""), false)]
    #[case(json!("a\u{0}"), false)]
    fn a_person_can_be_named(#[case] subject: Value, #[case] accepted: bool) {
        let rules = ClaimRules {
            groups_claim: "groups".to_owned(),
            admin_group: ADMINS.to_owned(),
            id_tokens: false,
        };
        let claims = serde_json::from_value(json!({"sub": subject, "exp": 1})).unwrap();
        assert_eq!(rules.identity(None, claims).is_ok(), accepted);
    }
}
