//! The request of `POST /api/keys`, checked.

use lotoai_policy::Scope;

use super::fields::Fields;
use super::json_body;
use crate::failure::Failure;

/// Largest request body, in bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// Days after which a key ends, unless it says otherwise.
const DEFAULT_DAYS: u32 = 90;
/// Longest life of a key, in days.
const MAX_DAYS: u32 = 365;
const MAX_NAME_CHARS: usize = 80;
/// Most models or groups of one key.
const MAX_ITEMS: usize = 50;
const MAX_ITEM_CHARS: usize = 128;
/// What can be said of a key, and nothing else: neither whose it is nor what it may beyond that.
const PARAMETERS: [&str; 5] = ["name", "scopes", "models", "groups", "expires_in_days"];

/// What a key is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRequest {
    /// What its owner calls it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The only models that it may name; `None` is every one of its owner.
    pub models: Option<Vec<String>>,
    /// The groups that it has; `None` is its owner's.
    pub groups: Option<Vec<String>>,
    /// Days until it ends.
    pub days: u32,
}

impl KeyRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// 400 that names the field, or says where the JSON breaks.
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        let value = json_body::read(body)?;
        let fields = Fields::of(&value, "")?;
        fields.only(&PARAMETERS)?;
        fields.required("name")?;
        let name = fields.text("name")?.unwrap_or_default().trim().to_owned();
        let count = name.chars().count();
        if count == 0 || count > MAX_NAME_CHARS || name.chars().any(char::is_control) {
            let message = format!("name must be 1 to {MAX_NAME_CHARS} printable characters");
            return Err(fields.refuse("name", message));
        }
        let days = fields.integer("expires_in_days", 1..=MAX_DAYS)?;
        Ok(Self {
            name,
            scopes: scopes(&fields)?,
            models: names(&fields, "models")?,
            groups: names(&fields, "groups")?,
            days: days.unwrap_or(DEFAULT_DAYS),
        })
    }
}

fn scopes(fields: &Fields<'_>) -> Result<Vec<Scope>, Failure> {
    let Some(names) = names(fields, "scopes")? else {
        return Ok(vec![Scope::Chat]);
    };
    let scopes: Option<Vec<Scope>> = names.iter().map(|name| Scope::of_name(name)).collect();
    scopes.filter(|scopes| !scopes.is_empty()).ok_or_else(|| {
        let known = Scope::ALL.map(Scope::name).join(", ");
        fields.refuse("scopes", format!("scopes must be some of: {known}"))
    })
}

fn names(fields: &Fields<'_>, field: &str) -> Result<Option<Vec<String>>, Failure> {
    fields.names(field, MAX_ITEMS, MAX_ITEM_CHARS)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(value: &Value) -> Result<KeyRequest, Failure> {
        KeyRequest::parse(value.to_string().as_bytes())
    }

    #[test]
    fn a_name_is_enough() {
        let request = parse(&json!({"name": " ci "})).unwrap();
        assert_eq!(request.name, "ci");
        assert_eq!(request.scopes, [Scope::Chat]);
        assert_eq!((request.models, request.groups), (None, None));
        assert_eq!(request.days, 90);
    }

    #[rstest::rstest]
    #[case(json!({}), "name")]
    #[case(json!({"name": ""}), "name")]
    #[case(json!({"name": "a\nb"}), "name")]
    #[case(json!({"name": "n".repeat(81)}), "name")]
    #[case(json!({"name": "n", "scopes": []}), "scopes")]
    #[case(json!({"name": "n", "scopes": ["root"]}), "scopes")]
    #[case(json!({"name": "n", "scopes": "chat"}), "scopes")]
    #[case(json!({"name": "n", "models": [1]}), "models")]
    #[case(json!({"name": "n", "models": [""]}), "models")]
    #[case(json!({"name": "n", "groups": vec!["g"; 51]}), "groups")]
    #[case(json!({"name": "n", "expires_in_days": 0}), "expires_in_days")]
    #[case(json!({"name": "n", "expires_in_days": 366}), "expires_in_days")]
    #[case(json!({"name": "n", "owner": "eve"}), "owner")]
    fn what_is_wrong_is_named(#[case] body: Value, #[case] param: &str) {
        assert_eq!(parse(&body).unwrap_err().param.as_deref(), Some(param));
    }
}
