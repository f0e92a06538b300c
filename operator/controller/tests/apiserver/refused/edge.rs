//! Ways in and certificates.

use serde_json::{Value, json};

use super::Broken;

fn edge(edge: Value) -> Value {
    json!({ "edge": edge })
}

pub(super) fn broken() -> Vec<Broken> {
    let ingress = json!({ "className": "nginx" });
    let from = json!({ "kubernetes.io/metadata.name": "infra" });
    vec![
        (
            "a node port without NodePort",
            edge(json!({ "service": { "httpsNodePort": 30443 } })),
            "needs edge.service.type NodePort",
        ),
        (
            "a node port out of range",
            edge(json!({ "service": { "type": "NodePort", "httpsNodePort": 29999 } })),
            "greater than or equal to 30000",
        ),
        (
            "a type of Service",
            edge(json!({ "service": { "type": "ExternalName" } })),
            "supported values: \"ClusterIP\"",
        ),
        (
            "two ways in",
            edge(json!({ "traefik": {}, "ingress": ingress, "fromNamespaces": from })),
            "exclude one another",
        ),
        (
            "an Ingress that nobody may use",
            edge(json!({ "ingress": ingress })),
            "edge.fromNamespaces goes with",
        ),
        (
            "namespaces without a way in",
            edge(json!({ "fromNamespaces": from })),
            "edge.fromNamespaces goes with",
        ),
        (
            "a Service that is replaced",
            edge(
                json!({ "ingress": ingress, "fromNamespaces": from, "service": { "type": "LoadBalancer" } }),
            ),
            "remove edge.service",
        ),
        (
            "no Gateway",
            edge(json!({ "gatewayAPI": { "parentRefs": [] }, "fromNamespaces": from })),
            "should have at least 1 items",
        ),
        (
            "a Gateway's name from a template",
            edge(
                json!({ "gatewayAPI": { "parentRefs": [{ "name": "$(gateway)" }] }, "fromNamespaces": from }),
            ),
            "parentRefs[0].name",
        ),
        (
            "a Gateway's namespace with a dot",
            edge(
                json!({ "gatewayAPI": { "parentRefs": [{ "name": "a", "namespace": "a.b" }] }, "fromNamespaces": from }),
            ),
            "parentRefs[0].namespace",
        ),
        (
            "an Ingress without class",
            edge(json!({ "ingress": {}, "fromNamespaces": from })),
            "className: Required value",
        ),
        (
            "two certificates",
            edge(
                json!({ "tls": { "secretName": "a", "certManager": { "issuerRef": { "name": "b" } } } }),
            ),
            "takes one of secretName and certManager",
        ),
        (
            "a certificate of another namespace",
            edge(json!({ "tls": { "secretName": "other/tls" } })),
            "spec.edge.tls.secretName",
        ),
        (
            "an authority of another namespace",
            json!({ "tls": { "authoritySecretName": "other/ca" } }),
            "spec.tls.authoritySecretName",
        ),
        (
            "HSTS with nobody's certificate",
            edge(json!({ "traefik": { "securityHeaders": { "hstsSeconds": 60 } } })),
            "needs a certificate that browsers trust",
        ),
        (
            "HSTS for ever",
            edge(json!({ "traefik": { "securityHeaders": { "hstsSeconds": 63_072_001 } } })),
            "less than or equal to",
        ),
        (
            "no requests at all",
            edge(json!({ "traefik": { "rateLimit": { "requestsPerSecond": 0 } } })),
            "requestsPerSecond",
        ),
        (
            "a burst that is too small",
            edge(json!({ "traefik": { "rateLimit": { "burst": 9 } } })),
            "burst",
        ),
        (
            "an upload in gibibytes",
            edge(json!({ "maxUploadSize": "1Gi" })),
            "spec.edge.maxUploadSize",
        ),
    ]
}
