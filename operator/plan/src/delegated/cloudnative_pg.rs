//! PostgreSQL run by CloudNativePG, as its version 1.30 does it: what its source says stands beside
//! each fact.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PodSpec, PodTemplateSpec, TopologySpreadConstraint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use lotoai_api::Component;
use lotoai_api::spec::{DelegatedPostgres, Profile, Spreading};
use serde_json::{Value, json};
use url::Url;

use super::{Delegated, Operator, State, Wait};
use crate::components::postgres::Sizes;
use crate::components::shared::authorities;
use crate::components::shared::placement::{HOST, ZONE, place};
use crate::components::shared::resources::{memory_request_mib, requirements};
use crate::credentials::{PASSWORD, USERNAME};
use crate::graph::{External, Node};
use crate::kinds::{Cluster, ClusterStatus};
use crate::labels;
use crate::observed::Observed;
use crate::platform::Platform;
use crate::profile;

pub(super) const KIND: &str = "Cluster";
pub(super) const RESOURCE: &str = "clusters.postgresql.cnpg.io";

/// Label of all pods of a cluster (`docs/src/labels_annotations.md`).
const CLUSTER_LABEL: &str = "cnpg.io/cluster";
const NODE: Node = Node::Component(Component::Postgres);

/// Phases that a person must end (`api/v1/cluster_types.go`; the full disk is a phase of
/// `internal/controller/cluster_controller.go` alone).
const STUCK: [&str; 7] = [
    "Cluster cannot execute instance online upgrade due to missing architecture binary",
    "Cluster has incomplete or invalid image catalog",
    "Cluster is unrecoverable and needs manual intervention",
    "Invalid cluster definition",
    "Not enough disk space",
    "Unable to create required cluster objects",
    "Waiting for user action",
];

/// Where everything is.
///
/// Service `<cluster>-rw` leads to the server that takes writes, and the certificate that the
/// operator signs names it without a namespace too (`GetClusterAltDNSNames`); its authority is key
/// `ca.crt` of Secret `<cluster>-ca` (`docs/src/certificates.md`). With superuser access Secret
/// `<cluster>-superuser` holds `username` and `password` (`pkg/specs/secrets.go`).
pub(super) fn store(
    profile: Profile,
    asked: &DelegatedPostgres,
    platform: &str,
) -> Option<External> {
    let object = format!("{platform}-{}", Component::Postgres);
    // Fails only for a platform's name that is refused anyway.
    let url = Url::parse(&format!("postgres://{object}-rw:5432?sslmode=verify-full")).ok()?;
    let (superuser, authority) = (format!("{object}-superuser"), format!("{object}-ca"));
    Some(External {
        delegated: Some(Delegated {
            operator: Operator::CloudNativePg,
            field: "spec.data.postgres.delegated",
            instances: asked
                .instances
                .unwrap_or(profile::delegated_instances(profile)),
            storage: asked.storage.clone(),
            pods: BTreeMap::from([(CLUSTER_LABEL.to_owned(), object.clone())]),
            secrets: vec![
                (superuser.clone(), USERNAME),
                (superuser.clone(), PASSWORD),
                (authority.clone(), authorities::KEY),
            ],
            object,
        }),
        ..External::new(url, superuser, Some(authority))
    })
}

/// Annotation that lets a cluster rest with its volumes kept, and type of the condition that says
/// so (`docs/src/declarative_hibernation.md`).
const HIBERNATION: &str = "cnpg.io/hibernation";

/// Whether the cluster rests.
pub(super) fn sleeps(cluster: &Cluster) -> bool {
    let status = cluster.status.iter();
    status
        .flat_map(|status| &status.conditions)
        .any(|found| found.type_ == HIBERNATION && found.status == "True")
}

/// What the operator says. Condition `Ready` is true in phase "Cluster in healthy state" alone
/// (`pkg/resources/status/transactions.go`); a primary may serve before and after.
pub(super) fn state(delegated: &Delegated, observed: &Observed) -> State {
    let Some(cluster) = observed.clusters.get(&delegated.object) else {
        return State {
            ready: 0,
            wait: Some(Wait::new("it is not asked yet")),
        };
    };
    let Some(status) = cluster.status.as_ref().filter(|s| !s.phase.is_empty()) else {
        let silent = "it has said nothing yet; does it run, and does it watch this namespace?";
        return State {
            ready: 0,
            wait: Some(Wait::new(silent)),
        };
    };
    if sleeps(cluster) {
        return State {
            ready: 0,
            wait: Some(Wait::new("it hibernates")),
        };
    }
    State {
        ready: status.ready_instances,
        wait: wait(delegated, status),
    }
}

fn wait(delegated: &Delegated, status: &ClusterStatus) -> Option<Wait> {
    let mut conditions = status.conditions.iter();
    let ready = conditions.any(|found| found.type_ == "Ready" && found.status == "True");
    if !ready {
        // Some are sentences; what follows here goes on.
        let message = match status.phase_reason.trim_end_matches(['.', ' ']) {
            "" => status.phase.clone(),
            reason => format!("{}: {reason}", status.phase),
        };
        return Some(Wait {
            message,
            needs_a_person: STUCK.contains(&status.phase.as_str()),
        });
    }
    // It has not looked at a changed number yet.
    (status.ready_instances < delegated.instances).then(|| {
        Wait::new(format!(
            "{}/{} instances ready",
            status.ready_instances, delegated.instances
        ))
    })
}

/// The cluster. It owns its volumes (`pkg/reconciler/persistentvolumeclaim/build.go`), so with
/// deletion policy `Retain` it has no owner and outlives the resource, as credentials do.
pub(super) fn build(platform: &Platform, delegated: &Delegated) -> Cluster {
    let mut metadata = platform.metadata(delegated.object.clone(), NODE);
    metadata
        .labels
        .get_or_insert_default()
        .insert(labels::DATA.to_owned(), "true".to_owned());
    platform.retain(&mut metadata);
    if platform.spec.suspend {
        metadata
            .annotations
            .get_or_insert_default()
            .insert(HIBERNATION.to_owned(), "on".to_owned());
    }

    let mut template = PodTemplateSpec {
        spec: Some(PodSpec::default()),
        ..PodTemplateSpec::default()
    };
    place(platform, NODE, &mut template);
    let pod = template.spec.unwrap_or_default();
    let inherited = template.metadata.unwrap_or_default();
    let images = &platform.spec.images;
    let several = delegated.instances > 1;
    // As of several servers also where there is one: another template would restart it, alone, when it
    // gets company.
    let spreading = match platform.spec.pods.spreading {
        Spreading::Required => "required",
        Spreading::Preferred => "preferred",
    };
    let mut spec = json!({
        "imageName": platform.image(NODE),
        "imagePullPolicy": platform.pull_policy.as_str(),
        "instances": delegated.instances,
        // The provision Job makes roles and databases with it.
        "enableSuperuserAccess": true,
        // It would wait so long for clients to leave by themselves, and let none in meanwhile. Ours hold
        // connections for as long as they live.
        "smartShutdownTimeout": 0,
        // A standby server that only runs would be waited for at every commit.
        "probes": { "readiness": { "type": "streaming" } },
        "storage": { "size": delegated.storage.size },
        "resources": requirements(platform, NODE),
        "affinity": {
            "enablePodAntiAffinity": true,
            "podAntiAffinityType": spreading,
            "topologyKey": HOST,
        },
        "topologySpreadConstraints": [over_zones(delegated)],
        "postgresql": { "parameters": parameters(platform) },
    });
    // Its budget of one server would nail that server to its node, unless a maintenance window is
    // declared (`internal/controller/cluster_create.go`).
    let budget = (!several).then_some(false);
    // What was told to be stored is on another server too, or a failover would lose it. While there is
    // none, the primary goes on by itself.
    let synchronous =
        several.then(|| json!({ "method": "any", "number": 1, "dataDurability": "preferred" }));
    for (path, value) in [
        ("/postgresql/synchronous", json!(synchronous)),
        ("/enablePDB", json!(budget)),
        (
            "/storage/storageClass",
            json!(delegated.storage.storage_class_name),
        ),
        ("/affinity/nodeSelector", json!(pod.node_selector)),
        ("/affinity/tolerations", json!(pod.tolerations)),
        ("/priorityClassName", json!(pod.priority_class_name)),
        ("/inheritedMetadata/labels", json!(inherited.labels)),
        (
            "/inheritedMetadata/annotations",
            json!(inherited.annotations),
        ),
        ("/imagePullSecrets", json!(images.pull_secrets)),
    ] {
        insert(&mut spec, path, value);
    }
    Cluster::new(metadata, spec)
}

/// Puts a value that is there at its place.
fn insert(spec: &mut Value, path: &str, value: Value) {
    if value.is_null() || value.as_array().is_some_and(Vec::is_empty) {
        return;
    }
    let mut place = spec;
    for key in path.split('/').skip(1) {
        place = &mut place[key];
    }
    *place = value;
}

/// As the operator's own PostgreSQL is set. CloudNativePG refuses buffers that are larger than the
/// memory request (`internal/webhook/v1/cluster_webhook.go`).
fn parameters(platform: &Platform) -> Value {
    let sizes = Sizes::of(platform);
    let request = memory_request_mib(platform, Component::Postgres);
    json!({
        "max_connections": sizes.connections.to_string(),
        "shared_buffers": format!("{}MB", sizes.buffers.min(request)),
        "work_mem": "4MB",
        "maintenance_work_mem": format!("{}MB", sizes.maintenance),
    })
}

fn over_zones(delegated: &Delegated) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        label_selector: Some(LabelSelector {
            match_labels: Some(delegated.pods.clone()),
            ..LabelSelector::default()
        }),
        max_skew: 1,
        topology_key: ZONE.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        ..TopologySpreadConstraint::default()
    }
}
