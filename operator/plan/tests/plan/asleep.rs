//! Autoscaled workloads that somebody scaled to nothing.

use std::collections::BTreeMap;

use lotoai_plan::{ObjectId, asleep};

use crate::cluster::Cluster;

/// A platform with this fixture whose Deployment of this name asks for so many pods.
fn with_pods(fixture: &str, name: &str, asked: Option<i32>) -> Cluster {
    let mut cluster = Cluster::up_of(fixture);
    let deployment = cluster.observed.deployments.get_mut(name).unwrap();
    deployment.spec.as_mut().unwrap().replicas = asked;
    cluster
}

fn woken(cluster: &Cluster) -> BTreeMap<ObjectId, i32> {
    asleep(&cluster.platform, &cluster.observed)
}

#[test]
fn only_nothing_is_woken_and_every_other_number_is_the_autoscalers() {
    let fixture = "high-availability";
    let id = ObjectId::new("Deployment", "demo-gateway");
    let expected = BTreeMap::from([(id, 3)]);
    assert_eq!(
        woken(&with_pods(fixture, "demo-gateway", Some(0))),
        expected
    );
    for asked in [None, Some(1), Some(2), Some(6), Some(7)] {
        let woken = woken(&with_pods(fixture, "demo-gateway", asked));
        assert!(woken.is_empty(), "{asked:?}: {woken:?}");
    }
}

#[test]
fn a_number_of_the_operators_own_needs_no_waking() {
    assert!(woken(&with_pods("minimal", "demo-gateway", Some(0))).is_empty());
}

#[test]
fn a_suspended_platform_sleeps_on() {
    let mut cluster = with_pods("high-availability", "demo-gateway", Some(0));
    cluster.platform.spec.suspend = true;
    assert!(woken(&cluster).is_empty());
}
