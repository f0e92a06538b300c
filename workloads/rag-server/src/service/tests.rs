#[path = "../../../orchestrator/src/tests/strangers.rs"]
mod strangers;

use lotoai_contracts::v1::rag_client::RagClient;
use lotoai_contracts::v1::{Caller, Chunk};
use lotoai_kit::upstream::ModelServerArgs;
use rstest::rstest;
use secrecy::SecretString;
use serde_json::json;
use tonic::Code;
use wiremock::matchers::{body_partial_json, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::domain::DIMENSIONS;
use crate::store::Edge;

const MODEL: &str = "all-minilm-l6-v2";

fn vector(first: f32) -> Vec<f32> {
    let mut vector = vec![0.0; DIMENSIONS];
    vector[0] = first;
    vector[1] = 1.0;
    vector
}

fn embedder(server: &MockServer) -> Embedder {
    let args = ModelServerArgs {
        url: server.uri().parse().unwrap(),
        token: SecretString::from("token-of-rag-server"),
    };
    Embedder::new(
        &args,
        MODEL.to_owned(),
        &lotoai_kit::tls::TlsArgs::default(),
    )
    .unwrap()
}

/// The directory comes first, so that it is dropped after the store that flushes into it.
async fn service(server: &MockServer) -> (tempfile::TempDir, RagService) {
    let directory = tempfile::tempdir().unwrap();
    let store = Edge::open(directory.path()).await.unwrap();
    (
        directory,
        RagService::new(Arc::new(store), embedder(server)),
    )
}

fn replace(id: &str, firsts: &[f32]) -> Request<ReplaceDocumentRequest> {
    let chunk = |(index, first): (u32, &f32)| Chunk {
        index,
        text: format!("passage {index}"),
        heading: "Heading".to_owned(),
        vector: vector(*first),
    };
    Request::new(ReplaceDocumentRequest {
        document_id: id.to_owned(),
        document_name: format!("{id}.md"),
        knowledge_base: "default".to_owned(),
        owner: "alice".to_owned(),
        groups: Vec::new(),
        chunks: (0..).zip(firsts).map(chunk).collect(),
        embedding_model: MODEL.to_owned(),
    })
}

fn search(subject: &str) -> Request<SearchRequest> {
    let caller = Caller {
        subject: subject.to_owned(),
        ..Caller::default()
    };
    let query = "How long is the warranty?".to_owned();
    Request::new(SearchRequest {
        caller: Some(caller),
        query,
        limit: 5,
        ..Default::default()
    })
}

#[tokio::test]
async fn a_search_embeds_the_question_and_numbers_its_citations() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/embeddings"))
        .and(header("authorization", "Bearer token-of-rag-server"))
        .and(body_partial_json(
            json!({ "model": MODEL, "input": "How long is the warranty?" }),
        ))
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_json(json!({ "data": [{ "embedding": vector(1.0) }] })),
        )
        .expect(2)
        .mount(&server)
        .await;
    let (_directory, service) = service(&server).await;
    let replaced = service
        .replace_document(replace("d", &[-1.0, 0.9]))
        .await
        .unwrap();
    assert_eq!(replaced.into_inner().chunks, 2);
    let hits = service
        .search(search("alice"))
        .await
        .unwrap()
        .into_inner()
        .hits;
    let shown: Vec<_> = hits
        .iter()
        .map(|hit| (hit.number, hit.chunk_index))
        .collect();
    assert_eq!(shown, [(1, 1), (2, 0)]);
    assert_eq!(hits[0].document_id, "d");
    assert_eq!(hits[0].document_name, "d.md");
    assert_eq!(hits[0].passage, "passage 1");
    assert_eq!(hits[0].heading, "Heading");
    assert!(hits[0].score > 0.99 && hits[1].score < 0.01);
    assert!(
        service
            .search(search("bob"))
            .await
            .unwrap()
            .into_inner()
            .hits
            .is_empty()
    );
    let stats = service
        .stats(Request::new(StatsRequest {}))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((stats.documents, stats.chunks), (1, 2));
}

#[rstest]
#[case::busy(ResponseTemplate::new(429))]
#[case::failed(ResponseTemplate::new(500))]
#[case::nonsense(ResponseTemplate::new(200).set_body_string("<html>"))]
#[case::nothing(ResponseTemplate::new(200).set_body_json(json!({ "data": [] })))]
#[case::other_model(
    ResponseTemplate::new(200).set_body_json(json!({ "data": [{ "embedding": [1.0] }] }))
)]
#[case::endless(ResponseTemplate::new(200).set_body_string(" ".repeat(100_000)))]
#[tokio::test]
async fn without_a_vector_a_search_is_unavailable(#[case] answer: ResponseTemplate) {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(answer)
        .mount(&server)
        .await;
    let (_directory, service) = service(&server).await;
    let status = service.search(search("alice")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}

#[tokio::test]
async fn a_refused_search_asks_no_model() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(500))
        .expect(0)
        .mount(&server)
        .await;
    let (_directory, service) = service(&server).await;
    let status = service.search(search("")).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn delete_removes_the_document() {
    let server = MockServer::start().await;
    let (_directory, service) = service(&server).await;
    service
        .replace_document(replace("d", &[1.0]))
        .await
        .unwrap();
    let request = DeleteDocumentRequest {
        document_id: "d".to_owned(),
    };
    service
        .delete_document(Request::new(request))
        .await
        .unwrap();
    let stats = service
        .stats(Request::new(StatsRequest {}))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((stats.documents, stats.chunks), (0, 0));
}

#[tokio::test]
async fn only_known_callers_are_let_in() {
    let server = MockServer::start().await;
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Edge::open(directory.path()).await.unwrap());
    let token = "token-of-the-orchestrator";
    let callers = Callers::new([("ORCHESTRATOR".to_owned(), SecretString::from(token))]);
    let routes = routes(store, embedder(&server), &callers);
    let mut client = RagClient::new(routes.prepare());
    let status = client.stats(StatsRequest {}).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let mut request = Request::new(StatsRequest {});
    request
        .metadata_mut()
        .insert("authorization", format!("Bearer {token}").parse().unwrap());
    assert_eq!(client.stats(request).await.unwrap().into_inner().chunks, 0);
}

#[tokio::test]
async fn strangers_are_refused_by_all_methods() {
    let server = MockServer::start().await;
    let (_directory, service) = service(&server).await;
    let routes = routes(service.store, service.embedder, &strangers::callers());
    strangers::are_refused_by_all_methods("Rag", &routes).await;
}
