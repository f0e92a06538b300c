//! The documents that a demonstration platform knows: the project's own documentation.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use snafu::ResultExt;

use crate::client::PublicClient;
use crate::error::{DeadlineSnafu, ReadFileSnafu, Result, UnexpectedSnafu};

/// Uploads that are under way at the same time.
const PARALLEL_UPLOADS: usize = 4;

/// A document of the corpus: its name on the platform and its file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CorpusFile {
    /// Path below the root with `/`, for example `docs/es/inicio.md`.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// Every Markdown, HTML and text file below `root`, sorted by name.
///
/// # Errors
/// When a directory cannot be read.
pub fn files(root: &Path) -> Result<Vec<CorpusFile>> {
    let mut found = Vec::new();
    collect(root, root, &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(root: &Path, directory: &Path, found: &mut Vec<CorpusFile>) -> Result<()> {
    let entries = std::fs::read_dir(directory).context(ReadFileSnafu { path: directory })?;
    for entry in entries {
        let path = entry.context(ReadFileSnafu { path: directory })?.path();
        if path.is_dir() {
            collect(root, &path, found)?;
        } else if path
            .extension()
            .is_some_and(|kind| ["md", "html", "txt"].iter().any(|k| kind == *k))
        {
            let name = path
                .strip_prefix(root)
                .unwrap_or(&path)
                .to_string_lossy()
                .replace('\\', "/");
            found.push(CorpusFile { name, path });
        }
    }
    Ok(())
}

/// Uploads the corpus and waits until every document is indexed. `progress` is told
/// (indexed, all) whenever the count moves.
///
/// # Errors
/// When an upload is refused, a document fails, or the limit passes.
pub async fn load(
    client: &PublicClient,
    files: &[CorpusFile],
    limit: Duration,
    mut progress: impl FnMut(usize, usize),
) -> Result<()> {
    let ids: Vec<String> = stream::iter(files)
        .map(|file| async move {
            let bytes = std::fs::read(&file.path).context(ReadFileSnafu { path: &file.path })?;
            let document = client.upload(&file.name, bytes).await?;
            Ok::<_, crate::Error>(document["id"].as_str().unwrap_or_default().to_owned())
        })
        .buffer_unordered(PARALLEL_UPLOADS)
        .try_collect()
        .await?;
    wait_indexed(client, &ids, limit, &mut progress).await
}

/// Waits until the documents are indexed.
///
/// # Errors
/// When one fails or the limit passes.
pub async fn wait_indexed(
    client: &PublicClient,
    ids: &[String],
    limit: Duration,
    progress: &mut impl FnMut(usize, usize),
) -> Result<()> {
    let begun = Instant::now();
    let mut waiting: Vec<String> = ids.to_vec();
    loop {
        let mut still = Vec::new();
        for id in &waiting {
            let document = client.get(&format!("/api/documents/{id}")).await?;
            match document["status"].as_str() {
                Some("indexed") => {}
                Some("failed") => {
                    let problem = format!("{}: {}", document["name"], document["error"]);
                    return UnexpectedSnafu {
                        action: "index a document",
                        problem,
                    }
                    .fail();
                }
                _ => still.push(id.clone()),
            }
        }
        if still.len() != waiting.len() || still.is_empty() {
            progress(ids.len() - still.len(), ids.len());
        }
        if still.is_empty() {
            return Ok(());
        }
        waiting = still;
        if begun.elapsed() > limit {
            let last = format!("{} of {} indexed", ids.len() - waiting.len(), ids.len());
            let what = "the documents to be indexed";
            return DeadlineSnafu {
                what,
                seconds: limit.as_secs(),
                last,
            }
            .fail();
        }
        // The API has no push channel for documents; once a second is what a person would notice.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
