//! People who are erased: their rows go, and none comes back.
//!
//! It is written down who was erased until when, as a digest, and again and again it is looked whether
//! there are rows of them. So it does not matter in which order events arrive: a row that waited
//! somewhere while its person was erased goes as well.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use lotoai_contracts::events::PersonErased;
use serde::Deserialize;
use snafu::{ResultExt, Snafu};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clickhouse::{self, ClickHouse};
use crate::usage;

/// How often it is looked for rows of erased people, beside when one is erased.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// Most people whose rows one statement deletes.
const BATCH: usize = 100;

/// Named as the fields of the event.
const COLUMNS: &str = "subject_digest String,\n    erased_at_ms UInt64";
/// Followed by one JSON object a line.
const INSERT: &str = "INSERT INTO erased_people FORMAT JSONEachRow";
/// The digest of a row's subject, as [`PersonErased::digest`] makes it. Statements have it in the place
/// of the subject, since the server keeps them for a while.
const DIGEST: &str = "lower(hex(SHA256(subject)))";

/// Why rows of erased people are still there.
#[derive(Debug, Snafu)]
pub enum Error {
    /// A statement failed.
    #[snafu(display("failed to erase people"))]
    Statement {
        /// Cause.
        source: clickhouse::Error,
    },
    /// ClickHouse answered with another shape.
    #[snafu(display("failed to read who is to be erased"))]
    Unreadable {
        /// Cause.
        source: serde_json::Error,
    },
}

/// The statement that makes the table of erased people.
#[must_use]
pub fn create_table(cluster: Option<&str>) -> String {
    let key = "(subject_digest, erased_at_ms)";
    usage::replacing_table("erased_people", COLUMNS, key, cluster)
}

/// Gives erased people of whom there are rows that they are to lose.
fn find() -> String {
    format!(
        "SELECT subject_digest, until_ms FROM (\
         SELECT {DIGEST} AS subject_digest, toUnixTimestamp64Milli(min(ended_at)) AS first_ms \
         FROM usage_events GROUP BY subject) AS used \
         INNER JOIN (\
         SELECT subject_digest, max(erased_at_ms) AS until_ms \
         FROM erased_people GROUP BY subject_digest) AS erased \
         USING (subject_digest) WHERE first_ms <= until_ms LIMIT {BATCH} \
         FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 0"
    )
}

/// An erased person of whom there are rows.
#[derive(Debug, Deserialize)]
struct Remembered {
    subject_digest: String,
    until_ms: u64,
}

/// Deletes their rows, as soon as ClickHouse gets to it.
fn delete(people: &[Remembered]) -> String {
    let mut statement = "ALTER TABLE usage_events DELETE WHERE 0".to_owned();
    for Remembered {
        subject_digest,
        until_ms,
    } in people
    {
        // A text takes all that is written to it.
        let _ = write!(
            statement,
            " OR ({DIGEST} = '{subject_digest}' AND toUnixTimestamp64Milli(ended_at) <= {until_ms})"
        );
    }
    statement
}

/// Erases people.
#[derive(Debug, Clone)]
pub struct Erasures {
    clickhouse: ClickHouse,
    wake: Arc<Notify>,
}

impl Erasures {
    /// Erases people in `clickhouse`.
    #[must_use]
    pub fn new(clickhouse: ClickHouse) -> Self {
        Self {
            clickhouse,
            wake: Arc::default(),
        }
    }

    /// Writes down that a person is erased. Returns whether that is stored; the rows go soon after.
    pub async fn note(&self, event: &PersonErased) -> bool {
        let row = match serde_json::to_string(event) {
            Ok(row) => row,
            Err(error) => {
                tracing::error!(error = %error, "an erasure cannot be written as JSON");
                return false;
            }
        };
        match self.clickhouse.insert(INSERT, row).await {
            Ok(()) => {
                self.wake.notify_one();
                true
            }
            Err(error) => {
                tracing::warn!(error = %snafu::Report::from_error(&error), "an erasure waits for ClickHouse");
                false
            }
        }
    }

    /// Deletes rows of erased people until `stop`. Replicas may do so at once.
    pub async fn keep(self, stop: CancellationToken) {
        loop {
            let swept = tokio::select! {
                swept = self.sweep() => swept,
                () = stop.cancelled() => return,
            };
            match swept {
                Ok(0) => {}
                Ok(people) => tracing::info!(people, "usage of erased people is being deleted"),
                Err(error) => {
                    tracing::warn!(error = %snafu::Report::from_error(&error), "usage of erased people may still be there");
                }
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(SWEEP_EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Has the rows of some erased people deleted; says of how many.
    ///
    /// # Errors
    /// ClickHouse is away, refuses, or answers with another shape.
    pub async fn sweep(&self) -> Result<usize, Error> {
        let found = self.clickhouse.execute(&find()).await;
        let found = found.context(StatementSnafu)?;
        let people = found
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<Vec<Remembered>, _>>()
            .context(UnreadableSnafu)?;
        if !people.is_empty() {
            let deleted = self.clickhouse.execute(&delete(&people)).await;
            deleted.context(StatementSnafu)?;
        }
        Ok(people.len())
    }
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::{body_string, body_string_contains, method, query_param};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::config::ClickHouseArgs;

    fn erasures(server: &MockServer) -> Erasures {
        Erasures::new(ClickHouse::new(&ClickHouseArgs::for_tests(&server.uri())).unwrap())
    }

    async fn found(server: &MockServer, lines: &str) {
        Mock::given(method("POST"))
            .and(body_string_contains("INNER JOIN"))
            .respond_with(ResponseTemplate::new(200).set_body_string(lines))
            .mount(server)
            .await;
    }

    fn event() -> PersonErased {
        PersonErased {
            subject_digest: "ab".repeat(32),
            erased_at_ms: 1_764_201_600_123,
        }
    }

    #[test]
    fn every_field_of_the_event_has_a_column() {
        let row = serde_json::to_value(event()).unwrap();
        for field in row.as_object().unwrap().keys() {
            assert!(COLUMNS.contains(&format!("{field} ")), "{field}");
        }
        let table = create_table(Some("lotoai"));
        assert!(
            table.starts_with("CREATE TABLE IF NOT EXISTS erased_people ON CLUSTER lotoai (")
                && table.ends_with(" ORDER BY (subject_digest, erased_at_ms)"),
            "{table}"
        );
    }

    #[tokio::test]
    async fn an_erasure_is_stored_and_wakes() {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(query_param("query", INSERT))
            .and(body_string(serde_json::to_string(&event()).unwrap()))
            .respond_with(ResponseTemplate::new(200))
            .expect(1)
            .mount(&server)
            .await;
        let erasures = erasures(&server);
        assert!(erasures.note(&event()).await);
        let woken = tokio::time::timeout(Duration::from_secs(5), erasures.wake.notified());
        assert!(woken.await.is_ok(), "nobody looks for the rows");
        server.reset().await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(500))
            .mount(&server)
            .await;
        assert!(!erasures.note(&event()).await);
    }

    #[tokio::test]
    async fn rows_of_erased_people_go_and_no_statement_says_whose() {
        let server = MockServer::start().await;
        let (one, other) = ("ab".repeat(32), "cd".repeat(32));
        found(
            &server,
            &format!(
                "{{\"subject_digest\":\"{one}\",\"until_ms\":5}}\n\
                 {{\"subject_digest\":\"{other}\",\"until_ms\":7}}\n"
            ),
        )
        .await;
        Mock::given(method("POST"))
            .and(body_string(format!(
                "ALTER TABLE usage_events DELETE WHERE 0 \
                 OR (lower(hex(SHA256(subject))) = '{one}' \
                 AND toUnixTimestamp64Milli(ended_at) <= 5) \
                 OR (lower(hex(SHA256(subject))) = '{other}' \
                 AND toUnixTimestamp64Milli(ended_at) <= 7)"
            )))
            .respond_with(ResponseTemplate::new(200))
            .expect(1)
            .mount(&server)
            .await;
        assert_eq!(erasures(&server).sweep().await.unwrap(), 2);
    }

    #[tokio::test]
    async fn nothing_is_deleted_when_nobody_is_found() {
        let server = MockServer::start().await;
        found(&server, "").await;
        Mock::given(method("POST"))
            .and(body_string_contains("DELETE"))
            .respond_with(ResponseTemplate::new(200))
            .expect(0)
            .mount(&server)
            .await;
        assert_eq!(erasures(&server).sweep().await.unwrap(), 0);
    }

    #[tokio::test]
    async fn another_shape_is_an_error() {
        let server = MockServer::start().await;
        found(&server, "x\n").await;
        let error = erasures(&server).sweep().await.unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }), "{error:?}");
    }
}
