//! Ways in through a controller of the cluster.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::networking::v1::Ingress;
use serde_json::json;

use crate::world::{Answering, World};

#[tokio::test]
async fn a_kind_that_the_cluster_lacks_is_a_condition_and_an_ingress_is_the_way_out() {
    let spec = json!({
        "url": "https://lotoai.localhost",
        "edge": {
            "gatewayAPI": { "parentRefs": [{ "name": "public" }] },
            "fromNamespaces": { "kubernetes.io/metadata.name": "infra" },
        },
    });
    let Some(world) = World::new("missing-kind", &spec, Answering).await else {
        return;
    };
    world.pass().await.unwrap_err();
    let (_, reason, message) = world.condition("Stalled").await;
    assert_eq!(reason, "DependencyMissing");
    assert!(
        message.contains("the cluster has no HTTPRoute kind: install the Gateway API CRDs"),
        "{message}"
    );

    world
        .change(&json!({ "edge": { "gatewayAPI": null, "ingress": { "className": "nginx" } } }))
        .await;
    world.settle().await;
    let ingress = world.api::<Ingress>().get("demo-edge").await.unwrap();
    let class = ingress.spec.unwrap().ingress_class_name;
    assert_eq!(class.as_deref(), Some("nginx"));
    let deployments = world.api::<Deployment>();
    let traefik = deployments.get_opt("demo-traefik").await.unwrap();
    assert!(traefik.is_none());

    // And back: the Ingress goes, the proxy comes.
    world
        .change(&json!({ "edge": { "ingress": null, "fromNamespaces": null } }))
        .await;
    world.settle().await;
    let ingresses = world.api::<Ingress>();
    assert!(ingresses.get_opt("demo-edge").await.unwrap().is_none());
    assert!(deployments.get_opt("demo-traefik").await.unwrap().is_some());
}
