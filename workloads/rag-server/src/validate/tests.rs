use rstest::rstest;
use tonic::Code;

use super::*;

const MODEL: &str = "all-minilm-l6-v2";

fn good_search() -> v1::SearchRequest {
    v1::SearchRequest {
        run_id: String::new(),
        caller: Some(v1::Caller {
            subject: "alice".to_owned(),
            name: String::new(),
            groups: vec!["staff".to_owned()],
        }),
        query: "why?".to_owned(),
        limit: 5,
        knowledge_base: String::new(),
        min_score: None,
    }
}

fn good_document() -> v1::ReplaceDocumentRequest {
    v1::ReplaceDocumentRequest {
        document_id: "d".to_owned(),
        document_name: "d.md".to_owned(),
        knowledge_base: "default".to_owned(),
        owner: "alice".to_owned(),
        groups: vec!["*".to_owned()],
        chunks: vec![chunk(1), chunk(0)],
        embedding_model: MODEL.to_owned(),
    }
}

fn chunk(index: u32) -> v1::Chunk {
    let vector = vec![0.5; DIMENSIONS];
    v1::Chunk {
        index,
        text: format!("text {index}"),
        heading: String::new(),
        vector,
    }
}

fn assert_names<T: std::fmt::Debug>(outcome: Result<T, Status>, field: &str) {
    let status = outcome.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().starts_with(&format!("{field} ")),
        "{}",
        status.message()
    );
}

#[test]
fn a_good_search_is_taken() {
    let search = search(good_search()).unwrap();
    assert_eq!((search.limit, search.knowledge_base), (5, None));
    assert_eq!(search.readable.subject, "alice");
    assert_eq!(search.readable.groups, ["*", "staff"]);
}

#[rstest]
#[case::no_query("query", |r: &mut v1::SearchRequest| r.query = "  \n".to_owned())]
#[case::long_query("query", |r: &mut v1::SearchRequest| r.query = "x".repeat(8193))]
#[case::no_limit("limit", |r: &mut v1::SearchRequest| r.limit = 0)]
#[case::large_limit("limit", |r: &mut v1::SearchRequest| r.limit = 51)]
#[case::score("min_score", |r: &mut v1::SearchRequest| r.min_score = Some(1.5))]
#[case::nan_score("min_score", |r: &mut v1::SearchRequest| r.min_score = Some(f32::NAN))]
#[case::no_caller("caller.subject", |r: &mut v1::SearchRequest| r.caller = None)]
#[case::groups("caller.groups", |r: &mut v1::SearchRequest| {
    r.caller.get_or_insert_default().groups = vec!["g".to_owned(); MAX_CALLER_GROUPS + 1];
})]
fn a_bad_search_is_refused(#[case] field: &str, #[case] spoil: fn(&mut v1::SearchRequest)) {
    let mut request = good_search();
    spoil(&mut request);
    assert_names(search(request), field);
}

#[test]
fn a_caller_may_have_many_groups_and_odd_ones() {
    let mut request = good_search();
    let caller = request.caller.get_or_insert_default();
    caller.groups = (0..500).map(|group| format!("g{group}")).collect();
    let odd = [String::new(), " ".to_owned(), "x".repeat(MAX_ID + 1)];
    caller.groups.extend(odd);
    caller.groups.push("staff".to_owned());
    let groups = search(request).unwrap().readable.groups;
    // And everybody's.
    assert_eq!(groups.len(), 502);
    assert!(groups.contains(&"staff".to_owned()));
}

#[test]
fn chunks_are_put_in_order() {
    let document = document(good_document(), MODEL).unwrap();
    assert_eq!(document.chunks[0].text, "text 0");
    assert_eq!(document.chunks[1].text, "text 1");
}

#[rstest]
#[case::no_id("document_id", |r: &mut v1::ReplaceDocumentRequest| r.document_id.clear())]
#[case::no_name("document_name", |r: &mut v1::ReplaceDocumentRequest| r.document_name.clear())]
#[case::no_owner("owner", |r: &mut v1::ReplaceDocumentRequest| r.owner.clear())]
#[case::no_base("knowledge_base", |r: &mut v1::ReplaceDocumentRequest| r.knowledge_base.clear())]
#[case::model("embedding_model", |r: &mut v1::ReplaceDocumentRequest| r.embedding_model.clear())]
#[case::empty_group("groups[0]", |r: &mut v1::ReplaceDocumentRequest| r.groups[0].clear())]
#[case::gap("chunks", |r: &mut v1::ReplaceDocumentRequest| r.chunks[0].index = 2)]
#[case::twice("chunks", |r: &mut v1::ReplaceDocumentRequest| r.chunks[0].index = 0)]
#[case::empty_text("chunks[0].text", |r: &mut v1::ReplaceDocumentRequest| r.chunks[1].text.clear())]
#[case::long_text("chunks[1].text", |r: &mut v1::ReplaceDocumentRequest| {
    r.chunks[0].text = "x".repeat(MAX_CHUNK_TEXT + 1);
})]
#[case::long_heading("chunks[1].heading", |r: &mut v1::ReplaceDocumentRequest| {
    r.chunks[0].heading = "x".repeat(1025);
})]
#[case::short_vector("chunks[1].vector", |r: &mut v1::ReplaceDocumentRequest| {
    r.chunks[0].vector.truncate(383);
})]
#[case::nan("chunks[1].vector", |r: &mut v1::ReplaceDocumentRequest| {
    r.chunks[0].vector[7] = f32::NAN;
})]
#[case::infinity("chunks[1].vector", |r: &mut v1::ReplaceDocumentRequest| {
    r.chunks[0].vector[7] = f32::INFINITY;
})]
#[case::zeros("chunks[1].vector", |r: &mut v1::ReplaceDocumentRequest| {
    r.chunks[0].vector.fill(0.0);
})]
fn a_bad_document_is_refused(
    #[case] field: &str,
    #[case] spoil: fn(&mut v1::ReplaceDocumentRequest),
) {
    let mut request = good_document();
    spoil(&mut request);
    assert_names(document(request, MODEL), field);
}

#[test]
fn a_document_without_an_id_cannot_be_deleted() {
    assert_names(
        document_id(v1::DeleteDocumentRequest::default()),
        "document_id",
    );
}
