//! The events of a response in the background, read on from a number.

use super::super::weather;
use super::*;

#[tokio::test]
async fn what_follows_a_number_is_the_same_wherever_it_is_read() {
    let Some((server, gateway, seen)) = start(PATIENCE).await else {
        return;
    };
    let other = gateway.replica(&server).await;
    let (cut, id) = begun(&gateway, &seen, 0, "año ").await;
    let known = cut.events();
    assert_eq!(numbers(&known), [0, 1, 2, 3, 8]);
    assert_eq!(known[0]["response"]["status"], "in_progress");
    drop(cut);
    // While it is written: here, and where it is not.
    let here = Told::after(&gateway, &id, Some(8)).await;
    let mut there = Told::after(&other, &id, Some(8)).await;
    seen.tell(0, Some("dos"));
    there.until("dos").await;
    seen.tell(0, None);
    let (here, there) = (here.all().await, there.all().await);
    assert_eq!((text(&here), text(&there)), ("dos".into(), "dos".into()));
    assert_eq!(here, there);
    gateway.settle_run().await;
    // And after its end, from every event of it.
    let whole = Told::after(&other, &id, None).await.all().await;
    assert_eq!(text(&whole), "año dos");
    assert_eq!(whole.last().unwrap()["type"], "response.completed");
    assert_eq!(whole.last().unwrap()["response"], show(&other, &id).await);
    for number in numbers(&whole) {
        let rest = Told::after(&gateway, &id, Some(number)).await.all().await;
        assert_eq!(rest, after(&whole, number), "{number}");
    }
    assert_eq!(after(&whole, 11), after(&here, 11));
    let rest = Told::after(&gateway, &id, Some(8)).await.all().await;
    assert_eq!(rest, here);
    assert_eq!(seen.count(), 1);
}

#[tokio::test]
async fn functions_and_empty_answers_are_told_alike_each_time() {
    let Some((_server, gateway, seen)) = start(PATIENCE).await else {
        return;
    };
    let more = json!({"stream": true, "tools": weather()});
    let live = Told::of(&gateway, background(&gateway, "caller", &more)).await;
    let live = live.all().await;
    let id = id_of(&live[0]["response"]);
    let calls = |events: &[Value]| -> Vec<Value> {
        let done = events
            .iter()
            .filter(|it| it["type"] == "response.function_call_arguments.done");
        done.map(|it| it["arguments"].clone()).collect()
    };
    assert_eq!(calls(&live), [json!("{\"city\":\"Rome\"}"), json!("{}")]);
    gateway.settle_run().await;
    let whole = Told::after(&gateway, &id, None).await.all().await;
    assert_eq!(numbers(&whole), numbers(&live));
    assert_eq!(after(&whole, 3), after(&live, 3));

    let request = background(&gateway, "told", &json!({"stream": true}));
    let silent = Told::of(&gateway, request).await;
    seen.asked(1).await;
    seen.tell(0, None);
    let silent = silent.all().await;
    assert_eq!(numbers(&silent), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(silent[7]["response"]["output"][0]["content"][0]["text"], "");
    let id = id_of(&silent[0]["response"]);
    let rest = Told::after(&gateway, &id, Some(1)).await.all().await;
    assert_eq!(rest, after(&silent, 1));
}

#[tokio::test]
async fn a_number_that_was_not_given_is_refused_by_name() {
    let Some((_server, gateway, seen)) = start(PATIENCE).await else {
        return;
    };
    let (told, id) = begun(&gateway, &seen, 0, "año").await;
    let refused = async |number: u64| {
        let reply = gateway
            .send(again(&gateway, "ana", &id, Some(number)))
            .await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{number}: {reply:?}");
        assert_eq!(reply.json()["error"]["param"], "starting_after");
    };
    // In the middle of a letter, and past the end.
    for number in [5, 99, u64::MAX] {
        refused(number).await;
    }
    let path = format!("/v1/responses/{id}?starting_after=3");
    let reply = gateway.get(&path, "ana").await;
    assert_eq!(
        reply.json()["error"]["param"],
        "starting_after",
        "{reply:?}"
    );
    seen.tell(0, None);
    let whole = told.all().await;
    gateway.settle_run().await;
    for number in [5, 99, u64::MAX] {
        refused(number).await;
    }
    // The control: nothing follows the last one.
    let last = *numbers(&whole).last().unwrap();
    assert!(
        Told::after(&gateway, &id, Some(last))
            .await
            .all()
            .await
            .is_empty()
    );
    refused(last + 1).await;
}
