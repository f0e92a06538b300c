//! What the operator's token is good for: one call, to ask one model.

use http::Method;

use crate::{Caller, Proof, Refusal};

/// The model of the operator's question.
pub const MODEL: &str = "probe";
/// The one call.
const ROUTE: (Method, &str) = (Method::POST, "/v1/chat/completions");

/// Lets the probe call a route.
///
/// # Errors
/// 403 for every route but the one.
pub fn may_call(method: &Method, route: Option<&str>) -> Result<(), Refusal> {
    if (method, route) == (&ROUTE.0, Some(ROUTE.1)) {
        Ok(())
    } else {
        Err(refused())
    }
}

/// Keeps the probe to its own model.
///
/// # Errors
/// 403 when the probe asks another one.
pub fn may_ask(caller: Caller<'_>, model: &str) -> Result<(), Refusal> {
    if caller.proof == Proof::Probe && model != MODEL {
        return Err(refused());
    }
    Ok(())
}

fn refused() -> Refusal {
    let message = format!("this token is for the operator's question to model {MODEL:?} only");
    Refusal::forbidden("probe_only", message)
}
