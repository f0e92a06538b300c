//! What every store does: the same tests against each engine.

use std::ops::Deref;

use lotoai_policy::documents::{Readable, readable_by};
use rstest::rstest;

use super::qdrant::tests::server::Server;
use super::{Edge, VectorStore};
use crate::domain::{Chunk, DIMENSIONS, Document, Query, Stats};

/// An engine.
#[derive(Debug, Clone, Copy)]
enum Engine {
    Embedded,
    Qdrant,
}

/// A new store, and what it lives in; dropped after it, because of the order of fields.
struct Opened {
    store: Box<dyn VectorStore>,
    _home: (Option<tempfile::TempDir>, Option<Server>),
}

impl Deref for Opened {
    type Target = dyn VectorStore;

    fn deref(&self) -> &Self::Target {
        self.store.as_ref()
    }
}

async fn open(engine: Engine) -> Opened {
    match engine {
        Engine::Embedded => {
            let directory = tempfile::tempdir().unwrap();
            Opened {
                store: Box::new(Edge::open(directory.path()).await.unwrap()),
                _home: (Some(directory), None),
            }
        }
        Engine::Qdrant => {
            let server = Server::start().await;
            let store = server.client();
            store.prepare().await.unwrap();
            Opened {
                store: Box::new(store),
                _home: (None, Some(server)),
            }
        }
    }
}

/// A vector whose cosine with `direction(0.0)` is `cos(angle)`.
pub(super) fn direction(angle: f32) -> Vec<f32> {
    let mut vector = vec![0.0; DIMENSIONS];
    vector[0] = angle.cos();
    vector[1] = angle.sin();
    vector
}

pub(super) fn document(id: &str, angles: &[f32]) -> Document {
    let chunk = |(place, angle): (usize, &f32)| Chunk {
        text: format!("{id} passage {place}"),
        heading: format!("{id} heading"),
        vector: direction(*angle),
    };
    Document {
        id: id.to_owned(),
        name: format!("{id}.md"),
        knowledge_base: "default".to_owned(),
        owner: "alice".to_owned(),
        groups: Vec::new(),
        chunks: angles.iter().enumerate().map(chunk).collect(),
    }
}

/// A document of one passage that a group reads besides its owner.
fn shared_with(group: &str, id: &str) -> Document {
    Document {
        groups: vec![group.to_owned()],
        ..document(id, &[0.0])
    }
}

fn readable(subject: &str, groups: &[&str]) -> Readable {
    let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
    readable_by(subject, &groups)
}

pub(super) fn query(subject: &str, groups: &[&str]) -> Query {
    Query {
        vector: direction(0.0),
        limit: 50,
        readable: readable(subject, groups),
        knowledge_base: None,
        min_score: None,
    }
}

pub(super) async fn found(store: &dyn VectorStore, query: Query) -> Vec<String> {
    store
        .search(query)
        .await
        .unwrap()
        .into_iter()
        .map(|hit| hit.text)
        .collect()
}

#[rstest]
#[tokio::test]
async fn an_empty_store_finds_nothing(#[values(Engine::Embedded, Engine::Qdrant)] engine: Engine) {
    let store = open(engine).await;
    assert!(found(&*store, query("alice", &[])).await.is_empty());
    assert_eq!(
        store.stats().await.unwrap(),
        Stats {
            documents: 0,
            chunks: 0
        }
    );
    store.delete("absent".to_owned()).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn the_nearest_comes_first_with_all_that_a_citation_needs(
    #[values(Engine::Embedded, Engine::Qdrant)] engine: Engine,
) {
    let store = open(engine).await;
    store
        .replace(document("d", &[1.2, 0.1, 0.6]))
        .await
        .unwrap();
    let hits = store.search(query("alice", &[])).await.unwrap();
    let order: Vec<_> = hits.iter().map(|hit| hit.chunk_index).collect();
    assert_eq!(order, [1, 2, 0]);
    assert!(
        (hits[0].score - 0.1_f32.cos()).abs() < 1e-4,
        "{}",
        hits[0].score
    );
    assert_eq!(hits[0].document_name, "d.md");
    assert_eq!(hits[0].heading, "d heading");
    assert_eq!(hits[0].text, "d passage 1");
}

#[rstest]
#[tokio::test]
async fn limit_and_score_bound_the_hits(
    #[values(Engine::Embedded, Engine::Qdrant)] engine: Engine,
) {
    let store = open(engine).await;
    store
        .replace(document("d", &[0.0, 0.5, 1.0, 3.0]))
        .await
        .unwrap();
    let limited = Query {
        limit: 2,
        ..query("alice", &[])
    };
    assert_eq!(
        found(&*store, limited).await,
        ["d passage 0", "d passage 1"]
    );
    let similar = Query {
        min_score: Some(0.8),
        ..query("alice", &[])
    };
    assert_eq!(found(&*store, similar).await.len(), 2);
}

#[rstest]
#[case::owner("alice", &[], true)]
#[case::member("bob", &["other", "staff"], true)]
#[case::stranger("bob", &[], false)]
#[case::other_group("bob", &["other"], false)]
#[case::part_of_the_name("bob", &["staf", "staff2", "Staff"], false)]
#[case::group_as_subject("staff", &[], false)]
#[case::subject_as_group("bob", &["alice"], false)]
#[tokio::test]
async fn only_owner_and_groups_read(
    #[case] subject: &str,
    #[case] groups: &[&str],
    #[case] reads: bool,
    #[values(Engine::Embedded, Engine::Qdrant)] engine: Engine,
) {
    let store = open(engine).await;
    let document = shared_with("staff", "d");
    store.replace(document.clone()).await.unwrap();
    assert_eq!(
        !found(&*store, query(subject, groups)).await.is_empty(),
        reads
    );
    let readable = readable(subject, groups);
    assert_eq!(readable.includes(&document.owner, &document.groups), reads);
}

#[rstest]
#[tokio::test]
async fn everybody_reads_what_is_shared_with_everybody(
    #[values(Engine::Embedded, Engine::Qdrant)] engine: Engine,
) {
    let store = open(engine).await;
    store.replace(shared_with("*", "shared")).await.unwrap();
    store.replace(document("private", &[0.0])).await.unwrap();
    assert_eq!(
        found(&*store, query("bob", &[])).await,
        ["shared passage 0"]
    );
}

#[rstest]
#[tokio::test]
async fn what_may_not_be_read_takes_no_place_among_the_hits(
    #[values(Engine::Embedded, Engine::Qdrant)] engine: Engine,
) {
    let store = open(engine).await;
    // Alice's 60 chunks are all nearer than Bob's one; Bob asks for one hit.
    store
        .replace(document("alices", &[0.01; 60]))
        .await
        .unwrap();
    let bobs = Document {
        owner: "bob".to_owned(),
        ..document("bobs", &[1.0])
    };
    store.replace(bobs).await.unwrap();
    let one = Query {
        limit: 1,
        ..query("bob", &[])
    };
    assert_eq!(found(&*store, one).await, ["bobs passage 0"]);
}

#[rstest]
#[tokio::test]
async fn access_that_was_taken_away_is_gone(
    #[values(Engine::Embedded, Engine::Qdrant)] engine: Engine,
) {
    let store = open(engine).await;
    store.replace(shared_with("staff", "d")).await.unwrap();
    assert_eq!(found(&*store, query("bob", &["staff"])).await.len(), 1);
    store.replace(document("d", &[0.0])).await.unwrap();
    assert!(found(&*store, query("bob", &["staff"])).await.is_empty());
}

#[rstest]
#[tokio::test]
async fn a_knowledge_base_holds_only_its_own(
    #[values(Engine::Embedded, Engine::Qdrant)] engine: Engine,
) {
    let store = open(engine).await;
    store.replace(document("default", &[0.0])).await.unwrap();
    let law = Document {
        knowledge_base: "law".to_owned(),
        ..document("law", &[0.0])
    };
    store.replace(law).await.unwrap();
    let of = |name: &str| Query {
        knowledge_base: Some(name.to_owned()),
        ..query("alice", &[])
    };
    assert_eq!(found(&*store, of("law")).await, ["law passage 0"]);
    assert!(found(&*store, of("none")).await.is_empty());
    assert_eq!(found(&*store, query("alice", &[])).await.len(), 2);
}

#[rstest]
#[tokio::test]
async fn a_shorter_version_leaves_nothing_of_the_longer_one(
    #[values(Engine::Embedded, Engine::Qdrant)] engine: Engine,
) {
    let store = open(engine).await;
    store.replace(document("d", &[0.1; 5])).await.unwrap();
    store.replace(document("other", &[0.2; 5])).await.unwrap();
    store.replace(document("d", &[0.1; 2])).await.unwrap();
    assert_eq!(
        store.stats().await.unwrap(),
        Stats {
            documents: 2,
            chunks: 7
        }
    );
    store.replace(document("d", &[])).await.unwrap();
    assert_eq!(
        store.stats().await.unwrap(),
        Stats {
            documents: 1,
            chunks: 5
        }
    );
}

#[rstest]
#[tokio::test]
async fn replacing_twice_is_like_replacing_once(
    #[values(Engine::Embedded, Engine::Qdrant)] engine: Engine,
) {
    let store = open(engine).await;
    store.replace(document("d", &[0.1, 0.2])).await.unwrap();
    let once = store.search(query("alice", &[])).await.unwrap();
    store.replace(document("d", &[0.1, 0.2])).await.unwrap();
    assert_eq!(store.search(query("alice", &[])).await.unwrap(), once);
}

#[rstest]
#[tokio::test]
async fn delete_removes_one_document(#[values(Engine::Embedded, Engine::Qdrant)] engine: Engine) {
    let store = open(engine).await;
    store.replace(document("d", &[0.1, 0.2])).await.unwrap();
    store.replace(document("other", &[0.3])).await.unwrap();
    store.delete("d".to_owned()).await.unwrap();
    assert_eq!(
        found(&*store, query("alice", &[])).await,
        ["other passage 0"]
    );
}
