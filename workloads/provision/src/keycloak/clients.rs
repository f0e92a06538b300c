//! The clients and what their tokens carry.

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::admin::{Api, Done, Thing};
use super::{CLI, PROBE, WEB, Wanted};
use crate::http::HttpError;

/// Creates or corrects the three clients.
pub(super) async fn put(api: &Api<'_>, wanted: &Wanted<'_>) -> Result<(), HttpError> {
    for client in [web(wanted), cli(), probe(wanted)] {
        let name = client["clientId"].as_str().unwrap_or_default().to_owned();
        let (id, done) = put_client(api, &name, &client).await?;
        put_mappers(api, &name, &id, &wanted.plan.audience).await?;
        tracing::info!(client = name, ?done, "client is there");
    }
    Ok(())
}

/// Sign-in of the web client: the code flow with PKCE, from the gateway, which holds the secret.
fn web(wanted: &Wanted<'_>) -> Value {
    let public = &wanted.public;
    let mut client = json!({
        "clientId": WEB,
        "name": "LotoAI web",
        "enabled": true,
        "publicClient": false,
        "clientAuthenticatorType": "client-secret",
        "secret": wanted.web.expose_secret(),
        "standardFlowEnabled": true,
        "implicitFlowEnabled": false,
        "directAccessGrantsEnabled": false,
        "serviceAccountsEnabled": false,
        "rootUrl": public,
        "baseUrl": "/",
        "redirectUris": [format!("{public}/auth/callback")],
        "webOrigins": [wanted.plan.public_url.origin().ascii_serialization()],
        "attributes": {
            "pkce.code.challenge.method": "S256",
            "post.logout.redirect.uris": format!("{public}/"),
        },
    });
    if let Some(url) = &wanted.plan.back_channel_logout_url {
        client["attributes"]["backchannel.logout.url"] = url.as_str().into();
        // Or all sessions of a person would end with one of them.
        client["attributes"]["backchannel.logout.session.required"] = "true".into();
    }
    client
}

/// People and scripts at a terminal.
fn cli() -> Value {
    json!({
        "clientId": CLI,
        "name": "LotoAI command line",
        "enabled": true,
        "publicClient": true,
        "standardFlowEnabled": false,
        "implicitFlowEnabled": false,
        "directAccessGrantsEnabled": true,
        "serviceAccountsEnabled": false,
        "redirectUris": [],
        "webOrigins": [],
        "attributes": { "oauth2.device.authorization.grant.enabled": "true" },
    })
}

/// The operator's probe question.
fn probe(wanted: &Wanted<'_>) -> Value {
    json!({
        "clientId": PROBE,
        "name": "LotoAI probe",
        "enabled": true,
        "publicClient": false,
        "clientAuthenticatorType": "client-secret",
        "secret": wanted.probe.expose_secret(),
        "standardFlowEnabled": false,
        "implicitFlowEnabled": false,
        "directAccessGrantsEnabled": false,
        "serviceAccountsEnabled": true,
        "redirectUris": [],
        "webOrigins": [],
    })
}

async fn put_client(
    api: &Api<'_>,
    name: &str,
    client: &Value,
) -> Result<(String, Done), HttpError> {
    let done = match find(api, name).await? {
        Some(id) => {
            let what = format!("update client {name:?}");
            api.replace(&what, &["clients", &id], client).await?;
            return Ok((id, Done::Updated));
        }
        None => Done::Created,
    };
    let what = format!("create client {name:?}");
    api.create(&what, &["clients"], client).await?;
    let id = find(api, name).await?.ok_or(HttpError::Absent { what })?;
    Ok((id, done))
}

async fn find(api: &Api<'_>, name: &str) -> Result<Option<String>, HttpError> {
    let what = format!("look for client {name:?}");
    let found: Vec<Thing> = api.list(&what, &["clients"], &[("clientId", name)]).await?;
    Ok(found.into_iter().next().map(|client| client.id))
}

/// What the tokens of every client carry.
fn mappers(audience: &str) -> [Value; 2] {
    [
        json!({
            "name": "lotoai-audience",
            "protocol": "openid-connect",
            "protocolMapper": "oidc-audience-mapper",
            "config": {
                "included.custom.audience": audience,
                "access.token.claim": "true",
                "id.token.claim": "false",
                "introspection.token.claim": "true",
            },
        }),
        json!({
            "name": "lotoai-groups",
            "protocol": "openid-connect",
            "protocolMapper": "oidc-group-membership-mapper",
            "config": {
                "claim.name": "groups",
                // With the whole path: a group `guests/admins` must never pass for `admins`.
                "full.path": "true",
                "access.token.claim": "true",
                "id.token.claim": "true",
                "userinfo.token.claim": "true",
                "introspection.token.claim": "true",
            },
        }),
    ]
}

async fn put_mappers(
    api: &Api<'_>,
    client: &str,
    id: &str,
    audience: &str,
) -> Result<(), HttpError> {
    let path = ["clients", id, "protocol-mappers", "models"];
    let what = format!("look for the mappers of client {client:?}");
    let there: Vec<Thing> = api.list(&what, &path, &[]).await?;
    for mut mapper in mappers(audience) {
        let name = mapper["name"].as_str().unwrap_or_default().to_owned();
        if let Some(known) = there.iter().find(|known| known.name == name) {
            mapper["id"] = known.id.as_str().into();
            let what = format!("update mapper {name:?} of client {client:?}");
            api.replace(
                &what,
                &[path.as_slice(), &[known.id.as_str()]].concat(),
                &mapper,
            )
            .await?;
        } else {
            let what = format!("create mapper {name:?} of client {client:?}");
            api.create(&what, &path, &mapper).await?;
        }
    }
    Ok(())
}
