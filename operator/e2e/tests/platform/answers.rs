//! Questions through the public URL.

use lotoai_e2e::demo::SAMPLES;
use lotoai_local::text::Language;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{assert_streams, ready_with_corpus, run};

#[test]
fn a_fact_from_a_document_is_answered_and_cited() {
    run(|| async {
        let (_, client) = ready_with_corpus().await;
        for (question, fact, document) in [
            (
                "How many days of paid annual leave does an employee have?",
                "27",
                "leave-policy.md",
            ),
            (
                "How often must the coffee machine be descaled?",
                "Friday",
                "coffee-machine.md",
            ),
            (
                "What is the name of the VPN gateway?",
                "vpn-madrid-7",
                "vpn.html",
            ),
            (
                "¿De cuánto es la dieta internacional por día?",
                "91",
                "viajes.md",
            ),
            (
                "Who holds the spare key of the archive room?",
                "Ottoline",
                "archive-room.txt",
            ),
        ] {
            let answer = client.ask("lotoai", question).await.unwrap();
            assert_eq!(answer.route(), "knowledge", "{question}: {answer:?}");
            assert!(
                answer.text.contains(fact),
                "{question}: {fact:?} is not in {:?}",
                answer.text
            );
            let cited = answer.cited_documents();
            assert!(
                cited.iter().any(|name| name == document),
                "{question}: cited {cited:?}"
            );
        }
    });
}

#[test]
fn what_no_document_says_is_not_made_up() {
    run(|| async {
        let (_, client) = ready_with_corpus().await;
        let question = "What is the boiling point of tungsten hexafluoride on Mars?";
        let answer = client.ask("lotoai", question).await.unwrap();
        assert!(answer.cited_documents().is_empty(), "{answer:?}");
        assert!(!answer.text.trim().is_empty());
    });
}

#[test]
fn a_tool_and_a_role_answer() {
    run(|| async {
        let (_, client) = ready_with_corpus().await;
        for sample in SAMPLES.iter().filter(|sample| sample.route != "knowledge") {
            for language in [Language::English, Language::Spanish] {
                sample.ask(&client, language).await.unwrap();
            }
        }
    });
}

#[test]
fn plain_and_streamed_answers_agree() {
    run(|| async {
        let (_, client) = ready_with_corpus().await;
        let question = "How often must the coffee machine be descaled?";
        let plain = client.ask("lotoai", question).await.unwrap();
        let streamed = client.ask_streaming("lotoai", question, |_| {});
        let streamed = streamed.await.unwrap();
        assert_eq!(plain.text, streamed.text);
        assert_eq!(plain.cited_documents(), streamed.cited_documents());
    });
}

#[test]
fn an_answer_comes_while_it_is_written() {
    run(|| async {
        let (_, client) = ready_with_corpus().await;
        assert_streams(&client).await;
    });
}

#[test]
fn every_role_is_a_model() {
    run(|| async {
        let (_, client) = ready_with_corpus().await;
        let models = client.get("/v1/models").await.unwrap();
        let ids: Vec<&str> = models["data"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|model| model["id"].as_str())
            .collect();
        for expected in ["lotoai", "assistant", "writer"] {
            assert!(ids.contains(&expected), "{ids:?}");
        }
        assert!(
            !ids.contains(&"probe"),
            "the probe is not for people: {ids:?}"
        );
    });
}

#[test]
fn texts_become_vectors_that_are_near_for_what_is_alike() {
    run(|| async {
        let (_, client) = ready_with_corpus().await;
        let body = json!({
            "model": "all-minilm-l6-v2",
            "input": ["The cat sleeps.", "A kitten is asleep.", "Invoices are due in May."],
        });
        let request = client.request(Method::POST, "/v1/embeddings").await;
        let response = request.unwrap().json(&body).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let list: Value = response.json().await.unwrap();
        let vectors: Vec<Vec<f64>> = list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| serde_json::from_value(it["embedding"].clone()).unwrap())
            .collect();
        assert!(vectors.iter().all(|it| it.len() == 384));
        // They have length 1.
        let alike = |a: usize, b: usize| -> f64 {
            let pairs = vectors[a].iter().zip(&vectors[b]);
            pairs.map(|(a, b)| a * b).sum()
        };
        assert!((alike(0, 0) - 1.0).abs() < 1e-3);
        assert!(alike(0, 1) > alike(0, 2) + 0.2);
        assert!(list["usage"]["prompt_tokens"].as_u64().unwrap() >= 15);
    });
}

#[test]
fn the_platform_describes_its_own_api() {
    run(|| async {
        let (_, client) = ready_with_corpus().await;
        let document = client.get("/api/openapi.json").await.unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["servers"][0]["url"], client.url());
        assert!(document["paths"]["/v1/embeddings"]["post"].is_object());
        let request = client.request(Method::GET, "/api/docs?lang=es").await;
        let page = request.unwrap().send().await.unwrap().text().await.unwrap();
        assert!(page.contains("<html lang=\"es\">") && page.contains("/v1/embeddings"));
    });
}

#[test]
fn a_conversation_is_stored_with_its_citations() {
    run(|| async {
        let (_, client) = ready_with_corpus().await;
        let first = client
            .ask("lotoai", "How often must the coffee machine be descaled?")
            .await
            .unwrap();
        let id = first.lotoai["conversation_id"].as_str().unwrap().to_owned();
        let stored = client
            .get(&format!("/api/conversations/{id}"))
            .await
            .unwrap();
        let messages = stored["messages"].as_array().unwrap();
        assert_eq!(messages.len(), 2, "{stored}");
        assert_eq!(messages[1]["citations"], first.lotoai["citations"]);
        let (kept, said) = (&messages[1]["decision"], &first.lotoai["decision"]);
        for field in ["route", "target", "reason"] {
            assert_eq!(kept[field], said[field], "{field}");
            assert_ne!(kept[field], "", "{field}");
        }
        let confidence = |decision: &Value| decision["confidence"].as_f64().unwrap();
        // Single precision is written with different numbers of digits on the two ways.
        assert!(
            (confidence(kept) - confidence(said)).abs() < 1e-6,
            "{kept} {said}"
        );
        let body = json!({
            "model": "lotoai",
            "metadata": {"conversation_id": id},
            "messages": [{"role": "user", "content": "What is the name of the VPN gateway?"}],
        });
        let request = client
            .request(reqwest::Method::POST, "/v1/chat/completions")
            .await
            .unwrap()
            .json(&body);
        assert_eq!(request.send().await.unwrap().status(), 200);
        let stored = client
            .get(&format!("/api/conversations/{id}"))
            .await
            .unwrap();
        assert_eq!(stored["messages"].as_array().unwrap().len(), 4);
    });
}
