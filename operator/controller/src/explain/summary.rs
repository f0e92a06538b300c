//! A page for people.

use std::fmt::Write as _;

use k8s_openapi::api::core::v1::PodTemplateSpec;
use lotoai_api::Component;
use lotoai_plan::components::workload_kind;
use lotoai_plan::{Node, SecretKind, owned_kinds, warnings};
use serde_json::Value;

use super::{Explanation, objects};

pub(super) fn text(explanation: &Explanation) -> String {
    let platform = &explanation.platform;
    // Writing to a String cannot fail.
    let mut text = String::new();
    let _ = writeln!(
        text,
        "LotoAI {}/{} at {}\nprofile {:?}, operator {}, deletion policy {:?}",
        platform.namespace,
        platform.name,
        platform.url.url,
        platform.spec.profile,
        platform.operator_version,
        platform.spec.deletion_policy
    );
    let rows = components(explanation);
    section(&mut text, "Components", rows.len(), &rows);
    let rows = volumes(explanation);
    section(&mut text, "Volumes", rows.len(), &rows);
    let rows = credentials(explanation);
    section(
        &mut text,
        "Credentials that the operator makes",
        rows.len(),
        &rows,
    );
    let rows = assumed(explanation);
    section(
        &mut text,
        "Values of Secrets that must be there, taken to exist",
        rows.len(),
        &rows,
    );
    let rows: Vec<[String; 1]> = warnings(&explanation.platform)
        .into_iter()
        .map(|warning| [warning])
        .collect();
    if !rows.is_empty() {
        section(&mut text, "Warnings", rows.len(), &rows);
    }
    let objects = objects::all(explanation);
    section(&mut text, "Objects", objects.len(), &kinds(&objects));
    text
}

/// A heading and its rows in columns.
fn section<const N: usize>(text: &mut String, title: &str, count: usize, rows: &[[String; N]]) {
    let _ = writeln!(text, "\n{title}: {count}");
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for row in rows {
        let mut line = String::from(" ");
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(line, " {cell:<width$}");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

fn components(explanation: &Explanation) -> Vec<[String; 4]> {
    let deployments = explanation.set.deployments.iter().map(|object| {
        let spec = object.spec.as_ref();
        (
            &object.metadata.name,
            spec.and_then(|spec| spec.replicas),
            spec.map(|spec| &spec.template),
        )
    });
    let stateful_sets = explanation.set.stateful_sets.iter().map(|object| {
        let spec = object.spec.as_ref();
        (
            &object.metadata.name,
            spec.and_then(|spec| spec.replicas),
            spec.map(|spec| &spec.template),
        )
    });
    let all: Vec<_> = deployments.chain(stateful_sets).collect();
    let of = |component: Component| {
        let name = explanation.platform.component_name(component);
        let (_, replicas, template) = all.iter().find(|object| object.0.as_ref() == Some(&name))?;
        Some([
            component.to_string(),
            workload_kind(&explanation.platform, component)
                .kind()
                .to_owned(),
            plural(replicas.unwrap_or(1), "replica"),
            image(*template),
        ])
    };
    let mut rows: Vec<_> = Component::ALL.into_iter().filter_map(of).collect();
    let delegated = explanation.platform.topology.delegated_stores();
    rows.extend(delegated.map(|(component, _, delegated)| {
        [
            component.to_string(),
            format!(
                "{} of {}",
                delegated.operator.kind(),
                delegated.operator.name()
            ),
            plural(delegated.instances, "instance"),
            explanation
                .platform
                .image(Node::Component(component))
                .to_owned(),
        ]
    }));
    rows.extend(explanation.set.jobs.first().map(|job| {
        [
            "provision".to_owned(),
            "Job".to_owned(),
            plural(explanation.set.jobs.len(), "job"),
            image(job.spec.as_ref().map(|spec| &spec.template)),
        ]
    }));
    rows
}

fn plural(count: impl ToString, what: &str) -> String {
    let count = count.to_string();
    let ending = if count == "1" { "" } else { "s" };
    format!("{count} {what}{ending}")
}

fn image(template: Option<&PodTemplateSpec>) -> String {
    let pod = template.and_then(|template| template.spec.as_ref());
    let container = pod.and_then(|pod| pod.containers.first());
    container
        .and_then(|container| container.image.clone())
        .unwrap_or_default()
}

fn volumes(explanation: &Explanation) -> Vec<[String; 3]> {
    let mut rows = Vec::new();
    for object in &explanation.set.stateful_sets {
        let Some(spec) = &object.spec else { continue };
        let name = object.metadata.name.as_deref().unwrap_or_default();
        for claim in spec.volume_claim_templates.iter().flatten() {
            let wanted = claim.spec.as_ref();
            let size = wanted
                .and_then(|spec| spec.resources.as_ref()?.requests.as_ref()?.get("storage"))
                .map_or_else(String::new, |size| size.0.clone());
            let class = wanted
                .and_then(|spec| spec.storage_class_name.clone())
                .map_or_else(
                    || "default storage class".to_owned(),
                    |class| format!("storage class {class}"),
                );
            let template = claim.metadata.name.as_deref().unwrap_or_default();
            for index in 0..spec.replicas.unwrap_or(1) {
                rows.push([
                    format!("{template}-{name}-{index}"),
                    size.clone(),
                    class.clone(),
                ]);
            }
        }
    }
    rows.sort();
    rows
}

fn credentials(explanation: &Explanation) -> Vec<[String; 2]> {
    let rows = explanation.secrets.iter();
    rows.map(|spec| {
        let purpose = match &spec.kind {
            SecretKind::Values(_) | SecretKind::Authority => spec.purpose.clone(),
            SecretKind::Certificate { names, .. } => {
                format!("{} ({})", spec.purpose, names.join(", "))
            }
        };
        [spec.name().to_owned(), purpose]
    })
    .collect()
}

fn assumed(explanation: &Explanation) -> Vec<[String; 3]> {
    let rows = explanation.assumed.iter();
    rows.map(|reference| {
        [
            reference.secret.clone(),
            format!("key {}", reference.key),
            reference.field.clone(),
        ]
    })
    .collect()
}

/// Counts by kind, in the order in which kinds are applied.
fn kinds(objects: &[Value]) -> Vec<[String; 2]> {
    let kinds = owned_kinds().into_iter().map(|kind| kind.resource.kind);
    kinds
        .map(|kind| {
            let count = objects
                .iter()
                .filter(|object| object["kind"] == kind.as_str())
                .count();
            (count, kind)
        })
        .filter(|(count, _)| *count > 0)
        .map(|(count, kind)| [count.to_string(), kind])
        .collect()
}
