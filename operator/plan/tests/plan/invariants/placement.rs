//! Numbers and places of pods.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Toleration};
use lotoai_api::spec::{
    ComponentResources, ComponentSettings, ManagedQdrant, ResourceValues, Spreading,
};
use lotoai_api::{Component, LotoAI};
use lotoai_plan::components::{WorkloadKind, workload_kind};
use lotoai_plan::{Node, Observed, Scale, build, labels, validate};
use rstest::rstest;
use serde_json::{Value, json};

use super::{container, template, variables};
use crate::common::{FIXTURES, credentials, objects, operator, provided, resource};

#[test]
fn every_component_has_the_objects_that_its_number_asks_for() {
    for fixture in FIXTURES {
        let (platform, set) = objects(fixture);
        let bodies: BTreeMap<(String, String), Value> = set
            .objects()
            .into_iter()
            .map(|object| ((object.resource.kind, object.name), object.body))
            .collect();
        for component in platform.topology.components() {
            let name = platform.component_name(component);
            let get = |kind: &str, name: &str| bodies.get(&(kind.to_owned(), name.to_owned()));
            let scale = platform.scale(component);
            let workload = get(workload_kind(&platform, component).kind(), &name).unwrap();
            let replicas = workload["spec"].get("replicas").and_then(Value::as_i64);
            assert_eq!(replicas, scale.written().map(i64::from), "{name}");
            let budget = get("PodDisruptionBudget", &name);
            assert_eq!(budget.is_some(), scale.least() > 1, "{name}");
            let autoscaler = get("HorizontalPodAutoscaler", &name);
            let follows = matches!(scale, Scale::Following(_));
            assert_eq!(autoscaler.is_some(), follows, "{name}");
            assert!(!follows || workload_kind(&platform, component) == WorkloadKind::Deployment);
            let pod = &workload["spec"]["template"]["spec"];
            for rule in ["affinity", "topologySpreadConstraints"] {
                assert_eq!(pod.get(rule).is_some(), scale.most() > 1, "{name} {rule}");
            }
            let selector = json!(labels::selector(&platform, Node::Component(component)));
            if let Some(budget) = budget {
                assert_eq!(budget["spec"]["selector"]["matchLabels"], selector);
            }
            let members = platform.members(component);
            let headless = get("Service", &format!("{name}-nodes"));
            assert_eq!(headless.is_some(), !members.is_empty(), "{name}");
            if let Some(headless) = headless {
                assert_eq!(headless["spec"]["clusterIP"], "None");
                assert_eq!(headless["spec"]["publishNotReadyAddresses"], true);
                assert_eq!(workload["spec"]["serviceName"], format!("{name}-nodes"));
                assert_eq!(members.len(), usize::try_from(scale.least()).unwrap());
            }
        }
    }
}

#[test]
fn high_availability_runs_everything_twice_that_can() {
    let (platform, _) = objects("high-availability");
    let single: Vec<_> = Component::ALL
        .into_iter()
        .filter(|component| platform.scale(*component).least() < 2)
        .collect();
    let expected = [
        Component::Postgres,
        Component::RagIngest,
        Component::RagServer,
    ];
    assert_eq!(single, expected);
    let mut lotoai = resource("high-availability");
    lotoai.spec.rag.vector_store.managed = Some(ManagedQdrant::default());
    let platform = validate(&lotoai, &provided(), &operator("minimal")).unwrap();
    assert_eq!(platform.scale(Component::Qdrant), Scale::Fixed(3));
    assert_eq!(platform.scale(Component::RagServer).least(), 2);
    assert_eq!(platform.scale(Component::RagServer).most(), 4);
}

/// The rule of a component's pods that keeps them apart: whether it must be kept, and by what label.
fn apart(lotoai: &LotoAI) -> BTreeMap<&'static str, (bool, String)> {
    let platform = validate(lotoai, &provided(), &operator("minimal")).unwrap();
    let set = build(&platform, &credentials(&platform));
    let several = |component: &Component| platform.scale(*component).most() > 1;
    let components = platform.topology.components().filter(several);
    components
        .map(|component| {
            let pod = template(&platform, &set, Node::Component(component))
                .spec
                .clone();
            let rule = pod.unwrap().affinity.unwrap().pod_anti_affinity.unwrap();
            let required = rule.required_during_scheduling_ignored_during_execution;
            let preferred = rule.preferred_during_scheduling_ignored_during_execution;
            let must = required.is_some();
            let preferred = preferred.unwrap_or_default().into_iter();
            let preferred = preferred.map(|weighted| weighted.pod_affinity_term);
            let terms: Vec<_> = required
                .unwrap_or_default()
                .into_iter()
                .chain(preferred)
                .collect();
            assert_eq!(terms.len(), 1, "{component}");
            let selector = labels::selector(&platform, Node::Component(component));
            let found = terms[0].label_selector.as_ref().unwrap();
            assert_eq!(found.match_labels.as_ref(), Some(&selector), "{component}");
            (component.name(), (must, terms[0].topology_key.clone()))
        })
        .collect()
}

#[test]
fn no_node_takes_two_servers_of_a_cluster_unless_that_is_allowed() {
    let mut lotoai = resource("high-availability");
    lotoai.spec.rag.vector_store.managed = Some(ManagedQdrant::default());
    let host = "kubernetes.io/hostname".to_owned();
    let required = apart(&lotoai);
    let clusters = ["clickhouse", "keycloak", "minio", "qdrant", "rabbitmq"];
    for (name, (must, key)) in &required {
        assert_eq!(*must, clusters.contains(name), "{name}");
        assert_eq!(*key, host, "{name}");
    }
    assert!(clusters.iter().all(|name| required.contains_key(name)));
    assert!(required.contains_key("gateway"));
    lotoai.spec.pods.spreading = Spreading::Preferred;
    assert!(
        apart(&lotoai)
            .values()
            .all(|rule| *rule == (false, host.clone()))
    );
}

#[test]
fn the_component_wins_by_key_and_the_operator_over_both() {
    let (platform, set) = objects("placement");
    let of = |component| template(&platform, &set, Node::Component(component));
    let gateway = of(Component::Gateway).metadata.clone().unwrap();
    let labels = gateway.labels.unwrap();
    assert_eq!(labels["team"], "web");
    assert_eq!(labels["example.com/cost-centre"], "4711");
    assert_eq!(labels[labels::NAME], "gateway");
    let annotations = gateway.annotations.unwrap();
    assert_eq!(annotations["example.com/owner"], "web");
    assert!(annotations.contains_key(labels::CONFIG_HASH));
    let pod = of(Component::ModelServer).spec.clone().unwrap();
    let selector = pod.node_selector.unwrap();
    assert_eq!(selector["pool"], "big");
    assert_eq!(selector["kubernetes.io/arch"], "amd64");
    let keys: Vec<_> = pod
        .tolerations
        .unwrap()
        .into_iter()
        .map(|t| t.key)
        .collect();
    assert_eq!(keys, [Some("dedicated".to_owned()), Some("big".to_owned())]);
    // A Job's pod is one of the platform's pods.
    let job = template(&platform, &set, Node::Provision(lotoai_api::Store::S3));
    let pod = job.spec.as_ref().unwrap();
    assert_eq!(pod.priority_class_name.as_deref(), Some("business"));
    assert_eq!(pod.node_selector.as_ref().unwrap()["pool"], "ai");
}

/// What is asked of one component's pods, each value with the component's name in it.
fn asked_of(component: Component) -> ComponentSettings {
    let name = component.name();
    let map = |key: &str| BTreeMap::from([(key.to_owned(), format!("of-{name}"))]);
    let value = |text: &str| Some(text.to_owned());
    ComponentSettings {
        resources: ComponentResources {
            requests: ResourceValues {
                cpu: value("123m"),
                memory: value("1234Mi"),
            },
            limits: ResourceValues {
                cpu: value("2345m"),
                memory: value("2345Mi"),
            },
        },
        node_selector: map("pool"),
        tolerations: vec![Toleration {
            key: Some(format!("taint-{name}")),
            operator: value("Exists"),
            ..Toleration::default()
        }],
        pod_labels: map("example.com/label"),
        pod_annotations: map("example.com/annotation"),
        ..ComponentSettings::default()
    }
}

#[rstest]
#[case::one_of_each("minimal", false)]
#[case::several_of_each("high-availability", false)]
#[case::with_qdrant("minimal", true)]
#[case::with_several_of_qdrant("high-availability", true)]
fn what_is_asked_of_a_component_reaches_its_pods_and_no_others(
    #[case] fixture: &str,
    #[case] with_qdrant: bool,
) {
    let mut lotoai = resource(fixture);
    if with_qdrant {
        lotoai.spec.rag.vector_store.managed = Some(ManagedQdrant::default());
    }
    let operator = operator(fixture);
    let platform = validate(&lotoai, &provided(), &operator).unwrap();
    let components: Vec<_> = platform.topology.components().collect();
    assert_eq!(components.contains(&Component::Qdrant), with_qdrant);
    for component in &components {
        let settings = asked_of(*component);
        let of = lotoai.spec.components.entry(component.name().to_owned());
        // How many there are stays as the fixture has it.
        assert!(matches!(of, Entry::Vacant(_)), "{component}");
        of.or_insert(settings);
    }
    let platform = validate(&lotoai, &provided(), &operator).unwrap();
    let set = build(&platform, &credentials(&platform));
    for component in components {
        let wanted = asked_of(component);
        let template = template(&platform, &set, Node::Component(component));
        let resources = json!(container(template).resources);
        assert_eq!(
            resources["requests"],
            json!(wanted.resources.requests),
            "{component}"
        );
        assert_eq!(
            resources["limits"],
            json!(wanted.resources.limits),
            "{component}"
        );
        let metadata = template.metadata.as_ref().unwrap();
        for (map, wanted) in [
            (&metadata.labels, &wanted.pod_labels),
            (&metadata.annotations, &wanted.pod_annotations),
        ] {
            let map = map.as_ref().unwrap();
            let kept = wanted
                .iter()
                .all(|(key, value)| map.get(key) == Some(value));
            assert!(kept, "{component}: {map:?}");
        }
        let pod = template.spec.as_ref().unwrap();
        assert_eq!(
            pod.node_selector.as_ref(),
            Some(&wanted.node_selector),
            "{component}"
        );
        assert_eq!(
            pod.tolerations.as_ref(),
            Some(&wanted.tolerations),
            "{component}"
        );
    }
    // Jobs are no component.
    for job in &set.jobs {
        let text = json!(job.spec.as_ref().unwrap().template).to_string();
        for part in ["of-", "taint-", "123m", "2345Mi"] {
            assert!(!text.contains(&format!("\"{part}")), "{part}: {text}");
        }
    }
}

#[test]
fn what_is_the_operators_own_is_never_overwritten() {
    let mut lotoai = resource("minimal");
    let labels = &mut lotoai.spec.pods.labels;
    labels.insert("app.kubernetes.io/name".to_owned(), "other".to_owned());
    let faults = validate(&lotoai, &provided(), &operator("minimal")).unwrap_err();
    assert_eq!(faults[0].field, "spec.pods.labels");
}

#[test]
fn engines_of_several_servers_know_each_other() {
    let (platform, set) = objects("high-availability");
    let secret = set
        .secrets
        .iter()
        .find(|secret| secret.metadata.name.as_deref() == Some("demo-rabbitmq-config"));
    let data = secret.unwrap().data.as_ref().unwrap();
    let conf = String::from_utf8(data["rabbitmq.conf"].0.clone()).unwrap();
    for member in platform.members(Component::Rabbitmq) {
        assert!(conf.contains(&format!("= rabbit@{member}\n")), "{conf}");
    }
    let of = |component| template(&platform, &set, Node::Component(component));
    let env = of(Component::Rabbitmq).spec.as_ref().unwrap().containers[0]
        .env
        .clone();
    let name = env
        .unwrap()
        .into_iter()
        .find(|v| v.name == "RABBITMQ_NODENAME");
    assert_eq!(
        name.unwrap().value.unwrap(),
        "rabbit@$(POD_NAME).demo-rabbitmq-nodes.ai"
    );
    assert!(variables(of(Component::Minio)).contains_key("MINIO_DNS_CACHE_TTL"));
    let minio = &of(Component::Minio).spec.as_ref().unwrap().containers[0];
    assert_eq!(
        minio.command.as_ref().unwrap()[3],
        "https://demo-minio-{0...3}.demo-minio-nodes.ai:9000/data"
    );
    assert!(variables(of(Component::Keycloak)).contains_key("KC_CACHE_STACK"));
    let (platform, set) = objects("minimal");
    let keycloak = template(&platform, &set, Node::Component(Component::Keycloak));
    assert!(!variables(keycloak).contains_key("KC_CACHE_STACK"));
    let minio = template(&platform, &set, Node::Component(Component::Minio));
    assert!(!variables(minio).contains_key("MINIO_DNS_CACHE_TTL"));
}

#[test]
fn peers_of_qdrant_know_the_first_one_and_prove_nothing_but_the_key() {
    let (platform, set) = objects("qdrant-cluster");
    let pod = template(&platform, &set, Node::Component(Component::Qdrant));
    let plain = |name: &str| {
        let env = super::container(pod).env.iter().flatten();
        let mut found = env.filter(|variable| variable.name == name);
        found.find_map(|variable| variable.value.clone())
    };
    assert_eq!(plain("QDRANT__CLUSTER__ENABLED").as_deref(), Some("true"));
    assert_eq!(
        plain("FIRST_PEER").as_deref(),
        Some("demo-qdrant-0.demo-qdrant-nodes.ai")
    );
    let (platform, set) = objects("qdrant");
    let pod = template(&platform, &set, Node::Component(Component::Qdrant));
    assert_eq!(
        super::container(pod).command,
        Some(vec!["./qdrant".to_owned()])
    );
    assert!(!variables(pod).contains_key("QDRANT__CLUSTER__ENABLED"));
}

#[test]
fn servers_of_clickhouse_agree_through_their_keepers() {
    let (platform, set) = objects("high-availability");
    let xml = |set: &lotoai_plan::ResourceSet<_>| {
        let map = set
            .config_maps
            .iter()
            .find(|map| map.metadata.name.as_deref() == Some("demo-clickhouse"));
        map.unwrap().data.as_ref().unwrap()["lotoai.xml"].clone()
    };
    let text = xml(&set);
    let members = platform.members(Component::Clickhouse);
    assert_eq!(members.len(), 3);
    for (number, member) in members.iter().enumerate() {
        // Its Keeper, the way there, and the replica.
        let host = format!("<host>{member}</host>");
        assert_eq!(text.matches(&host).count(), 2, "{text}");
        let keeper = format!("<id>1{number}</id>\n        <hostname>{member}</hostname>");
        assert_eq!(text.matches(&keeper).count(), 1, "{text}");
    }
    let pod = template(&platform, &set, Node::Component(Component::Clickhouse));
    let given: Vec<_> = super::container(pod).env.iter().flatten().collect();
    let own = given.iter().find(|v| v.name == "KEEPER_SERVER_ID").unwrap();
    assert_eq!(own.value.as_deref(), Some("1$(POD_INDEX)"));
    let analytics = template(&platform, &set, Node::Component(Component::Analytics));
    assert!(variables(analytics).contains_key("CLICKHOUSE_CLUSTER"));
    let (platform, set) = objects("minimal");
    assert!(!xml(&set).contains("keeper"));
    let analytics = template(&platform, &set, Node::Component(Component::Analytics));
    assert!(!variables(analytics).contains_key("CLICKHOUSE_CLUSTER"));
}

/// A cluster in which a store runs on so many volumes.
fn with_members(component: Component, replicas: i32, set: bool) -> Observed {
    let mut observed = provided();
    let name = format!("demo-{component}");
    if set {
        let service = match replicas {
            1 => name.clone(),
            _ => format!("{name}-nodes"),
        };
        let object = json!({ "spec": {
            "replicas": replicas, "serviceName": service, "selector": {}, "template": {},
        } });
        let object: StatefulSet = serde_json::from_value(object).unwrap();
        observed.stateful_sets.insert(name, object);
    } else {
        for number in 0..replicas {
            let claim = format!("data-{name}-{number}");
            let object = PersistentVolumeClaim::default();
            observed.claims.insert(claim, object);
        }
    }
    observed
}

#[rstest]
fn a_cluster_of_servers_keeps_its_number(
    #[values(Component::Rabbitmq, Component::Minio, Component::Clickhouse)] component: Component,
    #[values(true, false)] set: bool,
) {
    let several = if component == Component::Minio { 4 } else { 3 };
    for (fixture, there) in [("high-availability", 1), ("minimal", several)] {
        let observed = with_members(component, there, set);
        let faults = validate(&resource(fixture), &observed, &operator(fixture)).unwrap_err();
        assert_eq!(faults.len(), 1);
        assert_eq!(
            faults[0].field,
            format!("spec.components[{component}].replicas")
        );
        assert!(
            faults[0].message.contains(&format!("set it to {there}")),
            "{}",
            faults[0].message
        );
    }
    let observed = with_members(component, 1, set);
    assert!(validate(&resource("minimal"), &observed, &operator("minimal")).is_ok());
}

#[rstest]
fn a_number_that_somebody_altered_is_put_right(
    #[values(Component::Rabbitmq, Component::Minio, Component::Clickhouse)] component: Component,
    #[values(0, 2, 9)] replicas: i32,
) {
    let observed = with_members(component, replicas, true);
    let fixture = "high-availability";
    assert!(validate(&resource(fixture), &observed, &operator(fixture)).is_ok());
}

#[test]
fn volumes_that_are_still_being_made_are_no_fault() {
    let lotoai = resource("high-availability");
    let mut observed = with_members(Component::Minio, 4, true);
    observed.claims = with_members(Component::Minio, 2, false).claims;
    assert!(validate(&lotoai, &observed, &operator("minimal")).is_ok());
}
