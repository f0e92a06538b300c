use std::future::{Ready, pending, ready};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use lotoai_contracts::events::DocumentProgressed;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use rstest::rstest;
use tonic::Status;

use super::*;
use crate::fakes::{Store, Told, model, pipeline};

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
    let mut pipeline = pipeline(&told);
    Store::start(&mut pipeline, Ok(()));
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

/// A pipeline with this text to be indexed, which holds 3 batches of chunks.
async fn with_text(told: &Arc<Told>) -> Pipeline {
    let pipeline = Pipeline {
        max_bytes: 1 << 20,
        ..pipeline(told)
    };
    let key = Path::from(uploaded().object_key);
    let text = format!("{}\n\n", "word ".repeat(19)).repeat(40);
    pipeline.objects.put(&key, text.into()).await.unwrap();
    pipeline
}

/// A document that fails at once.
fn unreadable() -> DocumentUploaded {
    DocumentUploaded {
        media_type: "application/pdf".to_owned(),
        ..uploaded()
    }
}

/// What a document is called that can be found from before.
fn holds_older(store: &Store) {
    let mut held = store.held.lock().unwrap();
    held.insert("d".to_owned(), "older".to_owned());
}

#[rstest]
#[case::at_once("application/pdf", 0, "unsupported_media_type")]
#[case::for_good("text/plain", 0, "temporarily_unavailable")]
#[case::given_up("text/plain", MAX_RETURNS, "interrupted")]
#[tokio::test]
async fn what_was_found_before_is_forgotten_when_its_replacement_fails(
    #[case] media_type: &str,
    #[case] returns: u32,
    #[case] code: &str,
) {
    let told = Arc::new(Told::default());
    let mut pipeline = with_text(&told).await;
    let store = Store::start(&mut pipeline, Ok(()));
    holds_older(&store);
    let document = DocumentUploaded {
        media_type: media_type.to_owned(),
        ..uploaded()
    };
    // The model is away.
    let patience = Duration::from_millis(100);
    let outcome = handle(pending(), &pipeline, patience, delivery(&document, returns)).await;
    assert_eq!(outcome, Outcome::Done);
    let [failed] = told.events::<DocumentFailed>().try_into().unwrap();
    assert_eq!(failed.code, code);
    assert!(store.held.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_was_found_before_is_replaced_when_its_replacement_succeeds() {
    let told = Arc::new(Told::default());
    let mut pipeline = with_text(&told).await;
    let store = Store::start(&mut pipeline, Ok(()));
    let _model = model(&mut pipeline, &[], Duration::ZERO).await;
    holds_older(&store);
    let outcome = handle(pending(), &pipeline, HOUR, delivery(&uploaded(), 0)).await;
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(told.events::<DocumentIndexed>().len(), 1);
    assert_eq!(store.held.lock().unwrap()["d"], "n");
    assert!(store.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_failure_of_older_content_takes_nothing_from_the_newer_one() {
    for is_late in [false, true] {
        fails_beside_newer_content(is_late).await;
    }
}

async fn fails_beside_newer_content(is_late: bool) {
    let told = Arc::new(Told::default());
    let mut pipeline = with_text(&told).await;
    let store = Store::start(&mut pipeline, Ok(()));
    let _model = model(&mut pipeline, &[], Duration::ZERO).await;
    let superseded = DocumentUploaded {
        object_key: "gone".to_owned(),
        ..uploaded()
    };
    let mut documents = [superseded, uploaded()];
    if is_late {
        documents.reverse();
    }
    for document in documents {
        let outcome = handle(pending(), &pipeline, HOUR, delivery(&document, 0)).await;
        assert_eq!(outcome, Outcome::Done);
    }
    assert_eq!(told.events::<DocumentFailed>()[0].code, "missing_object");
    assert_eq!(store.held.lock().unwrap()["d"], "n");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_not_told_before_the_store_has_forgotten_unless_it_is_the_last_chance() {
    for (returns, outcome, failures) in [
        (0, Outcome::Retry, 0),
        (MAX_RETURNS - 1, Outcome::Retry, 0),
        (MAX_RETURNS, Outcome::Done, 1),
    ] {
        let told = Arc::new(Told::default());
        let pipeline = with_text(&told).await;
        let delivery = delivery(&unreadable(), returns);
        let is = handle(pending(), &pipeline, HOUR, delivery).await;
        let told = told.events::<DocumentFailed>().len();
        assert_eq!((is, told), (outcome, failures), "{returns}");
    }
}

/// It is back while the failure would be told: then the document can be stored after all.
#[tokio::test]
async fn a_store_that_is_away_fails_no_document() {
    let told = Arc::new(Told::default());
    let mut pipeline = with_text(&told).await;
    let store = Store::start(&mut pipeline, Ok(()));
    let _model = model(&mut pipeline, &[], Duration::ZERO).await;
    store.away_for.store(1, Relaxed);
    holds_older(&store);
    let delivery = || delivery(&uploaded(), 0);
    let first = handle(pending(), &pipeline, Duration::ZERO, delivery()).await;
    assert_eq!(first, Outcome::Retry);
    assert_eq!(store.held.lock().unwrap()["d"], "older");
    assert_eq!(told.events::<DocumentFailed>().len(), 0);
    // The control.
    let second = handle(pending(), &pipeline, Duration::ZERO, delivery()).await;
    assert_eq!(second, Outcome::Done);
    assert_eq!(store.held.lock().unwrap()["d"], "n");
}

#[tokio::test]
async fn an_id_that_the_store_refuses_holds_up_no_failure() {
    let told = Arc::new(Told::default());
    let mut pipeline = with_text(&told).await;
    let refusal = Status::invalid_argument("document_id is too long");
    Store::start(&mut pipeline, Err(refusal));
    let outcome = handle(pending(), &pipeline, HOUR, delivery(&unreadable(), 0)).await;
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(told.events::<DocumentFailed>().len(), 1);
}

#[tokio::test]
async fn what_was_done_of_a_document_is_kept_while_others_are_away() {
    let told = Arc::new(Told::default());
    let mut pipeline = with_text(&told).await;
    let store = Store::start(&mut pipeline, Ok(()));
    store.away_for.store(2, Relaxed);
    let model = model(&mut pipeline, &[0, 3], Duration::ZERO).await;
    let outcome = handle(pending(), &pipeline, HOUR, delivery(&uploaded(), 0)).await;
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(told.events::<DocumentIndexed>()[0].chunks, 40);
    // Three batches, and two calls that were in vain.
    assert_eq!(model.received_requests().await.unwrap().len(), 5);
    let progress = told.events::<DocumentProgressed>();
    let fetched = progress
        .iter()
        .filter(|event| event.step == IngestionStep::Fetching);
    assert_eq!(fetched.count(), 1);
}

#[rstest]
// The batches before it take longer than a document waits.
#[case::work_is_no_absence(&[2], 1)]
#[case::absence(&[2, 3, 4, 5, 6, 7, 8, 9], 0)]
#[tokio::test]
async fn a_document_waits_from_the_failure_on(
    #[case] away_at: &'static [usize],
    #[case] is: usize,
) {
    let told = Arc::new(Told::default());
    let mut pipeline = with_text(&told).await;
    Store::start(&mut pipeline, Ok(()));
    let _model = model(&mut pipeline, away_at, Duration::from_millis(600)).await;
    let patience = Duration::from_secs(1);
    let outcome = handle(pending(), &pipeline, patience, delivery(&uploaded(), 0)).await;
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(told.events::<DocumentIndexed>().len(), is);
    let failed = told.events::<DocumentFailed>();
    let codes: Vec<&str> = failed.iter().map(|event| event.code.as_str()).collect();
    assert_eq!(codes, vec!["temporarily_unavailable"; 1 - is]);
}

#[tokio::test]
async fn an_upload_whose_end_cannot_be_told_comes_again() {
    let mut pipeline = with_text(&Told::refusing()).await;
    let store = Store::start(&mut pipeline, Ok(()));
    for returns in [0, MAX_RETURNS] {
        let delivery = delivery(&unreadable(), returns);
        let patience = Duration::from_millis(500);
        let outcome = handle(pending(), &pipeline, patience, delivery).await;
        assert_eq!(outcome, Outcome::Retry, "{returns}");
    }
    assert_eq!(store.asked.lock().unwrap().len(), 2);
}

/// A message that came back each time would be given up within minutes.
#[tokio::test(start_paused = true)]
async fn an_end_is_told_when_the_broker_takes_it_again() {
    let told = Told::away_for(20);
    let pipeline = pipeline(&told);
    let delivery = delivery(&uploaded(), MAX_RETURNS);
    let outcome = handle(pending(), &pipeline, HOUR, delivery).await;
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
