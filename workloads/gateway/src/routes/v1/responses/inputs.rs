//! What was sent with a response, as items of the Responses API.

use serde_json::{Value, json};
use url::form_urlencoded;
use uuid::Uuid;

use super::object::part;
use crate::domain::parameters::Parameters;
use crate::failure::Failure;
use crate::store::NewMessage;

/// The items of a message, with ids that stay the same.
pub(super) fn items(id: Uuid, message: &NewMessage) -> Vec<Value> {
    let id = id.simple();
    if let Some(call_id) = &message.function_call_id {
        return vec![json!({
            "type": "function_call_output",
            "id": format!("fco_{id}"),
            "status": "completed",
            "call_id": call_id,
            "output": message.content,
        })];
    }
    let text = (!message.content.is_empty()).then(|| {
        let part = if message.role == "assistant" {
            part(&message.content, &[])
        } else {
            json!({ "type": "input_text", "text": message.content })
        };
        json!({
            "type": "message",
            "id": format!("msg_{id}"),
            "status": "completed",
            "role": message.role,
            "content": [part],
        })
    });
    let calls = message.function_calls.iter().enumerate();
    let calls = calls.map(|(index, call)| {
        json!({
            "type": "function_call",
            "id": format!("fc_{id}_{index}"),
            "status": "completed",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
        })
    });
    text.into_iter().chain(calls).collect()
}

/// The parameters.
const KNOWN: [&str; 4] = ["after", "include", "limit", "order"];
/// Names of a parameter that is taken without effect, as often as it comes: there is nothing more to
/// include. The second is how OpenAI's clients write a list.
const INCLUDE: [&str; 2] = ["include", "include[]"];

/// A query without that.
pub(super) fn without_include(query: Option<&str>) -> Option<String> {
    let query = query?.split('&').filter(|pair| {
        let name = form_urlencoded::parse(pair.as_bytes()).next();
        !name.is_some_and(|(name, _)| INCLUDE.contains(&name.as_ref()))
    });
    Some(query.collect::<Vec<_>>().join("&"))
}

/// Which part of a list is wanted.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    limit: usize,
    oldest_first: bool,
    after: Option<String>,
}

impl Wanted {
    /// What a query says.
    ///
    /// # Errors
    /// 400 that names the parameter.
    pub fn of(query: Option<&str>) -> Result<Self, Failure> {
        let mut parameters = Parameters::parse(without_include(query).as_deref(), &KNOWN)?;
        let limit = match parameters.take("limit") {
            None => 20,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=100).contains(limit))
                .ok_or_else(|| {
                    Failure::invalid("limit", "limit must be an integer from 1 to 100")
                })?,
        };
        let oldest_first = match parameters.take("order").as_deref() {
            None | Some("desc") => false,
            Some("asc") => true,
            Some(_) => return Err(Failure::invalid("order", "order must be asc or desc")),
        };
        Ok(Self {
            limit,
            oldest_first,
            after: parameters.take("after"),
        })
    }

    /// The part of `items`, which are given oldest first.
    ///
    /// # Errors
    /// 400 when there is no item to begin after.
    pub(super) fn page(&self, mut items: Vec<Value>) -> Result<Value, Failure> {
        if !self.oldest_first {
            items.reverse();
        }
        if let Some(after) = &self.after {
            let place = items.iter().position(|item| item["id"] == after.as_str());
            let place = place.ok_or_else(|| {
                Failure::invalid("after", "after must be the id of an item of this list")
            })?;
            items.drain(..=place);
        }
        let has_more = items.len() > self.limit;
        items.truncate(self.limit);
        let id = |item: Option<&Value>| item.map_or(Value::Null, |item| item["id"].clone());
        Ok(json!({
            "object": "list",
            "first_id": id(items.first()),
            "last_id": id(items.last()),
            "has_more": has_more,
            "data": items,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoredCall;

    fn ids(list: &Value) -> Vec<&str> {
        let data = list["data"].as_array().unwrap().iter();
        data.map(|item| item["id"].as_str().unwrap()).collect()
    }

    fn page(query: &str) -> Result<Value, Failure> {
        let items = ["a", "b", "c"].map(|id| json!({ "id": id })).to_vec();
        Wanted::of(Some(query)).and_then(|wanted| wanted.page(items))
    }

    #[rstest::rstest]
    #[case("", "cba", false)]
    #[case("order=asc", "abc", false)]
    #[case("limit=2", "cb", true)]
    #[case("limit=2&after=b", "a", false)]
    #[case("order=asc&limit=1&after=a", "b", true)]
    #[case("order=asc&after=c", "", false)]
    fn a_list_is_read_page_by_page(
        #[case] query: &str,
        #[case] expected: &str,
        #[case] has_more: bool,
    ) {
        let list = page(query).unwrap();
        assert_eq!(ids(&list).concat(), expected);
        assert_eq!(list["has_more"], has_more);
        let ends = [
            expected.get(..1),
            expected.get(expected.len().saturating_sub(1)..),
        ];
        let ends = ends.map(|end| end.filter(|end| !end.is_empty()));
        assert_eq!([list["first_id"].as_str(), list["last_id"].as_str()], ends);
    }

    #[rstest::rstest]
    #[case("limit=0", "limit")]
    #[case("limit=101", "limit")]
    #[case("order=up", "order")]
    #[case("after=d", "after")]
    #[case("includes=x", "includes")]
    fn a_bad_parameter_is_named(#[case] query: &str, #[case] param: &str) {
        assert_eq!(page(query).unwrap_err().param.as_deref(), Some(param));
    }

    #[rstest::rstest]
    #[case("include=message.output_text.logprobs")]
    #[case("include=a&include=b")]
    #[case("include[]=a&include%5B%5D=b")]
    #[case("include")]
    fn what_is_to_be_included_is_taken_without_effect(#[case] include: &str) {
        let plain = Wanted::of(Some("limit=3&order=asc")).unwrap();
        for query in [
            format!("{include}&limit=3&order=asc"),
            format!("limit=3&{include}&order=asc"),
        ] {
            assert_eq!(Wanted::of(Some(&query)).unwrap(), plain, "{query}");
        }
    }

    #[test]
    fn a_message_is_an_item_and_so_is_each_of_its_calls() {
        let call = |id: &str| StoredCall {
            id: id.to_owned(),
            name: "clock".to_owned(),
            arguments: "{}".to_owned(),
        };
        let asking = NewMessage {
            role: "assistant".to_owned(),
            content: "Let me look.".to_owned(),
            function_calls: vec![call("c1"), call("c2")],
            function_call_id: None,
        };
        let all = items(Uuid::nil(), &asking);
        let kinds: Vec<&Value> = all.iter().map(|item| &item["type"]).collect();
        assert_eq!(kinds, ["message", "function_call", "function_call"]);
        assert_eq!(all[0]["content"][0]["type"], "output_text");
        assert_eq!(
            (&all[1]["call_id"], &all[2]["call_id"]),
            (&json!("c1"), &json!("c2"))
        );
        assert_ne!(all[1]["id"], all[2]["id"]);
        let result = NewMessage {
            role: "tool".to_owned(),
            function_call_id: Some("c1".to_owned()),
            ..NewMessage::default()
        };
        let all = items(Uuid::nil(), &result);
        assert_eq!(all.len(), 1);
        assert_eq!(
            (&all[0]["type"], &all[0]["output"]),
            (&json!("function_call_output"), &json!(""))
        );
    }
}
