//! API keys, documents, sign-out and budgets.

use lotoai_policy::Scope;
use utoipa::ToSchema;

/// What an API key is to be.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyRequest {
    /// What its owner calls it.
    #[schema(min_length = 1, max_length = 80)]
    pub name: String,
    /// What it may do; `chat` alone without it.
    #[schema(min_items = 1)]
    pub scopes: Option<Vec<Scope>>,
    /// The only models that it may name; all without it.
    #[schema(max_items = 50)]
    pub models: Option<Vec<String>>,
    /// Groups that it has; those of its maker but for `admins` without it.
    #[schema(max_items = 50)]
    pub groups: Option<Vec<String>>,
    /// Days until it ends.
    #[schema(minimum = 1, maximum = 365, default = 90)]
    pub expires_in_days: Option<u32>,
}

/// A file and where it belongs.
#[derive(Debug, ToSchema)]
pub struct DocumentForm {
    /// Text, Markdown or HTML in UTF-8; the name says which.
    #[schema(value_type = String, content_media_type = "application/octet-stream")]
    pub file: Vec<u8>,
    /// The knowledge base; `default` without it.
    #[schema(max_length = 256)]
    pub knowledge_base: Option<String>,
}

/// What the identity provider sends.
#[derive(Debug, ToSchema)]
pub struct LogoutForm {
    /// A logout token of OpenID Connect Back-Channel Logout.
    pub logout_token: String,
}

/// Where to go to end the stay at the identity provider, too.
#[derive(Debug, ToSchema)]
pub struct SignOut {
    /// Address.
    pub sign_out_url: String,
}

/// A budget with what is used and left of it.
#[derive(Debug, ToSchema)]
pub struct BudgetState {
    /// Its name.
    pub name: String,
    /// `Platform`, `Group`, `User` or `APIKey`.
    pub scope: String,
    /// For whom of them; `null` for the platform.
    pub subject: Option<String>,
    /// `Minute`, `Day` or `Month`.
    pub per: String,
    /// RFC 3339; when it is whole again.
    pub resets_at: String,
    /// How full it is when it warns.
    pub warn_at_percent: i64,
    /// `Refuse` or `Warn`; `null` where no money is limited.
    pub unknown_price: Option<String>,
    /// How full its fullest limit is.
    pub percent: i64,
    /// Requests whose price is not known.
    pub unpriced_requests: i64,
    /// Its limits.
    pub limits: Amounts,
    /// What is used.
    pub used: Amounts,
    /// What is left.
    pub left: Amounts,
}

/// Amounts of what is limited, and of nothing else.
#[derive(Debug, ToSchema)]
pub struct Amounts {
    /// Requests.
    #[schema(nullable = false)]
    pub requests: Option<i64>,
    /// Tokens read and written.
    #[schema(nullable = false)]
    pub tokens: Option<i64>,
    /// Money.
    #[schema(nullable = false)]
    pub money: Option<Money>,
}

/// Money.
#[derive(Debug, ToSchema)]
pub struct Money {
    /// Whole millionths of the currency's unit.
    pub micros: i64,
    /// The same as a decimal number.
    pub amount: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Digits after the point that `micros` has.
    pub decimals: u32,
}

/// Another title.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameRequest {
    /// One line.
    #[schema(min_length = 1, max_length = 200)]
    pub title: String,
}

/// Where a conversation is branched.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BranchRequest {
    /// The last message that the branch has, too.
    pub message_id: String,
    /// Its title; that of what it comes from without it.
    #[schema(min_length = 1, max_length = 200)]
    pub title: Option<String>,
}
