//! Pages of lists: a limit and an opaque cursor.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::parameters::Parameters;
use crate::failure::Failure;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;
/// Items of a page of a list that most callers want whole.
const WIDE_LIMIT: u32 = 1_000;

/// Query of a list.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Items of a page; 50 without it.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// One page.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// What gets the next page; `null` at the end.
    pub next_cursor: Option<String>,
}

impl PageQuery {
    /// Takes `limit` and `cursor` out of the parameters.
    pub fn of(parameters: &mut Parameters) -> Self {
        Self {
            limit: parameters.take("limit"),
            cursor: parameters.take("cursor"),
        }
    }

    /// Items per page.
    ///
    /// # Errors
    /// 400 when it is not 1 to 200.
    pub fn limit(&self) -> Result<usize, Failure> {
        self.limit_within(DEFAULT_LIMIT, MAX_LIMIT)
    }

    /// Items per page of a list that most callers want whole: as many as a page may have where the
    /// caller does not say.
    ///
    /// # Errors
    /// 400 when it is not 1 to 1,000.
    pub fn wide_limit(&self) -> Result<usize, Failure> {
        self.limit_within(WIDE_LIMIT, WIDE_LIMIT)
    }

    fn limit_within(&self, default: u32, most: u32) -> Result<usize, Failure> {
        let Some(text) = &self.limit else {
            return Ok(default as usize);
        };
        text.parse::<u32>()
            .ok()
            .filter(|limit| (1..=most).contains(limit))
            .map(|limit| limit as usize)
            .ok_or_else(|| {
                Failure::invalid(
                    "limit",
                    format!("limit must be an integer from 1 to {most}"),
                )
            })
    }

    /// What the cursor says. No text in it holds a NUL character, which PostgreSQL has no text for.
    ///
    /// # Errors
    /// 400 when it is not a cursor of this list.
    pub fn after<T: for<'de> Deserialize<'de>>(&self) -> Result<Option<T>, Failure> {
        let Some(cursor) = self.cursor.as_deref().filter(|cursor| !cursor.is_empty()) else {
            return Ok(None);
        };
        URL_SAFE_NO_PAD
            .decode(cursor)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
            .filter(|value| !holds_nul(value))
            .and_then(|value| serde_json::from_value(value).ok())
            .map(Some)
            .ok_or_else(not_of_list)
    }
}

/// 400 for a cursor that no page of the list gave.
pub fn not_of_list() -> Failure {
    Failure::invalid("cursor", "cursor must be a next_cursor of the same list")
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(fields) => fields.values().any(holds_nul),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

impl<T> Page<T> {
    /// A page of what somebody else lists, whose token for the next one is empty at the end.
    pub fn with_token(items: Vec<T>, token: &str) -> Self {
        let encoded = serde_json::to_vec(token).ok().filter(|_| !token.is_empty());
        Self {
            items,
            next_cursor: encoded.map(|bytes| URL_SAFE_NO_PAD.encode(bytes)),
        }
    }

    /// A page of at most `limit` of `items`, of which one more was read than fits.
    pub fn of<C: Serialize>(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> C) -> Self {
        let has_more = items.len() > limit;
        items.truncate(limit);
        Self::with_more(items, has_more, cursor)
    }

    /// A page of these, after which there are more or not.
    pub fn with_more<C: Serialize>(
        items: Vec<T>,
        has_more: bool,
        cursor: impl Fn(&T) -> C,
    ) -> Self {
        let next_cursor = items
            .last()
            .filter(|_| has_more)
            .and_then(|last| serde_json::to_vec(&cursor(last)).ok())
            .map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        Self { items, next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_to_the_rest_and_ends() {
        let page = Page::of(vec![3, 2, 1], 2, |item| *item);
        assert_eq!(page.items, [3, 2]);
        let query = PageQuery {
            limit: None,
            cursor: page.next_cursor,
        };
        assert_eq!(query.after::<i32>().unwrap(), Some(2));
        assert!(Page::of(vec![1], 2, |item| *item).next_cursor.is_none());
    }

    #[test]
    fn a_token_of_somebody_else_comes_back_as_it_was() {
        let page = Page::with_token(vec![1], "a/+ñ");
        let query = PageQuery {
            limit: None,
            cursor: page.next_cursor,
        };
        assert_eq!(query.after::<String>().unwrap().as_deref(), Some("a/+ñ"));
        assert!(Page::with_token(vec![1], "").next_cursor.is_none());
    }

    #[rstest::rstest]
    #[case("0")]
    #[case("201")]
    #[case("-1")]
    #[case("x")]
    fn bad_limits_are_refused(#[case] limit: &str) {
        let query = PageQuery {
            limit: Some(limit.into()),
            cursor: None,
        };
        assert_eq!(query.limit().unwrap_err().param.as_deref(), Some("limit"));
    }

    #[rstest::rstest]
    #[case(None, Some(50), Some(1_000))]
    #[case(Some("1"), Some(1), Some(1))]
    #[case(Some("201"), None, Some(201))]
    #[case(Some("1001"), None, None)]
    #[case(Some("0"), None, None)]
    fn a_wide_page_has_more(
        #[case] limit: Option<&str>,
        #[case] usual: Option<usize>,
        #[case] wide: Option<usize>,
    ) {
        let query = PageQuery {
            limit: limit.map(str::to_owned),
            cursor: None,
        };
        assert_eq!((query.limit().ok(), query.wide_limit().ok()), (usual, wide));
    }

    #[rstest::rstest]
    #[case("!!!")]
    #[case("bm9wZQ")]
    fn bad_cursors_are_refused(#[case] cursor: &str) {
        let query = PageQuery {
            limit: None,
            cursor: Some(cursor.into()),
        };
        assert_eq!(
            query.after::<i32>().unwrap_err().param.as_deref(),
            Some("cursor")
        );
    }

    #[rstest::rstest]
    #[case("a", true)]
    #[case("a\\u0000", true)]
    #[case("a\0", false)]
    #[case("\0", false)]
    fn a_cursor_holds_no_nul(#[case] text: &str, #[case] accepted: bool) {
        let cursors = [
            serde_json::json!([1, text]),
            serde_json::json!({ "day": text, "id": 1 }),
            serde_json::json!([[text]]),
        ];
        for cursor in cursors {
            let query = PageQuery {
                limit: None,
                cursor: Some(URL_SAFE_NO_PAD.encode(cursor.to_string())),
            };
            assert_eq!(query.after::<Value>().is_ok(), accepted, "{cursor}");
        }
    }
}
