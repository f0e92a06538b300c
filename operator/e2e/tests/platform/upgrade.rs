//! Another version of the platform on the running cluster, brought by `helm upgrade` of the operator
//! as docs/operator.md says: part by part in the order of ADR 14, told step by step, under questions,
//! and with the operator killed in the middle.
//!
//! The programs are those of before under other tags, and the version of before stands in the status
//! before the new operator starts. All else that an operator goes by is in the objects, which are of
//! before in truth.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::time::{Duration, Instant};

use futures::future::LocalBoxFuture;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use lotoai_api::versions::PROVISION;
use lotoai_e2e::{Platform, PublicClient};
use lotoai_local::Instance;
use lotoai_plan::graph::{EDGES, is_ours};
use lotoai_plan::{Node, labels};
use lotoai_testing::chance;
use rand::Rng as _;
use serde_json::{Value, json};

use crate::cluster::{OPERATOR, OPERATOR_NAMESPACE, operator_pods};
use crate::dump::caught;
use crate::helm;
use crate::images::{self, Images};
use crate::lifecycle::{check, remember};
use crate::state::{assert_kept, state};
use crate::support::{
    NAME, NAMESPACE, condition, index, kill_programs, longest_gap_during, ready_with_corpus,
    repeated_during, resource, run, wait_for,
};

/// The version that the platform is said to have run before.
const BEFORE: &str = "0.0.1";
/// The version of the operator, which all of this workspace has.
const NOW: &str = env!("CARGO_PKG_VERSION");
/// How long an upgrade may take: a minute and a half with our own programs, and twice that with the
/// stores.
const LIMIT: Duration = Duration::from_secs(600);
/// How long anything else may take.
const SOON: Duration = Duration::from_secs(90);
/// How long the platform may give no answer while stores restart that are single pods.
const MOMENT: Duration = Duration::from_secs(180);
/// From one question to the next.
const PACE: Duration = Duration::from_secs(1);
/// How the names of provision Jobs begin.
const JOBS: &str = "provision-";
/// What the probe says when rag-server is away, which is a single pod: docs/operator.md says so.
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

/// Nobody goes without an answer who asks a role. The probe asks rag-server too, which is away while
/// its only pod is another one; nothing else ever is.
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
    println!("{times} questions to a role and {times} to the probe; {missed} met no rag-server");
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

/// What runs of a part at one moment.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// Its object asks for the new image.
    is_new: bool,
    /// Every pod runs it and is ready; a Job has done its work.
    has_arrived: bool,
}

type Parts = BTreeMap<String, Part>;

/// An upgrade, as it is seen from outside.
struct Watch<'p> {
    platform: &'p Platform,
    next: &'p Next,
    /// The operator is killed when this part has taken its image.
    victim: Option<String>,
    begun: Instant,
    /// Parts that have taken their images, and those that have arrived.
    taken: BTreeSet<String>,
    arrived: BTreeSet<String>,
    /// All that the status has said.
    told: BTreeSet<String>,
}

impl<'p> Watch<'p> {
    fn new(platform: &'p Platform, next: &'p Next, victim: Option<String>) -> Self {
        Self {
            platform,
            next,
            victim,
            begun: Instant::now(),
            taken: BTreeSet::new(),
            arrived: BTreeSet::new(),
            told: BTreeSet::new(),
        }
    }

    /// Looks on until the platform says that it runs the new version, and nothing is left to do.
    async fn until_done(&mut self) {
        wait_for("the upgrade to end", LIMIT, async || self.look().await).await;
        println!("upgraded after {:.0} s", self.begun.elapsed().as_secs_f64());
    }

    async fn look(&mut self) -> Result<(), String> {
        let object = resource(self.platform).await?;
        let parts = self.parts().await?;
        // Whatever had arrived before a part took its image is seen in what is read after that part.
        let later = self.parts().await?;
        for (name, _) in later.iter().filter(|(_, part)| part.has_arrived) {
            if self.arrived.insert(name.clone()) {
                self.say(&format!("{name} has arrived"));
            }
        }
        for (name, _) in parts.iter().filter(|(_, part)| part.is_new) {
            if self.taken.insert(name.clone()) {
                self.say(&format!("{name} takes its image"));
                self.check_order(name, &later);
                if self.victim.as_ref() == Some(name) {
                    self.kill_the_operator().await;
                }
            }
        }
        self.note(&object);
        let version = object["status"]["version"].as_str().unwrap_or_default();
        if version == NOW {
            let all = parts.iter().filter(|(_, part)| !part.is_new);
            let all: Vec<&String> = all.map(|(name, _)| name).collect();
            assert!(all.is_empty(), "the version comes before {all:?}");
        } else {
            assert_eq!(version, BEFORE);
        }
        let is = |kind: &str| condition(&object, kind) == "True";
        let under_way = is("Reconciling") || is("Stalled") || is("Degraded");
        if version == NOW && is("Ready") && !under_way && later.values().all(|it| it.has_arrived) {
            Ok(())
        } else {
            Err(format!("{version}: {}", object["status"]["conditions"]))
        }
    }

    fn say(&self, what: &str) {
        println!("  {:>4.0} s  {what}", self.begun.elapsed().as_secs_f64());
    }

    /// A part takes its image when all that it needs has arrived; a Job when whom it prepares is
    /// another one.
    fn check_order(&self, part: &str, parts: &Parts) {
        let is_job = part.starts_with(JOBS);
        for need in needs(part) {
            let Some(of_need) = parts.get(&need) else {
                // It stays as it is.
                continue;
            };
            let is_met = self.arrived.contains(&need) || (is_job && of_need.is_new);
            assert!(
                is_met,
                "{part} has its new image before {need}: {of_need:?}"
            );
        }
    }

    /// What the status says of the step.
    fn note(&mut self, object: &Value) {
        let components = object["status"]["components"].as_array();
        for one in components.into_iter().flatten() {
            if let (Some(name), Some(message)) = (one["name"].as_str(), one["message"].as_str()) {
                self.told.insert(format!("{name}: {message}"));
            }
        }
        let conditions = object["status"]["conditions"].as_array();
        for one in conditions.into_iter().flatten() {
            if one["type"] == "Reconciling" {
                self.told.insert(format!("Reconciling: {}", one["message"]));
            }
        }
    }

    async fn kill_the_operator(&self) {
        let pod = operator_pods(self.platform).await.unwrap().remove(0);
        let killed = kill_programs(&pod.uid().unwrap());
        assert_eq!(killed, [OPERATOR]);
        self.say("the operator is killed");
    }

    /// All of the parts that are to change, by name; of the Jobs of one name the newest.
    async fn parts(&self) -> Result<Parts, String> {
        let kinds = [
            ApiResource::erase::<Deployment>(&()),
            ApiResource::erase::<StatefulSet>(&()),
            ApiResource::erase::<Job>(&()),
        ];
        let ours = ListParams::default().labels(&format!("{}={NAME}", labels::INSTANCE));
        let mut parts = Parts::new();
        for kind in &kinds {
            let api: Api<DynamicObject> =
                Api::namespaced_with(self.platform.kube.clone(), NAMESPACE, kind);
            for object in api.list(&ours).await.map_err(|error| error.to_string())? {
                let Some((name, part)) = part(&object, &self.next.images) else {
                    continue;
                };
                let has_newer = parts.get(&name).is_some_and(|it: &Part| it.is_new);
                if !has_newer {
                    parts.insert(name, part);
                }
            }
        }
        Ok(parts)
    }

    /// The status told the steps and the end, every part runs what it should, and who was to be killed
    /// was.
    async fn check(&self) {
        let told = |of: &str, what: &str| {
            let mut lines = self.told.iter().filter(|line| line.starts_with(of));
            assert!(
                lines.any(|line| line.contains(what)),
                "{of} {what}: {:#?}",
                self.told
            );
        };
        for part in ["orchestrator: upgrading from ", "gateway: upgrading from "] {
            told(part, &format!(" to {}: waits for ", self.next.tag));
        }
        told("Reconciling: ", ": upgrading from ");
        let object = resource(self.platform).await.unwrap();
        for one in object["status"]["components"].as_array().unwrap() {
            let image = one["name"]
                .as_str()
                .and_then(|name| self.next.images.get(name));
            if image.is_some() {
                assert_eq!(one["version"], self.next.tag.as_str(), "{one}");
            }
        }
        if self.victim.is_some() {
            let pod = operator_pods(self.platform).await.unwrap().remove(0);
            let containers = pod.status.unwrap().container_statuses.unwrap();
            assert_eq!(
                containers[0].restart_count, 1,
                "the operator was not killed"
            );
        }
        let end = format!("Runs version {NOW} (before: {BEFORE})");
        let events: Api<Event> = Api::namespaced(self.platform.kube.clone(), NAMESPACE);
        let ends = ListParams::default().fields("reason=Upgraded");
        wait_for("the end to be told", SOON, async || {
            let found = events.list(&ends).await;
            let found = found.map_err(|error| error.to_string())?.items;
            let notes: Vec<String> = found.into_iter().filter_map(|one| one.message).collect();
            let is_told = notes.iter().any(|note| note.contains(&end));
            is_told.then_some(()).ok_or_else(|| format!("{notes:?}"))
        })
        .await;
    }
}

/// What a part needs, by name.
fn needs(part: &str) -> BTreeSet<String> {
    let edges = EDGES
        .iter()
        .filter(|edge| edge.waits && edge.from.name() == part);
    edges
        .flat_map(|edge| {
            let job = edge.credential.provisioned_by();
            let job = job.map(|store| Node::Provision(store).name());
            [Some(edge.to.name().to_owned()), job]
        })
        .flatten()
        .collect()
}

/// The part that an object runs, if its image is one of those that change.
fn part(object: &DynamicObject, images: &Images) -> Option<(String, Part)> {
    let name = object.labels().get(labels::NAME)?.clone();
    let is_job = name.starts_with(JOBS);
    let image = images.get(if is_job { PROVISION } else { name.as_str() })?;
    let (spec, status) = (&object.data["spec"], &object.data["status"]);
    let containers = spec["template"]["spec"]["containers"].as_array()?;
    let is_new = containers.iter().any(|one| one["image"] == image.as_str());
    let is_whole = if is_job {
        status["succeeded"].as_u64() > Some(0)
    } else {
        let counts = ["replicas", "updatedReplicas", "readyReplicas"];
        status["observedGeneration"].as_i64() >= object.metadata.generation
            && counts
                .iter()
                .all(|count| status[*count] == spec["replicas"])
    };
    let part = Part {
        is_new,
        has_arrived: is_new && is_whole,
    };
    Some((name, part))
}

#[test]
fn what_a_part_needs_comes_from_the_wiring() {
    let of_gateway = needs("gateway");
    for need in ["orchestrator", "model-server", "postgres", "provision-s3"] {
        assert!(of_gateway.contains(need), "{of_gateway:?}");
    }
    assert!(needs("orchestrator").contains("rag-server"));
    assert!(needs("provision-s3").contains("minio"));
    assert!(needs("model-server").is_empty());
    assert!(
        !needs("keycloak").contains("gateway"),
        "it only tells it something"
    );
}

#[test]
fn a_part_has_arrived_when_all_its_pods_are_new() {
    let images = Images::from([("agents".to_owned(), "a/agents:2".to_owned())]);
    let seen = |image: &str, generation: u64, updated: u64| {
        let object = json!({
            "metadata": { "name": "a", "generation": 2, "labels": { (labels::NAME): "agents" } },
            "spec": {
                "replicas": 1,
                "template": { "spec": { "containers": [{ "image": image }] } },
            },
            "status": {
                "observedGeneration": generation, "replicas": 1, "readyReplicas": 1,
                "updatedReplicas": updated,
            },
        });
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        let (_, part) = part(&object, &images).unwrap();
        (part.is_new, part.has_arrived)
    };
    assert_eq!(seen("a/agents:2", 2, 1), (true, true));
    assert_eq!(seen("a/agents:2", 1, 1), (true, false));
    assert_eq!(seen("a/agents:2", 2, 0), (true, false));
    assert_eq!(seen("a/agents:1", 2, 1), (false, false));
}
