//! Static and dynamic configuration of Traefik. A change restarts its pods.

use k8s_openapi::api::core::v1::ConfigMap;
use lotoai_api::Component;
use serde_json::{Map, Value, json};

use crate::components::shared::config::config_map;
use crate::env::{REALM, address};
use crate::graph::{Node, TRAEFIK_ADMIN_PORT, ports};
use crate::platform::Platform;
use crate::tls;

use super::{PROBE_PORT, is_guarded};

/// Time in which a request must have arrived: an upload over a slow line takes long. Traefik also
/// ends an answer over HTTP/1.1 that still streams then, so it is longer than the longest answer
/// of the gateway (600 s) by the time that an upload may take.
const READ_TIMEOUT: &str = "900s";
/// A year.
const HSTS_SECONDS: i32 = 31_536_000;
/// IPv6 clients count by the network that one customer gets.
const IPV6_SUBNET: u8 = 64;
/// What is logged of a request. Its path is not: Traefik writes it with the query, which may carry
/// codes and what people typed. Headers are not either.
const LOGGED: [&str; 12] = [
    "StartUTC",
    "ClientHost",
    "RequestMethod",
    "RequestHost",
    "RequestProtocol",
    "RequestContentSize",
    "RouterName",
    "DownstreamStatus",
    "DownstreamContentSize",
    "Duration",
    "OriginDuration",
    "TLSVersion",
];
/// Encoded characters that end a request, refused with 400: `/`, `\`, NUL, `;`, `%`, `?` and `#`. A
/// server behind may decode them once more than the routes did, and see another path: with
/// `/realms/lotoai/..%2Fmaster` that of another realm. No path of the platform holds one: ids are
/// plain, and names of documents travel in bodies. Letters, spaces and queries are left alone.
const REFUSED_ENCODED: [&str; 7] = [
    "allowEncodedSlash",
    "allowEncodedBackSlash",
    "allowEncodedNullCharacter",
    "allowEncodedSemicolon",
    "allowEncodedPercent",
    "allowEncodedQuestionMark",
    "allowEncodedHash",
];

pub(super) fn build(platform: &Platform) -> ConfigMap {
    // Serialising JSON values as YAML cannot fail.
    let yaml = |value: &Value| serde_yaml_ng::to_string(value).unwrap_or_default();
    let files = [
        ("dynamic.yaml", yaml(&dynamic(platform))),
        ("traefik.yaml", yaml(&fixed(platform))),
    ];
    config_map(platform, Node::Component(Component::Traefik), &files)
}

fn fixed(platform: &Platform) -> Value {
    let fields: Map<String, Value> = LOGGED
        .iter()
        .map(|name| ((*name).to_owned(), "keep".into()))
        .collect();
    let mut fixed = json!({
        "global": { "checkNewVersion": false, "sendAnonymousUsage": false },
        "log": { "level": "INFO", "format": "json" },
        "accessLog": { "format": "json", "fields": { "defaultMode": "drop", "names": fields } },
        "entryPoints": {
            "web": { "address": ":8000" },
            "websecure": {
                "address": ":8443",
                "transport": {
                    "respondingTimeouts": { "readTimeout": READ_TIMEOUT },
                    // Together shorter than the pod's grace: first the cluster stops sending,
                    // then running answers come to their end.
                    "lifeCycle": { "requestAcceptGraceTimeout": "5s", "graceTimeOut": "30s" },
                },
            },
            "traefik": { "address": format!(":{TRAEFIK_ADMIN_PORT}") },
        },
        "ping": { "entryPoint": "traefik" },
        "metrics": { "prometheus": { "entryPoint": "traefik" } },
        "providers": { "file": { "filename": "/etc/traefik/dynamic.yaml", "watch": false } },
    });
    let limits = limits(platform);
    if is_guarded(platform) {
        fixed["entryPoints"]["probe"] = json!({ "address": format!(":{PROBE_PORT}") });
    }
    let points = fixed["entryPoints"].as_object_mut();
    for point in points.into_iter().flat_map(Map::values_mut) {
        point["http"] = unambiguous();
    }
    if !limits.is_empty() {
        // On the port and not on the routes, so that the probe's port is without them.
        let names = limits.keys().map(|name| format!("{name}@file"));
        fixed["entryPoints"]["websecure"]["http"]["middlewares"] = names.collect();
    }
    fixed
}

/// What no port hands on, because a server behind could read it as something else.
fn unambiguous() -> Value {
    let refused: Map<String, Value> = REFUSED_ENCODED
        .iter()
        .map(|name| ((*name).to_owned(), false.into()))
        .collect();
    json!({
        // `X_Auth_User` and `X.Auth.User` are `X-Auth-User` to many servers, past the rules for that
        // name. They are taken away and not refused: proxies of companies add such names to
        // honest requests. Known from Traefik 3.7.12 on; an older one does not start with it.
        "aliasHeadersStrategy": "delete",
        "encodedCharacters": refused,
    })
}

/// Rules by client address, in the order of their names: who may not come in is not counted.
fn limits(platform: &Platform) -> Map<String, Value> {
    let mut limits = Map::new();
    let Some(rules) = &platform.spec.edge.traefik else {
        return limits;
    };
    if !rules.allowed_cidrs.is_empty() {
        let list = json!({ "ipAllowList": { "sourceRange": rules.allowed_cidrs } });
        limits.insert("allowed-addresses".to_owned(), list);
    }
    if let Some(rate) = &rules.rate_limit {
        // The address of the connection. What a client writes into X-Forwarded-For counts for
        // nothing, because no proxy in front is trusted.
        let limit = json!({ "rateLimit": {
            "average": rate.requests_per_second,
            "period": "1s",
            "burst": rate.burst,
            "sourceCriterion": { "ipStrategy": { "ipv6Subnet": IPV6_SUBNET } },
        } });
        limits.insert("rate-limit".to_owned(), limit);
    }
    limits
}

fn dynamic(platform: &Platform) -> Value {
    let host = format!("Host(`{}`)", platform.url.host);
    // Only the platform's own realm is public: administrators are in another one.
    let identity =
        format!("{host} && (PathPrefix(`/realms/{REALM}/`) || PathPrefix(`/resources/`))");
    let entry_points: &[&str] = if is_guarded(platform) {
        &["websecure", "probe"]
    } else {
        &["websecure"]
    };
    let secure = |rule: &str, service: &str, headers: &str, priority: u32| {
        json!({
            "rule": rule,
            "service": service,
            "priority": priority,
            "entryPoints": entry_points,
            "middlewares": [headers],
            "tls": {},
        })
    };
    let server = |component: Component| {
        let url = address(platform, "https", component, ports(component)[0].number);
        json!({ "loadBalancer": {
            "servers": [{ "url": url }],
            "serversTransport": component.name(),
        } })
    };
    let transport = |component: Component| {
        json!({
            "rootCAs": [tls::bundle_file()],
            "serverName": platform.component_name(component),
            // One connection for all requests would lead them all to one pod.
            "disableHTTP2": true,
        })
    };
    let mut middlewares = limits(platform);
    middlewares.insert(
        "redirect-to-https".to_owned(),
        json!({ "redirectScheme": {
            "scheme": "https",
            "port": platform.url.port.to_string(),
            "permanent": true,
        } }),
    );
    let always = always(platform);
    middlewares.insert("security-headers".to_owned(), json!({ "headers": always }));
    middlewares.insert(
        "security-headers-gateway".to_owned(),
        json!({ "headers": for_gateway(always) }),
    );
    let redirect = json!({
        "rule": "PathPrefix(`/`)",
        "service": "noop@internal",
        "entryPoints": ["web"],
        "middlewares": ["redirect-to-https"],
    });
    let sign_in = platform.topology.has(Node::Component(Component::Keycloak));
    let those_here = |parts: Vec<(&str, Value)>| -> Map<String, Value> {
        let parts = parts.into_iter();
        parts
            .filter(|(name, _)| sign_in || *name != "keycloak")
            .map(|(name, part)| (name.to_owned(), part))
            .collect()
    };
    let routers = those_here(vec![
        (
            "keycloak",
            secure(&identity, "keycloak", "security-headers", 200),
        ),
        (
            "gateway",
            secure(&host, "gateway", "security-headers-gateway", 100),
        ),
        ("redirect", redirect),
    ]);
    let services = those_here(vec![
        ("gateway", server(Component::Gateway)),
        ("keycloak", server(Component::Keycloak)),
    ]);
    let transports = those_here(vec![
        ("gateway", transport(Component::Gateway)),
        ("keycloak", transport(Component::Keycloak)),
    ]);
    json!({
        "http": {
            "routers": routers,
            "middlewares": middlewares,
            "services": services,
            "serversTransports": transports,
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

/// Headers of every answer. Keycloak sets the others itself, and frames its own pages.
fn always(platform: &Platform) -> Map<String, Value> {
    let edge = &platform.spec.edge;
    let given = edge
        .traefik
        .as_ref()
        .and_then(|rules| rules.security_headers)
        .unwrap_or_default();
    let mut headers = Map::new();
    headers.insert("contentTypeNosniff".to_owned(), true.into());
    // Browsers that once saw this header let nobody past a certificate that they do not trust.
    let seconds = match (given.hsts_seconds, edge.tls.is_self_signed()) {
        (Some(seconds), _) => seconds,
        (None, true) => 0,
        (None, false) => HSTS_SECONDS,
    };
    if seconds > 0 {
        headers.insert("stsSeconds".to_owned(), seconds.into());
        if given.hsts_include_subdomains {
            headers.insert("stsIncludeSubdomains".to_owned(), true.into());
        }
    }
    headers
}

/// The gateway's answers are in nobody's frame. It sets its own content security policy.
fn for_gateway(mut headers: Map<String, Value>) -> Map<String, Value> {
    headers.insert("frameDeny".to_owned(), true.into());
    headers.insert("referrerPolicy".to_owned(), "same-origin".into());
    headers
}
