//! What the status says of the policy by which a platform would be deleted now.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use lotoai_api::spec::DeletionPolicy;
use lotoai_api::{Component, LotoAI, LotoAIStatus};
use lotoai_plan::retention::ties;
use lotoai_plan::{
    Node, ObjectId, Outcome, ProbeOutcome, gates, labels, required_secrets, validate,
};
use rstest::rstest;
use serde_json::json;

use crate::cluster::Cluster;
use crate::common::{operator, provided, resource};
use crate::status::T1;

const CLAIM: &str = "data-demo-postgres-0";

/// A platform that runs with policy `Delete`, with a volume that its StatefulSet owns, and its resource
/// after somebody has changed the policy to `Retain`, which no pass has seen yet.
fn changed(fixture: &str) -> (Cluster, LotoAI) {
    let mut lotoai = resource(fixture);
    lotoai.spec.deletion_policy = DeletionPolicy::Delete;
    let mut cluster = Cluster::up_of(fixture);
    cluster.platform = validate(&lotoai, &cluster.observed, &operator(fixture)).unwrap();
    let owner = cluster.platform.owner_reference();
    for (name, set) in &mut cluster.observed.stateful_sets {
        set.metadata.uid = Some(format!("uid-of-{name}"));
        keeps(set, "Delete");
    }
    for store in cluster.observed.clusters.values_mut() {
        store.metadata.owner_references = Some(vec![owner.clone()]);
    }
    for spec in required_secrets(&cluster.platform) {
        let name = spec.name().to_owned();
        let secret = Secret {
            metadata: spec.metadata,
            ..Secret::default()
        };
        cluster.observed.secrets.insert(name, secret);
    }
    if cluster.observed.stateful_sets.contains_key("demo-postgres") {
        let claim = json!({ "metadata": { "name": CLAIM, "ownerReferences": [{
            "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "demo-postgres",
            "uid": "uid-of-demo-postgres",
        }] } });
        let claim = serde_json::from_value(claim).unwrap();
        cluster.observed.claims.insert(CLAIM.to_owned(), claim);
    }
    lotoai.spec.deletion_policy = DeletionPolicy::Retain;
    lotoai.metadata.generation = Some(2);
    cluster.platform = validate(&lotoai, &cluster.observed, &operator(fixture)).unwrap();
    (cluster, lotoai)
}

fn keeps(set: &mut StatefulSet, when_deleted: &str) {
    let spec = set.spec.as_mut().unwrap();
    if let Some(policy) = &mut spec.persistent_volume_claim_retention_policy {
        policy.when_deleted = Some(when_deleted.to_owned());
    }
}

/// Carries out what can be cut, as the operator does.
fn cut(cluster: &mut Cluster, lotoai: &LotoAI) {
    for tie in ties(lotoai, &cluster.observed) {
        let observed = &mut cluster.observed;
        let (name, Some(cut)) = (&tie.object.name, tie.cut) else {
            continue;
        };
        let disown = |metadata: &mut ObjectMeta| {
            assert!(cut["metadata"]["ownerReferences"].is_null(), "{cut}");
            metadata.owner_references = None;
        };
        match tie.object.kind.as_str() {
            "StatefulSet" => {
                let policy = &cut["spec"]["persistentVolumeClaimRetentionPolicy"];
                let policy = policy["whenDeleted"].as_str().unwrap();
                keeps(observed.stateful_sets.get_mut(name).unwrap(), policy);
            }
            "Secret" => disown(&mut observed.secrets.get_mut(name).unwrap().metadata),
            "Cluster" => disown(&mut observed.clusters.get_mut(name).unwrap().metadata),
            kind => panic!("{kind}/{name} is not ours to cut"),
        }
    }
}

/// Plays the controller of StatefulSets, which looks at a claim while its pod runs.
fn free_the_claim(cluster: &mut Cluster) {
    let claim = cluster.observed.claims.get_mut(CLAIM).unwrap();
    claim.metadata.owner_references = None;
}

fn reconciled(cluster: &Cluster, lotoai: &LotoAI) -> LotoAIStatus {
    cluster.status(lotoai, &ProbeOutcome::Answered, T1)
}

/// The status of a resource that cannot be carried out.
fn stalled(cluster: &Cluster, lotoai: &LotoAI) -> LotoAIStatus {
    let absent = json!({ "url": "https://a.b", "edge": { "tls": { "secretName": "absent" } } });
    let mut broken = lotoai.clone();
    broken.spec = serde_json::from_value(absent).unwrap();
    broken.spec.deletion_policy = lotoai.spec.deletion_policy;
    let faults = validate(&broken, &cluster.observed, &operator("minimal")).unwrap_err();
    let outcome = Outcome::Invalid(&faults);
    cluster
        .judge_outcome(&broken, &ProbeOutcome::Answered, T1, outcome)
        .status
}

fn message<'a>(status: &'a LotoAIStatus, type_: &str) -> &'a str {
    &status.condition(type_).unwrap().message
}

/// Says so where people look, and does not say that the data stay.
fn warns(status: &LotoAIStatus, parts: &[&str]) {
    assert_eq!(status.deletion_policy, Some(DeletionPolicy::Delete));
    let message = message(status, "Ready");
    let begin = "deletionPolicy Retain is not in force yet: ";
    assert!(message.starts_with(begin), "{message}");
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
}

fn promises(status: &LotoAIStatus) {
    assert_eq!(status.deletion_policy, Some(DeletionPolicy::Retain));
    for condition in &status.conditions {
        assert!(
            !condition.message.contains("deletionPolicy"),
            "{condition:?}"
        );
    }
}

#[test]
fn a_resource_that_cannot_be_carried_out_promises_nothing_before_its_objects_do() {
    let (mut cluster, lotoai) = changed("minimal");
    let status = stalled(&cluster, &lotoai);
    warns(
        &status,
        &[
            "StatefulSet/demo-clickhouse",
            " more would still be deleted",
        ],
    );
    assert_eq!(
        status.observed_generation,
        Some(2),
        "it is about this spec all the same"
    );
    assert_eq!(status.condition("Stalled").unwrap().status, "True");
    assert!(!message(&status, "Stalled").contains("deletionPolicy"));

    cut(&mut cluster, &lotoai);
    let status = stalled(&cluster, &lotoai);
    warns(&status, &[CLAIM, "while its pod runs"]);
    free_the_claim(&mut cluster);
    let status = stalled(&cluster, &lotoai);
    promises(&status);
    assert_eq!(status.condition("Stalled").unwrap().status, "True");
}

/// A gate holds a workload as a whole, and the status of the rest says nothing of it.
#[test]
fn a_workload_that_waits_for_its_upgrade_is_cut_loose_and_promises_nothing_before() {
    let (mut cluster, lotoai) = changed("minimal");
    cut(&mut cluster, &lotoai);
    free_the_claim(&mut cluster);
    promises(&reconciled(&cluster, &lotoai));

    cluster.set_ready(Node::Component(Component::ModelServer), 0);
    let mut sets = cluster.observed.stateful_sets.iter_mut();
    let (name, waiting) = sets.find(|(name, _)| *name == "demo-rag-server").unwrap();
    let held = ObjectId::new("StatefulSet", name);
    keeps(waiting, "Delete");
    let older = "localhost/lotoai/rag-server:older".to_owned();
    let annotations = waiting.metadata.annotations.as_mut().unwrap();
    annotations.insert(labels::IMAGE.to_owned(), older);
    let gates = gates(&cluster.platform, &cluster.set, &cluster.observed);
    assert!(gates.held(&held).is_some(), "it waits for model-server");
    let status = reconciled(&cluster, &lotoai);
    warns(&status, &["StatefulSet/demo-rag-server would"]);
    cut(&mut cluster, &lotoai);
    promises(&reconciled(&cluster, &lotoai));
}

#[test]
fn a_claim_of_a_suspended_platform_stays_tied_and_the_way_out_is_told() {
    let (mut cluster, mut lotoai) = changed("minimal");
    cut(&mut cluster, &lotoai);
    lotoai.spec.suspend = true;
    let env = operator("minimal");
    cluster.platform = validate(&lotoai, &cluster.observed, &env).unwrap();
    let status = reconciled(&cluster, &lotoai);
    warns(&status, &[CLAIM, "set spec.suspend to false"]);
    // The control: its pods ran with the new policy before they were stopped.
    free_the_claim(&mut cluster);
    promises(&reconciled(&cluster, &lotoai));
}

#[test]
fn whoever_waits_for_the_change_of_a_platform_that_answers_is_not_done() {
    let (mut cluster, lotoai) = changed("minimal");
    cut(&mut cluster, &lotoai);
    let status = reconciled(&cluster, &lotoai);
    warns(&status, &[CLAIM]);
    assert_eq!(status.condition("Ready").unwrap().status, "True");
    let waits = status.condition("Reconciling").unwrap();
    assert_eq!(waits.reason, "Progressing");
    assert!(waits.message.contains(CLAIM), "{}", waits.message);
    free_the_claim(&mut cluster);
    let status = reconciled(&cluster, &lotoai);
    promises(&status);
    assert!(status.condition("Reconciling").is_none());
}

#[test]
fn a_paused_platform_says_why_nothing_changes() {
    let (cluster, mut lotoai) = changed("minimal");
    lotoai.spec.paused = true;
    let platform = &cluster.platform;
    let outcome = Outcome::Paused { platform };
    let judged = cluster.judge_outcome(&lotoai, &ProbeOutcome::Pending, T1, outcome);
    warns(
        &judged.status,
        &["nothing is changed while spec.paused is true"],
    );
}

#[test]
fn a_delegated_store_is_tied_by_its_owner() {
    let (mut cluster, lotoai) = changed("delegated-postgres");
    let found = ties(&lotoai, &cluster.observed);
    assert!(found.iter().any(|tie| tie.object.kind == "Cluster"));
    cut(&mut cluster, &lotoai);
    assert_eq!(ties(&lotoai, &cluster.observed), []);
    promises(&reconciled(&cluster, &lotoai));
}

/// Certificates that servers show go with the resource by any policy, and so does what others own.
#[test]
fn what_is_to_go_and_what_is_not_ours_ties_nothing() {
    let (mut cluster, lotoai) = changed("minimal");
    cut(&mut cluster, &lotoai);
    free_the_claim(&mut cluster);
    let certificate = &cluster.observed.secrets["demo-gateway-tls"];
    assert!(certificate.metadata.owner_references.is_some());
    let somebody = OwnerReference {
        uid: "somebody".to_owned(),
        ..OwnerReference::default()
    };
    let claim = cluster.observed.claims.get_mut(CLAIM).unwrap();
    claim.metadata.owner_references = Some(vec![somebody]);
    assert_eq!(ties(&lotoai, &cluster.observed), []);
    // The control: the authority, and what opens a store.
    for name in ["demo-ca", "demo-postgres-admin"] {
        let owner = cluster.platform.owner_reference();
        let secret = cluster.observed.secrets.get_mut(name).unwrap();
        secret.metadata.owner_references = Some(vec![owner]);
    }
    assert_eq!(ties(&lotoai, &cluster.observed).len(), 2);
}

/// Objects that are to go may bear it already.
#[test]
fn nobody_is_told_that_data_stay_while_the_resource_wants_them_gone() {
    let mut lotoai = resource("minimal");
    let cluster = Cluster::up();
    promises(&reconciled(&cluster, &lotoai));
    lotoai.spec.deletion_policy = DeletionPolicy::Delete;
    let status = reconciled(&cluster, &lotoai);
    assert_eq!(status.deletion_policy, Some(DeletionPolicy::Delete));
    assert!(!message(&status, "Ready").contains("deletionPolicy"));
}

/// A pass that has seen nothing says what the one before said.
#[rstest]
#[case(None)]
#[case(Some(DeletionPolicy::Delete))]
#[case(Some(DeletionPolicy::Retain))]
fn a_pass_that_has_not_looked_knows_nothing_new(#[case] before: Option<DeletionPolicy>) {
    let mut cluster = Cluster::up();
    cluster.observed = provided();
    let mut lotoai = resource("minimal");
    lotoai.status = Some(LotoAIStatus {
        deletion_policy: before,
        ..LotoAIStatus::default()
    });
    let failed = Outcome::Failed {
        platform: None,
        message: "failed to look at the cluster",
    };
    for outcome in [failed, Outcome::Deleting] {
        let judged = cluster.judge_outcome(&lotoai, &ProbeOutcome::Pending, T1, outcome);
        assert_eq!(judged.status.deletion_policy, before);
    }
    let platform = &cluster.platform;
    let looked = Outcome::Failed {
        platform: Some(platform),
        message: "failed to apply x",
    };
    let judged = cluster.judge_outcome(&lotoai, &ProbeOutcome::Pending, T1, looked);
    let retained = Some(DeletionPolicy::Retain);
    assert_eq!(judged.status.deletion_policy, retained, "the control");
}
