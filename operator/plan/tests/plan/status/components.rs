//! What the status says of each component.

use lotoai_api::{Component, Mode};
use lotoai_plan::ProbeOutcome;

use super::{T1, conditions};
use crate::cluster::Cluster;
use crate::common::resource;

#[test]
fn external_stores_are_shown_but_neither_counted_nor_waited_for() {
    let cluster = Cluster::of("external");
    let open = cluster.open();
    for job in ["postgres", "rabbitmq", "s3", "clickhouse"] {
        assert!(open.contains(&format!("provision-{job}")), "{open:?}");
    }
    let cluster = Cluster::up_of("external");
    let status = cluster.status(&resource("external"), &ProbeOutcome::Answered, T1);
    assert_eq!(conditions(&status), [("Ready", "True", "Available")]);
    assert_eq!(status.components_ready.as_deref(), Some("10/10"));
    let external: Vec<_> = status
        .components
        .iter()
        .filter(|component| component.mode == Mode::External)
        .map(|component| (component.name.as_str(), component.endpoint.as_str()))
        .collect();
    assert_eq!(
        external,
        [
            ("postgres", "pg:5432"),
            ("rabbitmq", "rabbitmq.example.com:5672"),
            ("minio", "10.20.0.7:9000"),
            ("clickhouse", "clickhouse.analytics.svc:8443"),
        ]
    );
    // There is no Qdrant: the vectors are embedded.
    assert_eq!(status.components.len(), Component::ALL.len() - 1);
}

#[test]
fn what_an_autoscaler_wants_is_what_the_status_counts() {
    let mut cluster = Cluster::of("high-availability");
    for node in cluster.nodes() {
        cluster.set_ready(node, 3);
    }
    let gateway = cluster
        .observed
        .deployments
        .get_mut("demo-gateway")
        .unwrap();
    gateway.spec.as_mut().unwrap().replicas = Some(5);
    let orchestrator = cluster.observed.deployments.get_mut("demo-orchestrator");
    orchestrator.unwrap().spec.as_mut().unwrap().replicas = Some(1);
    let lotoai = resource("high-availability");
    let status = cluster.status(&lotoai, &ProbeOutcome::Pending, T1);
    let of = |component: Component| {
        let all = status.components.iter();
        let found = all.clone().find(|c| c.name == component.name()).unwrap();
        found.ready.clone()
    };
    assert_eq!(of(Component::Gateway), "3/5");
    // The autoscaler has not spoken yet: a new Deployment has one pod until then.
    assert_eq!(of(Component::Orchestrator), "3/3");
    assert_eq!(of(Component::Minio), "3/4");
    assert_eq!(status.components_ready.as_deref(), Some("12/14"));
}

#[test]
fn components_that_are_not_there_are_counted_as_wanted() {
    let cluster = Cluster::of("high-availability");
    let lotoai = resource("high-availability");
    let status = cluster.status(&lotoai, &ProbeOutcome::Pending, T1);
    let minio = status.components.iter().find(|c| c.name == "minio");
    assert_eq!(minio.unwrap().ready, "0/4");
}

#[test]
fn high_availability_says_what_is_not() {
    let warned = |fixture: &str| {
        let cluster = Cluster::up_of(fixture);
        let status = cluster.status(&resource(fixture), &ProbeOutcome::Answered, T1);
        let first = |text: &String| text.split(' ').next().unwrap_or_default().to_owned();
        status.warnings.iter().map(first).collect::<Vec<_>>()
    };
    assert_eq!(warned("high-availability"), ["postgres", "rag-server"]);
    assert_eq!(warned("delegated-postgres-ha"), ["rag-server"]);
    assert!(warned("minimal").is_empty());
}
