//! The request of an HTTP tool: address, query and body from the arguments.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use url::Url;
use url::form_urlencoded::Serializer;

use super::declaration::{HttpTool, Method};

/// What is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Address with the arguments in its path and query.
    pub url: Url,
    /// Body; `None` for `GET` and `DELETE`.
    pub body: Option<Value>,
}

/// Puts the arguments into the address; those without a place of their own go to the query or the
/// body. Values are percent-encoded, so that none of them can change the path's structure.
///
/// # Errors
/// The address with its arguments is no URL, or an argument for the path is an object or list.
pub fn build(tool: &HttpTool, arguments: &Map<String, Value>) -> Result<Request, String> {
    let mut address = tool.url.clone();
    let mut rest = Map::new();
    for (name, value) in arguments {
        let place = format!("{{{name}}}");
        if address.contains(&place) {
            let text = scalar(value).ok_or_else(|| {
                format!("argument {name:?} must be a text, a number or a boolean")
            })?;
            if text.is_empty() || text == "." || text == ".." {
                return Err(format!("argument {name:?} must not be {text:?}"));
            }
            address = address.replace(&place, &encode(&text));
        } else {
            rest.insert(name.clone(), value.clone());
        }
    }
    if let Some(missing) = placeholder(&address) {
        return Err(format!("argument {missing:?} is missing"));
    }
    let mut url =
        Url::parse(&address).map_err(|error| format!("the address is no URL: {error}"))?;
    if !matches!(tool.method, Method::Get | Method::Delete) {
        return Ok(Request {
            url,
            body: Some(Value::Object(rest)),
        });
    }
    if !rest.is_empty() {
        let mut query = url.query_pairs_mut();
        // By name: how a map of JSON is ordered depends on how the library was compiled.
        let sorted: BTreeMap<_, _> = rest.iter().collect();
        for (name, value) in sorted {
            query.append_pair(name, &scalar(value).unwrap_or_else(|| value.to_string()));
        }
    }
    Ok(Request { url, body: None })
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Percent-encoding that leaves nothing with a meaning in a path; a space becomes `%20`.
fn encode(text: &str) -> String {
    let mut form = Serializer::new(String::new());
    form.append_key_only(text);
    form.finish().replace('+', "%20").replace('*', "%2A")
}

fn placeholder(address: &str) -> Option<&str> {
    let (_, rest) = address.split_once('{')?;
    rest.split_once('}').map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn tool(method: Method, url: &str) -> HttpTool {
        HttpTool {
            method,
            url: url.into(),
            headers: [].into(),
            token_env: None,
            timeout_seconds: 1,
        }
    }

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[rstest]
    #[case("http://h/a/{id}", json!({"id": "x y/../z?#"}), "http://h/a/x%20y%2F..%2Fz%3F%23")]
    #[case("http://h/a", json!({"q": "a&b=c", "n": 3}), "http://h/a?n=3&q=a%26b%3Dc")]
    #[case("http://h/a?fixed=1", json!({"b": true}), "http://h/a?fixed=1&b=true")]
    fn arguments_cannot_leave_their_place(
        #[case] url: &str,
        #[case] arguments: Value,
        #[case] expected: &str,
    ) {
        let request = build(&tool(Method::Get, url), &object(arguments)).unwrap();
        assert_eq!(request.url.as_str(), expected);
        assert_eq!(request.body, None);
    }

    #[rstest]
    #[case(json!({"id": ".."}))]
    #[case(json!({"id": ""}))]
    #[case(json!({"id": ["a"]}))]
    #[case(json!({}))]
    fn a_path_needs_a_plain_value(#[case] arguments: Value) {
        assert!(build(&tool(Method::Get, "http://h/{id}"), &object(arguments)).is_err());
    }

    #[test]
    fn post_sends_the_rest_as_json() {
        let arguments = object(json!({"id": 7, "name": "n", "tags": ["a"]}));
        let request = build(&tool(Method::Post, "http://h/{id}"), &arguments).unwrap();
        assert_eq!(request.url.as_str(), "http://h/7");
        assert_eq!(request.body, Some(json!({"name": "n", "tags": ["a"]})));
    }
}
