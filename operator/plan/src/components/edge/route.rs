//! HTTPRoute at Gateways of the cluster.

use lotoai_api::spec::{GatewayApi, ParentRef};
use serde_json::{Map, Value, json};

use super::{paths, port};
use crate::kinds::HTTPRoute;
use crate::platform::Platform;

pub(super) fn build(platform: &Platform, given: &GatewayApi) -> HTTPRoute {
    let rules: Vec<Value> = paths(platform)
        .map(|(path, component)| {
            json!({
                "matches": [{ "path": { "type": "PathPrefix", "value": path } }],
                "backendRefs": [{ "name": platform.component_name(component), "port": port(component) }],
                // An answer streams for as long as it takes; the gateway ends it.
                "timeouts": { "request": "0s" },
            })
        })
        .collect();
    let parents: Vec<Value> = given.parent_refs.iter().map(parent).collect();
    let spec = json!({
        "parentRefs": parents,
        "hostnames": [platform.url.host],
        "rules": rules,
    });
    HTTPRoute::new(platform.platform_metadata(platform.edge_name()), spec)
}

fn parent(given: &ParentRef) -> Value {
    let fields = [
        ("name", Some(&given.name)),
        ("namespace", given.namespace.as_ref()),
        ("sectionName", given.section_name.as_ref()),
    ];
    let given: Map<String, Value> = fields
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?.as_str().into())))
        .collect();
    given.into()
}
