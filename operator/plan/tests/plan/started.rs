//! When a stage counts as started, whoever runs its parts.

use lotoai_api::Component;
use lotoai_plan::events::{Started, started};
use lotoai_plan::{ObjectId, Observed};
use rstest::rstest;
use serde_json::json;

use crate::common::platform;

const EVERYTHING: [(&str, &str); 4] = [
    ("StatefulSet", "clickhouse"),
    ("StatefulSet", "minio"),
    ("StatefulSet", "rabbitmq"),
    ("Cluster", "postgres"),
];

fn stages(fixture: &str, changed: &[(&str, &str)], observed: &Observed) -> Vec<Started> {
    let changed: Vec<ObjectId> = changed
        .iter()
        .map(|(kind, part)| ObjectId::new(kind, &format!("demo-{part}")))
        .collect();
    started(&platform(fixture), observed, &changed)
}

fn with_the_cluster() -> Observed {
    let cluster = json!({
        "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster",
        "metadata": { "name": "demo-postgres" }, "spec": {},
    });
    let mut observed = Observed::default();
    let cluster = serde_json::from_value(cluster).unwrap();
    let name = "demo-postgres".to_owned();
    observed.clusters.insert(name, cluster);
    observed
}

#[rstest]
#[case::with_its_object(&EVERYTHING, Observed::default(), true)]
#[case::not_without_it(&EVERYTHING[..3], Observed::default(), false)]
#[case::whose_object_was_there(&EVERYTHING[..3], with_the_cluster(), true)]
#[case::once(&[], with_the_cluster(), false)]
fn a_delegated_store_starts(
    #[case] changed: &[(&str, &str)],
    #[case] observed: Observed,
    #[case] starts: bool,
) {
    let stages = stages("delegated-postgres", changed, &observed);
    let expected = Started {
        stage: "stores",
        components: vec!["postgres", "rabbitmq", "minio", "clickhouse"],
    };
    assert_eq!(stages, if starts { vec![expected] } else { vec![] });
}

#[test]
fn what_others_run_is_never_started() {
    let given = platform("external");
    let ours: Vec<ObjectId> = Component::ALL
        .into_iter()
        .flat_map(|component| {
            ["Deployment", "StatefulSet"]
                .map(|kind| ObjectId::new(kind, &given.component_name(component)))
        })
        .collect();
    let stages: Vec<_> = started(&given, &Observed::default(), &ours)
        .into_iter()
        .map(|started| started.stage)
        .collect();
    assert_eq!(stages, ["identity provider", "edge", "services"]);
}
