//! What the stores let a component's credential do: what its edges are for, and nothing else. Each
//! refusal stands beside something that the same server lets somebody do.

use std::collections::BTreeSet;
use std::time::Duration;

use http::Request;
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::tcp::OwnedTLSConfig;
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use lapin::{BasicProperties, ConnectionBuilder};
use lotoai_api::Store;
use lotoai_contracts::events::EXCHANGE;
use lotoai_plan::env::{BUCKET, REGION, USAGE_DATABASE, VHOST};
use lotoai_plan::graph::{CredentialKind, EDGES};
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::HttpRequestBody;
use reqwest::Method;
use tokio::time::timeout;

use crate::clickhouse;
use crate::credentials::{self, Account};
use crate::database::Database;
use crate::inside::Inside;
use crate::support::{NAME, ready, run};

/// How long the broker may take for all that is asked of it at once.
const LIMIT: Duration = Duration::from_secs(30);
/// A bucket that no component has to do with.
const FOREIGN: &str = "privileges-test";
/// Who or what is never there.
const INTRUDER: &str = "intruder";

#[test]
fn a_postgresql_account_enters_its_own_database_alone() {
    run(|| async {
        let (platform, _) = ready().await;
        let components = ["gateway", "orchestrator", "keycloak"];
        for component in components {
            let Some(database) = Database::of_component(&platform, component).await else {
                return;
            };
            assert_eq!(database.run("SELECT current_database()"), component);
            let others = components.into_iter().filter(|other| *other != component);
            for other in others.chain(["postgres"]) {
                let told = database.run_in(other, "SELECT 1");
                assert_refused(&told, "permission denied for database", component, other);
            }
            for statement in [
                format!("CREATE ROLE {INTRUDER}"),
                format!("CREATE DATABASE {INTRUDER}"),
            ] {
                let told = database.run_in(component, &statement);
                assert_refused(&told, "permission denied", component, &statement);
            }
        }
    });
}

#[test]
fn a_rabbitmq_account_publishes_and_reads_what_is_its_own() {
    run(|| async {
        let (platform, _) = ready().await;
        let Some(inside) = Inside::of(&platform, "rabbitmq").await else {
            return;
        };
        let authorities = credentials::authorities(&platform).await;
        // Who, what, and whether it is let.
        let cases = [
            ("gateway", Act::Publish, true),
            ("gateway", Act::Read("gateway"), true),
            ("gateway", Act::Read("analytics"), false),
            ("gateway", Act::Declare(INTRUDER), false),
            ("rag-ingest", Act::Publish, true),
            ("rag-ingest", Act::Read("gateway"), false),
            ("analytics", Act::Read("analytics"), true),
            ("analytics", Act::Read("rag-ingest"), false),
            ("analytics", Act::Publish, false),
            ("analytics", Act::Declare(INTRUDER), false),
        ];
        for (who, act, is_let) in cases {
            let account = credentials::account(&platform, &format!("{who}-rabbitmq")).await;
            let acting = Box::pin(perform(uri(&account), authorities.clone(), act));
            let told = inside.finish(acting).await;
            if is_let {
                assert_eq!(told, Ok(()), "{who}: {act:?}");
            } else {
                assert_refused(&told, "ACCESS_REFUSED", who, &format!("{act:?}"));
            }
        }

        let host = format!("{NAME}-rabbitmq");
        for (name, expected) in [("rabbitmq-admin", 200), ("gateway-rabbitmq", 401)] {
            let account = credentials::account(&platform, name).await;
            let url = format!("https://{host}:15671/api/users");
            let told = inside
                .call((host.as_str(), 15671), &authorities, move |http| {
                    http.get(url)
                        .basic_auth(account.username, Some(account.password))
                })
                .await;
            assert_eq!(told.status, expected, "the users as {name}: {}", told.text);
        }
    });
}

/// What is tried at the broker.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// Publish an event that no queue wants.
    Publish,
    /// Look into a queue. A message that is there goes back.
    Read(&'static str),
    /// Make a queue, which would go with the connection.
    Declare(&'static str),
}

/// By the name in the broker's certificate that stands for itself, because this runs in its network.
fn uri(account: &Account) -> AMQPUri {
    let mut uri: AMQPUri = format!("amqps://localhost:5671/{VHOST}").parse().unwrap();
    let of = &mut uri.authority.userinfo;
    of.username.clone_from(&account.username);
    of.password.clone_from(&account.password);
    uri
}

/// What comes of it, or the broker's words.
async fn perform(uri: AMQPUri, authorities: String, act: Act) -> Result<(), String> {
    match timeout(LIMIT, connect_and_act(uri, authorities, act)).await {
        Ok(done) => done.map_err(|error| format!("{error:?}")),
        Err(elapsed) => Err(elapsed.to_string()),
    }
}

async fn connect_and_act(uri: AMQPUri, authorities: String, act: Act) -> lapin::Result<()> {
    let tls = OwnedTLSConfig {
        identity: None,
        cert_chain: Some(authorities),
    };
    let builder = ConnectionBuilder::new()?.with_uri(uri).with_tls_config(tls);
    let connection = builder.connect().await?;
    let channel = connection.create_channel().await?;
    match act {
        Act::Publish => {
            channel
                .confirm_select(ConfirmSelectOptions::default())
                .await?;
            let published = channel.basic_publish(
                EXCHANGE.into(),
                INTRUDER.into(),
                BasicPublishOptions::default(),
                b"{}",
                BasicProperties::default(),
            );
            let confirmation = published.await?.await?;
            assert!(confirmation.is_ack(), "{confirmation:?}");
        }
        Act::Read(queue) => {
            channel
                .basic_get(queue.into(), BasicGetOptions::default())
                .await?;
        }
        Act::Declare(queue) => {
            let options = QueueDeclareOptions {
                exclusive: true,
                ..QueueDeclareOptions::default()
            };
            channel
                .queue_declare(queue.into(), options, FieldTable::default())
                .await?;
        }
    }
    Ok(())
}

#[test]
fn an_object_store_key_does_with_its_bucket_what_its_component_does() {
    run(|| async {
        let (platform, _) = ready().await;
        let Some(inside) = Inside::of(&platform, "minio").await else {
            return;
        };
        let authorities = credentials::authorities(&platform).await;
        let ask = async |name: &str, method: Method, path: &str| {
            let account = credentials::account(&platform, name).await;
            s3(&inside, &authorities, &account, method, path).await
        };
        let foreign = format!("/{FOREIGN}");
        let (status, told) = ask("minio-admin", Method::PUT, &foreign).await;
        // 409: it is there from a run that was cut off.
        assert!(status == 200 || status == 409, "{status} {told}");
        let (own, object) = (format!("/{BUCKET}"), format!("/{BUCKET}/{INTRUDER}"));
        let list = |bucket: &str| format!("{bucket}?list-type=2&max-keys=1");
        let cases = [
            ("rag-ingest-minio", Method::GET, list(&own), 200),
            ("rag-ingest-minio", Method::PUT, object.clone(), 403),
            ("rag-ingest-minio", Method::DELETE, own.clone(), 403),
            ("rag-ingest-minio", Method::GET, list(&foreign), 403),
            ("gateway-minio", Method::PUT, object.clone(), 200),
            ("gateway-minio", Method::DELETE, object.clone(), 204),
            ("gateway-minio", Method::DELETE, own.clone(), 403),
            ("gateway-minio", Method::GET, list(&foreign), 403),
            ("gateway-minio", Method::DELETE, foreign.clone(), 403),
            ("minio-admin", Method::GET, list(&foreign), 200),
            ("minio-admin", Method::DELETE, foreign.clone(), 204),
        ];
        for (name, method, path, expected) in cases {
            let (status, told) = ask(name, method.clone(), &path).await;
            assert_eq!(status, expected, "{name}: {method} {path}: {told}");
        }
    });
}

/// A signed request: status and text.
async fn s3(
    inside: &Inside,
    authorities: &str,
    account: &Account,
    method: Method,
    path: &str,
) -> (u16, String) {
    let host = format!("{NAME}-minio");
    let url = format!("https://{host}:9000{path}");
    let credential = AwsCredential {
        key_id: account.username.clone(),
        secret_key: account.password.clone(),
        token: None,
    };
    let mut request = Request::builder()
        .method(method.clone())
        .uri(&url)
        .body(HttpRequestBody::from(Vec::new()))
        .unwrap();
    AwsAuthorizer::new(&credential, "s3", REGION)
        .try_authorize(&mut request, None)
        .unwrap();
    let headers = request.headers().clone();
    let told = inside
        .call((host.as_str(), 9000), authorities, move |http| {
            http.request(method, url).headers(headers).body(Vec::new())
        })
        .await;
    (told.status, told.text)
}

#[test]
fn a_clickhouse_account_uses_its_own_database_alone() {
    run(|| async {
        let (platform, _) = ready().await;
        let Some(inside) = Inside::of(&platform, "clickhouse").await else {
            return;
        };
        let ask = async |name: &str, statement: String| {
            let told = clickhouse::ask(&platform, &inside, name, statement).await;
            if told.status == 200 {
                Ok(())
            } else {
                Err(told.text)
            }
        };
        let (create, remove) = (
            format!("CREATE USER {INTRUDER} IDENTIFIED WITH sha256_password BY 'not used'"),
            format!("DROP USER IF EXISTS {INTRUDER}"),
        );
        let analytics = "analytics-clickhouse";
        let tables = format!("SHOW TABLES FROM {USAGE_DATABASE}");
        assert_eq!(ask(analytics, tables).await, Ok(()));
        for statement in [
            create.clone(),
            format!("CREATE DATABASE {INTRUDER}"),
            format!("GRANT SELECT ON *.* TO {INTRUDER}"),
        ] {
            let told = ask(analytics, statement.clone()).await;
            // ClickHouse's number of ACCESS_DENIED.
            assert_refused(&told, "Code: 497", analytics, &statement);
        }
        // In this order also after a run that was cut off.
        for statement in [&remove, &create, &remove] {
            assert_eq!(ask("clickhouse-admin", statement.clone()).await, Ok(()));
        }
    });
}

/// The server's words hold these, and nobody else's reason.
fn assert_refused<T: std::fmt::Debug>(
    told: &Result<T, String>,
    words: &str,
    who: &str,
    what: &str,
) {
    let is_refused = matches!(told, Err(told) if told.contains(words));
    assert!(is_refused, "{who}: {what}: {told:?}");
}

/// The stores that the tests above are about.
#[test]
fn every_store_with_accounts_is_in_these_tests() {
    let stores: BTreeSet<Store> = EDGES
        .iter()
        .filter_map(|edge| match edge.credential {
            CredentialKind::Account(store, _) => Some(store),
            _ => None,
        })
        // A client of Keycloak's has no rights there but to sign people in.
        .filter(|store| *store != Store::Keycloak)
        .collect();
    let tested = [
        Store::Postgres,
        Store::Rabbitmq,
        Store::S3,
        Store::Clickhouse,
    ];
    assert_eq!(stores, BTreeSet::from(tested));
}
