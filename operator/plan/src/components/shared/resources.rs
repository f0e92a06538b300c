//! Requests and limits: one table, made so that the whole platform asks for less than one core and
//! schedules on a node with 2 cores and 10 GiB.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use lotoai_api::Component;
use lotoai_api::spec::ResourceValues;

use crate::graph::Node;
use crate::platform::Platform;

/// No container needs more, and every one may use what is free.
const CPU_LIMIT: &str = "2";

/// CPU request, memory request, memory limit of profile `Demo`.
const fn demo(node: Node) -> (&'static str, &'static str, &'static str) {
    let Node::Component(component) = node else {
        return ("10m", "32Mi", "128Mi");
    };
    match component {
        Component::Postgres => ("50m", "128Mi", "512Mi"),
        Component::Rabbitmq => ("100m", "192Mi", "512Mi"),
        Component::Minio => ("50m", "128Mi", "512Mi"),
        Component::Clickhouse => ("100m", "384Mi", "1536Mi"),
        // The heap ends at 384 MiB; the rest is metaspace, code and threads.
        Component::Keycloak => ("150m", "512Mi", "896Mi"),
        Component::Traefik => ("25m", "64Mi", "256Mi"),
        Component::Gateway => ("50m", "64Mi", "512Mi"),
        Component::Orchestrator => ("50m", "64Mi", "256Mi"),
        Component::Agents => ("25m", "48Mi", "256Mi"),
        // Both models are in memory: 100 MB and 90 MB of weights, and the context.
        Component::ModelServer => ("200m", "512Mi", "1536Mi"),
        // Each script may use 256 MiB.
        Component::McpServer => ("25m", "48Mi", "768Mi"),
        // A document of 32 MiB is there as bytes, as a tree, as text and as chunks with vectors.
        Component::RagIngest => ("50m", "64Mi", "1Gi"),
        Component::RagServer => ("50m", "128Mi", "1Gi"),
        Component::Analytics => ("25m", "48Mi", "256Mi"),
    }
}

/// Requests and limits of a node's container: the resource's, else the profile's.
///
/// The API server refuses requests above limits. Where the resource gives one of the two, the
/// profile's value of the other gives way; where it gives both, validation has compared them.
#[must_use]
pub fn requirements(platform: &Platform, node: Node) -> ResourceRequirements {
    let (cpu, memory, limit) = demo(node);
    let given = platform
        .spec
        .resources
        .get(&node.name())
        .cloned()
        .unwrap_or_default();
    let mut requests = values(&given.requests, cpu, memory);
    let mut limits = values(&given.limits, CPU_LIMIT, limit);
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
