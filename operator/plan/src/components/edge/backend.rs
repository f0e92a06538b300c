//! How Gateways of the cluster check the servers behind the route: by the platform's authority.

use lotoai_api::Component;
use serde_json::json;

use crate::graph::Node;
use crate::kinds::BackendTLSPolicy;
use crate::platform::Platform;

/// Policy `<platform>-<component>`. Gateways look for key `ca.crt` of the ConfigMap.
pub(super) fn build(platform: &Platform, component: Component) -> BackendTLSPolicy {
    let name = platform.component_name(component);
    let spec = json!({
        "targetRefs": [{ "group": "", "kind": "Service", "name": name }],
        "validation": {
            "hostname": format!("{name}.{}.svc", platform.namespace),
            "caCertificateRefs": [
                { "group": "", "kind": "ConfigMap", "name": platform.bundle_name() },
            ],
        },
    });
    let node = Node::Component(component);
    BackendTLSPolicy::new(platform.metadata(name, node), spec)
}
