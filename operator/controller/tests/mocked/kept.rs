//! What stays and what changes in Secrets that are there.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use lotoai_api::spec::{DeletionPolicy, FirstUser};
use lotoai_operator::credentials::{Changes, credentials};
use lotoai_plan::{Observed, Platform, SecretSpec, labels, required_secrets};
use serde_json::{Value, json};

use crate::demo::platform;
use crate::server::serve;

const FIRST_USER: &str = "demo-first-user";
const ADMINISTRATOR: &str = "demo-minio-admin";

/// What is required under these names.
fn required(platform: &Platform, names: &[&str]) -> Vec<SecretSpec> {
    let mut specs = required_secrets(platform);
    specs.retain(|spec| names.contains(&spec.name()));
    assert_eq!(specs.len(), names.len());
    specs
}

/// These Secrets as they are after a pass, each with this user name.
fn there(specs: &[SecretSpec], username: &str, annotations: &[(&str, &str)]) -> Observed {
    let secret = |spec: &SecretSpec| {
        let mut secret = Secret {
            metadata: spec.metadata.clone(),
            ..Secret::default()
        };
        let annotations = annotations.iter();
        let annotations = annotations.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        secret.metadata.annotations = Some(annotations.collect());
        secret.metadata.resource_version = Some("7".to_owned());
        let data = [("username", username), ("password", "of-the-first-day")];
        let data = data.map(|(key, value)| (key.to_owned(), ByteString(value.into())));
        secret.data = Some(data.into());
        (spec.name().to_owned(), secret)
    };
    Observed {
        secrets: specs.iter().map(secret).collect(),
        ..Observed::default()
    }
}

/// The patches of a pass over these, by name. What comes of one are the Secrets `after` it.
async fn patches(
    platform: &Platform,
    specs: &[SecretSpec],
    before: &Observed,
    after: &Observed,
) -> BTreeMap<String, Value> {
    let secrets = after.secrets.clone();
    let (client, log) = serve(move |call| {
        let name = call.path.rsplit('/').next().unwrap_or_default();
        (200, json!(secrets[name]))
    });
    let now = Timestamp::UNIX_EPOCH;
    let mut changes = Changes::default();
    credentials(&client, platform, before, specs, None, &mut changes, now)
        .await
        .unwrap();
    let calls = log.calls().into_iter();
    calls
        .map(|call| {
            assert_eq!(call.method, "PATCH");
            let name = call.path.rsplit('/').next().unwrap_or_default();
            (name.to_owned(), call.body)
        })
        .collect()
}

#[tokio::test]
async fn the_name_of_the_first_user_stays_beside_the_password_that_it_was_made_with() {
    let mut platform = platform();
    platform.spec.identity.first_user = Some(FirstUser {
        username: "ana".parse().unwrap(),
        ..FirstUser::default()
    });
    let specs = required(&platform, &[FIRST_USER, ADMINISTRATOR]);
    let observed = there(&specs, "of-before", &labels::KEPT_BY_ARGO_CD);
    let written = patches(&platform, &specs, &observed, &observed).await;
    // The name of an account that a server takes from its Secret is brought back.
    assert_eq!(written.keys().collect::<Vec<_>>(), [ADMINISTRATOR]);
    let username = json!({ "username": "YWRtaW4=" });
    assert_eq!(written[ADMINISTRATOR]["data"], username);

    let mut without = observed.clone();
    let secret = without.secrets.get_mut(FIRST_USER).unwrap();
    secret.data.as_mut().unwrap().remove("username");
    let specs = required(&platform, &[FIRST_USER]);
    let written = patches(&platform, &specs, &without, &observed).await;
    assert_eq!(
        written[FIRST_USER]["data"],
        json!({ "username": "YW5h" }),
        "one that is not there is written"
    );
}

#[tokio::test]
async fn argo_cd_is_told_to_leave_a_secret_without_an_owner_alone() {
    let mut platform = platform();
    let specs = required(&platform, &[FIRST_USER]);
    assert_eq!(specs[0].metadata.owner_references, None);
    let observed = there(&specs, "admin", &[("example.com/foreign", "stays")]);
    let written = patches(&platform, &specs, &observed, &observed).await;
    assert_eq!(
        written[FIRST_USER]["metadata"]["annotations"],
        json!(BTreeMap::from(labels::KEPT_BY_ARGO_CD))
    );
    // Once.
    let observed = there(&specs, "admin", &labels::KEPT_BY_ARGO_CD);
    assert!(
        patches(&platform, &specs, &observed, &observed)
            .await
            .is_empty()
    );
    // One that goes with the resource is Argo CD's no more than its owner is.
    platform.spec.deletion_policy = DeletionPolicy::Delete;
    let specs = required(&platform, &[FIRST_USER]);
    assert!(specs[0].metadata.owner_references.is_some());
    let observed = there(&specs, "admin", &[]);
    assert!(
        patches(&platform, &specs, &observed, &observed)
            .await
            .is_empty()
    );
}
