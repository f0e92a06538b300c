//! What the document says of many calls alike.

use axum::http::Method;
use lotoai_policy::Needs;
use serde_json::{Map, Value, json};

use crate::domain::refused::{self, Refused};
use crate::domain::{chat_request, responses_request};
use crate::identity::session::SESSION_COOKIE;
use crate::routes::Route;

/// Names of the ways to be known, as the document has them.
const TOKEN: &str = "accessToken";
const KEY: &str = "apiKey";
const SESSION: &str = "session";

/// Refusals that any call may get, so that none lists them unless it has more to say of one.
pub(crate) const COMMON: [u16; 6] = [400, 408, 409, 422, 429, 431];

/// Completes the document of `routes`.
pub(super) fn finish(document: &mut Value, routes: &[Route]) {
    plain_texts(document);
    add_without_effect(document);
    document["components"]["securitySchemes"] = schemes();
    document["components"]["parameters"] = json!({ "IdempotencyKey": idempotency_key() });
    for route in routes {
        let method = route.method.as_str().to_ascii_lowercase();
        let paths = document["paths"].get_mut(route.path);
        if let Some(Value::Object(operation)) = paths.and_then(|path| path.get_mut(&method)) {
            complete(operation, route);
        }
    }
}

fn schemes() -> Value {
    json!({
        TOKEN: {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "An access token of the issuer",
        },
        KEY: {
            "type": "http", "scheme": "bearer", "bearerFormat": "loto_…",
            "description": "An API key, from POST /api/keys; the roles that a call lists are the \
                            scopes that the key needs",
        },
        SESSION: {
            "type": "apiKey", "in": "cookie", "name": SESSION_COOKIE,
            "description": "The session of a browser that signed in. What changes something must \
                            come from the platform's own origin",
        },
    })
}

fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key", "in": "header", "required": false,
        "description": "A name for this request, at best a random UUID: sent again within 24 hours \
                        it takes effect once",
        "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
    })
}

/// Who may call, what may be sent with every write, and how it is refused.
fn complete(operation: &mut Map<String, Value>, route: &Route) {
    operation.insert("security".to_owned(), security(route.needs));
    for parameter in operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        never_null(&mut parameter["schema"]);
    }
    if route.needs != Needs::Nothing && is_write(&route.method) {
        let parameters = operation
            .entry("parameters")
            .or_insert_with(|| json!([]))
            .as_array_mut();
        if let Some(parameters) = parameters {
            parameters.push(json!({ "$ref": "#/components/parameters/IdempotencyKey" }));
        }
    }
    let content = error_content(route.path);
    let Some(Value::Object(responses)) = operation.get_mut("responses") else {
        return;
    };
    if route.needs != Needs::Nothing {
        let description = "The caller is not known, or not any more";
        responses.insert("401".to_owned(), json!({ "description": description }));
    }
    let forbidden = match route.needs {
        Needs::Nothing => None,
        Needs::Caller => Some("Something that the caller may not do".to_owned()),
        Needs::Scope(scope) => Some(format!(
            "An API key without scope {scope}, or something else that the caller may not do"
        )),
        Needs::Person => Some("An API key: only people may do this".to_owned()),
        Needs::Admin => Some("Only administrators may do this".to_owned()),
    };
    if let Some(description) = forbidden {
        let response = json!({ "description": description });
        responses.entry("403").or_insert(response);
    }
    let common = COMMON.map(|status| status.to_string()).join(", ");
    let description = format!("Any other refusal ({common}) or failure (5xx); `code` says which");
    responses.insert("default".to_owned(), json!({ "description": description }));
    for (status, response) in responses {
        let is_error = status == "default" || status.starts_with(['4', '5']);
        if is_error && response.get("content").is_none() {
            response["content"] = content.clone();
        }
    }
}

fn is_write(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// A parameter that is left out is not there: nothing else stands for that.
fn never_null(schema: &mut Value) {
    let types = schema.get("type").and_then(Value::as_array);
    let rest: Vec<&Value> = types
        .into_iter()
        .flatten()
        .filter(|name| *name != "null")
        .collect();
    if let [only] = rest[..] {
        schema["type"] = only.clone();
    }
}

fn security(needs: Needs) -> Value {
    let scopes = match needs {
        Needs::Nothing => return json!([]),
        Needs::Person | Needs::Admin => return json!([{ TOKEN: [] }, { SESSION: [] }]),
        Needs::Caller => json!([]),
        Needs::Scope(scope) => json!([scope.name()]),
    };
    json!([{ TOKEN: [] }, { KEY: scopes }, { SESSION: [] }])
}

fn error_content(path: &str) -> Value {
    let (media_type, schema) = if path.starts_with("/v1") {
        ("application/json", "OpenAiError")
    } else {
        ("application/problem+json", "Problem")
    };
    let schema = format!("#/components/schemas/{schema}");
    json!({ media_type: { "schema": { "$ref": schema } } })
}

/// Bodies that may carry more of OpenAI's parameters than those with an effect: some that are taken
/// because real clients send them, and some that are refused unless they ask for nothing.
const TOLERANT: [(&str, &[&str], &[Refused]); 2] = [
    (
        "ChatCompletionRequest",
        &chat_request::PASSED_OVER,
        refused::CHAT,
    ),
    (
        "ResponsesRequest",
        &responses_request::PASSED_OVER,
        refused::RESPONSES,
    ),
];

fn add_without_effect(document: &mut Value) {
    let passed_over = || json!({ "description": "Taken, and without effect on the answer." });
    let refused =
        || json!({ "description": "Not carried out: refused where it asks for something." });
    for (schema, taken, not_carried_out) in TOLERANT {
        let properties = &mut document["components"]["schemas"][schema]["properties"];
        if let Value::Object(properties) = properties {
            for name in taken {
                properties.entry(*name).or_insert_with(passed_over);
            }
            for parameter in not_carried_out {
                properties.entry(parameter.name).or_insert_with(refused);
            }
        }
    }
}

/// Comments of the code as texts of the document: without headings and links of the code, one line
/// a paragraph.
fn plain_texts(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match value {
                    Value::String(text) if name == "description" || name == "summary" => {
                        *text = plain(text);
                    }
                    _ => plain_texts(value),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(plain_texts),
        _ => {}
    }
}

fn plain(text: &str) -> String {
    let text = text.replace("# Errors\n", "Errors: ");
    let text = text.replace("[`", "`").replace("`]", "`");
    let paragraphs = text.split("\n\n").map(|paragraph| {
        let words: Vec<&str> = paragraph.split_whitespace().collect();
        words.join(" ")
    });
    let paragraphs: Vec<String> = paragraphs.filter(|it| !it.is_empty()).collect();
    paragraphs.join("\n\n")
}

#[cfg(test)]
mod tests {
    use lotoai_policy::Scope;

    use super::*;

    #[test]
    fn no_parameter_is_both_taken_and_refused() {
        for (_, taken, not_carried_out) in TOLERANT {
            for parameter in not_carried_out {
                assert!(!taken.contains(&parameter.name), "{}", parameter.name);
            }
        }
    }

    #[test]
    fn comments_become_texts() {
        let comment =
            "Ends one of\nthe sessions, see [`remove`].\n\n# Errors\n404 when\nit is not.\n";
        let text = "Ends one of the sessions, see `remove`.\n\nErrors: 404 when it is not.";
        assert_eq!(plain(comment), text);
        assert_eq!(plain("# Errors\n404"), "Errors: 404");
        assert_eq!(plain(" \n\n "), "");
    }

    #[test]
    fn only_texts_are_changed() {
        let mut value =
            json!({ "description": "a\nb", "pattern": "a\nb", "x": [{ "summary": "a\nb" }] });
        plain_texts(&mut value);
        let expected =
            json!({ "description": "a b", "pattern": "a\nb", "x": [{ "summary": "a b" }] });
        assert_eq!(value, expected);
    }

    #[test]
    fn parameters_are_never_null() {
        let mut schema = json!({ "type": ["integer", "null"], "minimum": 1 });
        never_null(&mut schema);
        assert_eq!(schema, json!({ "type": "integer", "minimum": 1 }));
        let mut whole = json!({ "type": "string" });
        never_null(&mut whole);
        assert_eq!(whole, json!({ "type": "string" }));
    }

    #[test]
    fn what_a_call_needs_is_what_the_document_says() {
        assert_eq!(security(Needs::Nothing), json!([]));
        let text = security(Needs::Scope(Scope::Embed)).to_string();
        assert!(text.contains(r#"{"apiKey":["embeddings"]}"#), "{text}");
        assert!(security(Needs::Caller).to_string().contains("apiKey"));
        for needs in [Needs::Person, Needs::Admin] {
            assert!(!security(needs).to_string().contains("apiKey"));
        }
    }
}
