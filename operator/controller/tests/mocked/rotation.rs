//! The writes of a rotation.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use lotoai_operator::credentials::rotate;
use lotoai_plan::rotation::{Change, Step};
use lotoai_plan::{Observed, labels};
use serde_json::{Value, json};

use crate::demo::platform;
use crate::server::{Call, refusal, serve};

const NAME: &str = "demo-gateway-postgres";

/// The Secret of an edge with these values.
fn observed(data: &[(&str, &str)], ours: bool) -> Observed {
    let mut secret = Secret {
        data: Some(
            data.iter()
                .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())))
                .collect(),
        ),
        ..Secret::default()
    };
    secret.metadata.name = Some(NAME.to_owned());
    secret.metadata.resource_version = Some("7".to_owned());
    let mut found = labels::owned_by(if ours { "demo" } else { "other" });
    found.insert(labels::CREDENTIAL.to_owned(), "true".to_owned());
    secret.metadata.labels = Some(found);
    Observed {
        secrets: [(NAME.to_owned(), secret)].into(),
        ..Observed::default()
    }
}

fn change(step: Step) -> Change {
    Change {
        secret: NAME.to_owned(),
        step,
        request: "2026-11-26".to_owned(),
        key: "password",
        given: None,
        username: (step == Step::Introduce).then(|| "gateway-b".to_owned()),
        until: None,
    }
}

fn accepting(_: &Call) -> (u16, Value) {
    (200, json!({ "metadata": { "name": NAME } }))
}

/// The one patch that a step comes to.
async fn patch(data: &[(&str, &str)], step: Step) -> Value {
    patch_of(data, change(step)).await
}

async fn patch_of(data: &[(&str, &str)], change: Change) -> Value {
    let (client, log) = serve(accepting);
    let mut taken = Vec::new();
    let observed = observed(data, true);
    let changes = vec![change.clone()];
    rotate(&client, &platform(), &observed, changes, &mut taken)
        .await
        .unwrap();
    assert_eq!(taken, [change]);
    assert_eq!(log.summary(&["PATCH"]), [format!("PATCH {NAME}")]);
    let calls = log.calls();
    assert_eq!(calls.len(), 1, "one write");
    // A Secret that changed since it was read is refused.
    assert_eq!(calls[0].body["metadata"]["resourceVersion"], "7");
    calls[0].body.clone()
}

#[tokio::test]
async fn a_new_credential_is_put_beside_the_one_in_use() {
    let held = [("username", "gateway"), ("password", "old")];
    let first = patch(&held, Step::Introduce).await;
    assert_eq!(
        first["metadata"]["annotations"],
        json!({ "lotoai.dev/rotation": "2026-11-26", "lotoai.dev/rotation-state": "Introduced" })
    );
    assert_eq!(first["data"].as_object().unwrap().len(), 2);
    assert_eq!(first["data"]["standby-username"], "Z2F0ZXdheS1i");
    let second = patch(&held, Step::Introduce).await;
    let password = |patch: &Value| patch["data"]["standby-password"].clone();
    assert_ne!(password(&first), password(&second), "random");
    assert!(password(&first).as_str().unwrap().len() >= 43);
}

#[tokio::test]
async fn both_change_places_in_one_write() {
    let held = [
        ("username", "a"),
        ("password", "b"),
        ("standby-username", "c"),
        ("standby-password", "d"),
    ];
    let patch = patch(&held, Step::Promote).await;
    assert_eq!(
        patch["data"],
        json!({
            "username": "Yw==", "password": "ZA==",
            "standby-username": "YQ==", "standby-password": "Yg==",
        })
    );
    let annotations = &patch["metadata"]["annotations"];
    assert_eq!(
        *annotations,
        json!({ "lotoai.dev/rotation-state": "Promoted", "lotoai.dev/rotation-until": null })
    );
}

#[tokio::test]
async fn a_token_changes_places_alone() {
    let patch = patch(&[("token", "a"), ("standby-token", "b")], Step::Promote).await;
    assert_eq!(
        patch["data"],
        json!({ "token": "Yg==", "standby-token": "YQ==" })
    );
}

#[tokio::test]
async fn a_key_of_a_store_is_made_and_changes_places_like_a_token() {
    let made = Change {
        key: "apiKey",
        username: None,
        ..change(Step::Introduce)
    };
    let patch = patch_of(&[("apiKey", "a")], made.clone()).await;
    let data = patch["data"].as_object().unwrap();
    assert!(data.keys().eq(["standby-apiKey"]), "{data:?}");
    let stored: ByteString = serde_json::from_value(data["standby-apiKey"].clone()).unwrap();
    // 32 bytes without padding, which everybody takes in a header.
    assert_eq!(stored.0.len(), 43);
    let promoted = Change {
        step: Step::Promote,
        ..made
    };
    let patch = patch_of(&[("apiKey", "a"), ("standby-apiKey", "b")], promoted).await;
    assert_eq!(
        patch["data"],
        json!({ "apiKey": "Yg==", "standby-apiKey": "YQ==" })
    );
}

#[tokio::test]
async fn the_old_one_goes_and_the_request_stays_answered() {
    let patch = patch(&[("token", "a"), ("standby-token", "b")], Step::Retire).await;
    assert_eq!(
        patch["data"],
        json!({
            "standby-username": null, "standby-password": null,
            "standby-token": null, "standby-key": null, "standby-apiKey": null,
        })
    );
    let annotations = &patch["metadata"]["annotations"];
    assert_eq!(
        *annotations,
        json!({ "lotoai.dev/rotation-state": null, "lotoai.dev/rotation-until": null })
    );
}

#[tokio::test]
async fn another_secret_of_the_same_account_comes_without_a_name() {
    let change = Change {
        username: None,
        ..change(Step::Introduce)
    };
    let patch = patch_of(&[("username", "lotoai-web"), ("password", "old")], change).await;
    let keys: Vec<_> = patch["data"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["standby-password"]);
}

#[tokio::test]
async fn a_key_is_made_like_the_first_and_stays_for_its_time() {
    let made = Change {
        key: "key",
        username: None,
        ..change(Step::Introduce)
    };
    let patch = patch_of(&[("key", "a")], made.clone()).await;
    let text = patch["data"]["standby-key"].as_str().unwrap();
    let stored: ByteString = serde_json::from_value(json!(text)).unwrap();
    // 32 bytes in base64 with padding, as the gateway reads it.
    assert_eq!((stored.0.len(), stored.0.last()), (44, Some(&b'=')));
    let promoted = Change {
        step: Step::Promote,
        until: Some("2026-11-27T10:00:00Z".parse().unwrap()),
        ..made
    };
    let patch = patch_of(&[("key", "a"), ("standby-key", "b")], promoted).await;
    assert_eq!(
        patch["data"],
        json!({ "key": "Yg==", "standby-key": "YQ==" })
    );
    let annotations = &patch["metadata"]["annotations"];
    assert_eq!(
        annotations["lotoai.dev/rotation-until"],
        "2026-11-27T10:00:00Z"
    );
}

#[tokio::test]
async fn a_refused_write_stops_and_tells_what_was_taken() {
    let (client, log) = serve(|_| refusal(409, "Conflict"));
    let mut taken = Vec::new();
    let observed = observed(&[("token", "a")], true);
    let changes = vec![change(Step::Introduce), change(Step::Promote)];
    let error = rotate(&client, &platform(), &observed, changes, &mut taken)
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("failed to rotate Secret/demo-gateway-postgres")
    );
    assert!(taken.is_empty());
    assert_eq!(log.calls().len(), 1);
}

#[tokio::test]
async fn a_secret_of_somebody_else_is_not_touched() {
    let (client, log) = serve(accepting);
    let observed = observed(&[("token", "a")], false);
    let changes = vec![change(Step::Introduce)];
    let result = rotate(&client, &platform(), &observed, changes, &mut Vec::new()).await;
    assert!(result.is_err());
    assert!(log.calls().is_empty());
}

/// The cluster of [`observed`] and a Secret of somebody else.
fn with_given(value: &str) -> Observed {
    let mut observed = observed(&[("username", "gateway"), ("password", "old")], true);
    let mut given = Secret {
        data: Some([("password".to_owned(), ByteString(value.into()))].into()),
        ..Secret::default()
    };
    given.metadata.name = Some("vault".to_owned());
    observed.secrets.insert("vault".to_owned(), given);
    observed
}

fn given() -> Change {
    Change {
        request: "Secret/vault".to_owned(),
        given: Some("vault".to_owned()),
        ..change(Step::Introduce)
    }
}

#[tokio::test]
async fn what_is_given_is_copied_and_its_secret_is_not_touched() {
    let (client, log) = serve(accepting);
    let observed = with_given("from-the-vault");
    let mut taken = Vec::new();
    rotate(&client, &platform(), &observed, vec![given()], &mut taken)
        .await
        .unwrap();
    assert_eq!(log.summary(&["PATCH"]), [format!("PATCH {NAME}")]);
    let calls = log.calls();
    assert_eq!(calls.len(), 1, "one write");
    let standby = &calls[0].body["data"]["standby-password"];
    let standby: ByteString = serde_json::from_value(standby.clone()).unwrap();
    assert_eq!(standby.0, b"from-the-vault");
    let annotations = &calls[0].body["metadata"]["annotations"];
    assert_eq!(annotations["lotoai.dev/rotation"], "Secret/vault");
}

#[tokio::test]
async fn an_empty_value_is_never_copied() {
    let (client, log) = serve(accepting);
    let observed = with_given("");
    let mut taken = Vec::new();
    let result = rotate(&client, &platform(), &observed, vec![given()], &mut taken).await;
    let error = result.unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to read Secret/vault: it has no value for key password; add it"
    );
    assert!(error.is_for_user());
    assert!(log.calls().is_empty());
}

#[tokio::test]
async fn what_is_not_given_any_more_forgets_who_gave_it() {
    let change = Change {
        request: String::new(),
        ..change(Step::Introduce)
    };
    let patch = patch_of(&[("username", "gateway"), ("password", "old")], change).await;
    let annotations = &patch["metadata"]["annotations"];
    assert_eq!(
        *annotations,
        json!({ "lotoai.dev/rotation": null, "lotoai.dev/rotation-state": "Introduced" })
    );
}
