//! Another version of the platform on the running cluster, brought by `helm upgrade` of the operator
//! as docs/operator.md says: part by part in the order of ADR 14, told step by step, under questions,
//! and with the operator killed in the middle.
//!
//! The programs are those of before under other tags, and the version of before stands in the status
//! before the new operator starts. All else that an operator goes by is in the objects, which are of
//! before in truth.

mod watch;

use std::panic::resume_unwind;
use std::time::Duration;

use futures::future::LocalBoxFuture;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use lotoai_api::versions::PROVISION;
use lotoai_e2e::{Platform, PublicClient};
use lotoai_local::Instance;
use lotoai_plan::graph::is_ours;
use lotoai_plan::labels;
use lotoai_testing::chance;
use rand::Rng as _;
use serde_json::{Value, json};
use watch::Watch;

use crate::certificates::lives;
use crate::cluster::{OPERATOR, OPERATOR_NAMESPACE, operator_metric};
use crate::dump::caught;
use crate::helm;
use crate::images::{self, Images};
use crate::lifecycle::{check, remember};
use crate::state::{assert_kept, state};
use crate::support::{
    NAME, NAMESPACE, index, longest_gap_during, pods, ready, ready_with_corpus, repeated_during,
    run, wait_for, wait_ready,
};

/// The version that the platform is said to have run before.
const BEFORE: &str = "0.0.1";
/// The version of the operator, which all of this workspace has.
const NOW: &str = env!("CARGO_PKG_VERSION");
/// How long anything else may take.
const SOON: Duration = Duration::from_secs(90);
/// How long the platform may give no answer while stores restart that are single pods.
const MOMENT: Duration = Duration::from_secs(180);
/// From one question to the next.
const PACE: Duration = Duration::from_secs(1);
/// What the probe may say meanwhile: rag-server is a single pod, as docs/operator.md says.
const ALLOWED: &str = "the probe failed at rag-server";

/// What an operator is upgraded to.
struct Next {
    /// The images that change.
    images: Images,
    /// The tag of all of them, and of the operator's own.
    tag: String,
}

impl Next {
    /// These images, and the operator's, under another tag in each run.
    async fn of(platform: &Platform, instance: &Instance, images: &Images, what: &str) -> Self {
        let tag = format!("{what}-{}", std::process::id());
        let images = images::tagged(instance, images, &tag);
        let own = images::of_operator(platform).await;
        images::tagged(instance, &Images::from([(OPERATOR.to_owned(), own)]), &tag);
        Self { images, tag }
    }

    fn values(&self) -> Value {
        json!({ "image": { "tag": self.tag }, "images": self.images })
    }
}

/// An upgrade under way.
type Work<'a> = LocalBoxFuture<'a, ()>;

#[test]
fn an_upgrade_goes_part_by_part_and_fails_no_question() {
    let test = "an_upgrade_goes_part_by_part_and_fails_no_question";
    let Some(instance) = instance(test) else {
        return;
    };
    run(|| async move {
        let (platform, client) = ready_with_corpus().await;
        let images = images::installed(&platform).await.into_iter();
        let images: Images = images.filter(|(name, _)| is_made_here(name)).collect();
        let next = Next::of(&platform, &instance, &images, "upgrade").await;
        // The last part would be the end and not the middle.
        let mut middle: Vec<&String> = images.keys().collect();
        middle.retain(|name| !["gateway", PROVISION].contains(&name.as_str()));
        let victim = middle[chance(test).random_range(0..middle.len())].clone();
        let questions = async |work: Work<'_>| fails_none(&client, work).await;
        upgrade(&platform, &client, &next, Some(victim), questions).await;
    });
}

#[test]
fn an_upgrade_of_the_stores_takes_moments() {
    let test = "an_upgrade_of_the_stores_takes_moments";
    if std::env::var_os("LOTOAI_SOAK").is_none() {
        println!("SKIPPED {test}: `make soak` runs it");
        return;
    }
    let Some(instance) = instance(test) else {
        return;
    };
    run(|| async move {
        let (platform, client) = ready_with_corpus().await;
        let images = images::installed(&platform).await;
        let next = Next::of(&platform, &instance, &images, "stores").await;
        let questions = async |work: Work<'_>| {
            let longest = longest_gap_during(&client, work).await;
            assert!(longest < MOMENT, "{longest:?} without an answer");
        };
        upgrade(&platform, &client, &next, None, questions).await;
    });
}

#[test]
fn an_operator_under_another_tag_changes_nothing_of_a_platform() {
    let test = "an_operator_under_another_tag_changes_nothing_of_a_platform";
    let Some(instance) = instance(test) else {
        return;
    };
    run(|| async move {
        let (platform, _) = ready().await;
        let next = Next::of(&platform, &instance, &Images::new(), "operator").await;
        let (lived, before) = (
            staying(&platform, &next).await,
            state(&platform).await.unwrap(),
        );
        helm::upgrade_operator(&next.values()).await.unwrap();
        let runs = images::of_operator(&platform).await;
        assert!(runs.ends_with(&next.tag), "{runs}");
        wait_for("the new operator to look", SOON, async || {
            let metric = "lotoai_operator_reconciliations_total";
            let passes = operator_metric(&platform, metric, "outcome=\"applied\"").await?;
            let is_done = (passes >= 1.0).then_some(());
            is_done.ok_or_else(|| format!("{passes} passes"))
        })
        .await;
        wait_ready(&platform, SOON).await;
        let now = state(&platform).await.unwrap();
        let names = before.keys().chain(now.keys());
        let changed: Vec<&String> = names
            .filter(|name| before.get(*name) != now.get(*name))
            .collect();
        assert!(changed.is_empty(), "{changed:?}");
        assert_eq!(staying(&platform, &next).await, lived);
    });
}

fn instance(test: &str) -> Option<Instance> {
    let Ok(name) = std::env::var("LOTOAI_E2E_INSTANCE") else {
        println!("SKIPPED {test}: images get other tags on the package-built cluster only");
        return None;
    };
    Some(Instance::new(&name).unwrap())
}

/// Whether a release of this repository brings another image of it.
fn is_made_here(name: &str) -> bool {
    name == PROVISION || name.parse().is_ok_and(is_ours)
}

/// Nobody goes without an answer who asks a role. The probe asks everybody else, too.
async fn fails_none(client: &PublicClient, work: Work<'_>) {
    let mut missed = 0;
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let times = repeated_during(work, async || {
        pace.tick().await;
        if let Err(error) = client.ask("assistant", "Say hello.").await {
            panic!("a question failed during the upgrade: {error}");
        }
        let probe = client.ask("probe", "What does LotoAI answer with?").await;
        if let Err(error) = probe {
            let told = error.to_string();
            assert!(told.contains(ALLOWED), "during the upgrade: {told}");
            missed += 1;
        }
    })
    .await;
    println!(
        "{times} questions to a role and {times} to the probe; {missed} met somebody who was away"
    );
}

/// Name, identity and restarts of every pod that the upgrade leaves alone.
async fn staying(platform: &Platform, next: &Next) -> Vec<(String, String, i32)> {
    let mut all = lives(&pods(platform).await);
    all.retain(|(component, _, _)| !next.images.contains_key(component));
    all
}

/// Upgrades while `questions` are asked, kills the operator when `victim` has taken its image, and
/// checks the way and the end.
async fn upgrade(
    platform: &Platform,
    client: &PublicClient,
    next: &Next,
    victim: Option<String>,
    questions: impl AsyncFnOnce(Work<'_>),
) {
    let kept = remember(client).await;
    let before = state(platform).await.unwrap();
    let lived = staying(platform, next).await;
    let work = Box::pin(async {
        let mut watch = Watch::new(platform, next, victim);
        let bringing: Work<'_> = Box::pin(async {
            go_back_to_the_version_before(platform).await;
            let values = next.values();
            let (brought, ()) = futures::join!(helm::upgrade_operator(&values), watch.until_done());
            brought.unwrap();
        });
        questions(bringing).await;
        watch.check().await;
    });
    let outcome = caught(&platform.kube, &[NAMESPACE, OPERATOR_NAMESPACE], work).await;
    if let Err(failure) = outcome {
        // Tests after this one need an operator.
        let mended = helm::upgrade_operator(&json!({})).await;
        println!("the operator is put back: {:?}", mended.err());
        resume_unwind(failure);
    }
    let now = state(platform).await.unwrap();
    // A provision Job that another image runs has another name.
    let is_job = |name: &str| name.starts_with("Job/");
    assert_kept("the upgrade", &before, &now, is_job);
    let new: Vec<&String> = now
        .keys()
        .filter(|name| !before.contains_key(*name))
        .collect();
    assert!(new.iter().all(|name| is_job(name)), "{new:?}");
    assert_eq!(now.len(), before.len(), "Jobs of before are left");
    let living = staying(platform, next).await;
    assert_eq!(living, lived, "pods of images that stay");
    check(platform, &kept).await;
    let tag = &next.tag;
    let text = format!("# Crate {tag}\n\nAfter {tag} the kettle is in crate {tag}.\n");
    index(client, &format!("{tag}.md"), &text).await;
}

/// Takes the operator away, as an upgrade does for a moment, and lets the platform say that it runs
/// the version of before.
async fn go_back_to_the_version_before(platform: &Platform) {
    let deployments: Api<Deployment> = Api::namespaced(platform.kube.clone(), OPERATOR_NAMESPACE);
    let parameters = DeleteParams::default();
    deployments.delete(OPERATOR, &parameters).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(platform.kube.clone(), OPERATOR_NAMESPACE);
    let ours = ListParams::default().labels(&format!("{}={OPERATOR}", labels::NAME));
    wait_for("the operator to go", SOON, async || {
        // Also those that are on their way out.
        let left = pods.list(&ours).await.map_err(|error| error.to_string())?;
        match left.items.len() {
            0 => Ok(()),
            count => Err(format!("{count} pods")),
        }
    })
    .await;
    let patch = Patch::Merge(json!({ "status": { "version": BEFORE } }));
    let (resources, parameters) = (platform.resources(), PatchParams::default());
    let patched = resources.patch_status(NAME, &parameters, &patch).await;
    patched.unwrap();
}
