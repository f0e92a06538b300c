//! The resources of the measurement, and what one of them stands for: what the operator applies
//! before any pod runs, for the twin to apply too.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use lotoai_api::LotoAI;
use lotoai_api::spec::PullPolicy;
use lotoai_plan::{
    Credentials, Encoding, Observed, OperatorEnv, SecretKind, SecretSpec, Value as Text, build,
    gates, required_secrets, validate,
};
use serde::Serialize;
use serde_json::{Value, json};
use snafu::{ResultExt, whatever};

use crate::Result;

/// Where the operator believes that it runs.
pub(crate) const OPERATOR_NAMESPACE: &str = "lotoai-system";
/// About the size of a certificate and of its key.
const CERTIFICATE_BYTES: usize = 700;

/// The objects of one resource, with texts in the place of what differs between resources.
#[derive(Debug, Serialize)]
pub(crate) struct Template {
    name: &'static str,
    namespace: &'static str,
    uid: &'static str,
    prompt: &'static str,
    objects: Vec<Value>,
}

/// A resource: the smallest platform, with one role whose prompt can be edited. The prompt reaches
/// one child, the ConfigMap of the component `agents`.
pub(crate) fn resource(name: &str, namespace: &str, prompt: &str) -> Result<LotoAI> {
    let resource = json!({
        "apiVersion": "lotoai.dev/v1alpha1", "kind": "LotoAI",
        "metadata": { "name": name, "namespace": namespace },
        "spec": { "url": "https://lotoai.localhost", "agents": roles(prompt) },
    });
    serde_json::from_value(resource).whatever_context("failed to make a resource")
}

/// The part of a resource that an edit replaces.
pub(crate) fn roles(prompt: &str) -> Value {
    let model = json!({ "provider": "local", "model": "smollm2-135m-instruct" });
    json!({ "roles": [{
        "name": "assistant", "description": "General questions and conversation",
        "prompt": prompt, "models": [model],
    }] })
}

impl Template {
    /// What the operator plans for a resource that it sees for the first time.
    pub(crate) fn new() -> Result<Self> {
        let (name, namespace, prompt) = ("loto-xxxx", "bench-x", "edit-xxxx");
        let uid = "00000000-0000-4000-8000-00000000000f";
        let mut resource = resource(name, namespace, prompt)?;
        resource.metadata.uid = Some(uid.to_owned());
        let env = OperatorEnv {
            namespace: OPERATOR_NAMESPACE.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            images: BTreeMap::new(),
            pull_policy: PullPolicy::IfNotPresent,
            otlp_endpoint: None,
        };
        let observed = Observed::default();
        let Ok(platform) = validate(&resource, &observed, &env) else {
            whatever!("the resource of the measurement is not valid");
        };
        let required = required_secrets(&platform);
        let values = required
            .iter()
            .map(|spec| (spec.name().to_owned(), bytes(spec)))
            .collect();
        let credentials = Credentials::new(&required, values)
            .whatever_context("failed to make the credentials of the measurement")?;
        let prepared = build(&platform, &credentials);
        let gates = gates(&platform, &prepared, &observed);
        let mut objects = secrets(&required);
        objects.extend(
            prepared
                .objects()
                .into_iter()
                .filter(|object| gates.held(&object.id()).is_none())
                .map(|object| object.body),
        );
        Ok(Self {
            name,
            namespace,
            uid,
            prompt,
            objects,
        })
    }
}

/// The Secrets of the credentials.
fn secrets(required: &[SecretSpec]) -> Vec<Value> {
    let mut secrets = Vec::new();
    for spec in required {
        let data = bytes(spec).into_iter();
        secrets.push(Secret {
            metadata: spec.metadata.clone(),
            type_: Some(spec.type_().to_owned()),
            data: Some(data.map(|(key, value)| (key, ByteString(value))).collect()),
            ..Secret::default()
        });
    }
    secrets.into_iter().map(|secret| json!(secret)).collect()
}

/// Values of the size that the operator makes.
fn bytes(spec: &SecretSpec) -> BTreeMap<String, Vec<u8>> {
    match &spec.kind {
        SecretKind::Values(values) => values
            .iter()
            .map(|(key, value)| {
                let text = match value {
                    Text::Fixed(text) | Text::First(text) | Text::Account { first: text, .. } => {
                        text.clone()
                    }
                    Text::Random { bytes, encoding } => "x".repeat(match encoding {
                        Encoding::Base64Url => (bytes * 4).div_ceil(3),
                        Encoding::Base64 => bytes.div_ceil(3) * 4,
                    }),
                    // The resource of the measurement gives none.
                    Text::Given { .. } => String::new(),
                };
                (key.clone(), text.into_bytes())
            })
            .collect(),
        SecretKind::Authority | SecretKind::Certificate { .. } => spec
            .keys()
            .into_iter()
            .map(|key| (key.to_owned(), certificate()))
            .collect(),
    }
}

fn certificate() -> Vec<u8> {
    vec![b'x'; CERTIFICATE_BYTES]
}
