//! What every cluster needs beyond the node: DNS for pods, a default storage class, and the rights
//! of the enforcer of network policies.

use snafu::ensure;

use super::Kubectl;
use super::config::{COREDNS_IMAGE, resolv_conf};
use crate::error::{Result, TemplateSnafu};
use crate::instance::Instance;
use crate::sandbox::egress;

const TEMPLATES: [(&str, &str); 3] = [
    ("coredns.yaml", include_str!("../addons/coredns.yaml")),
    ("local-path.yaml", include_str!("../addons/local-path.yaml")),
    (
        "network-policies.yaml",
        include_str!("../addons/network-policies.yaml"),
    ),
];

/// Applies all add-ons; one that is there already is left as it is.
pub(super) fn apply(instance: &Instance, kubectl: &Kubectl) -> Result<()> {
    let mut documents = Vec::new();
    for (name, template) in TEMPLATES {
        documents.push(render(name, template, &values(instance))?);
    }
    kubectl.apply(&documents.join("---\n"))
}

fn values(instance: &Instance) -> Vec<(&'static str, String)> {
    let upstream = egress::is_wanted(instance) && !resolv_conf().is_empty();
    // Other names go to the servers in the pod's resolv.conf, which are those of the host.
    let forward = if upstream {
        "forward . /etc/resolv.conf"
    } else {
        ""
    };
    vec![
        ("dns_service", instance.network().dns_service.to_string()),
        ("coredns_image", COREDNS_IMAGE.to_owned()),
        ("forward", forward.to_owned()),
    ]
}

/// A template with these values in the place of their names.
pub(super) fn render(
    name: &'static str,
    template: &str,
    values: &[(&'static str, String)],
) -> Result<String> {
    let rendered = values
        .iter()
        .fold(template.to_owned(), |text, (key, value)| {
            text.replace(&format!("{{{{ {key} }}}}"), value)
        });
    if let Some((_, rest)) = rendered.split_once("{{") {
        let placeholder = rest.split_once("}}").map_or(rest, |(name, _)| name).trim();
        ensure!(
            false,
            TemplateSnafu {
                template: name,
                placeholder
            }
        );
    }
    Ok(rendered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::MAIN;
    use serde::Deserialize;

    fn objects(name: &str) -> Vec<serde_yaml_ng::Value> {
        let values = values(&Instance::new(name).unwrap());
        let documents = TEMPLATES.map(|(name, text)| render(name, text, &values).unwrap());
        serde_yaml_ng::Deserializer::from_str(&documents.join("---\n"))
            .map(|document| serde_yaml_ng::Value::deserialize(document).unwrap())
            .collect()
    }

    #[test]
    fn every_document_is_an_object() {
        let objects = objects(MAIN);
        assert!(objects.len() > 8);
        for object in &objects {
            assert!(object["kind"].is_string() && object["metadata"]["name"].is_string());
        }
        let service = objects
            .iter()
            .find(|object| object["kind"] == "Service")
            .unwrap();
        assert_eq!(service["spec"]["clusterIP"], "198.18.16.10");
    }

    #[test]
    fn a_missing_value_is_an_error() {
        let error = render("x.yaml", "a: {{ b }}\n", &[]).unwrap_err();
        assert_eq!(error.to_string(), "template x.yaml has no value for \"b\"");
    }
}
