use std::time::Duration;

use futures::FutureExt as _;

use super::*;
use crate::store::conformance::{document, found, query};

async fn open(directory: &tempfile::TempDir) -> Edge {
    Edge::open(directory.path()).await.unwrap()
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

fn changed(store: &Edge) -> usize {
    store.inner.changed_points.load(Ordering::Relaxed)
}

#[tokio::test]
async fn what_changed_before_a_start_is_optimised_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    store.optimize().await.unwrap();
    assert_eq!(changed(&store), 0);
    store.replace(document("d", &[0.1])).await.unwrap();
    assert_eq!(changed(&store), 1);
    drop(store);
    let store = open(&directory).await;
    assert!(changed(&store) >= OPTIMISE_AFTER);
    store.optimize().await.unwrap();
    assert_eq!(changed(&store), 0);
}

#[tokio::test]
async fn what_could_not_be_optimised_is_at_the_next_turn() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    for part in 0..6 {
        let angles: Vec<f32> = (0..1000_u16).map(|i| 0.2 + f32::from(i) * 1e-3).collect();
        let part = document(&format!("d{part}"), &angles);
        store.replace(part).await.unwrap();
    }
    for part in 0..4 {
        store.delete(format!("d{part}")).await.unwrap();
    }
    // Where it merges, it finds a file in the place of the directory that it makes.
    let merging = store.inner.path.join("temp_segments");
    std::fs::write(&merging, "no directory").unwrap();
    let failed = store.optimize().await;
    assert!(
        matches!(failed, Err(StoreError::Optimise { .. })),
        "{failed:?}"
    );
    assert!(changed(&store) >= OPTIMISE_AFTER);
    std::fs::remove_file(&merging).unwrap();
    store.optimize().await.unwrap();
    assert_eq!(changed(&store), 0);
}

#[tokio::test]
async fn a_change_whose_turn_comes_after_its_caller_left_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    {
        // Somebody else changes the store for longer than the caller waits.
        let _turn = store.inner.changing();
        let replacing = store.replace(document("left", &[0.1]));
        assert!(replacing.now_or_never().is_none());
    }
    // Whatever became of it, it has become now.
    let deadline = Instant::now() + Duration::from_secs(10);
    while Arc::strong_count(&store.inner) > 1 {
        assert!(Instant::now() < deadline, "the change does not end");
        tokio::task::yield_now().await;
    }
    store.replace(document("stayed", &[0.2])).await.unwrap();
    assert_eq!(
        found(&store, query("alice", &[])).await,
        ["stayed passage 0"]
    );
}
