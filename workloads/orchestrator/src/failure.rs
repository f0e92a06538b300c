//! Failures that the caller sees.

use lotoai_contracts::failures;
use lotoai_contracts::v1::{CompleteFailed, Failed};
use tonic::{Code, Status};

/// A failed request: a stable code, a sentence with the fix, and whether the same request may
/// succeed later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Stable code.
    pub code: String,
    /// A sentence with the fix.
    pub message: String,
    /// May the same request succeed later?
    pub retryable: bool,
    /// The field of the request at fault, as OpenAI's chat API names it; empty when it is none.
    pub param: String,
}

impl Failure {
    /// A failure that stays one.
    #[must_use]
    pub fn permanent(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            retryable: false,
            param: String::new(),
        }
    }

    /// The request asks for what cannot be done here; `param` is the field that does.
    #[must_use]
    pub fn unsupported(param: &str, message: impl Into<String>) -> Self {
        Self {
            param: param.to_owned(),
            ..Self::permanent(failures::UNSUPPORTED_PARAMETER, message)
        }
    }

    /// A failure that may pass.
    #[must_use]
    pub fn passing(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            retryable: true,
            param: String::new(),
        }
    }

    /// Another service did not do its part; `why` continues "failed to reach `x`: ".
    #[must_use]
    pub fn dependency(service: &'static str, why: &str) -> Self {
        let code = format!("{}_unavailable", service.replace('-', "_"));
        Self::passing(
            &code,
            format!("failed to use {service}: {why}; try again in a moment"),
        )
    }

    /// A gRPC call to another service failed.
    #[must_use]
    pub fn from_status(service: &'static str, status: &Status) -> Self {
        match status.code() {
            Code::Unauthenticated | Code::PermissionDenied => Self::permanent(
                &format!("{}_unavailable", service.replace('-', "_")),
                format!("{service} refused the orchestrator's token: check the Secret of the edge"),
            ),
            Code::InvalidArgument => Self::permanent(failures::INVALID_REQUEST, status.message()),
            Code::DeadlineExceeded | Code::Cancelled => Self::dependency(service, "too slow"),
            code => Self::dependency(service, code.description()),
        }
    }

    /// The event on the wire; `model_asked` is whether a model may have been asked to write before.
    #[must_use]
    pub fn wire(self, model_asked: bool) -> Failed {
        Failed {
            code: self.code,
            message: self.message,
            retryable: self.retryable,
            param: self.param,
            model_asked: Some(model_asked),
        }
    }
}

/// A role's models failed.
impl From<CompleteFailed> for Failure {
    fn from(failed: CompleteFailed) -> Self {
        Self {
            code: failed.code,
            message: failed.message,
            retryable: failed.retryable,
            param: failed.param,
        }
    }
}
