//! What may be asked of stored conversations: requests, checked.

use uuid::Uuid;

use super::fields::Fields;
use super::json_body;
use super::parameters::Parameters;
use crate::failure::Failure;

/// Largest request body, in bytes.
pub const MAX_BODY_BYTES: usize = 16 * 1024;
const MAX_TITLE_CHARS: usize = 200;
const MAX_QUERY_CHARS: usize = 200;

/// The new title of `PATCH /api/conversations/{id}`.
///
/// # Errors
/// 400 that names the field, or says where the JSON breaks.
pub fn rename(body: &[u8]) -> Result<String, Failure> {
    let value = json_body::read(body)?;
    let fields = Fields::of(&value, "")?;
    fields.only(&["title"])?;
    fields.required("title")?;
    Ok(title(&fields)?.unwrap_or_default())
}

/// Where to branch, of `POST /api/conversations/{id}/branch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchRequest {
    /// The last message that the branch has; `None` is the id of nothing.
    pub message: Option<Uuid>,
    /// Its title; `None` is that of what it comes from.
    pub title: Option<String>,
}

impl BranchRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// 400 that names the field, or says where the JSON breaks.
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        let value = json_body::read(body)?;
        let fields = Fields::of(&value, "")?;
        fields.only(&["message_id", "title"])?;
        fields.required("message_id")?;
        let message = fields.text("message_id")?.unwrap_or_default();
        Ok(Self {
            message: Uuid::parse_str(message).ok(),
            title: title(&fields)?,
        })
    }
}

/// One line of text that can be seen.
fn title(fields: &Fields<'_>) -> Result<Option<String>, Failure> {
    let Some(title) = fields.text("title")?.map(str::trim) else {
        return Ok(None);
    };
    let fits = (1..=MAX_TITLE_CHARS).contains(&title.chars().count());
    if !fits || title.chars().any(char::is_control) {
        let message = format!("title must be 1 to {MAX_TITLE_CHARS} characters on one line");
        return Err(fields.refuse("title", message));
    }
    Ok(Some(title.to_owned()))
}

/// What to look for, of `GET /api/conversations/search`.
///
/// # Errors
/// 400 when nothing is said, or more than anybody looks for.
pub fn search(parameters: &mut Parameters) -> Result<String, Failure> {
    let query = parameters.take("q").unwrap_or_default();
    let query = query.trim();
    if !(1..=MAX_QUERY_CHARS).contains(&query.chars().count()) {
        let message = format!("q must be 1 to {MAX_QUERY_CHARS} characters of what to look for");
        return Err(Failure::invalid("q", message));
    }
    Ok(query.to_owned())
}

/// How a conversation is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Everything that is stored.
    Json,
    /// For people.
    Markdown,
}

impl Format {
    /// What `format` asks for; JSON when nothing is said.
    ///
    /// # Errors
    /// 400 for another word.
    pub fn of(parameters: &mut Parameters) -> Result<Self, Failure> {
        match parameters.take("format").as_deref() {
            None | Some("json") => Ok(Self::Json),
            Some("markdown") => Ok(Self::Markdown),
            Some(_) => Err(Failure::invalid(
                "format",
                "format must be json or markdown",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[rstest::rstest]
    #[case(json!({"title": " a title "}), Ok("a title"))]
    #[case(json!({"title": "ñ".repeat(200)}), Ok(""))]
    #[case(json!({"title": "ñ".repeat(201)}), Err("title"))]
    #[case(json!({"title": " "}), Err("title"))]
    #[case(json!({"title": "a\nb"}), Err("title"))]
    #[case(json!({"title": null}), Err("title"))]
    #[case(json!({"title": 1}), Err("title"))]
    #[case(json!({}), Err("title"))]
    #[case(json!({"title": "a", "owner": "eve"}), Err("owner"))]
    fn titles(#[case] body: Value, #[case] expected: Result<&str, &str>) {
        let read = rename(body.to_string().as_bytes());
        match expected {
            Ok("") => assert!(read.is_ok()),
            Ok(title) => assert_eq!(read.unwrap(), title),
            Err(param) => assert_eq!(read.unwrap_err().param.as_deref(), Some(param)),
        }
    }

    #[test]
    fn a_branch_needs_a_message_and_may_have_a_title() {
        let id = Uuid::now_v7();
        let parse = |body: &Value| BranchRequest::parse(body.to_string().as_bytes());
        let request = parse(&json!({"message_id": id, "title": "b"})).unwrap();
        assert_eq!(request.message, Some(id));
        assert_eq!(request.title.as_deref(), Some("b"));
        assert_eq!(parse(&json!({"message_id": "x"})).unwrap().message, None);
        for (body, param) in [
            (json!({}), "message_id"),
            (json!({"message_id": 1}), "message_id"),
            (json!({"message_id": id, "title": ""}), "title"),
            (json!({"message_id": id, "messages": []}), "messages"),
        ] {
            assert_eq!(parse(&body).unwrap_err().param.as_deref(), Some(param));
        }
    }

    #[rstest::rstest]
    #[case("q=%20vacaciones%20", Some("vacaciones"))]
    #[case("", None)]
    #[case("q=%20", None)]
    #[case("q=a%00b", None)]
    fn queries(#[case] query: &str, #[case] expected: Option<&str>) {
        let parameters = Parameters::parse(Some(query), &["q"]);
        let read = parameters.and_then(|mut parameters| search(&mut parameters));
        assert_eq!(read.ok().as_deref(), expected);
    }

    #[test]
    fn formats() {
        let format = |query| Format::of(&mut Parameters::parse(query, &["format"]).unwrap());
        assert_eq!(format(None).unwrap(), Format::Json);
        assert_eq!(format(Some("format=markdown")).unwrap(), Format::Markdown);
        assert_eq!(
            format(Some("format=html")).unwrap_err().param.as_deref(),
            Some("format")
        );
    }
}
