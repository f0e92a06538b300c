//! Gates against made-up states of the cluster.

use std::collections::BTreeSet;

use lotoai_plan::{ObjectId, gates};

use crate::cluster::Cluster;
use crate::common::FIXTURES;

#[test]
fn an_empty_cluster_starts_with_what_needs_nothing() {
    let open = Cluster::new().open();
    let expected = [
        "clickhouse",
        "minio",
        "model-server",
        "postgres",
        "rabbitmq",
    ];
    assert_eq!(
        open.iter().map(String::as_str).collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn gates_open_step_by_step_until_everything_runs() {
    for fixture in FIXTURES {
        open_step_by_step(Cluster::of(fixture));
    }
}

fn open_step_by_step(mut cluster: Cluster) {
    let mut started: BTreeSet<String> = BTreeSet::new();
    let mut steps = 0;
    while started.len() < cluster.nodes().len() {
        let open = cluster.open();
        assert!(open.len() > started.len(), "stuck after {started:?}");
        for node in cluster
            .nodes()
            .into_iter()
            .filter(|node| open.contains(&node.name()))
        {
            cluster.ready(node);
        }
        cluster.ready_stores();
        started = open;
        steps += 1;
    }
    assert!(steps <= 8, "{steps} steps");
}

#[test]
fn what_runs_already_is_never_held_back() {
    let mut cluster = Cluster::up();
    for node in cluster.nodes() {
        cluster.set_ready(node, 0);
    }
    assert_eq!(cluster.open().len(), cluster.nodes().len());
}

#[test]
fn a_new_job_waits_for_its_store_and_holds_back_newcomers_only() {
    let mut cluster = Cluster::up();
    let name = cluster
        .set
        .job_name("provision-postgres")
        .unwrap()
        .to_owned();
    cluster.observed.jobs.remove(&name);
    cluster.observed.deployments.remove("demo-gateway");
    let gates = gates(&cluster.platform, &cluster.set, &cluster.observed);
    let gateway = ObjectId {
        kind: "Deployment".to_owned(),
        name: "demo-gateway".to_owned(),
    };
    assert_eq!(gates.held(&gateway), Some("waits for provision-postgres"));
    let job = ObjectId {
        kind: "Job".to_owned(),
        name,
    };
    assert_eq!(gates.held(&job), None);
}

#[test]
fn an_autoscaler_waits_with_its_deployment() {
    let mut cluster = Cluster::of("high-availability");
    let held = |cluster: &Cluster| {
        let gates = gates(&cluster.platform, &cluster.set, &cluster.observed);
        let id = ObjectId {
            kind: "HorizontalPodAutoscaler".to_owned(),
            name: "demo-gateway".to_owned(),
        };
        gates.held(&id).is_some()
    };
    assert!(held(&cluster));
    for node in cluster.nodes() {
        cluster.ready(node);
    }
    assert!(!held(&cluster));
}
