use rstest::rstest;

use super::*;
use crate::domain::{Chunk, Reader};

/// A vector whose cosine with `direction(0.0)` is `cos(angle)`.
fn direction(angle: f32) -> Vec<f32> {
    let mut vector = vec![0.0; DIMENSIONS];
    vector[0] = angle.cos();
    vector[1] = angle.sin();
    vector
}

fn document(id: &str, angles: &[f32]) -> Document {
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

fn query(subject: &str, groups: &[&str]) -> Query {
    Query {
        vector: direction(0.0),
        limit: 50,
        reader: Reader {
            subject: subject.to_owned(),
            groups: groups.iter().map(ToString::to_string).collect(),
        },
        knowledge_base: None,
        min_score: None,
    }
}

async fn open(directory: &tempfile::TempDir) -> Edge {
    Edge::open(directory.path()).await.unwrap()
}

async fn found(store: &Edge, query: Query) -> Vec<String> {
    store
        .search(query)
        .await
        .unwrap()
        .into_iter()
        .map(|hit| hit.text)
        .collect()
}

#[tokio::test]
async fn an_empty_store_finds_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    assert!(found(&store, query("alice", &[])).await.is_empty());
    assert_eq!(
        store.stats().await.unwrap(),
        Stats {
            documents: 0,
            chunks: 0
        }
    );
    store.delete("absent".to_owned()).await.unwrap();
}

#[tokio::test]
async fn the_nearest_comes_first_with_all_that_a_citation_needs() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
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

#[tokio::test]
async fn limit_and_score_bound_the_hits() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    store
        .replace(document("d", &[0.0, 0.5, 1.0, 3.0]))
        .await
        .unwrap();
    let limited = Query {
        limit: 2,
        ..query("alice", &[])
    };
    assert_eq!(found(&store, limited).await, ["d passage 0", "d passage 1"]);
    let similar = Query {
        min_score: Some(0.8),
        ..query("alice", &[])
    };
    assert_eq!(found(&store, similar).await.len(), 2);
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
) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    let shared = Document {
        groups: vec!["staff".to_owned()],
        ..document("d", &[0.0])
    };
    store.replace(shared).await.unwrap();
    assert_eq!(
        !found(&store, query(subject, groups)).await.is_empty(),
        reads
    );
}

#[tokio::test]
async fn everybody_reads_what_is_shared_with_everybody() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    let shared = Document {
        groups: vec!["*".to_owned()],
        ..document("shared", &[0.0])
    };
    store.replace(shared).await.unwrap();
    store.replace(document("private", &[0.0])).await.unwrap();
    assert_eq!(found(&store, query("bob", &[])).await, ["shared passage 0"]);
}

#[tokio::test]
async fn what_may_not_be_read_takes_no_place_among_the_hits() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
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
    assert_eq!(found(&store, one).await, ["bobs passage 0"]);
}

#[tokio::test]
async fn access_that_was_taken_away_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    let shared = Document {
        groups: vec!["staff".to_owned()],
        ..document("d", &[0.0])
    };
    store.replace(shared).await.unwrap();
    assert_eq!(found(&store, query("bob", &["staff"])).await.len(), 1);
    store.replace(document("d", &[0.0])).await.unwrap();
    assert!(found(&store, query("bob", &["staff"])).await.is_empty());
}

#[tokio::test]
async fn a_knowledge_base_holds_only_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
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
    assert_eq!(found(&store, of("law")).await, ["law passage 0"]);
    assert!(found(&store, of("none")).await.is_empty());
    assert_eq!(found(&store, query("alice", &[])).await.len(), 2);
}

#[tokio::test]
async fn a_shorter_version_leaves_nothing_of_the_longer_one() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
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

#[tokio::test]
async fn replacing_twice_is_like_replacing_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    store.replace(document("d", &[0.1, 0.2])).await.unwrap();
    let once = store.search(query("alice", &[])).await.unwrap();
    store.replace(document("d", &[0.1, 0.2])).await.unwrap();
    assert_eq!(store.search(query("alice", &[])).await.unwrap(), once);
}

#[tokio::test]
async fn delete_removes_one_document() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    store.replace(document("d", &[0.1, 0.2])).await.unwrap();
    store.replace(document("other", &[0.3])).await.unwrap();
    store.delete("d".to_owned()).await.unwrap();
    assert_eq!(
        found(&store, query("alice", &[])).await,
        ["other passage 0"]
    );
}

/// Copies the directory while the store is open: what a killed process leaves on the disk, without
/// the flush that closing would do.
fn as_after_a_kill(directory: &tempfile::TempDir) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &target);
            } else {
                std::fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let copied = tempfile::tempdir().unwrap();
    copy(directory.path(), copied.path());
    copied
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    store
        .replace(document("kept", &[0.1, 0.2, 0.3]))
        .await
        .unwrap();
    store.replace(document("kept", &[0.1, 0.2])).await.unwrap();
    store.replace(document("removed", &[0.1])).await.unwrap();
    store.delete("removed".to_owned()).await.unwrap();
    let killed = as_after_a_kill(&directory);
    let again = open(&killed).await;
    assert_eq!(
        found(&again, query("alice", &[])).await,
        ["kept passage 0", "kept passage 1"]
    );
    assert!(found(&again, query("bob", &[])).await.is_empty());
    // And it goes on from there: a later change must win over an earlier one.
    again.replace(document("kept", &[0.4])).await.unwrap();
    assert_eq!(
        again.stats().await.unwrap(),
        Stats {
            documents: 1,
            chunks: 1
        }
    );
}

#[tokio::test]
async fn the_store_survives_being_closed_and_a_lost_log() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    store.replace(document("d", &[0.1, 0.2])).await.unwrap();
    drop(store);
    let store = open(&directory).await;
    store.replace(document("d", &[0.3])).await.unwrap();
    assert_eq!(found(&store, query("alice", &[])).await, ["d passage 0"]);
}

#[tokio::test]
async fn a_directory_is_never_shared() {
    let directory = tempfile::tempdir().unwrap();
    let _store = open(&directory).await;
    assert!(matches!(
        Edge::open(directory.path()).await,
        Err(StoreError::OpenShard { .. })
    ));
}

#[tokio::test]
async fn optimising_changes_no_answer() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    for part in 0..6 {
        let angles: Vec<f32> = (0..1000_u16).map(|i| 0.2 + f32::from(i) * 1e-3).collect();
        store
            .replace(document(&format!("d{part}"), &angles))
            .await
            .unwrap();
    }
    store.replace(document("near", &[0.0])).await.unwrap();
    store.delete("d5".to_owned()).await.unwrap();
    let before = store.stats().await.unwrap();
    store.optimize().await.unwrap();
    assert_eq!(store.stats().await.unwrap(), before);
    assert_eq!(
        found(&store, query("alice", &[])).await[0],
        "near passage 0"
    );
    store.replace(document("near", &[0.0, 0.01])).await.unwrap();
    assert_eq!(
        found(&store, query("alice", &[])).await[1],
        "near passage 1"
    );
    assert!(!store.optimize().await.unwrap(), "nothing much has changed");
}
