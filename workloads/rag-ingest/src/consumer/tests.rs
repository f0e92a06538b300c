use std::future::{Ready, pending, ready};
use std::sync::Arc;

use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use rstest::rstest;
use tonic::Status;

use super::*;
use crate::fakes::{Store, Told, pipeline};

const HOUR: Duration = Duration::from_secs(3600);

fn delivery<E: Event>(event: &E, delivery_count: u32) -> Delivery {
    Delivery {
        routing_key: E::NAME.to_owned(),
        message_id: event.id(),
        body: serde_json::to_vec(event).unwrap(),
        redelivered: delivery_count > 0,
        delivery_count,
    }
}

fn deleted() -> DocumentDeleted {
    DocumentDeleted {
        document_id: "d".to_owned(),
    }
}

fn uploaded() -> DocumentUploaded {
    DocumentUploaded {
        document_id: "d".to_owned(),
        content_hash: "h".to_owned(),
        name: "n".to_owned(),
        object_key: "k".to_owned(),
        media_type: "text/plain".to_owned(),
        size: 4,
        knowledge_base: "default".to_owned(),
        owner: "o".to_owned(),
        groups: Vec::new(),
    }
}

/// Told to stop already.
fn stopped() -> Ready<()> {
    ready(())
}

#[test]
fn what_came_back_too_often_is_given_up_before_the_queue_does() {
    let queues = include_str!("../../../provision/src/rabbitmq/queues.rs");
    let limit = format!("const DELIVERY_LIMIT: u32 = {};", MAX_RETURNS + 1);
    assert!(queues.contains(&limit), "{limit}");
}

#[tokio::test]
async fn a_deletion_is_done_when_the_store_has_forgotten() {
    let told = Arc::new(Told::default());
    let mut pipeline = pipeline(&told);
    let store = Store::start(&mut pipeline, Ok(()));
    let outcome = handle(pending(), &pipeline, HOUR, delivery(&deleted(), 0)).await;
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(*store.asked.lock().unwrap(), ["d"]);
    assert_eq!(told.events::<DocumentDeleted>(), []);
}

#[tokio::test]
async fn a_deletion_for_which_the_store_is_away_is_published_again() {
    let told = Arc::new(Told::default());
    let pipeline = pipeline(&told);
    let outcome = handle(
        pending(),
        &pipeline,
        Duration::ZERO,
        delivery(&deleted(), 0),
    )
    .await;
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(told.events::<DocumentDeleted>(), [deleted()]);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_waits_for_the_store_before_it_is_published_again() {
    let told = Arc::new(Told::default());
    let pipeline = pipeline(&told);
    let began = tokio::time::Instant::now();
    let outcome = handle(pending(), &pipeline, HOUR, delivery(&deleted(), 0)).await;
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(told.events::<DocumentDeleted>(), [deleted()]);
    // A queue of nothing else makes no loop without a pause.
    assert!(began.elapsed() > HOUR / 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_stop_publishes_a_deletion_again_at_once() {
    let told = Arc::new(Told::default());
    let pipeline = pipeline(&told);
    let outcome = handle(stopped(), &pipeline, HOUR, delivery(&deleted(), 0)).await;
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(told.events::<DocumentDeleted>(), [deleted()]);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_not_acknowledged_before_the_broker_has_the_other_one() {
    let pipeline = pipeline(&Told::refusing());
    for (patience, returns) in [(Duration::ZERO, 0), (HOUR, MAX_RETURNS)] {
        let delivery = delivery(&deleted(), returns);
        let outcome = handle(pending(), &pipeline, patience, delivery).await;
        assert_eq!(outcome, Outcome::Retry, "{returns}");
    }
    let outcome = handle(stopped(), &pipeline, HOUR, delivery(&deleted(), 0)).await;
    assert_eq!(outcome, Outcome::Retry);
}

#[rstest]
#[case(MAX_RETURNS - 1, 1)]
#[case(MAX_RETURNS, 0)]
#[case(MAX_RETURNS + 1, 0)]
#[tokio::test]
async fn a_deletion_that_came_back_too_often_is_published_again_before_it_is_tried(
    #[case] returns: u32,
    #[case] asked: usize,
) {
    let told = Arc::new(Told::default());
    let mut pipeline = pipeline(&told);
    let store = Store::start(&mut pipeline, Ok(()));
    let outcome = handle(pending(), &pipeline, HOUR, delivery(&deleted(), returns)).await;
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(store.asked.lock().unwrap().len(), asked);
    assert_eq!(told.events::<DocumentDeleted>().len(), 1 - asked);
}

#[tokio::test]
async fn a_deletion_that_the_store_refuses_is_not_tried_for_ever() {
    let told = Arc::new(Told::default());
    let mut pipeline = pipeline(&told);
    let refusal = Status::invalid_argument("document_id is empty");
    Store::start(&mut pipeline, Err(refusal));
    let outcome = handle(pending(), &pipeline, HOUR, delivery(&deleted(), 0)).await;
    assert!(
        matches!(&outcome, Outcome::Reject(why) if why.contains("document_id is empty")),
        "{outcome:?}"
    );
    assert_eq!(told.events::<DocumentDeleted>(), []);
}

#[tokio::test]
async fn a_stop_sends_an_upload_back_to_its_place() {
    let told = Arc::new(Told::default());
    let pipeline = pipeline(&told);
    let key = Path::from(uploaded().object_key);
    pipeline.objects.put(&key, "text".into()).await.unwrap();
    // The model is away, and the document may wait for it for an hour.
    let outcome = handle(stopped(), &pipeline, HOUR, delivery(&uploaded(), 0)).await;
    assert_eq!(outcome, Outcome::Retry);
    assert_eq!(told.events::<DocumentUploaded>(), []);
    assert_eq!(told.events::<DocumentFailed>(), []);
}

#[rstest]
#[case(0, "missing_object")]
#[case(MAX_RETURNS - 1, "missing_object")]
#[case(MAX_RETURNS, "interrupted")]
#[case(MAX_RETURNS + 1, "interrupted")]
#[tokio::test]
async fn an_upload_that_came_back_too_often_fails_and_is_not_begun_again(
    #[case] returns: u32,
    #[case] code: &str,
) {
    let told = Arc::new(Told::default());
    let pipeline = pipeline(&told);
    let outcome = handle(pending(), &pipeline, HOUR, delivery(&uploaded(), returns)).await;
    assert_eq!(outcome, Outcome::Done);
    let [failed] = told.events::<DocumentFailed>().try_into().unwrap();
    assert_eq!(
        (failed.document_id.as_str(), failed.content_hash.as_str()),
        ("d", "h")
    );
    assert_eq!(failed.code, code);
    assert!(failed.message.contains("upload it again"), "{failed:?}");
}

#[tokio::test(start_paused = true)]
async fn an_upload_whose_end_cannot_be_told_comes_again() {
    let pipeline = pipeline(&Told::refusing());
    for returns in [0, MAX_RETURNS] {
        let delivery = delivery(&uploaded(), returns);
        let outcome = handle(pending(), &pipeline, HOUR, delivery).await;
        assert_eq!(outcome, Outcome::Retry, "{returns}");
    }
}

/// A message that came back each time would be given up within minutes.
#[tokio::test(start_paused = true)]
async fn an_end_is_told_when_the_broker_takes_it_again() {
    let told = Told::away_for(20);
    let pipeline = pipeline(&told);
    let outcome = handle(pending(), &pipeline, HOUR, delivery(&uploaded(), 0)).await;
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(told.events::<DocumentFailed>().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_stop_waits_for_the_broker() {
    let pipeline = pipeline(&Told::refusing());
    for returns in [0, MAX_RETURNS] {
        for delivery in [
            delivery(&uploaded(), returns),
            delivery(&deleted(), returns),
        ] {
            let outcome = handle(stopped(), &pipeline, HOUR, delivery).await;
            assert_eq!(outcome, Outcome::Retry, "{returns}");
        }
    }
}

#[rstest]
#[case(DocumentUploaded::NAME)]
#[case(DocumentDeleted::NAME)]
#[case("document.renamed")]
#[tokio::test]
async fn what_cannot_be_read_is_rejected_however_often_it_came(#[case] name: &str) {
    for returns in [0, MAX_RETURNS] {
        let delivery = Delivery {
            routing_key: name.to_owned(),
            body: b"{}".to_vec(),
            ..delivery(&deleted(), returns)
        };
        let pipeline = pipeline(&Arc::new(Told::default()));
        let outcome = handle(pending(), &pipeline, HOUR, delivery).await;
        assert!(matches!(outcome, Outcome::Reject(_)), "{outcome:?}");
    }
}
