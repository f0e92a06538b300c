//! `budgets.yaml`: budgets and prices in the shape of the resource, and the models of each role, by
//! which the gateway knows what a question may cost.

use k8s_openapi::api::core::v1::ConfigMap;
use lotoai_api::Component;
use lotoai_api::spec::{Budget, Gateway, ModelRef, Prices};
use serde::Serialize;

use crate::components::shared::config::config_map;
use crate::graph::Node;
use crate::platform::Platform;

/// Where it is in the pod.
pub(super) const DIRECTORY: &str = "/etc/lotoai";
const FILE: &str = "budgets.yaml";

#[derive(Serialize)]
struct File<'a> {
    budgets: &'a [Budget],
    #[serde(skip_serializing_if = "Option::is_none")]
    prices: Option<&'a Prices>,
    roles: Vec<RoleEntry<'a>>,
}

#[derive(Serialize)]
struct RoleEntry<'a> {
    name: &'a str,
    models: &'a [ModelRef],
}

/// The file for the gateway; without budgets and prices there is none.
pub(super) fn file(platform: &Platform) -> Option<String> {
    let Gateway {
        budgets, prices, ..
    } = &platform.spec.gateway;
    (!budgets.is_empty() || prices.is_some()).then(|| format!("{DIRECTORY}/{FILE}"))
}

pub(super) fn build(platform: &Platform) -> Option<ConfigMap> {
    file(platform)?;
    let Gateway {
        budgets, prices, ..
    } = &platform.spec.gateway;
    let roles = platform.spec.agents.roles.iter();
    let file = File {
        budgets,
        prices: prices.as_ref(),
        roles: roles
            .map(|role| RoleEntry {
                name: role.name.as_str(),
                models: &role.models,
            })
            .collect(),
    };
    // Serialising texts, numbers and lists of them cannot fail.
    let text = serde_yaml_ng::to_string(&file).unwrap_or_default();
    Some(config_map(
        platform,
        Node::Component(Component::Gateway),
        &[(FILE, text)],
    ))
}
