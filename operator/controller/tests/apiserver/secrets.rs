//! Secrets: those that the operator makes, and those that a resource names.

mod lost;
mod relabelled;

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use k8s_openapi::api::rbac::v1::Role;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use lotoai_api::LotoAIStatus;
use lotoai_plan::labels;
use serde_json::json;

use crate::world::{Answering, DEADLINE, World, wait_for};

#[tokio::test]
async fn credentials_are_made_once_and_follow_the_deletion_policy() {
    let Some(world) = World::demo("credentials").await else {
        return;
    };
    world.settle().await;
    let secrets = world.api::<Secret>();
    let before = secrets.get("demo-gateway-postgres").await.unwrap();
    assert!(
        before.metadata.owner_references.is_none(),
        "Retain: they outlive the resource"
    );
    let value = |secret: &Secret| secret.data.as_ref().unwrap()["password"].0.clone();
    assert!(value(&before).len() >= 32);

    // The resource goes and comes back; a new one of the same name takes the credentials up.
    world
        .lotos()
        .delete("demo", &DeleteParams::default())
        .await
        .unwrap();
    for service in world
        .api::<Service>()
        .list(&ListParams::default())
        .await
        .unwrap()
    {
        assert!(
            service.metadata.owner_references.is_some(),
            "everything else goes with it"
        );
    }
    let left = secrets.get("demo-gateway-postgres").await.unwrap();
    assert_eq!(value(&left), value(&before));

    let spec = json!({ "url": "https://a.example", "deletionPolicy": "Delete" });
    let Some(other) = World::new("credentials-delete", &spec, Answering).await else {
        return;
    };
    other.pass().await.unwrap();
    let owned = other
        .api::<Secret>()
        .get("demo-gateway-postgres")
        .await
        .unwrap();
    assert_eq!(owned.metadata.owner_references.unwrap()[0].kind, "LotoAI");
    assert_ne!(
        value(
            &other
                .api::<Secret>()
                .get("demo-gateway-postgres")
                .await
                .unwrap()
        ),
        value(&before)
    );
}

/// Passes until nothing is left to do.
async fn settle_whole(world: &World) {
    world
        .settle_until(|status| {
            let is = |type_| {
                let condition = status.condition(type_);
                condition.is_some_and(|condition| condition.status == "True")
            };
            is("Ready") && !is("Reconciling")
        })
        .await;
}

/// What the pods of the gateway were started with.
async fn gateway_hash(world: &World) -> String {
    let deployments = world.api::<Deployment>();
    let spec = deployments.get("demo-gateway").await.unwrap().spec.unwrap();
    spec.template.metadata.unwrap().annotations.unwrap()[labels::CONFIG_HASH].clone()
}

/// The Job that makes accounts of PostgreSQL.
async fn provision(world: &World) -> String {
    let ours = format!("{}=provision-postgres", labels::NAME);
    let jobs = world.api::<Job>();
    let jobs = jobs.list(&ListParams::default().labels(&ours)).await;
    let names: Vec<_> = jobs.unwrap().iter().map(ResourceExt::name_any).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    names[0].clone()
}

/// A platform at rest, and how it stands there with one credential.
struct AtRest {
    world: World,
    secrets: Api<Secret>,
    /// What the credential's Secret holds.
    credential: Data,
    /// What the pods that use it were started with.
    hash: String,
    /// The Job that told it to its store.
    job: String,
}

type Data = BTreeMap<String, ByteString>;

impl AtRest {
    /// The credential's Secret.
    const NAME: &str = "demo-gateway-postgres";

    /// `None` when there is no API server on this machine.
    async fn start(namespace: &str) -> Option<Self> {
        let world = World::demo(namespace).await?;
        world.settle().await;
        let secrets = world.api::<Secret>();
        Some(Self {
            credential: data(&secrets).await,
            hash: gateway_hash(&world).await,
            job: provision(&world).await,
            secrets,
            world,
        })
    }

    /// What the Secret holds now.
    async fn now(&self) -> Data {
        data(&self.secrets).await
    }

    /// The store and who calls it were told of a change.
    async fn check_both_sides_know(&self) {
        assert_ne!(gateway_hash(&self.world).await, self.hash);
        assert_ne!(provision(&self.world).await, self.job);
    }
}

async fn data(secrets: &Api<Secret>) -> Data {
    secrets.get(AtRest::NAME).await.unwrap().data.unwrap()
}

#[tokio::test]
async fn a_credential_that_is_given_as_it_is_counts_as_given() {
    let Some(it) = AtRest::start("given-as-it-is").await else {
        return;
    };
    let made = &it.credential["password"];
    let text = String::from_utf8(made.0.clone()).unwrap();
    let vault = json!({ "metadata": { "name": "vault" }, "stringData": { "password": text } });
    let vault: Secret = serde_json::from_value(vault).unwrap();
    it.secrets
        .create(&PostParams::default(), &vault)
        .await
        .unwrap();
    let by = |secret: serde_json::Value| json!({ "credentials": { "given": { "gateway-postgres": secret } } });
    it.world.change(&by(json!({ "name": "vault" }))).await;
    settle_whole(&it.world).await;
    it.world.pass().await.unwrap();
    assert_eq!(&it.now().await["password"], made);
    assert_eq!(gateway_hash(&it.world).await, it.hash, "nobody restarts");
    let credentials = it.world.status().await.credentials;
    let told = credentials.iter().find(|one| one.secret == AtRest::NAME);
    assert_eq!(told.unwrap().rotation.as_deref(), Some("Secret/vault"));

    // Whoever keeps it may give it to others.
    it.world.change(&by(serde_json::Value::Null)).await;
    settle_whole(&it.world).await;
    assert_ne!(&it.now().await["password"], made);
}

#[tokio::test]
async fn a_value_that_somebody_wrote_stays_and_a_given_one_is_restored() {
    let Some(it) = AtRest::start("altered-credential").await else {
        return;
    };
    let patch = json!({ "stringData": { "username": "somebody", "password": "theirs" } });
    let params = PatchParams::default();
    it.secrets
        .patch(AtRest::NAME, &params, &Patch::Merge(patch))
        .await
        .unwrap();
    settle_whole(&it.world).await;
    let after = it.now().await;
    assert_eq!(
        after["password"].0, b"theirs",
        "a store may know it already"
    );
    assert_eq!(after["username"], it.credential["username"]);
    it.check_both_sides_know().await;
}

#[tokio::test]
async fn a_deleted_credential_is_made_anew_and_told_to_both_sides() {
    let Some(it) = AtRest::start("deleted-credential").await else {
        return;
    };
    let params = DeleteParams::default();
    it.secrets.delete(AtRest::NAME, &params).await.unwrap();
    settle_whole(&it.world).await;
    let after = it.now().await;
    assert_ne!(after["password"], it.credential["password"]);
    assert_eq!(after["username"], it.credential["username"]);
    it.check_both_sides_know().await;
}

#[tokio::test]
async fn a_missing_secret_is_a_condition_that_heals() {
    let spec = json!({
        "url": "https://lotoai.localhost",
        "agents": { "providers": [
            { "name": "openai", "kind": "OpenAI", "apiKeySecretRef": { "name": "openai" } },
        ] },
    });
    let Some(world) = World::new("missing-secret", &spec, Answering).await else {
        return;
    };
    world.pass().await.unwrap_err();
    let (_, reason, message) = world.condition("Ready").await;
    assert!(message.contains("openai"), "{reason}: {message}");
    let secret = json!({ "metadata": { "name": "openai" }, "stringData": { "apiKey": "k" } });
    let secret: Secret = serde_json::from_value(secret).unwrap();
    world
        .api::<Secret>()
        .create(&PostParams::default(), &secret)
        .await
        .unwrap();
    world.settle().await;
}

#[tokio::test]
async fn the_certificate_is_made_anew_for_another_host_by_the_same_authority() {
    let Some(world) = World::demo("certificate").await else {
        return;
    };
    world.pass().await.unwrap();
    let secrets = world.api::<Secret>();
    let text = async |key: &str| {
        let data = secrets.get("demo-tls").await.unwrap().data.unwrap();
        String::from_utf8(data[key].0.clone()).unwrap()
    };
    let (authority, certificate) = (text("ca.crt").await, text("tls.crt").await);
    world.pass().await.unwrap();
    assert_eq!(text("tls.crt").await, certificate, "nothing changed");

    world
        .change(&json!({ "url": "https://other.example" }))
        .await;
    world.pass().await.unwrap();
    assert_ne!(text("tls.crt").await, certificate);
    assert_eq!(text("ca.crt").await, authority);
    let names = secrets
        .get("demo-tls")
        .await
        .unwrap()
        .metadata
        .annotations
        .unwrap();
    assert!(
        names["lotoai.dev/names"].contains("other.example"),
        "{names:?}"
    );
}

/// Whether every credential is at rest.
fn is_at_rest(status: &LotoAIStatus) -> bool {
    let ready = status.condition("Ready");
    ready.is_some_and(|ready| ready.status == "True")
        && status.condition("Reconciling").is_none()
        && status.credentials.iter().all(|one| one.message.is_empty())
}

#[tokio::test]
async fn a_given_credential_is_copied_followed_and_never_written() {
    let spec = json!({
        "url": "https://lotoai.localhost",
        "credentials": { "given": { "gateway-postgres": { "name": "vault" } } },
    });
    let Some(world) = World::new("given", &spec, Answering).await else {
        return;
    };
    let secrets = world.api::<Secret>();
    let write = async |password: &str| {
        let patch = Patch::Merge(json!({ "stringData": { "password": password } }));
        secrets
            .patch("vault", &PatchParams::default(), &patch)
            .await
            .unwrap()
            .metadata
            .resource_version
    };
    let used = async || {
        let made = secrets.get("demo-gateway-postgres").await.unwrap();
        String::from_utf8(made.data.unwrap()["password"].0.clone()).unwrap()
    };
    world.pass().await.unwrap_err();
    let (_, reason, _) = world.condition("Stalled").await;
    assert_eq!(reason, "SecretNotFound");
    let first = "the-first-password-of-a-vault";
    let vault = json!({ "metadata": { "name": "vault" }, "stringData": { "password": first } });
    let vault: Secret = serde_json::from_value(vault).unwrap();
    secrets
        .create(&PostParams::default(), &vault)
        .await
        .unwrap();
    world.settle_until(is_at_rest).await;
    assert_eq!(used().await, first);

    // A value that nobody could use stops nothing but the change.
    write("hunter2").await;
    world.pass().await.unwrap_err();
    let (_, reason, message) = world.condition("Stalled").await;
    assert_eq!(reason, "InvalidSpec");
    assert!(message.contains("24 to 128 characters"), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
    assert_eq!(used().await, first);
    let (ready, _, message) = world.condition("Ready").await;
    assert_eq!(ready, "True", "it goes on: {message}");
    assert!(message.contains("24 to 128 characters"), "{message}");

    let second = "the-second-password-of-a-vault";
    let version = write(second).await;
    world.settle_until(is_at_rest).await;
    assert_eq!(used().await, second);
    let made = secrets.get("demo-gateway-postgres").await.unwrap();
    let annotations = made.metadata.annotations.unwrap();
    assert_eq!(annotations["lotoai.dev/rotation"], "Secret/vault");
    let vault = secrets.get("vault").await.unwrap();
    assert_eq!(vault.metadata.resource_version, version);
    assert_eq!(vault.metadata.owner_references, None);
    // A pass with nothing to do writes nothing.
    let before = world.versions().await;
    world.pass().await.unwrap();
    assert_eq!(world.versions().await, before);

    // It is made again when it is not given any more, and the other Secret stays as it is.
    world.change(&json!({ "credentials": null })).await;
    world.settle_until(is_at_rest).await;
    assert_ne!(used().await, second);
    let vault = secrets.get("vault").await.unwrap();
    assert_eq!(vault.metadata.resource_version, version);
}

/// Takes the right to delete from the operator, and waits until the API server knows it.
async fn forbid_deletions(world: &World) {
    let (roles, name) = (world.api::<Role>(), "lotoai-operator");
    let mut role = roles.get(name).await.unwrap();
    for rule in role.rules.iter_mut().flatten() {
        rule.verbs.retain(|verb| verb != "delete");
    }
    let params = PostParams::default();
    roles.replace(name, &params, &role).await.unwrap();
    let client = world.context.client.clone();
    let maps: Api<ConfigMap> = Api::namespaced(client, &world.namespace);
    let params = DeleteParams::default();
    wait_for("nothing may be deleted", DEADLINE, async || {
        let asked = maps.delete("nothing", &params).await;
        matches!(asked, Err(kube::Error::Api(refusal)) if refusal.is_forbidden())
    })
    .await;
}

#[tokio::test]
async fn a_deletion_that_is_refused_holds_up_no_rotation() {
    let Some(it) = AtRest::start("refused-deletion").await else {
        return;
    };
    forbid_deletions(&it.world).await;
    let loto = it.world.lotos().get("demo").await.unwrap();
    let orphan = json!({ "metadata": {
        "name": "demo-orphan",
        "labels": labels::owned_by("demo"),
        "ownerReferences": [{
            "apiVersion": "lotoai.dev/v1alpha1", "kind": "LotoAI", "name": "demo",
            "uid": loto.metadata.uid,
        }],
    } });
    let orphan: ConfigMap = serde_json::from_value(orphan).unwrap();
    let maps = it.world.api::<ConfigMap>();
    maps.create(&PostParams::default(), &orphan).await.unwrap();
    let rotate = json!({ "credentials": { "rotate": { "gateway-postgres": "1" } } });
    it.world.change(&rotate).await;
    wait_for("the rotation begins", DEADLINE, async || {
        let error = it.world.pass().await.unwrap_err();
        assert_eq!(error.reason(), "Prune", "{error}");
        it.world.make_ready(|_| true).await;
        let secret = it.secrets.get(AtRest::NAME).await.unwrap();
        secret
            .annotations()
            .contains_key("lotoai.dev/rotation-state")
    })
    .await;
}
