//! The way in.

use serde_json::{Value, json};

use super::{Case, merge};

/// With a certificate that browsers trust, which some of the rules ask for.
fn traefik(rules: Value) -> Value {
    json!({ "edge": { "traefik": rules, "tls": { "secretName": "ai-example-com" } } })
}

/// Another way in than Traefik, from namespaces with this label.
fn other_edge(way: Value) -> Value {
    let mut edge = json!({ "fromNamespaces": { "leaf": "green" } });
    merge(&mut edge, way);
    json!({ "edge": edge })
}

fn issuer(extra: Value) -> Value {
    let mut issuer = json!({ "name": "leafy" });
    merge(&mut issuer, extra);
    json!({ "edge": { "tls": { "certManager": { "issuerRef": issuer } } } })
}

fn parent(extra: Value) -> Value {
    let mut parent = json!({ "name": "leafy" });
    merge(&mut parent, extra);
    other_edge(json!({ "gatewayAPI": { "parentRefs": [parent] } }))
}

pub(super) fn edge_cases() -> Vec<Case> {
    let ingress = json!({ "ingress": { "className": "leafy", "annotations": { "a/b": "fern" } } });
    let limit = json!({ "rateLimit": { "requestsPerSecond": 471, "burst": 972 } });
    let hsts =
        json!({ "securityHeaders": { "hstsSeconds": 86471, "hstsIncludeSubdomains": true } });
    vec![
        (
            "edge.maxUploadSize",
            json!({ "edge": { "maxUploadSize": "71Mi" } }),
            "74448896",
        ),
        (
            "edge.fromNamespaces{}",
            other_edge(ingress.clone()),
            r#""matchLabels":{"leaf":"green"}"#,
        ),
        (
            "edge.ingress.className",
            other_edge(ingress.clone()),
            r#""ingressClassName":"leafy""#,
        ),
        (
            "edge.ingress.annotations{}",
            other_edge(ingress),
            r#""a/b":"fern""#,
        ),
        (
            "edge.gatewayAPI.parentRefs[].name",
            parent(json!({})),
            r#""name":"leafy""#,
        ),
        (
            "edge.gatewayAPI.parentRefs[].namespace",
            parent(json!({ "namespace": "meadow" })),
            r#""namespace":"meadow""#,
        ),
        (
            "edge.gatewayAPI.parentRefs[].sectionName",
            parent(json!({ "sectionName": "https" })),
            r#""sectionName":"https""#,
        ),
        (
            "edge.tls.certManager.issuerRef.name",
            issuer(json!({})),
            r#""name":"leafy""#,
        ),
        (
            "edge.tls.certManager.issuerRef.kind",
            issuer(json!({ "kind": "ClusterIssuer" })),
            r#""kind":"ClusterIssuer""#,
        ),
        (
            "edge.tls.certManager.issuerRef.group",
            issuer(json!({ "group": "leaf.example.com" })),
            r#""group":"leaf.example.com""#,
        ),
        (
            "edge.traefik.rateLimit.requestsPerSecond",
            traefik(limit.clone()),
            "471",
        ),
        ("edge.traefik.rateLimit.burst", traefik(limit), "972"),
        (
            "edge.traefik.allowedCIDRs[]",
            traefik(json!({ "allowedCIDRs": ["192.0.2.0/24"] })),
            "192.0.2.0/24",
        ),
        (
            "edge.traefik.securityHeaders.hstsSeconds",
            traefik(hsts.clone()),
            "86471",
        ),
        (
            "edge.traefik.securityHeaders.hstsIncludeSubdomains",
            traefik(hsts),
            "stsIncludeSubdomains",
        ),
    ]
}
