//! The end of usage that is kept for a time only.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio_util::sync::CancellationToken;

use crate::clickhouse::{self, ClickHouse};

/// How often it is looked for what has come to its end.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
const DAY_MS: u128 = 24 * 3600 * 1000;

/// Deletes usage that is older than so many days until `stop`. Replicas may do so at once.
pub async fn keep(clickhouse: ClickHouse, days: u16, stop: CancellationToken) {
    loop {
        let swept = tokio::select! {
            swept = sweep(&clickhouse, before(SystemTime::now(), days)) => swept,
            () = stop.cancelled() => return,
        };
        match swept {
            Ok(false) => {}
            Ok(true) => tracing::info!(days, "usage that is older is being deleted"),
            Err(error) => {
                tracing::warn!(error = %snafu::Report::from_error(&error), "usage stays beyond its end");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(SWEEP_EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// The begin of the day (UTC) so many days before `now`, in Unix milliseconds. Of whole days, since each
/// deletion writes what stays anew.
fn before(now: SystemTime, days: u16) -> u128 {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let today = now.as_millis() / DAY_MS;
    today.saturating_sub(days.into()) * DAY_MS
}

/// Has usage deleted that ended before this moment, in Unix milliseconds; says whether there was any.
/// Servers of a cluster must all delete the same, so the statement says when, and not how long ago.
async fn sweep(clickhouse: &ClickHouse, until_ms: u128) -> Result<bool, clickhouse::Error> {
    let old = format!("toUnixTimestamp64Milli(ended_at) < {until_ms}");
    let find = format!("SELECT 1 FROM usage_events WHERE {old} LIMIT 1");
    if clickhouse.execute(&find).await?.trim().is_empty() {
        return Ok(false);
    }
    let delete = format!("ALTER TABLE usage_events DELETE WHERE {old}");
    clickhouse.execute(&delete).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::{body_string, method};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::config::ClickHouseArgs;

    #[test]
    fn days_are_counted_back() {
        let now = UNIX_EPOCH + Duration::from_secs(3 * 24 * 3600 + 5);
        assert_eq!(before(now, 2), DAY_MS);
        assert_eq!(before(now, 400), 0);
    }

    #[rstest::rstest]
    #[case::old("1\n", true)]
    #[case::none("", false)]
    #[tokio::test]
    async fn only_what_is_old_is_deleted(#[case] found: &str, #[case] is_deleted: bool) {
        let server = MockServer::start().await;
        let old = "toUnixTimestamp64Milli(ended_at) < 77";
        let answer = |statement: String, body: &str, times: u64| {
            Mock::given(method("POST"))
                .and(body_string(statement))
                .respond_with(ResponseTemplate::new(200).set_body_string(body))
                .expect(times)
                .mount(&server)
        };
        answer(
            format!("SELECT 1 FROM usage_events WHERE {old} LIMIT 1"),
            found,
            1,
        )
        .await;
        let delete = format!("ALTER TABLE usage_events DELETE WHERE {old}");
        answer(delete, "", u64::from(is_deleted)).await;
        let clickhouse = ClickHouse::new(&ClickHouseArgs::for_tests(&server.uri())).unwrap();
        assert_eq!(sweep(&clickhouse, 77).await.unwrap(), is_deleted);
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_an_error() {
        let server = MockServer::start().await;
        let away = Mock::given(method("POST")).respond_with(ResponseTemplate::new(503));
        away.mount(&server).await;
        let clickhouse = ClickHouse::new(&ClickHouseArgs::for_tests(&server.uri())).unwrap();
        assert!(sweep(&clickhouse, 77).await.is_err());
    }
}
