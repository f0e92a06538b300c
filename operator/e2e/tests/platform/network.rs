//! Network policies: what the wiring graph says connects, and nothing else does.
//!
//! A connection is tried from inside a pod's own network namespace, which takes root on the machine
//! of the package-built cluster; other clusters are skipped.

mod places;

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::panic::resume_unwind;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, PostParams};
use lotoai_api::{Component, Store};
use lotoai_e2e::Platform;
use lotoai_local::Instance;
use lotoai_plan::{Node, labels};
use serde_json::json;

use self::places::{Attempt, Place, assert_wired, listening, places_of, strangers, try_all, wrong};
use crate::cluster::{ADMIN_PORT, OPERATOR_NAMESPACE, is_ready};
use crate::dump::caught;
use crate::inside::{Inside, is_within_reach, listen};
use crate::support::{NAME, NAMESPACE, ready, run, set_spec, wait_for, wait_ready};

/// How long a changed policy may take to hold, and a pod to run.
const LIMIT: Duration = Duration::from_secs(60);
/// How long the policies of many new pods may take to hold; trying all of them takes half a minute.
const MANY_LIMIT: Duration = Duration::from_secs(240);
/// Where the cluster's DNS is asked, and where it says that it is ready.
const DNS_PORT: u16 = 53;
const DNS_READY_PORT: u16 = 8181;
const KUBELET_PORT: u16 = 10250;
/// An image of the local cluster's whose program does nothing.
const IDLE_IMAGE: &str = "localhost/lotoai/pause:local";

#[test]
fn exactly_the_edges_of_the_graph_connect() {
    run(|| async {
        let (platform, _) = ready().await;
        if !is_within_reach() {
            return;
        }
        let places = places_of(&platform, NAME).await;
        // Its vectors are embedded: there is no Qdrant.
        assert_eq!(places.len(), Component::ALL.len() - 1, "one pod each");
        let strangers = strangers(&platform).await;
        let callers: Vec<&Place> = places.iter().chain(&strangers).collect();
        assert_wired(&callers, &listening(&places), &[]).await;
    });
}

/// A Job's pods are there for moments, so others stand for them that have their labels.
#[test]
fn the_pod_of_a_job_reaches_its_store_alone_and_nobody_reaches_it() {
    run(|| async {
        let (platform, _) = ready().await;
        if !is_within_reach() {
            return;
        }
        remove_jobs(&platform).await;
        let work = Box::pin(jobs_are_held_to_their_edges(&platform));
        let outcome = caught(&platform.kube, &[NAMESPACE], work).await;
        remove_jobs(&platform).await;
        if let Err(failure) = outcome {
            resume_unwind(failure);
        }
    });
}

async fn jobs_are_held_to_their_edges(platform: &Platform) {
    let places = places_of(platform, NAME).await;
    let strangers = strangers(platform).await;
    let jobs = jobs(platform).await;
    let targets = listening(&places);
    wait_for("policies to hold for them", LIMIT, async || {
        let callers: Vec<&Place> = jobs.iter().collect();
        let wrong = wrong(&callers, &targets, &[]).await;
        wrong.is_empty().then_some(()).ok_or(wrong.join("\n"))
    })
    .await;

    let servers: Vec<_> = jobs.iter().map(|job| job.inside.listen()).collect();
    let targets: Vec<(&Place, Vec<u16>)> = jobs
        .iter()
        .zip(&servers)
        .map(|(job, server)| (job, vec![server.local_addr().unwrap().port()]))
        .collect();
    let callers: Vec<&Place> = places.iter().chain(&strangers).chain(&jobs).collect();
    assert_wired(&callers, &targets, &[]).await;
}

/// Where others are let and components are not: the API server, the operator, a program on the node
/// and the kubelet, and the cluster's DNS at any port but its own.
#[test]
fn no_component_leaves_but_along_its_edges() {
    run(|| async {
        let (platform, _) = ready().await;
        if !is_within_reach() {
            return;
        }
        let instance = std::env::var("LOTOAI_E2E_INSTANCE").unwrap();
        let instance = Instance::new(&instance).unwrap();
        let node = IpAddr::from(instance.network().node);
        let on_node = listen(instance.netns_path(), node);
        let url = kube::Config::infer().await.unwrap().cluster_url;
        let api = (url.host().unwrap(), url.port_u16().unwrap_or(443));
        let api = api.to_socket_addrs().unwrap().next().unwrap();
        let strangers = strangers(&platform).await;
        let stranger = |name: &str| strangers.iter().find(|place| place.name == name).unwrap();
        let (operator, dns) = (stranger("operator"), stranger("dns"));

        // Whether components are let is in it; strangers are everywhere.
        let places = [
            ("the API server", api, false),
            ("the operator", operator.at(ADMIN_PORT), false),
            ("a port of the node", on_node.local_addr().unwrap(), false),
            ("the kubelet", SocketAddr::new(node, KUBELET_PORT), false),
            ("the DNS", dns.at(DNS_PORT), true),
            ("the DNS at another port", dns.at(DNS_READY_PORT), false),
        ];
        let components = places_of(&platform, NAME).await;
        let attempts = |caller: &Place| {
            places.map(|(what, address, is_let)| Attempt {
                to: what.to_owned(),
                address,
                is_let: is_let || caller.of.is_none(),
            })
        };
        let callers = components.iter().chain(&strangers);
        let all = callers.map(|caller| (caller, Vec::from(attempts(caller))));
        let wrong = try_all(all.collect()).await;
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

/// The operator stands for a Prometheus: a pod of another namespace.
#[test]
fn only_whom_the_resource_names_reaches_metrics() {
    run(|| async {
        let (platform, _) = ready().await;
        if !is_within_reach() {
            return;
        }
        let places = places_of(&platform, NAME).await;
        let strangers = strangers(&platform).await;
        let of = |component| {
            let node = Node::Component(component);
            places.iter().find(|place| place.is(node)).unwrap()
        };
        let stranger = |name: &str| strangers.iter().find(|place| place.name == name).unwrap();
        let metrics = of(Component::Gateway).at(ADMIN_PORT);
        let operator = stranger("operator");
        let reaches = async |from: &Place| from.inside.connects(vec![metrics]).await == [true];
        let is = async |wanted: bool| {
            let outcome = if wanted { "refused" } else { "let in" };
            let there = reaches(operator).await == wanted;
            there.then_some(()).ok_or_else(|| outcome.to_owned())
        };
        assert!(!reaches(operator).await, "nobody is named");

        let named = json!({ "external": {
            "fromNamespaces": { "kubernetes.io/metadata.name": OPERATOR_NAMESPACE },
            "fromPods": { "app.kubernetes.io/name": "lotoai-operator" },
        } });
        set_spec(&platform, &json!({ "observability": { "metrics": named } })).await;
        wait_for("the operator to be let in", LIMIT, async || is(true).await).await;
        let others = [of(Component::Orchestrator), of(Component::Traefik)];
        for other in others.into_iter().chain([stranger("dns")]) {
            assert!(!reaches(other).await, "{}", other.name);
        }

        set_spec(&platform, &json!({ "observability": { "metrics": null } })).await;
        wait_for("the operator to be shut out", LIMIT, async || {
            is(false).await
        })
        .await;
        wait_ready(&platform, LIMIT).await;
    });
}

/// The pods of the platform of this name connect along its edges. Those of the first one and strangers
/// come no further than everybody, and its own reach of the first one what is `opened` to it.
pub(crate) async fn assert_apart(first: &Platform, name: &str, opened: &[Component]) {
    if !is_within_reach() {
        return;
    }
    let (ours, theirs) = (places_of(first, NAME).await, places_of(first, name).await);
    let strangers = strangers(first).await;
    let all: Vec<&Place> = ours.iter().chain(&theirs).chain(&strangers).collect();
    let callers: Vec<&Place> = theirs.iter().collect();
    // Its pods are new, and who enforces policies learns of many of them one after the other.
    wait_for(
        "its pods to be under their policies",
        MANY_LIMIT,
        async || {
            let mut wrong_of_all = wrong(&all, &listening(&theirs), opened).await;
            wrong_of_all.extend(wrong(&callers, &listening(&ours), opened).await);
            wrong_of_all
                .is_empty()
                .then_some(())
                .ok_or_else(|| wrong_of_all.join("\n"))
        },
    )
    .await;
}

/// The nodes of Jobs that prepare a store.
fn job_nodes() -> impl Iterator<Item = Node> {
    let made = Store::ALL
        .into_iter()
        .filter(|store| *store != Store::Qdrant);
    made.map(Node::Provision)
}

fn job_name(node: Node) -> String {
    format!("network-test-{}", node.name())
}

/// Pods with the labels of Jobs that do nothing, running.
async fn jobs(platform: &Platform) -> Vec<Place> {
    let pods: Api<Pod> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    for node in job_nodes() {
        let mut labels = labels::owned_by(NAME);
        labels.insert(labels::NAME.to_owned(), node.name());
        labels.insert(labels::COMPONENT.to_owned(), node.role().to_owned());
        let pod = json!({
            "metadata": { "name": job_name(node), "labels": labels },
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": false,
                "securityContext": {
                    "runAsNonRoot": true, "runAsUser": 65532,
                    "seccompProfile": { "type": "RuntimeDefault" },
                },
                "containers": [{
                    "name": "idle", "image": IDLE_IMAGE, "imagePullPolicy": "Never",
                    "securityContext": {
                        "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] },
                    },
                }],
            },
        });
        let pod: Pod = serde_json::from_value(pod).unwrap();
        pods.create(&PostParams::default(), &pod).await.unwrap();
    }
    let mut places = Vec::new();
    for node in job_nodes() {
        let name = job_name(node);
        let pod = wait_for(&format!("{name} to run"), LIMIT, async || {
            let pod = pods.get(&name).await.map_err(|error| error.to_string())?;
            let told = format!("{:?}", pod.status);
            is_ready(&pod).then_some(pod).ok_or(told)
        })
        .await;
        places.push(Place {
            name,
            of: Some((NAME.to_owned(), node)),
            roams: false,
            inside: Inside::of_pod(&pod),
        });
    }
    places
}

/// Removes them, also those of a run that was cut off.
async fn remove_jobs(platform: &Platform) {
    let pods: Api<Pod> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    let at_once = DeleteParams::default().grace_period(0);
    for name in job_nodes().map(job_name) {
        wait_for(&format!("{name} to be gone"), LIMIT, async || {
            match pods.delete(&name, &at_once).await {
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                other => Err(format!("{:?}", other.err())),
            }
        })
        .await;
    }
}
