//! Realm, clients, roles, groups and the first user in Keycloak, over its admin API.

mod admin;
mod clients;
mod people;
mod realm;

use std::time::Duration;

use secrecy::SecretString;
use snafu::{OptionExt, ResultExt, ensure};

use crate::config::KeycloakAdmin;
use crate::error::{BadValueSnafu, Error, HttpSnafu};
use crate::plan::{KeycloakPlan, Secrets};
use crate::reach;
use admin::Api;

const STORE: &str = "Keycloak";
/// The client of the web client's sign-in, held by the gateway.
const WEB: &str = "lotoai-web";
/// The client of the operator's probe question.
const PROBE: &str = "lotoai-probe";
/// The client of people and scripts at a terminal; it has no secret.
const CLI: &str = "lotoai-cli";

/// The plan with its secrets, checked.
struct Wanted<'a> {
    plan: &'a KeycloakPlan,
    /// `public_url` without a slash at the end.
    public: String,
    web: SecretString,
    probe: SecretString,
    first_password: SecretString,
}

impl<'a> Wanted<'a> {
    fn new(plan: &'a KeycloakPlan, secrets: &Secrets) -> Result<Self, Error> {
        let url = &plan.public_url;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none();
        let fix = "write it as https://host, without query";
        ensure!(
            plain,
            BadValueSnafu {
                field: "public_url",
                value: url.as_str(),
                fix
            }
        );
        let secret = |client_id: &'static str| {
            let client = plan
                .clients
                .iter()
                .find(|client| client.client_id == client_id);
            let fix = format!("add {client_id:?} to it");
            let client = client.context(BadValueSnafu {
                field: "clients",
                value: "",
                fix,
            })?;
            secrets.get(&client.secret_env, client_id)
        };
        for client in &plan.clients {
            let known = [WEB, PROBE].contains(&client.client_id.as_str());
            let fix = format!("use {WEB:?} and {PROBE:?}");
            let value = client.client_id.as_str();
            ensure!(
                known,
                BadValueSnafu {
                    field: "clients[].client_id",
                    value,
                    fix
                }
            );
        }
        let user = &plan.first_user;
        Ok(Self {
            plan,
            public: url.as_str().trim_end_matches('/').to_owned(),
            web: secret(WEB)?,
            probe: secret(PROBE)?,
            first_password: secrets.get(&user.password_env, &user.username)?,
        })
    }
}

/// Brings the realm to what the plan says.
pub(crate) async fn provision(
    admin: &KeycloakAdmin,
    plan: &KeycloakPlan,
    secrets: &Secrets,
    patience: Duration,
) -> Result<(), Error> {
    let wanted = Wanted::new(plan, secrets)?;
    let api = Api::new(admin, &plan.realm).context(HttpSnafu { store: STORE })?;
    reach(STORE, patience, || api.sign_in())
        .await
        .context(HttpSnafu { store: STORE })?;
    let work = async {
        realm::put(&api).await?;
        people::put_roles_and_groups(&api).await?;
        clients::put(&api, &wanted).await?;
        people::put_first_user(&api, &wanted).await
    };
    work.await.context(HttpSnafu { store: STORE })
}

#[cfg(test)]
mod tests;
