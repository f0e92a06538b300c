//! The usage table: its definition, its rows, its sums.

use lotoai_contracts::events::UsageRecorded;
use serde::{Deserialize, Serialize};

const COLUMNS: &str = "\
    run_id String,
    ended_at DateTime64(3, 'UTC'),
    subject String,
    requested_model String,
    model String,
    provider String,
    route String,
    outcome String,
    input_tokens Nullable(UInt64),
    output_tokens Nullable(UInt64),
    first_token_ms Nullable(UInt64),
    duration_ms UInt64";

/// The statement that makes the table.
///
/// A run counts once however often its event arrives.
#[must_use]
pub fn create_table(cluster: Option<&str>) -> String {
    replacing_table("usage_events", COLUMNS, "run_id", cluster)
}

/// The statement that makes a table whose rows with the same `key` replace each other, on every server
/// of the cluster if there is one.
pub(crate) fn replacing_table(
    name: &str,
    columns: &str,
    key: &str,
    cluster: Option<&str>,
) -> String {
    let (everywhere, engine) = match cluster {
        None => (String::new(), "ReplacingMergeTree"),
        Some(cluster) => (
            format!(" ON CLUSTER {cluster}"),
            "ReplicatedReplacingMergeTree(\
             '/clickhouse/tables/{shard}/{database}/{table}', '{replica}')",
        ),
    };
    format!(
        "CREATE TABLE IF NOT EXISTS {name}{everywhere} (\n{columns}\n) \
         ENGINE = {engine} ORDER BY {key}"
    )
}

/// Followed by one JSON object a line.
pub const INSERT: &str = "INSERT INTO usage_events FORMAT JSONEachRow";

/// A period that is summed up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// Since midnight, UTC.
    #[default]
    Today,
    /// The last seven days.
    Week,
    /// The last thirty days.
    Month,
    /// Everything that is stored.
    All,
}

/// What the platform did in a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Requests that ended.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
    /// Different people and programs.
    pub users: u64,
    /// Tokens read, as far as they are known.
    pub input_tokens: u64,
    /// Tokens written, as far as they are known.
    pub output_tokens: u64,
    /// Median of the time from request to end, in milliseconds.
    pub median_duration_ms: u64,
}

/// The statement that sums up a period.
#[must_use]
pub fn summary(period: Period) -> String {
    let since = match period {
        Period::Today => "ended_at >= toStartOfDay(now('UTC'))",
        Period::Week => "ended_at >= now('UTC') - INTERVAL 7 DAY",
        Period::Month => "ended_at >= now('UTC') - INTERVAL 30 DAY",
        Period::All => "1",
    };
    // 64-bit numbers as numbers, not as strings: counts stay far below 2^53.
    format!(
        "SELECT count() AS requests, countIf(outcome != 'ok') AS failed, uniqExact(subject) AS users, \
         toUInt64(ifNull(sum(input_tokens), 0)) AS input_tokens, \
         toUInt64(ifNull(sum(output_tokens), 0)) AS output_tokens, \
         toUInt64(ifNotFinite(quantile(0.5)(duration_ms), 0)) AS median_duration_ms \
         FROM usage_events FINAL WHERE {since} \
         FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 0"
    )
}

/// The rows of an insert.
///
/// # Errors
/// A row cannot be written as JSON.
pub fn rows(events: &[UsageRecorded]) -> serde_json::Result<String> {
    let mut text = String::new();
    for event in events {
        text.push_str(&serde_json::to_string(event)?);
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_the_event_has_a_column() {
        let event = serde_json::json!({
            "run_id": "r", "ended_at": "2026-11-22T10:00:00Z", "subject": "s", "requested_model": "lotoai",
            "model": "extractive", "provider": "lotoai", "route": "knowledge", "outcome": "ok",
            "input_tokens": null, "output_tokens": 7, "first_token_ms": 3, "duration_ms": 9,
        });
        let event: UsageRecorded = serde_json::from_value(event).unwrap();
        let row: serde_json::Value = serde_json::from_str(rows(&[event]).unwrap().trim()).unwrap();
        for field in row.as_object().unwrap().keys() {
            assert!(COLUMNS.contains(&format!("{field} ")), "{field}");
        }
    }

    #[test]
    fn the_table_is_on_every_server_of_a_cluster() {
        let alone = create_table(None);
        assert!(alone.contains("usage_events ("), "{alone}");
        assert!(
            alone.ends_with("ENGINE = ReplacingMergeTree ORDER BY run_id"),
            "{alone}"
        );
        let cluster = create_table(Some("lotoai"));
        assert!(
            cluster.contains("usage_events ON CLUSTER lotoai ("),
            "{cluster}"
        );
        assert!(
            cluster.contains("ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/")
        );
    }

    #[test]
    fn a_period_is_a_condition() {
        assert!(summary(Period::Today).contains("toStartOfDay"));
        assert!(summary(Period::All).contains("WHERE 1 "));
    }
}
