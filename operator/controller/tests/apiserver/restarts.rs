//! Restarts under the running operator: a change restarts the pods that it concerns once, and no
//! others. A workload's pods restart when its generation grows, because that is when its template
//! changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use lotoai_api::Component;
use lotoai_operator::context::Context;
use serde_json::{Value, json};

use crate::certificates::{say, secret};
use crate::state;
use crate::world::{Answering, DEADLINE, World, context, wait_for};

/// An operator that has more to do does it within this time.
const PAUSE: Duration = Duration::from_secs(3);
/// Days before its end at which a certificate is renewed.
const DUE: i64 = 29;
const NEWER: &str = "0.2.0";
/// An object that no workload reads.
const POLICY: &str = "demo-default-deny";

/// Generation and pod template of each workload.
type Workloads = BTreeMap<String, (i64, Value)>;

async fn workloads(world: &World) -> Workloads {
    let objects = state::objects(world).await.into_iter();
    objects
        .filter(|(kind, _)| ["Deployment", "StatefulSet"].contains(&kind.kind.as_str()))
        .map(|(_, object)| {
            let generation = object.metadata.generation.unwrap_or_default();
            let template = object.data["spec"]["template"].clone();
            (object.name_any(), (generation, template))
        })
        .collect()
}

/// How often the pods of each workload restarted, of those whose did.
fn restarts(before: &Workloads, after: &Workloads) -> BTreeMap<String, i64> {
    let names = |workloads: &Workloads| workloads.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(before), names(after));
    let mut restarts = BTreeMap::new();
    for (name, (generation, template)) in after {
        let (old, old_template) = &before[name];
        assert_eq!(generation == old, template == old_template, "{name}");
        if generation != old {
            restarts.insert(name.clone(), generation - old);
        }
    }
    restarts
}

/// Once for each of these.
fn once(names: &[&str]) -> BTreeMap<String, i64> {
    names.iter().map(|name| ((*name).to_owned(), 1)).collect()
}

/// Waits until the operator has nothing more to do.
async fn rest(world: &World) {
    let mut last = (BTreeMap::new(), Instant::now());
    wait_for("a pause", 2 * DEADLINE, async || {
        let is_up = world.is_up().await;
        let versions = world.versions().await;
        if !is_up || versions != last.0 {
            last = (versions, Instant::now());
        }
        last.1.elapsed() > PAUSE
    })
    .await;
}

/// Waits until the operator has looked at the whole platform since now: it has brought back what
/// somebody deleted, and again after the pass that did so.
async fn look(world: &World) {
    let policies = world.api::<NetworkPolicy>();
    for _ in 0..2 {
        let parameters = DeleteParams::default();
        policies.delete(POLICY, &parameters).await.unwrap();
        wait_for("the operator looks", DEADLINE, async || {
            policies.get_opt(POLICY).await.unwrap().is_some()
        })
        .await;
    }
}

/// Waits until these workloads have another template than `before`.
async fn follow(world: &World, before: &Workloads, names: &[&str]) {
    wait_for(&format!("{names:?} follow"), DEADLINE, async || {
        world.make_ready(|_| true).await;
        let now = workloads(world).await;
        names.iter().all(|name| now[*name].0 > before[*name].0)
    })
    .await;
}

/// Does something to a platform at rest, and checks that the pods of these workloads restart once
/// and no others.
async fn restart(world: &World, concerned: &[&str], change: impl Future<Output = ()>) {
    rest(world).await;
    let before = workloads(world).await;
    assert!(before.len() > 10, "only {:?}", before.keys());
    change.await;
    follow(world, &before, concerned).await;
    look(world).await;
    rest(world).await;
    assert_eq!(restarts(&before, &workloads(world).await), once(concerned));
}

#[tokio::test]
async fn a_changed_secret_restarts_who_reads_it() {
    let spec = json!({
        "url": "https://lotoai.localhost",
        "agents": { "providers": [
            { "name": "openai", "kind": "OpenAI", "apiKeySecretRef": { "name": "openai" } },
        ] },
    });
    let Some(world) = World::new("restarts-secret", &spec, Answering).await else {
        return;
    };
    let secrets = world.api::<Secret>();
    let key = json!({
        "metadata": { "name": "openai" }, "stringData": { "apiKey": "one", "other": "one" },
    });
    let key: Secret = serde_json::from_value(key).unwrap();
    secrets.create(&PostParams::default(), &key).await.unwrap();
    let set = async |name: &str| {
        let patch = Patch::Merge(json!({ "stringData": { name: "two" } }));
        let params = PatchParams::default();
        secrets.patch("openai", &params, &patch).await.unwrap();
    };
    world
        .operating(async {
            restart(&world, &["demo-agents"], set("apiKey")).await;
            // A key of it that no pod reads.
            restart(&world, &[], set("other")).await;
        })
        .await;
}

#[tokio::test]
async fn a_changed_configuration_restarts_who_reads_it() {
    let Some(world) = World::demo("restarts-config").await else {
        return;
    };
    let limit = json!({ "edge": { "traefik": { "rateLimit": { "requestsPerSecond": 5 } } } });
    world
        .operating(async {
            restart(&world, &["demo-traefik"], world.change(&limit)).await;
        })
        .await;
}

/// Lets a certificate be due, and waits until it is another one.
async fn renew(world: &World, name: &str) {
    let before = secret(world, name).await;
    say(world, name, "not-after", DUE).await;
    wait_for(&format!("{name} is renewed"), DEADLINE, async || {
        secret(world, name).await["tls.crt"] != before["tls.crt"]
    })
    .await;
}

#[tokio::test]
async fn a_renewed_certificate_restarts_only_who_reads_it_once() {
    let Some(world) = World::demo("restarts-certificate").await else {
        return;
    };
    world
        .operating(async {
            restart(&world, &["demo-traefik"], renew(&world, "demo-tls")).await;
            // Servers take theirs from the files.
            restart(&world, &[], renew(&world, "demo-gateway-tls")).await;
        })
        .await;
}

/// The platform under an operator of its own settings that has just started.
fn under(world: World, settings: impl FnOnce(&mut Context)) -> World {
    let mut context = context(&world.context.client, Answering);
    settings(&mut context);
    World {
        context: Arc::new(context),
        ..world
    }
}

/// Runs one operator and then another, and checks that the pods of these workloads restart once
/// and no others.
async fn hand_over(
    world: World,
    concerned: &[&str],
    old: impl FnOnce(&mut Context),
    new: impl FnOnce(&mut Context),
) {
    let world = under(world, old);
    let mut before = Workloads::new();
    world
        .operating(async {
            rest(&world).await;
            before = workloads(&world).await;
        })
        .await;
    let world = under(world, new);
    world
        .operating(async {
            follow(&world, &before, concerned).await;
            wait_for("the new operator has been through", DEADLINE, async || {
                world.is_up().await && world.status().await.version.as_deref() == Some(NEWER)
            })
            .await;
            rest(&world).await;
            assert_eq!(restarts(&before, &workloads(&world).await), once(concerned));
        })
        .await;
}

#[tokio::test]
async fn a_newer_operator_restarts_what_it_brings_anew() {
    let Some(world) = World::demo("restarts-upgrade").await else {
        return;
    };
    let ours = [
        "demo-agents",
        "demo-analytics",
        "demo-gateway",
        "demo-mcp-server",
        "demo-model-server",
        "demo-orchestrator",
        "demo-rag-ingest",
        "demo-rag-server",
    ];
    let newer = |context: &mut Context| context.env.version = NEWER.to_owned();
    hand_over(world, &ours, |_| {}, newer).await;
}

#[tokio::test]
async fn a_newer_operator_of_the_same_images_restarts_nothing() {
    let Some(world) = World::demo("restarts-nothing").await else {
        return;
    };
    let images = |context: &mut Context| {
        let names = Component::ALL.map(Component::name);
        let images = names.into_iter().chain(["provision"]);
        context.env.images = images
            .map(|name| (name.to_owned(), format!("registry.example.com/{name}:1")))
            .collect();
    };
    let newer = |context: &mut Context| {
        images(context);
        context.env.version = NEWER.to_owned();
    };
    hand_over(world, &[], images, newer).await;
}
