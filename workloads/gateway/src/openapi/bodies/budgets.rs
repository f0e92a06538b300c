//! Budgets, as administrators set them.

use utoipa::ToSchema;

/// What a budget is to be. One of `requests`, `tokens` and `money` must be there.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetRequest {
    /// What people are told it is called: a-z, 0-9 and -.
    #[schema(
        min_length = 1,
        max_length = 40,
        pattern = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
    )]
    pub name: String,
    /// `Platform` (everybody together), or `Group`, `User` or `APIKey`: each of them by itself.
    pub scope: String,
    /// `Minute`, `Day` or `Month`, in UTC.
    pub per: String,
    /// Groups, `sub` of users, or ids of API keys; each of them without it.
    #[schema(max_items = 100)]
    pub names: Option<Vec<String>>,
    /// Most questions to a model.
    #[schema(minimum = 1)]
    pub requests: Option<i64>,
    /// Most tokens, read and written.
    #[schema(minimum = 1)]
    pub tokens: Option<i64>,
    /// Most money in the currency of the prices, such as `25.50`.
    pub money: Option<String>,
    /// `Refuse` or `Warn`: what becomes of a question without a known price where money is limited.
    pub unknown_price: Option<String>,
    /// How full it is when it warns.
    #[schema(minimum = 1, maximum = 100, default = 80)]
    pub warn_at_percent: Option<i64>,
}

/// What a budget is to allow from now on. One of `requests`, `tokens` and `money` must be there.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetChange {
    /// Groups, `sub` of users, or ids of API keys; each of them without it.
    #[schema(max_items = 100)]
    pub names: Option<Vec<String>>,
    /// Most questions to a model.
    #[schema(minimum = 1)]
    pub requests: Option<i64>,
    /// Most tokens, read and written.
    #[schema(minimum = 1)]
    pub tokens: Option<i64>,
    /// Most money in the currency of the prices, such as `25.50`.
    pub money: Option<String>,
    /// `Refuse` or `Warn`: what becomes of a question without a known price where money is limited.
    pub unknown_price: Option<String>,
    /// How full it is when it warns.
    #[schema(minimum = 1, maximum = 100, default = 80)]
    pub warn_at_percent: Option<i64>,
}
