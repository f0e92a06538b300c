//! Every object of a platform under the running operator: deleted, it comes back; altered, it is
//! restored, a certificate by another one, and what others wrote beside it stays.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use lotoai_plan::labels;
use lotoai_plan::tls::{CERTIFICATE, PRIVATE_KEY};
use rcgen::KeyPair;
use rstest::rstest;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use x509_parser::parse_x509_certificate;

use crate::certificates::{bundle, secret};
use crate::state;
use crate::world::{Answering, DEADLINE, World, wait_for};

/// Within this time the operator makes good what was done to an object.
pub(crate) const SOON: Duration = Duration::from_secs(10);
pub(crate) const FOREIGN: &str = "example.com/foreign";

/// Kinds of which every profile has about the same objects.
const ALIKE: [&str; 5] = [
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "NetworkPolicy",
    "Job",
];

/// A specification, with the kinds that only it has objects of.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) spec: Value,
    adds: &'static [&'static str],
}

pub(crate) fn demo() -> Kind {
    Kind {
        name: "demo",
        spec: json!({ "url": "https://lotoai.localhost" }),
        adds: &[],
    }
}

pub(crate) fn small_behind_an_ingress() -> Kind {
    Kind {
        name: "small",
        spec: json!({
            "url": "https://lotoai.localhost",
            "profile": "Small",
            "edge": {
                "ingress": { "className": "nginx" },
                "fromNamespaces": { "kubernetes.io/metadata.name": "infra" },
            },
        }),
        adds: &["Ingress"],
    }
}

pub(crate) fn highly_available() -> Kind {
    Kind {
        name: "high-availability",
        spec: json!({ "url": "https://lotoai.localhost", "profile": "HighAvailability" }),
        adds: &["PodDisruptionBudget", "HorizontalPodAutoscaler"],
    }
}

impl Kind {
    async fn world(&self, test: &str) -> Option<World> {
        World::new(&format!("{test}-{}", self.name), &self.spec, Answering).await
    }

    /// Everything that the platform has, or what is particular to this specification; credentials
    /// last, because new ones restart pods and Jobs.
    pub(crate) async fn objects(&self, world: &World) -> Vec<(ApiResource, DynamicObject)> {
        let mut all = state::objects(world).await;
        for kind in self.adds {
            assert!(all.iter().any(|(it, _)| it.kind == *kind), "no {kind}");
        }
        let in_full = self.adds.is_empty();
        all.retain(|(kind, _)| in_full || !ALIKE.contains(&kind.kind.as_str()));
        assert!(
            all.len() > if in_full { 60 } else { 20 },
            "only {} objects",
            all.len()
        );
        all.sort_by_key(|(_, object)| is_credential(object));
        all
    }
}

pub(crate) fn is_credential(object: &DynamicObject) -> bool {
    object.labels().contains_key(labels::CREDENTIAL)
}

/// Whether it is a certificate that the operator makes, or the authority that signs them.
fn is_certificate(object: &DynamicObject) -> bool {
    object.data["type"] == "kubernetes.io/tls"
}

pub(crate) fn shown(object: &DynamicObject) -> String {
    let kind = object
        .types
        .as_ref()
        .map_or("", |types| types.kind.as_str());
    format!("{kind}/{}", object.name_any())
}

#[rstest]
#[case::demo(demo())]
#[case::small(small_behind_an_ingress())]
#[case::high_availability(highly_available())]
#[tokio::test]
async fn every_deleted_object_comes_back_soon(#[case] kind: Kind) {
    let Some(world) = kind.world("deleted").await else {
        return;
    };
    world
        .operating(async {
            let all = kind.objects(&world).await;
            for (kind, object) in &all {
                let api = world.dynamic(kind);
                let name = object.name_any();
                api.delete(&name, &DeleteParams::background())
                    .await
                    .unwrap();
                wait_for(&format!("{name} is back"), SOON, async || {
                    // A workload that comes back must find what it needs.
                    world.make_ready(|_| true).await;
                    let found = api.get_metadata_opt(&name).await.unwrap();
                    // New credentials make Jobs of other names.
                    kind.kind == "Job" && found.is_none() && !jobs_are_missing(&world).await
                        || found.is_some_and(|found| found.uid() != object.uid())
                })
                .await;
            }
            wait_for("the platform is ready", DEADLINE, async || {
                world.is_up().await
            })
            .await;
        })
        .await;
}

/// Whether a store is without a provision Job.
async fn jobs_are_missing(world: &World) -> bool {
    let jobs = world.api::<Job>();
    let ours = ListParams::default().labels(&labels::owned_by_selector("demo"));
    jobs.list(&ours).await.unwrap().items.len() < lotoai_api::Store::ALL.len()
}

/// A change of what the operator writes, beside its labels. Jobs are immutable.
pub(crate) fn alteration(object: &DynamicObject) -> Value {
    let kind = object
        .types
        .as_ref()
        .map_or("", |types| types.kind.as_str());
    let first = |field: &str| {
        let map = object.data.get(field).and_then(Value::as_object);
        map.and_then(|map| map.keys().next()).cloned()
    };
    match kind {
        "ServiceAccount" => json!({ "automountServiceAccountToken": true }),
        "ConfigMap" => json!({ "data": { first("data").unwrap(): "altered" } }),
        "Secret" if is_certificate(object) => {
            json!({ "data": { CERTIFICATE: "YWx0ZXJlZA==", PRIVATE_KEY: "YWx0ZXJlZA==" } })
        }
        "Secret" => json!({ "data": { first("data").unwrap(): "YWx0ZXJlZA==" } }),
        "Service" => json!({ "spec": { "selector": { labels::NAME: "altered" } } }),
        "NetworkPolicy" => {
            json!({ "spec": { "podSelector": { "matchLabels": { "altered": "yes" } } } })
        }
        "StatefulSet" | "Deployment" => {
            // How many there are may be an autoscaler's to say.
            json!({ "spec": { "template": { "spec": { "terminationGracePeriodSeconds": 7 } } } })
        }
        "PodDisruptionBudget" => json!({ "spec": { "maxUnavailable": 7 } }),
        "HorizontalPodAutoscaler" => json!({ "spec": { "maxReplicas": 77 } }),
        "Ingress" => json!({ "spec": { "ingressClassName": "altered" } }),
        "Certificate" => json!({ "spec": { "dnsNames": ["altered.example.com"] } }),
        "HTTPRoute" => json!({ "spec": { "hostnames": ["altered.example.com"] } }),
        "BackendTLSPolicy" => {
            json!({ "spec": { "validation": { "hostname": "altered.example.com" } } })
        }
        "Cluster" => json!({ "spec": { "instances": 7 } }),
        kind => panic!("no alteration for a {kind}"),
    }
}

/// An object without what others write.
pub(crate) fn wanted(object: &DynamicObject) -> Value {
    let mut value = state::lasting(object);
    let metadata = value["metadata"].as_object_mut().unwrap();
    for map in ["labels", "annotations"] {
        if let Some(map) = metadata.get_mut(map).and_then(Value::as_object_mut) {
            map.remove(FOREIGN);
        }
        if metadata.get(map).is_some_and(|map| *map == json!({})) {
            metadata.remove(map);
        }
    }
    value
}

/// Whether the key belongs to the certificate, and one of those that are trusted has signed it.
fn is_accepted(certificate: &str, key: &str, trusted: &str) -> bool {
    let ders = |text: &str| -> Vec<CertificateDer<'static>> {
        let blocks = CertificateDer::pem_slice_iter(text.as_bytes());
        blocks.filter_map(Result::ok).collect()
    };
    let (shown, trusted) = (ders(certificate), ders(trusted));
    let (Some(shown), Ok(key)) = (shown.first(), KeyPair::from_pem(key)) else {
        return false;
    };
    let (_, shown) = parse_x509_certificate(shown).unwrap();
    let held: &[u8] = &shown.public_key().subject_public_key.data;
    held == key.public_key_raw()
        && trusted.iter().any(|above| {
            let (_, above) = parse_x509_certificate(above).unwrap();
            shown.verify_signature(Some(above.public_key())).is_ok()
        })
}

/// Whether an object is as it was, or a certificate another one that pods accept, with the labels
/// that it had.
async fn is_restored(world: &World, before: &DynamicObject, after: &DynamicObject) -> bool {
    if !is_certificate(before) {
        return wanted(after) == wanted(before);
    }
    let (labels, data) = ("/metadata/labels", &after.data["data"]);
    let held = secret(world, &after.name_any()).await;
    data[CERTIFICATE] != before.data["data"][CERTIFICATE]
        && wanted(after).pointer(labels) == wanted(before).pointer(labels)
        && is_accepted(&held[CERTIFICATE], &held[PRIVATE_KEY], &bundle(world).await)
}

#[rstest]
#[case::demo(demo())]
#[case::small(small_behind_an_ingress())]
#[case::high_availability(highly_available())]
#[tokio::test]
async fn every_altered_object_is_restored_soon_and_foreign_fields_stay(#[case] kind: Kind) {
    let Some(world) = kind.world("altered").await else {
        return;
    };
    world
        .operating(async {
            // The value of any other credential is never overwritten, and a Job that exists is left
            // alone: they have tests of their own.
            let mut all = kind.objects(&world).await;
            all.retain(|(kind, object)| {
                kind.kind != "Job" && (!is_credential(object) || is_certificate(object))
            });
            let certificates = all.iter().filter(|(_, object)| is_certificate(object));
            // Those of components, of the public address, and who signs them.
            assert!(certificates.count() > 10 || !kind.adds.is_empty());
            let by = PatchParams {
                field_manager: Some("somebody".to_owned()),
                ..PatchParams::default()
            };
            for (kind, object) in &all {
                let api = world.dynamic(kind);
                let name = object.name_any();
                let before = api.get(&name).await.unwrap();
                let mut patch = alteration(&before);
                patch["metadata"] = json!({
                    "labels": { labels::PART_OF: "altered", FOREIGN: "stays" },
                    "annotations": { FOREIGN: "stays" },
                });
                let altered = api.patch(&name, &by, &Patch::Merge(&patch)).await.unwrap();
                assert_ne!(wanted(&altered), wanted(&before), "{}", shown(&before));
                wait_for(&format!("{name} is restored"), SOON, async || {
                    world.make_ready(|_| true).await;
                    let after = api.get(&name).await.unwrap();
                    assert_eq!(after.labels()[FOREIGN], "stays");
                    assert_eq!(after.annotations()[FOREIGN], "stays");
                    is_restored(&world, &before, &after).await
                })
                .await;
            }
        })
        .await;
}

#[tokio::test]
async fn a_job_that_exists_is_left_alone() {
    let Some(world) = World::demo("altered-job").await else {
        return;
    };
    world.settle().await;
    let jobs = world.api::<Job>();
    let ours = ListParams::default().labels(&labels::owned_by_selector("demo"));
    for job in jobs.list(&ours).await.unwrap() {
        let name = job.name_any();
        let patch = Patch::Merge(json!({ "spec": { "ttlSecondsAfterFinished": 777 } }));
        let params = PatchParams::default();
        let altered = jobs.patch(&name, &params, &patch).await.unwrap();
        world.pass().await.unwrap();
        let after = jobs.get(&name).await.unwrap();
        assert_eq!(after.resource_version(), altered.resource_version());
    }
}
