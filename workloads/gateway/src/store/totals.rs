//! Usage, added up.

use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use utoipa::ToSchema;

use super::budgets::UsageQuery;
use super::used::Used;
use super::{Store, StoreError, within};

/// What usage is added up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Day in UTC, the newest first.
    Day,
    /// Month in UTC, the newest first.
    Month,
    /// Model with its provider, that with the most tokens first.
    Model,
    /// Person, that with the most tokens first.
    Subject,
}

impl By {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Day, Self::Month, Self::Model, Self::Subject];

    /// As the API writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Model => "model",
            Self::Subject => "subject",
        }
    }

    /// What is called that.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.name() == name)
    }
}

/// A sum. Amounts of different currencies are never added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsageTotal {
    /// The day (`2026-11-26`), month (`2026-11`), model or person; empty for a model that is not
    /// known.
    pub key: String,
    /// The provider of the model; `null` where models are not told apart.
    pub provider: Option<String>,
    /// What it took.
    #[serde(flatten)]
    pub used: Used,
}

/// Place of a sum in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotalsCursor {
    /// What the list is added up by, as the API writes it.
    pub by: String,
    /// Its key.
    pub key: String,
    /// Its provider; empty where models are not told apart.
    pub provider: String,
    /// Its tokens, read and written.
    pub tokens: i64,
    /// Its currency.
    pub currency: String,
}

impl TotalsCursor {
    /// The place of a sum in the list by `by`.
    pub fn of(by: By, total: &UsageTotal) -> Self {
        let used = &total.used;
        Self {
            by: by.name().to_owned(),
            key: total.key.clone(),
            provider: total.provider.clone().unwrap_or_default(),
            tokens: used.input_tokens.saturating_add(used.output_tokens),
            currency: used.currency.clone(),
        }
    }
}

impl Store {
    /// Usage, added up, after `after`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn usage_totals(
        &self,
        query: &UsageQuery,
        by: By,
        after: Option<&TotalsCursor>,
        limit: i64,
    ) -> Result<Vec<UsageTotal>, StoreError> {
        let statement = sqlx::query(
            "select * from (
                 select case $4::text when 'day' then day::text
                                      when 'month' then to_char(day, 'YYYY-MM')
                                      when 'model' then model
                                      else subject end as label,
                        case when $4::text = 'model' then provider end as maker,
                        sum(requests)::bigint, sum(input_tokens)::bigint,
                        sum(output_tokens)::bigint, sum(estimated)::bigint,
                        sum(unpriced)::bigint, sum(micros)::bigint, currency,
                        sum(input_tokens + output_tokens)::bigint as tokens
                 from usage_days
                 where ($1::text is null or subject = $1) and day between $2::date and $3::date
                 group by label, maker, currency
             ) sums
             where $6::text is null
                or ($4::text in ('day', 'month') and label < $6::text)
                or (($4::text not in ('day', 'month') or label = $6::text)
                    and (tokens < $7::bigint
                         or (tokens = $7::bigint
                             and (label, coalesce(maker, ''), currency)
                                 > ($6::text, $8::text, $9::text))))
             order by case when $4::text in ('day', 'month') then label end desc, tokens desc,
                      label, coalesce(maker, ''), currency
             limit $5",
        )
        .bind(&query.subject)
        .bind(&query.from)
        .bind(&query.to)
        .bind(by.name())
        .bind(limit)
        .bind(after.map(|after| after.key.as_str()))
        .bind(after.map(|after| after.tokens))
        .bind(after.map(|after| after.provider.as_str()))
        .bind(after.map(|after| after.currency.as_str()))
        .fetch_all(&self.pool);
        let rows = within("add up usage", statement).await?;
        Ok(rows.iter().map(total).collect())
    }
}

fn total(row: &PgRow) -> UsageTotal {
    UsageTotal {
        key: row.get(0),
        provider: row.get(1),
        used: Used::of(row, 2),
    }
}
