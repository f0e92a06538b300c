//! How many scripts run at once: as many as the memory of the container holds. A container that takes
//! more is killed as a whole, and the calls of other people end with it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::{ToolResult, script};
use crate::domain::declaration::ScriptTool;

/// Where the kernel says how much memory the container may take.
const LIMIT_FILE: &str = "/sys/fs/cgroup/memory.max";
/// What is left for the server itself and for the answers of tools over HTTP, in bytes.
const SERVER_BYTES: u64 = 256 * 1024 * 1024;
/// How many run where nothing says how much memory there is: what the 768 MiB of the smallest profile
/// hold beside the server.
const UNLIMITED: usize = 2;
/// How long a call waits for a place: most scripts take much less, and a person is waiting.
const PATIENCE: Duration = Duration::from_secs(3);

/// Scripts, some of which may run at once.
#[derive(Debug, Clone)]
pub struct Scripts {
    places: Arc<Semaphore>,
    count: usize,
}

impl Scripts {
    /// At most `count` at once.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let places = Arc::new(Semaphore::new(count));
        Self { places, count }
    }

    /// As many at once as the memory of this container holds.
    pub async fn of_this_container() -> Self {
        let scripts = Self::new(count(limit(Path::new(LIMIT_FILE)).await));
        tracing::info!(scripts = scripts.count, "as many scripts run at once");
        scripts
    }

    /// Runs a script as soon as there is a place for it, within three seconds. Dropping this ends the
    /// script with everything that it began.
    pub async fn run(&self, tool: &ScriptTool, arguments: &Map<String, Value>) -> ToolResult {
        match tokio::time::timeout(PATIENCE, self.places.acquire()).await {
            Ok(Ok(_place)) => script::run(tool, arguments).await,
            // Nobody closes the semaphore: what there is not in time is a place.
            Ok(Err(_)) | Err(_) => ToolResult::error(format!(
                "the server is busy: it runs {} scripts at once, as many as its memory holds; try \
                 again in a moment",
                self.count
            )),
        }
    }
}

/// How many scripts `limit` bytes hold beside the server; one at least, or none would ever run.
fn count(limit: Option<u64>) -> usize {
    let Some(limit) = limit else {
        return UNLIMITED;
    };
    let held = limit.saturating_sub(SERVER_BYTES) / script::MEMORY_BYTES;
    usize::try_from(held).unwrap_or(usize::MAX).max(1)
}

/// What a file of the kernel says, in bytes; `None` where it says `max`, or is not there: outside a
/// container, and in one of the first version of control groups.
async fn limit(file: &Path) -> Option<u64> {
    match tokio::fs::read_to_string(file).await {
        Ok(text) => text.trim().parse().ok(),
        Err(error) => {
            tracing::info!(%error, "the limit of memory is not known");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[rstest]
    #[case::demo(Some(768 * MIB), 2)]
    #[case::small(Some(1024 * MIB), 3)]
    #[case::larger(Some(4096 * MIB), 15)]
    #[case::tiny(Some(64 * MIB), 1)]
    #[case::unlimited(None, 2)]
    fn the_memory_says_how_many(#[case] limit: Option<u64>, #[case] expected: usize) {
        assert_eq!(count(limit), expected);
    }

    #[rstest]
    #[case("805306368\n", Some(805_306_368))]
    #[case("max\n", None)]
    #[tokio::test]
    async fn the_kernel_is_understood(#[case] text: &str, #[case] expected: Option<u64>) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("memory.max");
        assert_eq!(limit(&file).await, None, "it is not there");
        std::fs::write(&file, text).unwrap();
        assert_eq!(limit(&file).await, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gets_no_place_hears_that_the_server_is_busy() {
        let scripts = Scripts::new(1);
        let hello = ScriptTool {
            source: "echo hello".to_owned(),
            timeout_seconds: 5,
        };
        let place = scripts.places.acquire().await.unwrap();
        let begun = tokio::time::Instant::now();
        let result = scripts.run(&hello, &Map::new()).await;
        assert!(
            result.is_error && result.text.contains("busy"),
            "{result:?}"
        );
        assert!(begun.elapsed() >= PATIENCE, "it waits for one");
        // The control: with a place it runs. A script is no part of the paused time.
        drop(place);
        tokio::time::resume();
        let result = scripts.run(&hello, json!({}).as_object().unwrap()).await;
        assert_eq!((result.text.as_str(), result.is_error), ("hello", false));
        assert_eq!(
            scripts.places.available_permits(),
            1,
            "and it is given back"
        );
    }
}
