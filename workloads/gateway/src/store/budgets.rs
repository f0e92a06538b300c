//! Rows of budgets, spendings and usage.

use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use utoipa::ToSchema;

use super::used::Used;
use super::{Store, StoreError, within};
use crate::budget::rules::Amounts;

/// Counters stay for a day after their window, for whoever asks why.
const KEEP_WINDOWS: &str = "1 day";

/// What is used in a window that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenWindow {
    /// Name of the budget.
    pub budget: String,
    /// For whom; empty for the platform.
    pub subject: String,
    /// Unix seconds at which it began.
    pub start: i64,
    /// What is used or reserved.
    pub used: Amounts,
}

/// Place of a window in a list: its key.
pub type WindowCursor = (String, String, i64);

/// Usage of one day, person, key and model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsageRow {
    /// Place in the list.
    #[serde(skip)]
    pub id: i64,
    /// In UTC.
    pub day: String,
    /// Who asked.
    pub subject: String,
    /// The API key that was used; empty without one.
    pub api_key: String,
    /// The provider that answered; empty when it is not known.
    pub provider: String,
    /// The model that answered; empty when it is not known.
    pub model: String,
    /// What it took.
    #[serde(flatten)]
    pub used: Used,
    /// Version of the prices; empty without prices.
    pub price_version: String,
}

/// Which usage is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageQuery {
    /// Whose; everybody's when it is `None`.
    pub subject: Option<String>,
    /// First day, `YYYY-MM-DD`.
    pub from: String,
    /// Last day.
    pub to: String,
}

/// Place of a row in a list of usage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageCursor {
    /// Its day.
    pub day: String,
    /// Its number.
    pub id: i64,
}

pub(super) fn amounts(row: &PgRow, first: usize) -> Amounts {
    Amounts {
        requests: row.get(first),
        tokens: row.get(first + 1),
        micros: row.get(first + 2),
        unpriced: row.get(first + 3),
    }
}

impl Store {
    /// Folds what is settled or forgotten into counters and usage; says how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn fold_spendings(&self, most: i32) -> Result<i64, StoreError> {
        let statement = sqlx::query("select fold_spendings($1)")
            .bind(most)
            .fetch_one(&self.pool);
        within("fold spendings", statement)
            .await
            .map(|row| row.get(0))
    }

    /// Forgets counters whose window ended long ago; says how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweep_windows(&self) -> Result<u64, StoreError> {
        let statement =
            sqlx::query("delete from budget_windows where ends_at < now() - $1::interval")
                .bind(KEEP_WINDOWS)
                .execute(&self.pool);
        within("sweep budgets", statement)
            .await
            .map(|done| done.rows_affected())
    }

    /// What is used in these windows: budget, subject and start. Those that nothing was used of
    /// are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn windows_of(&self, keys: &[WindowCursor]) -> Result<Vec<OpenWindow>, StoreError> {
        let (mut budgets, mut subjects, mut starts) = (vec![], vec![], vec![]);
        for (budget, subject, start) in keys {
            budgets.push(budget.as_str());
            subjects.push(subject.as_str());
            starts.push(*start);
        }
        let statement = sqlx::query(
            "select w.budget, w.subject, extract(epoch from w.starts_at)::bigint,
                    w.requests, w.tokens, w.micros, w.unpriced
             from budget_windows w join unnest($1::text[], $2::text[], $3::bigint[]) as k(b, s, t)
               on w.budget = k.b and w.subject = k.s and w.starts_at = to_timestamp(k.t)",
        )
        .bind(budgets)
        .bind(subjects)
        .bind(starts)
        .fetch_all(&self.pool);
        let rows = within("read budgets", statement).await?;
        Ok(rows.iter().map(window).collect())
    }

    /// Everybody's windows that have not ended, after `after`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_windows(
        &self,
        after: Option<WindowCursor>,
        limit: i64,
    ) -> Result<Vec<OpenWindow>, StoreError> {
        let (budget, subject, start) = after.unwrap_or_default();
        let statement = sqlx::query(
            "select budget, subject, extract(epoch from starts_at)::bigint,
                    requests, tokens, micros, unpriced
             from budget_windows
             where ends_at > now() and (budget, subject, starts_at) > ($1, $2, to_timestamp($3))
             order by budget, subject, starts_at limit $4",
        )
        .bind(budget)
        .bind(subject)
        .bind(start)
        .bind(limit)
        .fetch_all(&self.pool);
        let rows = within("list budgets", statement).await?;
        Ok(rows.iter().map(window).collect())
    }

    /// Usage, the newest day first, after `after`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn usage(
        &self,
        query: &UsageQuery,
        after: Option<UsageCursor>,
        limit: i64,
    ) -> Result<Vec<UsageRow>, StoreError> {
        let after = after.unwrap_or(UsageCursor {
            day: "infinity".to_owned(),
            id: i64::MAX,
        });
        let statement = sqlx::query(
            "select id, day::text, subject, api_key, provider, model, requests, input_tokens,
                    output_tokens, estimated, unpriced, micros, currency, price_version
             from usage_days
             where ($1::text is null or subject = $1) and day between $2::date and $3::date
               and (day, id) < ($4::date, $5)
             order by day desc, id desc limit $6",
        )
        .bind(&query.subject)
        .bind(&query.from)
        .bind(&query.to)
        .bind(&after.day)
        .bind(after.id)
        .bind(limit)
        .fetch_all(&self.pool);
        let rows = within("list usage", statement).await?;
        Ok(rows.iter().map(usage).collect())
    }

    /// Deletes at most `most` rows of usage of days that are more than `days` ago, in UTC; says how
    /// many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn purge_usage(&self, days: i32, most: i64) -> Result<u64, StoreError> {
        let statement = sqlx::query(
            "delete from usage_days where ctid = any(array(
                 select ctid from usage_days where day < (now() at time zone 'utc')::date - $1::int
                 order by day limit $2 for update skip locked))",
        )
        .bind(days)
        .bind(most)
        .execute(&self.pool);
        let done = within("purge usage", statement).await?;
        Ok(done.rows_affected())
    }
}

fn window(row: &PgRow) -> OpenWindow {
    OpenWindow {
        budget: row.get(0),
        subject: row.get(1),
        start: row.get(2),
        used: amounts(row, 3),
    }
}

fn usage(row: &PgRow) -> UsageRow {
    UsageRow {
        id: row.get(0),
        day: row.get(1),
        subject: row.get(2),
        api_key: row.get(3),
        provider: row.get(4),
        model: row.get(5),
        used: Used::of(row, 6),
        price_version: row.get(13),
    }
}
