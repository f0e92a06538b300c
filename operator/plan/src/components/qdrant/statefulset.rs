//! StatefulSet of qdrant.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Container, EnvVar};
use lotoai_api::Component;

use crate::components::shared::authorities;
use crate::components::shared::config::{empty_dir, mount};
use crate::components::shared::pod::{container, https_probe, set_probes, template};
use crate::components::shared::workload::{self, DATA};
use crate::credentials::API_KEY;
use crate::env::{field_var, is_made_anew, secret_var, var};
use crate::graph::Node;
use crate::platform::Platform;
use crate::rotation::STANDBY_API_KEY;
use crate::tls;

const UID: i64 = 1000;
/// Port of health and metrics; no Service exposes it.
const HTTP_PORT: u16 = 6333;
/// It reads all segments before it answers.
const START_SECONDS: i32 = 300;

/// The first peer founds the cluster and the others ask it to let them in; whoever is in has that
/// written on its volume, and then neither matters.
const START_PEER: &str = "\
case \"$POD_NAME\" in
  *-0) exec ./qdrant --uri \"https://$POD_NAME.$PEER_DOMAIN:6335\" ;;
  *) exec ./qdrant --uri \"https://$POD_NAME.$PEER_DOMAIN:6335\" --bootstrap \"https://$FIRST_PEER:6335\" ;;
esac
";

pub(super) fn build(platform: &Platform) -> StatefulSet {
    let node = Node::Component(Component::Qdrant);
    let members = platform.members(Component::Qdrant);
    let command = match members.first() {
        None => vec!["./qdrant".to_owned()],
        Some(_) => vec!["sh".to_owned(), "-c".to_owned(), START_PEER.to_owned()],
    };
    let mut environment = environment(platform);
    if let Some(first) = members.first() {
        environment.extend([
            var("QDRANT__CLUSTER__ENABLED", "true"),
            var("QDRANT__CLUSTER__P2P__PORT", "6335"),
            var("QDRANT__CLUSTER__P2P__ENABLE_TLS", "true"),
            field_var("POD_NAME", "metadata.name"),
            var("PEER_DOMAIN", platform.member_domain(Component::Qdrant)),
            var("FIRST_PEER", first),
        ]);
    }
    let mut volumes = vec![empty_dir("snapshots", "4Gi"), empty_dir("tmp", "256Mi")];
    let mut mounts = vec![
        mount(DATA, "/qdrant/storage"),
        mount("snapshots", "/qdrant/snapshots"),
        mount("tmp", "/tmp"),
    ];
    let own = authorities::certificate(platform, Component::Qdrant);
    for (volume, mount) in [own, authorities::of_the_platform(platform)] {
        volumes.push(volume);
        mounts.push(mount);
    }
    let mut container = Container {
        command: Some(command),
        env: Some(environment),
        volume_mounts: Some(mounts),
        ..container(platform, node)
    };
    // These two need no key.
    let live = https_probe("/livez", HTTP_PORT);
    let ready = https_probe("/readyz", HTTP_PORT);
    set_probes(&mut container, &live, &ready, START_SECONDS);
    let template = template(platform, node, UID, container, volumes);
    let vectors = &platform.spec.rag.vector_store;
    let storage = vectors.managed.clone().unwrap_or_default().storage;
    workload::stateful_set(platform, Component::Qdrant, template, Some(&storage))
}

fn environment(platform: &Platform) -> Vec<EnvVar> {
    let rag_server = Node::Component(Component::RagServer);
    let key = platform.edge_secret(rag_server, Component::Qdrant);
    // Both are taken. Peers show the first to each other.
    let standby = is_made_anew(platform, &key)
        .then(|| secret_var("QDRANT__SERVICE__ALT_API_KEY", &key, STANDBY_API_KEY));
    let mut environment = vec![
        secret_var("QDRANT__SERVICE__API_KEY", &key, API_KEY),
        var("QDRANT__SERVICE__ENABLE_TLS", "true"),
        var("QDRANT__TLS__CERT", tls::certificate_file()),
        var("QDRANT__TLS__KEY", tls::key_file()),
        // Whom peers trust when they call each other.
        var("QDRANT__TLS__CA_CERT", tls::bundle_file()),
        // Nobody comes from a browser.
        var("QDRANT__SERVICE__ENABLE_CORS", "false"),
        var("QDRANT__STORAGE__STORAGE_PATH", "/qdrant/storage"),
        var("QDRANT__STORAGE__SNAPSHOTS_PATH", "/qdrant/snapshots"),
        // Or it would write a mark into its own directory, which is read-only.
        var("QDRANT_INIT_FILE_PATH", "/tmp/initialized"),
        var("QDRANT__TELEMETRY_DISABLED", "true"),
        var("QDRANT__LOG_LEVEL", "WARN"),
    ];
    environment.extend(standby);
    environment
}
