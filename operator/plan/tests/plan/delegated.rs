//! Stores that another operator runs: what it is asked for, what is waited for, what is said.

use crate::cluster::Cluster as World;
use crate::common::{credentials, objects, operator, provided, resource};
use lotoai_api::{LotoAI, LotoAIStatus, Mode, reasons};
use lotoai_plan::kinds::Cluster;
use lotoai_plan::validate::referenced_secrets;
use lotoai_plan::{Gate, Node, ObjectId, ProbeOutcome, build, gates, labels, validate};
use rstest::rstest;
use serde_json::{Value, json};

const FIXTURE: &str = "delegated-postgres";
const NOW: &str = "2026-11-22T10:00:00Z";
const JOB: Node = Node::Provision(lotoai_api::Store::Postgres);

/// A cluster of which its operator says this.
fn cluster(status: &Value) -> Cluster {
    serde_json::from_value(json!({
        "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster",
        "metadata": { "name": "demo-postgres", "uid": "c" },
        "spec": {},
        "status": status,
    }))
    .unwrap()
}

fn healthy(instances: i32) -> Value {
    json!({
        "instances": instances, "readyInstances": instances,
        "phase": "Cluster in healthy state",
        "conditions": [{ "type": "Ready", "status": "True", "reason": "ClusterIsReady",
                         "message": "Cluster is Ready" }],
    })
}

fn setting_up() -> Value {
    json!({
        "phase": "Setting up primary", "phaseReason": "Creating primary instance demo-postgres-1",
        "conditions": [{ "type": "Ready", "status": "False", "message": "Cluster Is Not Ready" }],
    })
}

/// A platform whose cluster is in this state.
fn world(status: &Value) -> World {
    let mut world = World::of(FIXTURE);
    let name = "demo-postgres".to_owned();
    world.observed.clusters.insert(name, cluster(status));
    world
}

fn gate(world: &World, node: Node) -> Gate {
    gates(&world.platform, &world.set, &world.observed)
        .gate(node)
        .clone()
}

fn status(world: &World) -> LotoAIStatus {
    world.status(&resource(FIXTURE), &ProbeOutcome::Pending, NOW)
}

#[test]
fn the_object_says_what_the_resource_asks_for() {
    let spec = |fixture| objects(fixture).1.clusters[0].spec.clone();
    let demo = spec(FIXTURE);
    assert_eq!(demo["instances"], 1);
    assert_eq!(demo["enableSuperuserAccess"], true);
    assert_eq!(
        demo["imageName"],
        "ghcr.io/cloudnative-pg/postgresql:18.6-system-trixie"
    );
    assert_eq!(demo["storage"], json!({ "size": "5Gi" }));
    let absent = ["inheritedMetadata", "imagePullSecrets"];
    assert!(absent.iter().all(|key| demo.get(key).is_none()), "{demo}");
    // Or nobody could empty the node of the only server.
    assert_eq!(demo["enablePDB"], false);
    assert!(demo["postgresql"].get("synchronous").is_none(), "{demo}");
    // Clients that hold connections do not leave by themselves.
    assert_eq!(demo["smartShutdownTimeout"], 0);

    let large = spec("delegated-postgres-ha");
    assert_eq!(large["instances"], 3);
    assert!(large.get("enablePDB").is_none(), "{large}");
    assert_eq!(
        large["postgresql"]["synchronous"],
        json!({ "method": "any", "number": 1, "dataDurability": "preferred" })
    );
    // What is not ready is not waited for.
    assert_eq!(large["probes"]["readiness"]["type"], "streaming");
    assert_eq!(
        large["imageName"],
        "registry.corp:5000/mirror/cloudnative-pg/postgresql:18.6-system-trixie"
    );
    assert_eq!(
        large["storage"],
        json!({ "size": "50Gi", "storageClass": "fast" })
    );
    assert_eq!(large["affinity"]["nodeSelector"]["disk"], "ssd");
    assert_eq!(large["affinity"]["podAntiAffinityType"], "required");
    assert_eq!(large["inheritedMetadata"]["labels"]["tier"], "data");
    let spread = &large["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"];
    assert_eq!(*spread, json!({ "cnpg.io/cluster": "demo-postgres" }));
    // Never above the memory request, or the operator refuses the object.
    let parameters = &large["postgresql"]["parameters"];
    assert_eq!(parameters["shared_buffers"], "512MB");
    // As many as all pods of its clients may hold.
    assert_eq!(parameters["max_connections"], "170");
}

#[test]
fn a_server_that_gets_company_is_not_restarted() {
    let pods = |instances: i32| {
        let mut object = serde_json::to_value(resource(FIXTURE)).unwrap();
        object["spec"]["data"]["postgres"]["delegated"]["instances"] = json!(instances);
        let resource: LotoAI = serde_json::from_value(object).unwrap();
        let platform = validate(&resource, &provided(), &operator(FIXTURE)).unwrap();
        let set = build(&platform, &credentials(&platform));
        let mut spec = set.clusters[0].spec.clone();
        assert_eq!(spec["instances"], instances);
        // Servers take these as they run.
        for (of, field) in [
            ("", "instances"),
            ("", "enablePDB"),
            ("/postgresql", "synchronous"),
        ] {
            let place = spec.pointer_mut(of).and_then(Value::as_object_mut);
            place.unwrap().remove(field);
        }
        spec
    };
    assert_eq!(pods(1), pods(3));
}

#[test]
fn the_object_outlives_the_resource_unless_data_is_to_be_deleted() {
    let owners = |fixture| {
        let cluster = objects(fixture).1.clusters.remove(0);
        let labels = cluster.metadata.labels.unwrap();
        assert!(labels.contains_key(labels::DATA));
        cluster.metadata.owner_references.is_some()
    };
    assert!(!owners(FIXTURE));
    assert!(owners("delegated-postgres-ha"));
}

#[test]
fn the_pods_of_the_other_operator_are_not_taken_for_ours() {
    // The policy that denies everything selects these labels.
    let (platform, set) = objects("delegated-postgres-ha");
    let inherited = &set.clusters[0].spec["inheritedMetadata"]["labels"];
    for key in labels::platform(&platform).keys() {
        assert!(inherited.get(key).is_none(), "{key}");
    }
}

#[test]
fn nobody_who_needs_the_store_starts_before_its_operator_says_that_it_is_ready() {
    let world_of = |status: Value| world(&status);
    let waits = |world: &World| match gate(world, JOB) {
        Gate::Open => String::new(),
        Gate::Closed { message } => message,
    };
    assert_eq!(
        waits(&World::of(FIXTURE)),
        "waits for postgres (CloudNativePG: it is not asked yet)"
    );
    assert!(waits(&world_of(Value::Null)).contains("does it run, and does it watch"));
    assert_eq!(
        waits(&world_of(setting_up())),
        "waits for postgres (CloudNativePG: Setting up primary: Creating primary instance \
         demo-postgres-1)"
    );
    let waiting = json!({
        "phase": "Waiting for the instances to become active",
        "phaseReason": "Some instances are not yet active. Please wait.",
    });
    assert_eq!(
        waits(&world_of(waiting)),
        "waits for postgres (CloudNativePG: Waiting for the instances to become active: Some \
         instances are not yet active. Please wait)"
    );
    assert_eq!(waits(&world_of(healthy(1))), "");
    // The object itself waits for nothing.
    let fresh = World::of(FIXTURE);
    let gates = gates(&fresh.platform, &fresh.set, &fresh.observed);
    let id = ObjectId {
        kind: "Cluster".to_owned(),
        name: "demo-postgres".to_owned(),
    };
    assert_eq!(gates.held(&id), None);
}

#[rstest]
#[case("demo-postgres-superuser", "key username")]
#[case("demo-postgres-ca", "key ca.crt")]
fn a_secret_that_is_not_made_yet_is_waited_for_and_is_no_fault(
    #[case] secret: &str,
    #[case] key: &str,
) {
    let mut observed = provided();
    observed.secrets.remove(secret);
    validate(&resource(FIXTURE), &observed, &operator(FIXTURE)).unwrap();
    let mut world = world(&healthy(1));
    world.observed.secrets.remove(secret);
    let Gate::Closed { message } = gate(&world, JOB) else {
        panic!("the Job starts without {secret}");
    };
    assert!(
        message.contains(secret) && message.contains(key),
        "{message}"
    );
    let status = status(&world);
    assert_eq!(
        status.condition("Ready").unwrap().reason,
        reasons::STORE_NOT_READY
    );
    assert!(status.condition("Stalled").is_none());
}

#[test]
fn its_secrets_are_read_and_watched() {
    let names = referenced_secrets("demo", &resource(FIXTURE).spec);
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    assert_eq!(names, ["demo-postgres-ca", "demo-postgres-superuser"]);
}

#[test]
fn the_status_tells_its_operators_own_words() {
    let status = status(&world(&setting_up()));
    let ready = status.condition("Ready").unwrap();
    assert_eq!(ready.reason, reasons::STORE_NOT_READY);
    assert_eq!(
        ready.message.split(" (").next().unwrap(),
        "postgres: Cluster demo-postgres of CloudNativePG: Setting up primary: Creating primary \
         instance demo-postgres-1; see  kubectl -n ai describe clusters.postgresql.cnpg.io \
         demo-postgres"
    );
    assert!(status.condition("Stalled").is_none());
    let shown = &status.components[0];
    assert_eq!((shown.mode, shown.ready.as_str()), (Mode::Delegated, "0/1"));
    assert_eq!(shown.version, "18.6-system-trixie");
    assert_eq!(shown.endpoint, "demo-postgres-rw.ai.svc:5432");
    // It is counted and waited for, as one of our own.
    assert_eq!(status.components_ready.as_deref(), Some("0/14"));
}

#[rstest]
#[case("Cluster is unrecoverable and needs manual intervention", true)]
#[case("Not enough disk space", true)]
#[case("Cluster has incomplete or invalid image catalog", true)]
#[case(
    "Cluster cannot execute instance online upgrade due to missing architecture binary",
    true
)]
#[case("Waiting for the instances to become active", false)]
#[case("Failing over", false)]
fn what_a_person_must_end_stalls(#[case] phase: &str, #[case] needs_a_person: bool) {
    let stuck = json!({
        "phase": phase,
        "conditions": [{ "type": "Ready", "status": "False" }],
    });
    let status = status(&world(&stuck));
    let stalled = status.condition("Stalled").map(|c| c.reason.as_str());
    assert_eq!(stalled, needs_a_person.then_some(reasons::STORE_NOT_READY));
}

#[test]
fn a_platform_that_runs_stays_ready_while_a_server_serves() {
    let mut world = World::up_of(FIXTURE);
    let mut lotoai = resource(FIXTURE);
    lotoai.status = Some(world.status(&lotoai, &ProbeOutcome::Answered, NOW));
    let is = |status: &LotoAIStatus, type_| status.condition(type_).map(|c| c.status == "True");
    assert_eq!(is(lotoai.status.as_ref().unwrap(), "Ready"), Some(true));
    let mut upgrading = healthy(1);
    upgrading["phase"] = "Upgrading cluster".into();
    upgrading["conditions"][0]["status"] = "False".into();
    for (ready, degraded) in [(1, None), (0, Some(true))] {
        upgrading["readyInstances"] = ready.into();
        let name = "demo-postgres".to_owned();
        world.observed.clusters.insert(name, cluster(&upgrading));
        let status = world.status(&lotoai, &ProbeOutcome::Answered, NOW);
        assert_eq!(is(&status, "Ready"), Some(true));
        assert_eq!(is(&status, "Degraded"), degraded);
        assert_eq!(status.components[0].ready, format!("{ready}/1"));
    }
}

#[test]
fn a_cluster_without_the_kind_is_told_and_nothing_is_run_instead() {
    let mut observed = provided();
    observed.missing_kinds.insert("Cluster".to_owned());
    let faults = validate(&resource(FIXTURE), &observed, &operator(FIXTURE)).unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].field, "spec.data.postgres.delegated");
    assert_eq!(faults[0].reason, reasons::DEPENDENCY_MISSING);
    assert!(faults[0].message.contains("install CloudNativePG"));
    // Others do not miss it.
    validate(&resource("minimal"), &observed, &operator("minimal")).unwrap();
}

#[test]
fn how_many_servers_there_are_is_said_in_one_place() {
    let mut lotoai = resource(FIXTURE);
    let settings = serde_json::from_value(json!({ "replicas": 1 })).unwrap();
    lotoai
        .spec
        .components
        .insert("postgres".to_owned(), settings);
    let faults = validate(&lotoai, &provided(), &operator(FIXTURE)).unwrap_err();
    assert_eq!(faults[0].field, "spec.components[postgres].replicas");
    assert!(
        faults[0]
            .message
            .contains("write spec.data.postgres.delegated.instances")
    );
}

#[test]
fn another_cluster_is_provisioned_again() {
    let name = |uid: &str| {
        let mut observed = provided();
        let mut cluster = cluster(&healthy(1));
        cluster.metadata.uid = Some(uid.to_owned());
        observed
            .clusters
            .insert("demo-postgres".to_owned(), cluster);
        let platform = validate(&resource(FIXTURE), &observed, &operator(FIXTURE)).unwrap();
        let set = build(&platform, &credentials(&platform));
        let jobs = ["provision-postgres", "provision-keycloak", "provision-s3"];
        jobs.map(|job| set.job_name(job).unwrap().to_owned())
    };
    let (one, other) = (name("a"), name("b"));
    assert_ne!(one[0], other[0]);
    // Keycloak's realm lies there too.
    assert_ne!(one[1], other[1]);
    assert_eq!(one[2], other[2]);
}
