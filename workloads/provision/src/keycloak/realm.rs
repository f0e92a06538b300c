//! The realm itself.

use serde_json::{Value, json};

use super::admin::Api;
use crate::http::HttpError;

/// How long an access token lives, in seconds: as long as a signed-out or removed person may go on.
const ACCESS_TOKEN_SECONDS: u32 = 300;
/// How long a person stays signed in, in seconds: as long as a session of the gateway, which could
/// not get new tokens for the rest of its own time otherwise.
const SESSION_SECONDS: u32 = 10 * 3600;

/// Creates the realm, or corrects what it must have. Other settings are left as they are.
pub(super) async fn put(api: &Api<'_>) -> Result<(), HttpError> {
    let wanted = representation(api.realm());
    let there: Option<Value> = api.find("look for the realm", &[]).await?;
    if there.is_some() {
        api.replace("update the realm", &[], &wanted).await?;
    } else {
        api.create_realm(&wanted).await?;
    }
    tracing::info!(
        realm = api.realm(),
        created = there.is_none(),
        "realm is there"
    );
    Ok(())
}

fn representation(realm: &str) -> Value {
    json!({
        "realm": realm,
        "enabled": true,
        "displayName": "LotoAI",
        // TLS ends at the edge, which turns plain HTTP away; the calls inside the cluster are plain,
        // and Keycloak takes some private networks for foreign ones.
        "sslRequired": "none",
        "registrationAllowed": false,
        "loginWithEmailAllowed": true,
        "duplicateEmailsAllowed": false,
        "resetPasswordAllowed": false,
        "bruteForceProtected": true,
        "accessTokenLifespan": ACCESS_TOKEN_SECONDS,
        // Both, because the gateway asks for new tokens only when somebody uses it.
        "ssoSessionIdleTimeout": SESSION_SECONDS,
        "ssoSessionMaxLifespan": SESSION_SECONDS,
        "internationalizationEnabled": true,
        "supportedLocales": ["en", "es"],
        "defaultLocale": "en",
    })
}
