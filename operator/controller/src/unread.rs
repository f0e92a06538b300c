//! Unread: what the status says of a resource that this operator cannot read, such as one that a newer
//! version has written.
//!
//! Needs a client. Of the resource it looks at the metadata and at the status as it stands, which may
//! hold what this version does not know either.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Client, Resource};
use lotoai_api::{LotoAI, reasons};
use lotoai_plan::status::MAX_MESSAGE;
use serde_json::{Map, Value, json};

use crate::error::chain;
use crate::metrics;
use crate::probe::{Key, Probes};
use crate::report::FIELD_MANAGER;

/// How a parser quotes a text that it did not expect. Whatever stands in the spec stands there.
const QUOTED: &str = "string \"";

/// What a parser said, without the texts that it quotes: a text in the wrong place may be a password,
/// and status, events and the log are read by many. The name of an unknown choice stays.
pub(crate) fn words(said: &str) -> String {
    let mut parts = said.split(QUOTED);
    let mut safe = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        safe.push_str("string");
        safe.push_str(after_quote(part));
    }
    safe
}

/// What follows the end of a text that is quoted as Rust does it.
fn after_quote(quoted: &str) -> &str {
    let mut is_escaped = false;
    for (at, character) in quoted.char_indices() {
        match character {
            '"' if !is_escaped => return &quoted[at + 1..],
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    ""
}

/// Writes into the status of the resource with this metadata that it cannot be read, for the reason that
/// `error` gives. The platform runs on, and nobody looks after it: what was said of it may hold no more.
///
/// A status that could not be written is written by a later pass; the event tells of it meanwhile.
pub(crate) async fn report(client: &Client, read: &ObjectMeta, error: &crate::Error) {
    if let Err(failure) = write(client, read, &chain(error)).await {
        let error = chain(&failure);
        tracing::warn!(
            error,
            "failed to write the status of a resource that cannot be read"
        );
    }
}

async fn write(client: &Client, read: &ObjectMeta, message: &str) -> kube::Result<()> {
    let namespace = read.namespace.as_deref().unwrap_or_default();
    let name = read.name.as_deref().unwrap_or_default();
    let kind = ApiResource::erase::<LotoAI>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
    let found = api.get_opt(name).await?;
    // One that was changed since then is looked at again, and may be one that can be read.
    let Some(found) = found.filter(|it| it.metadata.resource_version == read.resource_version)
    else {
        return Ok(());
    };
    let before = &found.data["status"];
    let after = told(before, read.generation, message, Timestamp::now());
    if *before == after {
        return Ok(());
    }
    let body = json!({
        "apiVersion": LotoAI::api_version(&()),
        "kind": LotoAI::kind(&()),
        "metadata": { "name": name, "uid": read.uid, "resourceVersion": read.resource_version },
        "status": after,
    });
    // The whole status, because what the field manager leaves out would go.
    let params = PatchParams::apply(FIELD_MANAGER).force();
    match api.patch_status(name, &params, &Patch::Apply(&body)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(refusal)) if refusal.is_not_found() || refusal.is_conflict() => Ok(()),
        Err(error) => Err(error),
    }
}

/// The status of before with other conditions: nothing is known of a platform that was ready, one that was
/// not is none the more, and a person must act.
fn told(before: &Value, generation: Option<i64>, message: &str, now: Timestamp) -> Value {
    let conditions = before["conditions"].as_array();
    let find = |type_: &str| {
        let mut conditions = conditions.into_iter().flatten();
        conditions.find(|condition| condition["type"] == type_)
    };
    // One that nobody has looked at is none that was ready, nor is one that was paused before.
    let was_down = find(reasons::READY).is_none_or(|ready| {
        let others = [reasons::PENDING, reasons::PAUSED];
        ready["status"] == "False" || others.iter().any(|reason| ready["reason"] == *reason)
    });
    let message: String = message.chars().take(MAX_MESSAGE).collect();
    let say = |type_: &str, status: &str| {
        let same = find(type_).filter(|condition| condition["status"] == status);
        let since = same.map_or_else(
            || json!(Time(now)),
            |condition| condition["lastTransitionTime"].clone(),
        );
        json!({
            "type": type_, "status": status, "reason": reasons::INVALID_SPEC, "message": message,
            "observedGeneration": generation, "lastTransitionTime": since,
        })
    };
    let ready = if was_down { "False" } else { "Unknown" };
    let mut after = before.as_object().cloned().unwrap_or_else(Map::new);
    after.insert("observedGeneration".to_owned(), json!(generation));
    after.insert(
        "conditions".to_owned(),
        json!([say(reasons::READY, ready), say(reasons::STALLED, "True")]),
    );
    Value::Object(after)
}

/// Says that a platform is not ready, unless it is going: what it asks for is not known, and nobody
/// looks after it.
pub(crate) fn measure(probes: &Probes, meta: &ObjectMeta) {
    let key = Key::of(meta);
    if meta.deletion_timestamp.is_some() {
        probes.stop(&key);
    } else {
        metrics::ready(&key, false);
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("Missing field url", "Missing field url")]
    #[case(
        "Unknown variant Huge. Expected one of Demo, Small",
        "Unknown variant Huge. Expected one of Demo, Small"
    )]
    #[case(
        "Invalid type string \"hunter2\". Expected a map",
        "Invalid type string. Expected a map"
    )]
    #[case(
        "invalid value: string \"a \\\" hunter2 \\\\\", expected x; string \"é\"",
        "invalid value: string, expected x; string"
    )]
    #[case("Invalid type string \"hunter2", "Invalid type string")]
    fn words_of_a_parser_are_told_without_what_it_quotes(
        #[case] said: &str,
        #[case] expected: &str,
    ) {
        assert_eq!(words(said), expected);
    }

    #[test]
    fn a_text_in_the_place_of_something_else_is_quoted_as_that_is_recognised() {
        let resource = json!({
            "apiVersion": "lotoai.dev/v1alpha1", "kind": "LotoAI", "metadata": { "name": "demo" },
            "spec": { "url": "https://a.b", "pods": "hunter2 \" \\" },
        });
        let resource: kube::core::DeserializeGuard<LotoAI> =
            serde_json::from_value(resource).unwrap();
        let said = resource.0.unwrap_err().error;
        assert!(said.contains("hunter2"), "{said}");
        let told = words(&said);
        assert!(
            told.contains("string") && !told.contains("hunter2"),
            "{told}"
        );
    }

    fn condition(type_: &str, status: &str, reason: &str) -> Value {
        json!({
            "type": type_, "status": status, "reason": reason, "message": "before",
            "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    }

    fn statuses(status: &Value) -> Vec<(&str, &str, bool)> {
        let conditions = status["conditions"].as_array().unwrap().iter();
        conditions
            .map(|condition| {
                assert_eq!(condition["message"], "why");
                assert_eq!(condition["observedGeneration"], 2);
                (
                    condition["type"].as_str().unwrap(),
                    condition["status"].as_str().unwrap(),
                    condition["lastTransitionTime"] == "2026-01-01T00:00:00Z",
                )
            })
            .collect()
    }

    #[test]
    fn nothing_is_known_of_a_platform_that_was_ready_and_the_rest_stays() {
        let before = json!({
            "url": "https://a.b", "version": "0.2.0", "newer": { "than": "this" },
            "observedGeneration": 1,
            "conditions": [
                condition("Ready", "True", "Available"),
                condition("Reconciling", "True", "Progressing"),
            ],
        });
        let now = Timestamp::now();
        let after = told(&before, Some(2), "why", now);
        let expected = [("Ready", "Unknown", false), ("Stalled", "True", false)];
        assert_eq!(statuses(&after), expected);
        assert_eq!(after["observedGeneration"], 2);
        for field in ["url", "version", "newer"] {
            assert_eq!(after[field], before[field]);
        }
        // Once told, nothing is left to tell.
        let later = now + jiff::SignedDuration::from_hours(1);
        assert_eq!(told(&after, Some(2), "why", later), after);
    }

    #[test]
    fn one_that_was_not_ready_is_not_taken_for_one_that_may_be() {
        let before = json!({ "conditions": [condition("Ready", "False", "ProbeFailed")] });
        let after = told(&before, Some(2), "why", Timestamp::now());
        let expected = [("Ready", "False", true), ("Stalled", "True", false)];
        assert_eq!(statuses(&after), expected);
        // Nobody has looked at these.
        let pending = json!({ "conditions": [condition("Ready", "Unknown", "Pending")] });
        for before in [Value::Null, pending] {
            let after = told(&before, Some(2), "why", Timestamp::now());
            let expected = [("Ready", "False", false), ("Stalled", "True", false)];
            assert_eq!(statuses(&after), expected);
        }
    }
}
