//! Virtual host, exchanges, queues, bindings and users in RabbitMQ, over its management API.

use std::time::Duration;

use ::http::Method;
use lotoai_contracts::events::{DEAD_LETTER_EXCHANGE, EXCHANGE, QUEUES, Queue};
use lotoai_kit::retry;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use snafu::{ResultExt, ensure};

use crate::config::RabbitmqAdmin;
use crate::error::{BadValueSnafu, Error, HttpSnafu};
use crate::http::{Answer, HttpError, client, send};
use crate::plan::{RabbitmqPlan, RabbitmqUser, Secrets};

const STORE: &str = "RabbitMQ";
/// How often a message may come back before it moves to the dead-letter queue.
const DELIVERY_LIMIT: u32 = 5;
/// A regular expression that matches no name: no permission.
const NOTHING: &str = "^$";

struct Api<'a> {
    client: reqwest::Client,
    admin: &'a RabbitmqAdmin,
    vhost: &'a str,
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
    let client = client().context(HttpSnafu { store: STORE })?;
    let api = Api {
        client,
        admin,
        vhost: &plan.vhost,
    };
    retry::until(STORE, patience, || api.ping())
        .await
        .context(HttpSnafu { store: STORE })?;
    api.topology().await.context(HttpSnafu { store: STORE })?;
    for (user, permissions, password) in users {
        api.user(user, &permissions, &password)
            .await
            .context(HttpSnafu { store: STORE })?;
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
        let mut url = self.admin.rabbitmq_url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("api").extend(path);
        }
        let mut request = self.client.request(method, url).basic_auth(
            &self.admin.rabbitmq_username,
            Some(self.admin.rabbitmq_password.expose_secret()),
        );
        if let Some(body) = body {
            request = request.json(&body);
        }
        send(what, request).await
    }

    async fn put(&self, what: &str, path: &[&str], body: Value) -> Result<(), HttpError> {
        let created = self
            .call(what, Method::PUT, path, Some(body))
            .await?
            .created_or_there()?;
        tracing::info!(created, "{what}: done");
        Ok(())
    }

    async fn ping(&self) -> Result<(), HttpError> {
        self.call("reach RabbitMQ", Method::GET, &["overview"], None)
            .await?
            .success()
            .map(drop)
    }

    async fn topology(&self) -> Result<(), HttpError> {
        self.put(
            "create the virtual host",
            &["vhosts", self.vhost],
            json!({}),
        )
        .await?;
        self.exchange(EXCHANGE, "topic").await?;
        self.exchange(DEAD_LETTER_EXCHANGE, "direct").await?;
        for queue in QUEUES {
            self.queue(queue).await?;
        }
        Ok(())
    }

    async fn exchange(&self, name: &str, kind: &str) -> Result<(), HttpError> {
        let what = format!("create exchange {name:?}");
        let body = json!({ "type": kind, "durable": true });
        self.put(&what, &["exchanges", self.vhost, name], body)
            .await
    }

    /// The dead-letter queue comes first, so that no message can die into nothing.
    async fn queue(&self, queue: &Queue) -> Result<(), HttpError> {
        let dead = format!("{}.dead", queue.name);
        self.declare(&dead, json!({ "x-queue-type": "quorum" }))
            .await?;
        self.bind(DEAD_LETTER_EXCHANGE, &dead, queue.name).await?;
        let arguments = json!({
            "x-queue-type": "quorum",
            "x-delivery-limit": DELIVERY_LIMIT,
            "x-dead-letter-exchange": DEAD_LETTER_EXCHANGE,
            "x-dead-letter-routing-key": queue.name,
            // A message leaves this queue only when the dead-letter queue has confirmed it; the
            // broker wants `reject-publish` with it, which acts on length limits, and there are none.
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        });
        self.declare(queue.name, arguments).await?;
        for key in queue.bindings {
            self.bind(EXCHANGE, queue.name, key).await?;
        }
        Ok(())
    }

    async fn declare(&self, name: &str, arguments: Value) -> Result<(), HttpError> {
        let what = format!("create queue {name:?}");
        let body = json!({ "durable": true, "auto_delete": false, "arguments": arguments });
        self.put(&what, &["queues", self.vhost, name], body).await
    }

    async fn bind(&self, exchange: &str, queue: &str, key: &str) -> Result<(), HttpError> {
        let what = format!("bind {key:?} to queue {queue:?}");
        let path = ["bindings", self.vhost, "e", exchange, "q", queue];
        let body = json!({ "routing_key": key });
        self.call(&what, Method::POST, &path, Some(body))
            .await?
            .success()?;
        tracing::info!("{what}: done");
        Ok(())
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
    }
}

#[cfg(test)]
mod tests;
