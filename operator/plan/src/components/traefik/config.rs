//! Static and dynamic configuration of Traefik. A change restarts its pods.

use k8s_openapi::api::core::v1::ConfigMap;
use lotoai_api::Component;
use serde_json::{Value, json};

use crate::components::shared::config::config_map;
use crate::env::{REALM, address};
use crate::graph::Node;
use crate::platform::Platform;

/// Seconds in which a request must have arrived: an upload over a slow line takes long.
const READ_TIMEOUT: &str = "600s";
/// A year.
const STS_SECONDS: u32 = 31_536_000;

pub(super) fn build(platform: &Platform) -> ConfigMap {
    // Serialising JSON values as YAML cannot fail.
    let yaml = |value: &Value| serde_yaml_ng::to_string(value).unwrap_or_default();
    let files = [
        ("dynamic.yaml", yaml(&dynamic(platform))),
        ("traefik.yaml", yaml(&fixed())),
    ];
    config_map(platform, Node::Component(Component::Traefik), &files)
}

/// Access logs stay off: addresses may carry what people typed.
fn fixed() -> Value {
    json!({
        "global": { "checkNewVersion": false, "sendAnonymousUsage": false },
        "log": { "level": "INFO", "format": "json" },
        "entryPoints": {
            "web": { "address": ":8000" },
            "websecure": {
                "address": ":8443",
                "transport": {
                    "respondingTimeouts": { "readTimeout": READ_TIMEOUT },
                    // Together shorter than the pod's grace: first the cluster stops sending,
                    // then running answers come to their end.
                    "lifeCycle": { "requestAcceptGraceTimeout": "5s", "graceTimeOut": "20s" },
                },
            },
            "traefik": { "address": ":9100" },
        },
        "ping": { "entryPoint": "traefik" },
        "metrics": { "prometheus": { "entryPoint": "traefik" } },
        "providers": { "file": { "filename": "/etc/traefik/dynamic.yaml", "watch": false } },
    })
}

fn dynamic(platform: &Platform) -> Value {
    let host = format!("Host(`{}`)", platform.url.host);
    // Only the platform's own realm is public: administrators are in another one.
    let identity =
        format!("{host} && (PathPrefix(`/realms/{REALM}/`) || PathPrefix(`/resources/`))");
    let secure = |rule: &str, service: &str, priority: u32| {
        json!({
            "rule": rule,
            "service": service,
            "priority": priority,
            "entryPoints": ["websecure"],
            "middlewares": ["security-headers"],
            "tls": {},
        })
    };
    let server = |component| {
        json!({ "loadBalancer": {
            "servers": [{ "url": address(platform, "http", component, 8080) }],
        } })
    };
    json!({
        "http": {
            "routers": {
                "keycloak": secure(&identity, "keycloak", 200),
                "gateway": secure(&host, "gateway", 100),
                "redirect": {
                    "rule": "PathPrefix(`/`)",
                    "service": "noop@internal",
                    "entryPoints": ["web"],
                    "middlewares": ["redirect-to-https"],
                },
            },
            "middlewares": {
                "redirect-to-https": { "redirectScheme": {
                    "scheme": "https",
                    "port": platform.url.port.to_string(),
                    "permanent": true,
                } },
                "security-headers": { "headers": headers(platform) },
            },
            "services": {
                "gateway": server(Component::Gateway),
                "keycloak": server(Component::Keycloak),
            },
        },
        "tls": {
            "options": { "default": { "minVersion": "VersionTLS12" } },
            "stores": { "default": { "defaultCertificate": {
                "certFile": "/etc/traefik-tls/tls.crt",
                "keyFile": "/etc/traefik-tls/tls.key",
            } } },
        },
    })
}

fn headers(platform: &Platform) -> Value {
    let mut headers = json!({
        "contentTypeNosniff": true,
        "referrerPolicy": "strict-origin-when-cross-origin",
    });
    // Browsers that once saw this header let nobody past a certificate that they do not trust.
    if platform.spec.edge.tls.secret_name.is_some() {
        headers["stsSeconds"] = STS_SECONDS.into();
    }
    headers
}
