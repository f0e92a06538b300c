//! From text to a resource, as strictly as `kubectl apply` with strict validation reads it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::CustomResourceExt;
use lotoai_api::{GROUP, LotoAI, VERSION, reasons};
use lotoai_plan::Invalid;
use serde::Deserialize;
use serde_json::Value;
use snafu::{ResultExt, ensure};

use super::{DocumentSnafu, Error, FaultsSnafu, WriteSnafu, YamlSnafu, placeholders, schema};

const WANTED: &str = "give one LotoAI resource, as in samples/demo.yaml";

/// The one resource in the text, with the defaults of the schema.
pub(super) fn resource(text: &str) -> Result<LotoAI, Error> {
    let mut object = document(text)?;
    check_type(&object)?;
    let mut faults = metadata(&object);
    let definition = serde_json::to_value(LotoAI::crd()).unwrap_or_default();
    if let Some(root) = definition.pointer("/spec/versions/0/schema/openAPIV3Schema") {
        faults.extend(schema::check(root, &mut object));
    }
    ensure!(faults.is_empty(), FaultsSnafu { faults });
    let mut lotoai: LotoAI = serde_json::from_value(object).map_err(|error| {
        // The schema comes from the types, so only what it cannot say ends here.
        let message = error.to_string();
        DocumentSnafu { message }.build()
    })?;
    let metadata = &mut lotoai.metadata;
    metadata
        .namespace
        .get_or_insert_with(|| "default".to_owned());
    metadata
        .uid
        .get_or_insert_with(|| placeholders::UID.to_owned());
    Ok(lotoai)
}

/// Faults by the rules of the schema.
pub(super) fn rules(lotoai: &LotoAI) -> Vec<Invalid> {
    let Err(errors) = lotoai.validate_cel() else {
        return Vec::new();
    };
    let errors = errors.into_iter();
    errors
        .map(|error| {
            let field = match error.field_path.as_str() {
                "" => "metadata.name".to_owned(),
                path => path.to_owned(),
            };
            fault(field, error.message)
        })
        .collect()
}

pub(super) fn fault(field: impl Into<String>, message: impl Into<String>) -> Invalid {
    Invalid {
        field: field.into(),
        message: message.into(),
        reason: reasons::INVALID_SPEC,
    }
}

fn document(text: &str) -> Result<Value, Error> {
    let mut documents = Vec::new();
    for document in serde_yaml_ng::Deserializer::from_str(text) {
        // Through YAML's own values, which refuse a key that is there twice.
        let document = serde_yaml_ng::Value::deserialize(document).context(YamlSnafu)?;
        if !document.is_null() {
            documents.push(document);
        }
    }
    ensure!(
        documents.len() < 2,
        DocumentSnafu {
            message: format!("it holds {} documents; {WANTED}", documents.len())
        }
    );
    let Some(document) = documents.pop() else {
        let message = format!("it is empty; {WANTED}");
        return DocumentSnafu { message }.fail();
    };
    ensure!(
        document.is_mapping(),
        DocumentSnafu {
            message: format!("it is no map of fields; {WANTED}")
        }
    );
    serde_json::to_value(document)
        .map_err(serde::de::Error::custom)
        .context(WriteSnafu)
}

fn check_type(object: &Value) -> Result<(), Error> {
    let version = format!("{GROUP}/{VERSION}");
    for (field, wanted) in [("apiVersion", version.as_str()), ("kind", "LotoAI")] {
        let is = &object[field];
        ensure!(
            is == wanted,
            DocumentSnafu {
                message: match is {
                    Value::Null => format!("{field} is missing; write  {field}: {wanted}"),
                    is => format!("{field} is {is}, not {wanted}; {WANTED}"),
                }
            }
        );
    }
    Ok(())
}

/// The schema of a definition says nothing about metadata, so it is compared with its type: what
/// does not come back was not understood.
fn metadata(object: &Value) -> Vec<Invalid> {
    let given = &object["metadata"];
    let known = match ObjectMeta::deserialize(given) {
        Ok(metadata) => serde_json::to_value(metadata).unwrap_or_default(),
        Err(_) if given.is_null() => Value::Null,
        Err(error) => return vec![fault("metadata", error.to_string())],
    };
    let fields = given.as_object().into_iter().flatten();
    let mut faults: Vec<Invalid> = fields
        .filter(|(name, value)| !value.is_null() && known.get(name).is_none())
        .map(|(name, _)| fault(format!("metadata.{name}"), "no such field; remove it"))
        .collect();
    if known.get("name").is_none() {
        faults.push(fault(
            "metadata.name",
            "it is missing; write for example  name: demo",
        ));
    }
    faults
}
