//! Virtual host, exchanges, queues, bindings and users in RabbitMQ, over its management API.

mod queues;

use std::time::Duration;

use ::http::{Method, StatusCode};
use lotoai_contracts::events::{DEAD_LETTER_EXCHANGE, EXCHANGE, QUEUES};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use snafu::{ResultExt, ensure};

use crate::config::RabbitmqAdmin;
use crate::error::{BadValueSnafu, Error, HttpSnafu};
use crate::http::{Answer, HttpError, client, send};
use crate::plan::{RabbitmqPlan, RabbitmqUser, Secrets};
use crate::reach;

const STORE: &str = "RabbitMQ";
/// A regular expression that matches no name: no permission.
const NOTHING: &str = "^$";
/// A regular expression that matches every name.
const EVERYTHING: &str = ".*";

struct Api<'a> {
    client: reqwest::Client,
    admin: &'a RabbitmqAdmin,
    vhost: &'a str,
    /// How long a queue may take to run.
    start: Duration,
}

/// Brings the broker to what the plan and the contracts say.
pub(crate) async fn provision(
    admin: &RabbitmqAdmin,
    plan: &RabbitmqPlan,
    secrets: &Secrets,
    patience: Duration,
) -> Result<(), Error> {
    let mut users = Vec::new();
    for user in &plan.users {
        users.push((
            user,
            permissions(user)?,
            secrets.get(&user.password_env, &user.username)?,
        ));
    }
    let client = client(admin.rabbitmq_ca_file.as_deref()).context(HttpSnafu { store: STORE })?;
    let api = Api {
        client,
        admin,
        vhost: &plan.vhost,
        start: queues::START,
    };
    reach(STORE, patience, || api.sign_in())
        .await
        .context(HttpSnafu { store: STORE })?;
    api.topology().await.context(HttpSnafu { store: STORE })?;
    for (user, permissions, password) in users {
        api.user(user, &permissions, &password)
            .await
            .context(HttpSnafu { store: STORE })?;
    }
    for name in &plan.retired {
        api.retire(name).await.context(HttpSnafu { store: STORE })?;
    }
    Ok(())
}

/// Least privileges: publishing is writing to the exchange, consuming is reading the queue.
fn permissions(user: &RabbitmqUser) -> Result<Value, Error> {
    let read = match &user.queue {
        None => NOTHING.to_owned(),
        Some(name) => {
            let known: Vec<_> = QUEUES.iter().map(|queue| queue.name).collect();
            let fix = format!("use one of {}", known.join(", "));
            let field = "users[].queue";
            ensure!(
                known.contains(&name.as_str()),
                BadValueSnafu {
                    field,
                    value: name,
                    fix
                }
            );
            exactly(name)
        }
    };
    let write = if user.publish {
        exactly(EXCHANGE)
    } else {
        NOTHING.to_owned()
    };
    Ok(json!({ "configure": NOTHING, "write": write, "read": read }))
}

/// The regular expression that matches this name alone.
fn exactly(name: &str) -> String {
    format!("^{}$", name.replace('.', "\\."))
}

impl Api<'_> {
    async fn call(
        &self,
        what: &str,
        method: Method,
        path: &[&str],
        body: Option<Value>,
    ) -> Result<Answer, HttpError> {
        let password = &self.admin.rabbitmq_password;
        self.call_with(password, what, method, path, body).await
    }

    async fn call_with(
        &self,
        password: &SecretString,
        what: &str,
        method: Method,
        path: &[&str],
        body: Option<Value>,
    ) -> Result<Answer, HttpError> {
        let mut url = self.admin.rabbitmq_url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("api").extend(path);
        }
        let username = &self.admin.rabbitmq_username;
        let mut request = self
            .client
            .request(method, url)
            .basic_auth(username, Some(password.expose_secret()));
        if let Some(body) = body {
            request = request.json(&body);
        }
        send(what, request).await
    }

    /// True when the thing was created, false when it was there.
    async fn put(&self, what: &str, path: &[&str], body: Value) -> Result<bool, HttpError> {
        let created = self
            .call(what, Method::PUT, path, Some(body))
            .await?
            .created_or_there()?;
        tracing::info!(created, "{what}: done");
        Ok(created)
    }

    /// Works only when the server is up and knows the administrator. One that knows the password of
    /// before learns the other one.
    async fn sign_in(&self) -> Result<(), HttpError> {
        let ask = || self.call("reach RabbitMQ", Method::GET, &["overview"], None);
        let answer = ask().await?;
        let standby = &self.admin.rabbitmq_password_standby;
        let (StatusCode::UNAUTHORIZED, Some(standby)) = (answer.status, standby) else {
            return answer.success().map(drop);
        };
        let what = "give the administrator its new password";
        let password = self.admin.rabbitmq_password.expose_secret();
        let body = json!({ "password": password, "tags": "administrator" });
        let path = ["users", self.admin.rabbitmq_username.as_str()];
        self.call_with(standby, what, Method::PUT, &path, Some(body))
            .await?
            .success()?;
        tracing::info!("{what}: done");
        ask().await?.success().map(drop)
    }

    async fn topology(&self) -> Result<(), HttpError> {
        self.put(
            "create the virtual host",
            &["vhosts", self.vhost],
            json!({}),
        )
        .await?;
        // The broker gives them to whoever creates the virtual host, in a second step, which is
        // missing when the first attempt was cut off.
        self.put(
            "set the permissions of the administrator",
            &["permissions", self.vhost, &self.admin.rabbitmq_username],
            json!({ "configure": EVERYTHING, "write": EVERYTHING, "read": EVERYTHING }),
        )
        .await?;
        self.exchange(EXCHANGE, "topic").await?;
        self.exchange(DEAD_LETTER_EXCHANGE, "direct").await?;
        queues::put(self).await
    }

    async fn exchange(&self, name: &str, kind: &str) -> Result<(), HttpError> {
        let what = format!("create exchange {name:?}");
        let body = json!({ "type": kind, "durable": true });
        self.put(&what, &["exchanges", self.vhost, name], body)
            .await
            .map(drop)
    }

    async fn user(
        &self,
        user: &RabbitmqUser,
        permissions: &Value,
        password: &SecretString,
    ) -> Result<(), HttpError> {
        let name = user.username.as_str();
        let body = json!({ "password": password.expose_secret(), "tags": "" });
        self.put(&format!("create user {name:?}"), &["users", name], body)
            .await?;
        let what = format!("set the permissions of user {name:?}");
        self.put(
            &what,
            &["permissions", self.vhost, name],
            permissions.clone(),
        )
        .await
        .map(drop)
    }

    /// Deletes a user, which ends its connections.
    async fn retire(&self, name: &str) -> Result<(), HttpError> {
        let what = format!("delete user {name:?}");
        let answer = self
            .call(&what, Method::DELETE, &["users", name], None)
            .await?;
        if answer.found()?.is_some() {
            tracing::info!("{what}: done");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
