//! Codes of `Failed` and `CompleteFailed`: stable words that one workload writes and the next one
//! decides by. What is spelled in two places drifts apart, so both sides name these.

/// The caller named a model that does not exist, or that it may not use.
pub const UNKNOWN_MODEL: &str = "unknown_model";
/// The agents service knows no such role.
pub const UNKNOWN_ROLE: &str = "unknown_role";
/// A field of the request is missing or out of bounds; the message names it.
pub const INVALID_REQUEST: &str = "invalid_request";
/// A field of the request asks for what the chosen model cannot do; `param` names it.
pub const UNSUPPORTED_PARAMETER: &str = "unsupported_parameter";
/// A run with this identity has ended before.
pub const DUPLICATE_RUN: &str = "duplicate_run";
/// A limit of time has passed.
pub const TIMEOUT: &str = "timeout";
/// The caller went away.
pub const CANCELLED: &str = "cancelled";
/// A model provider asks for fewer calls.
pub const RATE_LIMITED: &str = "rate_limited";
/// A model provider cannot be reached, is broken, or has no key.
pub const PROVIDER_UNAVAILABLE: &str = "provider_unavailable";
/// A model provider answered that it will not do this.
pub const PROVIDER_REFUSED: &str = "provider_refused";
/// There is no such approval, or it is somebody else's: nobody learns which.
pub const UNKNOWN_APPROVAL: &str = "unknown_approval";
/// The approval was decided before.
pub const APPROVAL_DECIDED: &str = "approval_decided";
/// Nobody decided in time.
pub const APPROVAL_EXPIRED: &str = "approval_expired";
/// The tool is gone, or declared otherwise than when the approval was asked for.
pub const APPROVAL_OUTDATED: &str = "approval_outdated";
