use serde_json::json;

use super::*;
use crate::openapi::document;

fn pages() -> [String; 2] {
    let document = document(&"https://ai.example.org".parse().unwrap());
    Language::ALL.map(|language| render(&document, language))
}

#[test]
fn every_call_and_every_schema_is_on_the_page_in_both_languages() {
    let document = document(&"https://ai.example.org".parse().unwrap());
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let calls = calls(&document);
    assert!(calls.len() > 20 && schemas.len() > 20);
    for page in pages() {
        for Call { operation, .. } in &calls {
            let id = operation["operationId"].as_str().unwrap();
            assert_eq!(
                page.matches(&format!("<h3 id=\"{id}\">")).count(),
                1,
                "{id}"
            );
        }
        for name in schemas.keys() {
            let id = format!("<h3 id=\"schema-{name}\">");
            assert_eq!(page.matches(&id).count(), 1, "{name}");
        }
        // No link leads nowhere.
        for link in page.split("href=\"#").skip(1) {
            let id = link.split('"').next().unwrap();
            assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
        }
    }
}

#[test]
fn the_page_runs_and_loads_nothing() {
    for page in pages() {
        for mark in [
            "<script",
            "style=",
            " onclick",
            "<img",
            "<iframe",
            "<style",
            "javascript:",
        ] {
            assert!(!page.contains(mark), "{mark}");
        }
        let loaded: Vec<&str> = page.split("<link ").skip(1).collect();
        assert_eq!(loaded.len(), 1);
        assert!(loaded[0].starts_with("rel=\"stylesheet\" href=\"/api/docs/style.css\""));
    }
    assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
}

#[test]
fn elements_that_are_opened_are_closed() {
    for page in pages() {
        for element in [
            "html", "head", "body", "header", "nav", "main", "section", "article", "table", "tr",
            "th", "td", "div", "p", "span", "code", "ul", "li", "a", "b", "small", "caption",
        ] {
            let bare = page.matches(&format!("<{element}>")).count();
            let opened = bare + page.matches(&format!("<{element} ")).count();
            let closed = page.matches(&format!("</{element}>")).count();
            assert_eq!(opened, closed, "{element}");
        }
    }
}

#[test]
fn the_words_are_of_the_language_and_the_rest_says_that_it_is_english() {
    let [english, spanish] = pages();
    assert!(english.contains("<html lang=\"en\">") && spanish.contains("<html lang=\"es\">"));
    assert!(english.contains("Needs: access token") && !english.contains("Necesita"));
    assert!(spanish.contains("Necesita: token de acceso") && !spanish.contains("Needs:"));
    assert!(spanish.contains("<div lang=\"en\"><p>Turns texts into vectors.</p>"));
    assert!(spanish.contains("href=\"/api/docs?lang=en\"") && english.contains("lang=es"));
}

#[test]
fn what_the_document_says_is_text_and_no_mark() {
    let document = json!({
        "openapi": "3.1.0",
        "info": { "title": "<b>", "version": "\"", "description": "<script>x</script>" },
        "servers": [{ "url": "https://x/\"><script>" }],
        "tags": [{ "name": "t", "description": "<i>" }],
        "paths": { "/<p>": { "get": {
            "operationId": "a\"b", "summary": "<u>", "tags": ["t"], "security": [{ "<s>": ["<k>"] }],
            "parameters": [{ "name": "<n>", "in": "query", "description": "<d>", "schema": {
                "type": "string", "default": "<v>",
            } }],
            "responses": { "200": { "description": "<r>" } },
        } } },
        "components": { "schemas": { "S": { "enum": ["<e>"] } } },
    });
    let page = render(&document, Language::English);
    for mark in [
        "<title><b>",
        "<script",
        "<i>",
        "<u>",
        "<s>",
        "<k>",
        "<n>",
        "<d>",
        "<v>",
        "<r>",
        "<e>",
        "/<p>",
        "a\"b",
    ] {
        assert!(!page.contains(mark), "{mark}");
    }
    assert!(page.contains("&lt;e&gt;"), "the control: it is there");
}
