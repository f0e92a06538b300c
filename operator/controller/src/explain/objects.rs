//! The objects as YAML documents.

use k8s_openapi::api::core::v1::Secret;
use lotoai_plan::SecretSpec;
use serde_json::{Value, json};
use snafu::ResultExt;

use super::{Error, Explanation, WriteSnafu, placeholders};

/// A document for each object, after a line that says what they are.
pub(super) fn yaml(explanation: &Explanation) -> Result<String, Error> {
    let platform = &explanation.platform;
    let mut text = format!(
        "# What the operator makes of LotoAI {}/{}. To read, not to apply: credentials and\n\
         # certificates are placeholders, and the digests in annotations and names of Jobs with them.\n",
        platform.namespace, platform.name
    );
    for object in all(explanation) {
        text.push_str("---\n");
        text.push_str(&serde_yaml_ng::to_string(&object).context(WriteSnafu)?);
    }
    Ok(text)
}

/// Credentials first, as a pass makes them, then everything in the order in which it is applied.
pub(super) fn all(explanation: &Explanation) -> Vec<Value> {
    let planned = explanation.set.objects().into_iter();
    let planned = planned.map(|object| match object.resource.kind.as_str() {
        "Secret" => readable(object.body),
        _ => object.body,
    });
    let credentials = explanation.secrets.iter().map(credential);
    credentials.chain(planned).collect()
}

/// The Secret of a credential.
fn credential(spec: &SecretSpec) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": spec.metadata,
        "type": spec.type_(),
        "stringData": placeholders::values(spec),
    })
}

/// Configuration that holds a credential, as text: in base64 nobody could read it.
fn readable(object: Value) -> Value {
    let data = serde_json::from_value::<Secret>(object.clone())
        .ok()
        .and_then(|secret| secret.data)
        .unwrap_or_default();
    let texts: Option<serde_json::Map<String, Value>> = data
        .into_iter()
        .map(|(key, bytes)| Some((key, json!(String::from_utf8(bytes.0).ok()?))))
        .collect();
    let (Some(texts), Value::Object(fields)) = (texts, &object) else {
        return object;
    };
    let renamed = fields.iter().map(|(name, value)| match name.as_str() {
        "data" => ("stringData".to_owned(), Value::Object(texts.clone())),
        _ => (name.clone(), value.clone()),
    });
    Value::Object(renamed.collect())
}
