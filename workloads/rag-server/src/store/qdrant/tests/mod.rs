mod engine;
pub(crate) mod server;

use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rstest::rstest;
use secrecy::SecretString;
use tonic::Code;
use tonic::transport::Identity;

use super::*;
use crate::store::conformance::{document, found, query};
use server::{Fault, Server, args};

async fn prepared(server: &Server) -> Qdrant {
    let store = server.client();
    store.prepare().await.unwrap();
    store
}

fn failure<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> Failure {
    outcome.unwrap_err().failure().unwrap()
}

#[tokio::test]
async fn the_collection_is_made_once_with_its_layout_and_indexes() {
    let server = Server::start().await;
    prepared(&server).await;
    prepared(&server).await;
    assert_eq!(server.calls("Create"), 1);
    assert_eq!(server.calls("CreateFieldIndex"), 5);
    server.with_engine(|engine| {
        let info = engine.info("passages").unwrap();
        let params = info.config.as_ref().unwrap().params.as_ref().unwrap();
        assert_eq!(params.shard_number, 2);
        assert_eq!(params.replication_factor, Some(3));
        assert_eq!(params.write_consistency_factor, Some(2));
        let mut fields: Vec<_> = info.payload_schema.keys().cloned().collect();
        fields.sort();
        let expected = [
            "chunk_index",
            "document_id",
            "groups",
            "knowledge_base",
            "owner",
        ];
        assert_eq!(fields, expected);
    });
}

#[tokio::test]
async fn two_processes_may_start_at_once() {
    let server = Server::start().await;
    let (one, other) = (server.client(), server.client());
    let (first, second) = tokio::join!(one.prepare(), other.prepare());
    first.unwrap();
    second.unwrap();
    one.replace(document("d", &[0.1])).await.unwrap();
    assert_eq!(found(&other, query("alice", &[])).await, ["d passage 0"]);
}

#[tokio::test]
async fn somebody_elses_collection_is_not_used() {
    let server = Server::start().await;
    let layout = collection::Layout {
        shards: 1,
        replication_factor: 1,
    };
    let mut other = collection::create("passages", layout);
    let config = other.vectors_config.as_mut().unwrap().config.as_mut();
    if let Some(qdrant_client::qdrant::vectors_config::Config::Params(vectors)) = config {
        vectors.size = 768;
    }
    server.with_engine(|engine| engine.create(other)).unwrap();
    let error = server.client().prepare().await.unwrap_err().to_string();
    assert!(error.contains("768 numbers"), "{error}");
    assert!(error.contains("name another collection"), "{error}");
}

#[tokio::test]
async fn a_collection_that_is_gone_is_made_again() {
    let server = Server::start().await;
    let store = prepared(&server).await;
    server.with_engine(engine::Engine::forget);
    assert_eq!(failure(store.stats().await), Failure::Missing);
    store.ping().await.unwrap();
    assert_eq!(store.stats().await.unwrap().chunks, 0);
}

#[rstest]
#[case("Upsert")]
#[case("Delete")]
#[tokio::test]
async fn a_write_is_repeated_while_qdrant_is_away_and_done_once(
    #[case] method: &'static str,
    #[values(Fault::Refused(Code::Unavailable), Fault::Lost)] fault: Fault,
) {
    let server = Server::start().await;
    let store = prepared(&server).await;
    store
        .replace(document("d", &[0.1, 0.2, 0.3]))
        .await
        .unwrap();
    let before = server.calls(method);
    server.fail(method, fault);
    server.fail(method, fault);
    store.replace(document("d", &[0.1])).await.unwrap();
    assert_eq!(server.calls(method) - before, 3);
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.documents, stats.chunks), (1, 1));
}

#[tokio::test]
async fn a_server_that_stays_away_is_unavailable() {
    let server = Server::start().await;
    let store = prepared(&server).await;
    for _ in 0..4 {
        server.fail("Query", Fault::Refused(Code::Unavailable));
    }
    assert_eq!(
        failure(store.search(query("alice", &[])).await),
        Failure::Unavailable
    );
    assert_eq!(server.calls("Query"), 4);
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let mut args = args();
    args.qdrant_api_key = None;
    let url = "http://127.0.0.1:1".parse().unwrap();
    let mut store = Qdrant::new(&url, &args).unwrap();
    store.limits.pauses = [Duration::from_millis(1); 3];
    assert_eq!(failure(store.ping().await), Failure::Unavailable);
}

#[rstest]
#[case(Code::Unauthenticated, Failure::Unauthenticated)]
#[case(Code::PermissionDenied, Failure::Unauthenticated)]
#[case(Code::ResourceExhausted, Failure::Exhausted)]
#[case(Code::NotFound, Failure::Missing)]
#[case(Code::InvalidArgument, Failure::Refused)]
#[case(Code::Internal, Failure::Refused)]
#[case(Code::DeadlineExceeded, Failure::Deadline)]
#[tokio::test]
async fn a_refusal_is_told_by_its_kind_and_not_repeated(
    #[case] code: Code,
    #[case] expected: Failure,
) {
    let server = Server::start().await;
    let store = prepared(&server).await;
    server.fail("Upsert", Fault::Refused(code));
    let outcome = store.replace(document("d", &[0.1])).await;
    assert_eq!(failure(outcome), expected);
    assert_eq!(server.calls("Upsert"), 1);
    store.replace(document("d", &[0.1])).await.unwrap();
}

#[tokio::test]
async fn making_the_collection_is_not_repeated() {
    let server = Server::start().await;
    server.fail("Create", Fault::Refused(Code::Unavailable));
    assert_eq!(
        failure(server.client().prepare().await),
        Failure::Unavailable
    );
    assert_eq!(server.calls("Create"), 1);
    // Done, though nobody heard of it: it is there, and that is what counts.
    server.fail("Create", Fault::Lost);
    server.client().prepare().await.unwrap();
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let server = Server::start().await;
    let mut store = prepared(&server).await;
    store.limits.read = Duration::from_millis(100);
    server.fail("Query", Fault::Silence);
    assert_eq!(
        failure(store.search(query("alice", &[])).await),
        Failure::Deadline
    );
    assert_eq!(server.calls("Query"), 1);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_taken() {
    let server = Server::start().await;
    let store = prepared(&server).await;
    store.replace(document("d", &[0.1])).await.unwrap();
    server.fail("Query", Fault::Huge);
    assert_eq!(
        failure(store.search(query("alice", &[])).await),
        Failure::TooLarge
    );
    assert_eq!(found(&store, query("alice", &[])).await.len(), 1);
}

#[tokio::test]
async fn a_long_document_goes_in_parts_that_fit() {
    let server = Server::start().await;
    let store = prepared(&server).await;
    let mut long = document("long", &[0.1; 600]);
    for chunk in &mut long.chunks {
        chunk.text = "x".repeat(16 * 1024);
    }
    store.replace(long).await.unwrap();
    assert_eq!(server.calls("Upsert"), 3);
    assert_eq!(store.stats().await.unwrap().chunks, 600);
}

#[rstest]
#[case(None)]
#[case(Some("key-of-somebody-else"))]
#[tokio::test]
async fn without_the_key_nothing_is_told(#[case] key: Option<&str>) {
    let server = Server::start().await;
    prepared(&server).await;
    let mut args = args();
    args.qdrant_api_key = key.map(SecretString::from);
    let store = server.client_with(&args);
    let error = store.stats().await.unwrap_err();
    assert_eq!(error.failure(), Some(Failure::Unauthenticated));
    assert!(error.to_string().contains("QDRANT_API_KEY"), "{error}");
    let told = format!("{error:?} {error}");
    assert!(!told.contains("key-of-somebody-else"), "{told}");
    // With it there is an answer.
    server.client().stats().await.unwrap();
}

#[test]
fn a_key_that_is_no_header_is_refused_without_being_told() {
    let mut args = args();
    args.qdrant_api_key = Some(SecretString::from("key\nsecond line"));
    let url = "http://localhost:6334".parse().unwrap();
    let error = Qdrant::new(&url, &args).unwrap_err().to_string();
    assert!(error.contains("QDRANT_API_KEY"), "{error}");
    assert!(!error.contains("second"), "{error}");
}

/// An authority's file, and what a server of this name proves itself with.
fn authority(name: &str) -> (tempfile::NamedTempFile, Identity) {
    let ca_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), ca.pem()).unwrap();
    (file, Identity::from_pem(leaf.pem(), key.serialize_pem()))
}

#[rstest]
#[case::trusted("localhost", true, true)]
#[case::of_another_name("qdrant.example.com", true, false)]
#[case::of_an_unknown_authority("localhost", false, false)]
#[tokio::test]
async fn the_server_must_prove_its_name(
    #[case] name: &str,
    #[case] trusts: bool,
    #[case] talks: bool,
) {
    let (file, identity) = authority(name);
    let server = Server::start_tls(identity).await;
    let mut args = args();
    args.qdrant_ca_file = trusts.then(|| file.path().to_owned());
    let outcome = server.client_with(&args).prepare().await;
    assert_eq!(outcome.is_ok(), talks, "{outcome:?}");
    if !talks {
        assert_eq!(failure(outcome), Failure::Unavailable);
        assert_eq!(server.calls("Get"), 0);
    }
}

#[test]
fn an_authority_that_is_not_there_is_an_error_that_names_the_setting() {
    let mut args = args();
    args.qdrant_ca_file = Some("/nowhere/ca.crt".into());
    let url = "https://localhost:6334".parse().unwrap();
    let error = Qdrant::new(&url, &args).unwrap_err().to_string();
    assert!(error.contains("QDRANT_CA_FILE"), "{error}");
}
