//! What a caller is told who may not.

use http::StatusCode;

/// A decision against the caller, as the gateway's API tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// 403, or 400 where the request contradicts itself.
    pub status: StatusCode,
    /// Stable, machine-readable code.
    pub code: &'static str,
    /// Sentence for people: cause and fix.
    pub message: String,
    /// The field at fault, if there is one.
    pub param: Option<&'static str>,
}

impl Refusal {
    /// 403 that names no field.
    pub(crate) fn forbidden(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            code,
            message: message.into(),
            param: None,
        }
    }

    /// 400 that names the field at fault.
    pub(crate) fn invalid(param: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "invalid_value",
            message: message.into(),
            param: Some(param),
        }
    }

    /// The same, of a field.
    pub(crate) fn about(mut self, param: &'static str) -> Self {
        self.param = Some(param);
        self
    }
}
