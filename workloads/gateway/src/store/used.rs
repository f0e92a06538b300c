//! What questions took, as every list of usage says it.

use serde::Serialize;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use utoipa::ToSchema;

/// What questions took, all of it in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Used {
    /// Questions.
    pub requests: i64,
    /// Tokens read.
    pub input_tokens: i64,
    /// Tokens written.
    pub output_tokens: i64,
    /// Questions whose tokens were not, or not all, reported: they are estimated on the high side.
    pub estimated_requests: i64,
    /// Questions whose price is not known: they are missing in `micros`.
    pub unpriced_requests: i64,
    /// Money in millionths of the currency's unit.
    pub micros: i64,
    /// ISO 4217 code; empty without prices.
    pub currency: String,
}

impl Used {
    /// What stands in seven columns of a row, in the order of the fields, from column `first` on.
    pub(super) fn of(row: &PgRow, first: usize) -> Self {
        Self {
            requests: row.get(first),
            input_tokens: row.get(first + 1),
            output_tokens: row.get(first + 2),
            estimated_requests: row.get(first + 3),
            unpriced_requests: row.get(first + 4),
            micros: row.get(first + 5),
            currency: row.get(first + 6),
        }
    }
}
