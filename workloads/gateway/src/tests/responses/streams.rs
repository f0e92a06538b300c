//! A response as events.

use serde_json::json;

use super::{ask, events, gateway, kinds, request};
use crate::tests::support::Gateway;

#[tokio::test]
async fn a_stream_of_text_has_every_event_in_order() {
    let gateway = gateway().await;
    let reply = ask(&gateway, "lotoai", &json!({"stream": true})).await;
    let events = events(&reply);
    assert_eq!(
        kinds(&events),
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.annotation.added",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let created = &events[0]["response"];
    assert_eq!(
        (&created["status"], &created["output"]),
        (&json!("in_progress"), &json!([]))
    );
    assert_eq!(events[2]["item"]["content"], json!([]));
    let item_id = &events[2]["item"]["id"];
    for event in &events[3..9] {
        assert_eq!(
            (&event["item_id"], &event["output_index"]),
            (item_id, &json!(0))
        );
        assert_eq!(event["content_index"], 0);
    }
    let text: String = events[4..6]
        .iter()
        .map(|it| it["delta"].as_str().unwrap())
        .collect();
    assert_eq!(text, "Veintitrés días [1].");
    assert_eq!(events[6]["annotation"]["file_id"], "d");
    assert_eq!(events[7]["text"], text);
    let whole = &events[10]["response"];
    assert_eq!(events[8]["part"], whole["output"][0]["content"][0]);
    assert_eq!(events[9]["item"], whole["output"][0]);
    assert_eq!(
        (&whole["id"], &whole["status"]),
        (&created["id"], &json!("completed"))
    );
    assert_eq!(whole["usage"]["total_tokens"], 17);
    assert_eq!(whole["lotoai"]["citations"][0]["number"], 1);
}

#[rstest::rstest]
#[case("breaks", "orchestrator_unavailable", 503)]
#[case("ends-early", "answer_incomplete", 502)]
#[tokio::test]
async fn an_answer_that_breaks_off_is_told(
    #[case] model: &str,
    #[case] code: &str,
    #[case] status: u16,
) {
    let gateway = gateway().await;
    let reply = ask(&gateway, model, &json!({})).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (status, code)
    );
    let reply = ask(&gateway, model, &json!({"stream": true})).await;
    let events = events(&reply);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.failed");
    assert_eq!(last["response"]["status"], "failed");
    assert_eq!(last["response"]["error"]["code"], code);
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], "half");
    assert!(!reply.body.contains("10.0.0.7"));
}

#[tokio::test]
async fn a_stream_is_given_again_byte_by_byte() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let send = |model: &'static str| {
        let more = json!({"store": true, "stream": true});
        let mut request = request(&gateway, "ana", model, &more);
        let headers = request.headers_mut();
        headers.insert("idempotency-key", "k".parse().unwrap());
        gateway.send(request)
    };
    // What failed may be sent again.
    assert!(send("breaks").await.body.contains("response.failed"));
    let first = send("writer").await;
    let again = send("writer").await;
    assert!(first.body.contains("response.completed"), "{first:?}");
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(seen.requests.lock().unwrap().len(), 2);
}
