//! Where an answer cites what: citations as OpenAI's Responses API has them.

use serde_json::{Value, json};

/// A model that writes the same marker more often than this is rambling.
const MAX_PLACES: usize = 100;

/// A `file_citation` for each place where `text` has the marker of a citation, by their place in
/// it in characters; one without a marker is of the whole text and stands at its end.
pub fn of(text: &str, citations: &[Value]) -> Vec<Value> {
    let mut found: Vec<(usize, Value)> = Vec::new();
    for citation in citations {
        let places = places(text, &format!("[{}]", citation["number"]));
        found.extend(places.into_iter().map(|index| {
            let annotation = json!({
                "type": "file_citation",
                "file_id": citation["document_id"],
                "filename": citation["document_name"],
                "index": index,
            });
            (index, annotation)
        }));
    }
    found.sort_by_key(|(index, _)| *index);
    found
        .into_iter()
        .map(|(_, annotation)| annotation)
        .collect()
}

/// Where `marker` stands, in characters.
fn places(text: &str, marker: &str) -> Vec<usize> {
    let (mut bytes, mut chars) = (0, 0);
    let mut places = Vec::new();
    for (at, _) in text.match_indices(marker).take(MAX_PLACES) {
        chars += text[bytes..at].chars().count();
        bytes = at;
        places.push(chars);
    }
    if places.is_empty() {
        places.push(text.chars().count());
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn citation(number: u32) -> Value {
        json!({"number": number, "document_id": format!("d{number}"), "document_name": "a.md"})
    }

    /// Place and document of each annotation.
    fn found(text: &str, numbers: &[u32]) -> Vec<(u64, String)> {
        let citations: Vec<Value> = numbers.iter().copied().map(citation).collect();
        let annotations = of(text, &citations);
        let seen = annotations.iter().map(|it| {
            assert_eq!(
                (&it["type"], &it["filename"]),
                (&json!("file_citation"), &json!("a.md"))
            );
            (
                it["index"].as_u64().unwrap(),
                it["file_id"].as_str().unwrap().to_owned(),
            )
        });
        seen.collect()
    }

    #[test]
    fn each_marker_is_one_in_the_order_of_the_text() {
        let seen = found("Año [2], mes [1][2].", &[1, 2]);
        let expected = [(4, "d2".into()), (13, "d1".into()), (16, "d2".into())];
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_has_no_marker_is_of_the_whole_text() {
        assert_eq!(found("Año.", &[1]), [(4, "d1".into())]);
        assert_eq!(found("See [12].", &[1]), [(9, "d1".into())]);
        assert!(found("See [1].", &[]).is_empty());
    }

    #[test]
    fn a_text_of_markers_alone_has_not_as_many() {
        assert_eq!(found(&"[1]".repeat(5_000), &[1]).len(), MAX_PLACES);
    }
}
