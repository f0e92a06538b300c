//! Refusals and failures, in both shapes.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

use crate::store::AnswerPlace;

/// Why a request was refused or failed: RFC 9457.
#[derive(Debug, ToSchema)]
pub struct Problem {
    /// `about:blank`: `code` says more.
    pub r#type: String,
    /// The status in words.
    pub title: String,
    /// The status.
    pub status: u16,
    /// Cause and fix, for people.
    pub detail: String,
    /// Stable.
    pub code: String,
    /// The request in the log.
    pub request_id: Option<String>,
    /// The field at fault.
    #[schema(nullable = false)]
    pub param: Option<String>,
    /// The budget that is used up, with code `budget_exceeded`.
    #[schema(nullable = false)]
    pub budget: Option<BTreeMap<String, Value>>,
    /// Where the answer of the first request is stored, with code `idempotency_answer_not_kept`.
    #[schema(nullable = false)]
    pub answer: Option<AnswerPlace>,
}

/// Why a request was refused or failed, in OpenAI's shape.
#[derive(Debug, ToSchema)]
pub struct OpenAiError {
    /// The error.
    pub error: OpenAiErrorBody,
}

/// Cause and fix.
#[derive(Debug, ToSchema)]
pub struct OpenAiErrorBody {
    /// Cause and fix, for people.
    pub message: String,
    /// `invalid_request_error`, `authentication_error`, `permission_error`, `rate_limit_error` or
    /// `server_error`.
    pub r#type: String,
    /// The field at fault.
    pub param: Option<String>,
    /// Stable.
    pub code: String,
    /// The budget that is used up, with code `budget_exceeded`.
    #[schema(nullable = false)]
    pub budget: Option<BTreeMap<String, Value>>,
    /// Where the answer of the first request is stored, with code `idempotency_answer_not_kept`.
    #[schema(nullable = false)]
    pub answer: Option<AnswerPlace>,
}
