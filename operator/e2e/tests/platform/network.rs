//! Network policies: what the wiring graph says connects, and nothing else does.
//!
//! A connection is tried from inside a pod's own network namespace, which takes root on the machine
//! of the package-built cluster; other clusters are skipped.

use std::process::{Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use lotoai_api::Component;
use lotoai_plan::Node;
use lotoai_plan::graph::{EDGES, is_ours, ports};
use serde_json::json;

use crate::cluster::{ADMIN_PORT, OPERATOR_NAMESPACE, operator_pods};
use crate::support::{component, pods, process_of, ready, run, set_spec, wait_for, wait_ready};

/// Attempts that are under way at once. A refusal takes about a second: kernels send few of them.
const ATTEMPTS: usize = 16;
/// How long a changed policy may take to hold.
const LIMIT: Duration = Duration::from_secs(60);

/// A pod, and a process in its network namespace.
struct Place {
    name: String,
    node: Option<Component>,
    address: String,
    process: u32,
}

#[test]
fn exactly_the_edges_of_the_graph_connect() {
    run(|| async {
        let Some(places) = places().await else {
            return;
        };
        let targets: Vec<&Place> = places.iter().filter(|place| place.node.is_some()).collect();
        // Its vectors are embedded: there is no Qdrant.
        assert_eq!(targets.len(), Component::ALL.len() - 1, "one pod each");

        let mut attempts = Vec::new();
        for target in &targets {
            let callee = target.node.unwrap();
            for port in listening(callee) {
                // Its own namespace is behind no policy: what is not refused there is served.
                attempts.push((*target, *target, port, true));
                for caller in places.iter().filter(|caller| caller.name != target.name) {
                    attempts.push((caller, *target, port, wired(caller.node, callee, port)));
                }
            }
        }
        let wired_attempts = attempts.iter().filter(|attempt| attempt.3).count();
        println!(
            "{} attempts, {wired_attempts} of them along edges or at home",
            attempts.len()
        );
        let share = attempts.len().div_ceil(ATTEMPTS);
        let wrong: Vec<String> = std::thread::scope(|scope| {
            let workers: Vec<_> = attempts
                .chunks(share)
                .map(|part| scope.spawn(|| part.iter().filter_map(try_it).collect::<Vec<_>>()))
                .collect();
            let results = workers.into_iter().map(|worker| worker.join().unwrap());
            results.flatten().collect()
        });
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

#[test]
fn no_component_reaches_the_api_server() {
    run(|| async {
        let Some(places) = places().await else {
            return;
        };
        let url = kube::Config::infer().await.unwrap().cluster_url;
        let (host, port) = (url.host().unwrap(), url.port_u16().unwrap_or(443));
        for place in &places {
            // The operator and the cluster's DNS have to, which shows that somebody can.
            let expected = place.node.is_none();
            let connected = connects(place.process, host, port);
            assert_eq!(connected, expected, "{} → {host}:{port}", place.name);
        }
    });
}

/// The operator stands for a Prometheus: a pod of another namespace.
#[test]
fn only_whom_the_resource_names_reaches_metrics() {
    run(|| async {
        let Some(places) = places().await else {
            return;
        };
        let (platform, _) = ready().await;
        let place = |name: &str| places.iter().find(|place| place.name == name).unwrap();
        let (operator, gateway) = (place("operator"), place("gateway"));
        let reaches = |from: &Place| connects(from.process, &gateway.address, ADMIN_PORT);
        let is = |wanted: bool| {
            let outcome = if wanted { "refused" } else { "let in" };
            let there = reaches(operator) == wanted;
            there.then_some(()).ok_or_else(|| outcome.to_owned())
        };
        assert!(!reaches(operator), "nobody is named");

        let metrics = json!({ "external": {
            "fromNamespaces": { "kubernetes.io/metadata.name": OPERATOR_NAMESPACE },
            "fromPods": { "app.kubernetes.io/name": "lotoai-operator" },
        } });
        set_spec(
            &platform,
            &json!({ "observability": { "metrics": metrics } }),
        )
        .await;
        wait_for("the operator to be let in", LIMIT, async || is(true)).await;
        for other in ["dns", "orchestrator", "traefik"] {
            assert!(!reaches(place(other)), "{other}");
        }

        set_spec(&platform, &json!({ "observability": { "metrics": null } })).await;
        wait_for("the operator to be shut out", LIMIT, async || is(false)).await;
        wait_ready(&platform, LIMIT).await;
    });
}

/// The platform's pods and, as strangers, the operator's and the cluster's DNS. Nothing, with the
/// reason printed, when their processes are not on this machine.
async fn places() -> Option<Vec<Place>> {
    if std::env::var_os("LOTOAI_E2E_INSTANCE").is_none() {
        println!("SKIPPED: connections are tried on the package-built cluster only");
        return None;
    }
    let (platform, _) = ready().await;
    let mut found: Vec<(String, Pod)> = pods(&platform)
        .await
        .into_iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        .map(|pod| (component(&pod), pod))
        .collect();
    let operator = operator_pods(&platform).await.unwrap();
    found.extend(operator.into_iter().map(|pod| ("operator".to_owned(), pod)));
    let system: Api<Pod> = Api::namespaced(platform.kube.clone(), "kube-system");
    let dns = system.list(&ListParams::default()).await.unwrap().items;
    found.extend(dns.into_iter().map(|pod| ("dns".to_owned(), pod)));
    Some(found.into_iter().map(place).collect())
}

fn place((name, pod): (String, Pod)) -> Place {
    let uid = pod.metadata.uid.unwrap();
    Place {
        node: name.parse().ok(),
        address: pod.status.unwrap().pod_ip.unwrap(),
        process: process_of(&uid).unwrap_or_else(|| panic!("{name} has no process")),
        name,
    }
}

/// Ports that a component's pod listens on, for other pods or for the kubelet.
fn listening(component: Component) -> Vec<u16> {
    let mut all: Vec<u16> = ports(component).iter().map(|port| port.number).collect();
    if is_ours(component) {
        all.push(ADMIN_PORT);
    }
    match component {
        Component::Keycloak => all.push(9000),
        Component::Traefik => all.push(9100),
        _ => {}
    }
    all
}

/// Whether an edge of the graph leads there.
fn wired(caller: Option<Component>, callee: Component, port: u16) -> bool {
    EDGES.iter().any(|edge| {
        let from = match edge.from {
            Node::Anyone => true,
            Node::Component(component) => caller == Some(component),
            // Whom nobody names does not ask for metrics.
            Node::Operator | Node::Scraper | Node::Provision(_) => false,
        };
        // A component leaves only along its own edges, also to what is open to everybody.
        let leaves = edge.from != Node::Anyone || caller.is_none();
        from && leaves && edge.to == callee && edge.port == port
    })
}

fn try_it((caller, target, port, expected): &(&Place, &Place, u16, bool)) -> Option<String> {
    let connected = connects(caller.process, &target.address, *port);
    let outcome = if connected { "connects" } else { "is refused" };
    (connected != *expected).then(|| format!("{} → {}:{port} {outcome}", caller.name, target.name))
}

/// Opens a TCP connection inside the network namespace of a process.
fn connects(process: u32, host: &str, port: u16) -> bool {
    let status = Command::new("nsenter")
        .arg(format!("--net=/proc/{process}/ns/net"))
        .args(["timeout", "5", "bash", "-c"])
        .arg(format!("exec 3<>/dev/tcp/{host}/{port}"))
        .stderr(Stdio::null())
        .status();
    status.unwrap().success()
}
