//! The way of an upgrade, as it is seen from outside: which part takes its image when, and what the
//! status says of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use lotoai_api::versions::PROVISION;
use lotoai_e2e::Platform;
use lotoai_plan::graph::EDGES;
use lotoai_plan::{Node, labels};
use serde_json::{Value, json};

use super::{BEFORE, NOW, Next, SOON};
use crate::cluster::{OPERATOR, operator_pods};
use crate::images::Images;
use crate::support::{NAME, NAMESPACE, condition, kill_programs, resource, wait_for};

/// How long an upgrade may take: a minute and a half with our own programs, and twice that with the
/// stores.
const LIMIT: Duration = Duration::from_secs(600);
/// How the names of provision Jobs begin.
const JOBS: &str = "provision-";

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
pub(super) struct Watch<'p> {
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
    /// An upgrade that is to begin.
    pub(super) fn new(platform: &'p Platform, next: &'p Next, victim: Option<String>) -> Self {
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
    pub(super) async fn until_done(&mut self) {
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
    pub(super) async fn check(&self) {
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
        // A component shows the version of before as long as its last pod of that ends its answers.
        wait_for("every part to show its version", SOON, async || {
            let object = resource(self.platform).await?;
            let components = object["status"]["components"].as_array();
            let older = components.into_iter().flatten().find(|one| {
                let name = one["name"].as_str().unwrap_or_default();
                self.next.images.contains_key(name) && one["version"] != self.next.tag.as_str()
            });
            older.map_or(Ok(()), |one| Err(one.to_string()))
        })
        .await;
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
