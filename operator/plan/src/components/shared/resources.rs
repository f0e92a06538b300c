//! Requests and limits: the resource's, else those of its profile.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use lotoai_api::Component;
use lotoai_api::spec::ResourceValues;

use crate::graph::Node;
use crate::platform::Platform;
use crate::profile::{cpu_limit, size_of};

/// Requests and limits of a node's container: the resource's, else the profile's.
///
/// The API server refuses requests above limits. Where the resource gives one of the two, the
/// profile's value of the other gives way; where it gives both, validation has compared them.
#[must_use]
pub fn requirements(platform: &Platform, node: Node) -> ResourceRequirements {
    let profile = platform.spec.profile;
    let size = size_of(profile, node);
    let given = platform
        .settings(node)
        .map(|settings| settings.resources.clone());
    let given = given.unwrap_or_default();
    let mut requests = values(&given.requests, size.cpu, size.memory);
    let mut limits = values(&given.limits, cpu_limit(profile), size.memory_limit);
    let free = [
        (
            "cpu",
            given.requests.cpu.is_none(),
            given.limits.cpu.is_none(),
        ),
        (
            "memory",
            given.requests.memory.is_none(),
            given.limits.memory.is_none(),
        ),
    ];
    for (name, request_is_free, limit_is_free) in free {
        let (Some(request), Some(limit)) = (requests.get(name), limits.get(name)) else {
            continue;
        };
        if amount(&request.0) <= amount(&limit.0) {
            continue;
        }
        if limit_is_free {
            limits.insert(name.to_owned(), request.clone());
        } else if request_is_free {
            requests.insert(name.to_owned(), limit.clone());
        }
    }
    ResourceRequirements {
        requests: Some(requests),
        limits: Some(limits),
        ..ResourceRequirements::default()
    }
}

/// Memory limit of a component's container in MiB: its own settings for memory follow from it.
#[must_use]
pub fn memory_limit_mib(platform: &Platform, component: Component) -> u128 {
    memory_mib(requirements(platform, Node::Component(component)).limits)
}

/// Memory request of a component's container in MiB.
#[must_use]
pub fn memory_request_mib(platform: &Platform, component: Component) -> u128 {
    memory_mib(requirements(platform, Node::Component(component)).requests)
}

fn memory_mib(values: Option<BTreeMap<String, Quantity>>) -> u128 {
    let memory = values.and_then(|mut values| values.remove("memory"));
    memory.map_or(0, |memory| amount(&memory.0)) / 1000 / (1 << 20)
}

fn values(given: &ResourceValues, cpu: &str, memory: &str) -> BTreeMap<String, Quantity> {
    let or = |value: &Option<String>, default: &str| {
        Quantity(value.clone().unwrap_or_else(|| default.to_owned()))
    };
    BTreeMap::from([
        ("cpu".to_owned(), or(&given.cpu, cpu)),
        ("memory".to_owned(), or(&given.memory, memory)),
    ])
}

/// A quantity in thousandths. What the schema refuses counts as nothing.
#[must_use]
pub fn amount(quantity: &str) -> u128 {
    let digits = quantity.chars().take_while(char::is_ascii_digit).count();
    let (number, suffix) = quantity.split_at(digits);
    let number: u128 = number.parse().unwrap_or(0);
    let factor: u128 = match suffix {
        "m" => return number,
        "" => 1,
        "K" | "k" => 1000,
        "M" => 1000 * 1000,
        "G" => 1000 * 1000 * 1000,
        "T" => 1000 * 1000 * 1000 * 1000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => 0,
    };
    number.saturating_mul(factor).saturating_mul(1000)
}
