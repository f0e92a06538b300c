use rstest::rstest;

use super::*;
use crate::fakes::Told;

#[tokio::test]
async fn a_document_of_too_many_chunks_is_refused_before_it_is_embedded() {
    let pipeline = crate::fakes::pipeline(&Arc::new(Told::default()));
    let chunks = async |count: usize| {
        let text = format!("{}\n\n", "word ".repeat(19)).repeat(count);
        let mut step = IngestionStep::Parsing;
        pipeline
            .parse_and_chunk("text/plain".to_owned(), text.into_bytes(), &mut step)
            .await
    };
    assert_eq!(chunks(MAX_CHUNKS).await.unwrap().len(), MAX_CHUNKS);
    let error = chunks(MAX_CHUNKS + 1).await.unwrap_err();
    assert_eq!(error.permanent_code(), Some("document_too_large"));
    let message = error.message();
    assert!(
        message.contains("more than 5000 chunks") && message.contains("split"),
        "{message}"
    );
}

#[test]
fn what_passes_the_limit_of_a_message_is_refused() {
    assert!(ensure_storable(MAX_STORED_BYTES).is_ok());
    let error = ensure_storable(MAX_STORED_BYTES + 1).unwrap_err();
    assert_eq!(error.permanent_code(), Some("document_too_large"));
    assert!(error.message().contains("split it"), "{error}");
}

#[rstest]
#[case(Code::InvalidArgument, Some("refused_by_store"))]
#[case(Code::OutOfRange, Some("document_too_large"))]
#[case(Code::ResourceExhausted, Some("document_too_large"))]
#[case(Code::Unavailable, None)]
#[case(Code::Internal, None)]
#[case(Code::DeadlineExceeded, None)]
fn a_refusal_of_the_store_says_why(#[case] code: Code, #[case] permanent: Option<&str>) {
    let status = tonic::Status::new(code, "chunks[3].text is empty");
    let error = Error::Store {
        source: Box::new(status),
    };
    assert_eq!(error.permanent_code(), permanent);
    // What an absent store says may name addresses inside the platform.
    let says_why = error.message().contains("chunks[3].text is empty");
    assert_eq!(says_why, permanent.is_some(), "{}", error.message());
}

#[rstest]
#[case(422, Some("refused_by_model"), "answered 422")]
#[case(503, None, "later")]
fn a_refusal_of_the_model_is_told_from_an_absence(
    #[case] status: u16,
    #[case] permanent: Option<&str>,
    #[case] says: &str,
) {
    let error = Error::Embed {
        source: EmbedError::Refused { status },
    };
    assert_eq!(error.permanent_code(), permanent);
    assert!(error.message().contains(says), "{}", error.message());
}
