//! What may be spent, what models cost, and how long things last.

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::RoleName;

/// What may be spent, what models cost, and how long conversations and sessions last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = kube_core::Rule::new(
        "!has(self.budgets) || has(self.prices) || !self.budgets.exists(budget, has(budget.money))",
    ).message("a budget with money needs gateway.prices: add what each model costs"),
)]
pub struct Gateway {
    /// Budgets; a question must fit under all that it counts in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = kube_core::ListMerge::Map(vec!["name".to_owned()]))]
    pub budgets: Vec<Budget>,
    /// What models cost. A model that is not here has an unknown price, never none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<Prices>,
    /// Days without a question after which a conversation is deleted. Without it they stay until
    /// their owner deletes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 36_500))]
    pub conversation_retention_days: Option<i32>,
    /// Days for which usage is kept, by day in the gateway and each run's in ClickHouse. 400 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 36_500))]
    pub usage_retention_days: Option<i32>,
    /// How long people stay signed in at a browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<Sessions>,
}

/// How long people stay signed in at a browser. Never longer than ten hours: for so long the managed
/// Keycloak knows them, and the key of sessions stays when it is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = kube_core::Rule::new("self.idleSeconds <= self.maxSeconds").message(
        "gateway.sessions.idleSeconds may not be more than maxSeconds, after which a session ends \
         anyway: lower it, or raise maxSeconds",
    ),
)]
pub struct Sessions {
    /// Seconds without a request after which a session ends.
    #[serde(default = "Sessions::default_idle")]
    #[schemars(range(min = 300, max = 36_000))]
    pub idle_seconds: i32,
    /// Seconds after which a session ends, used or not.
    #[serde(default = "Sessions::default_max")]
    #[schemars(range(min = 300, max = 36_000))]
    pub max_seconds: i32,
}

impl Sessions {
    /// The gateway's own values, as its documentation has them.
    const fn default_idle() -> i32 {
        3600
    }

    const fn default_max() -> i32 {
        36_000
    }
}

/// Most that may be asked of models within a stretch of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = kube_core::Rule::new(
        "has(self.requests) || has(self.tokens) || has(self.money)",
    ).message("a budget needs at least one of requests, tokens and money"),
    validation = kube_core::Rule::new(
        "self.scope != 'Platform' || !has(self.names) || self.names.size() == 0",
    ).message("a budget with scope Platform is for everybody together: remove its names"),
)]
pub struct Budget {
    /// Name that people are told.
    pub name: RoleName,
    /// Whom it is for: everybody together, or each group, user or API key by itself.
    pub scope: BudgetScope,
    /// For which of them: groups, `sub` of users, or ids of API keys; empty: each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 255)))]
    pub names: Vec<String>,
    /// How long its window is, in UTC: after it the budget is whole again.
    pub per: BudgetPeriod,
    /// Most questions to a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64))]
    pub requests: Option<i64>,
    /// Most tokens, read and written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64))]
    pub tokens: Option<i64>,
    /// Most money, in the currency of the prices, for example `"25.50"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^[0-9]{1,9}(\.[0-9]{1,6})?$"))]
    pub money: Option<String>,
    /// What becomes of a question that a model without a price may answer, where money is limited.
    #[serde(default)]
    pub unknown_price: UnknownPrice,
    /// How full it is when answers begin to carry a warning, in percent.
    #[serde(default = "Budget::default_warning")]
    #[schemars(range(min = 1, max = 100))]
    pub warn_at_percent: i32,
}

impl Budget {
    const fn default_warning() -> i32 {
        80
    }
}

/// Whom a budget is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BudgetScope {
    /// Everybody together.
    Platform,
    /// Each group by itself: its members share it.
    Group,
    /// Each user.
    User,
    /// Each API key.
    APIKey,
}

/// How long the window of a budget is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BudgetPeriod {
    /// 60 seconds.
    Minute,
    /// From midnight to midnight, UTC.
    Day,
    /// From the first of a month to the first of the next, UTC.
    Month,
}

/// What becomes of a question whose price is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UnknownPrice {
    /// It is refused.
    #[default]
    Refuse,
    /// It is answered with a warning, and is missing in the money that was used.
    Warn,
}

/// What models cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Prices {
    /// Version of this table; usage is recorded with it.
    #[schemars(length(min = 1, max = 63))]
    pub version: String,
    /// ISO 4217 code, for example `EUR`.
    #[schemars(length(min = 3, max = 3), regex(pattern = "^[A-Z]{3}$"))]
    pub currency: String,
    /// One entry for each model.
    #[schemars(length(min = 1, max = 200))]
    pub models: Vec<ModelPrice>,
}

/// What one model costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelPrice {
    /// Name of the provider, or `local`.
    pub provider: RoleName,
    /// Name of the model, as the provider reports it.
    #[schemars(length(min = 1, max = 200))]
    pub model: String,
    /// For a million tokens that it reads, for example `"1.25"`.
    #[schemars(length(max = 16), regex(pattern = r"^[0-9]{1,9}(\.[0-9]{1,6})?$"))]
    pub input_per_million: String,
    /// For a million tokens that it writes.
    #[schemars(length(max = 16), regex(pattern = r"^[0-9]{1,9}(\.[0-9]{1,6})?$"))]
    pub output_per_million: String,
}
