//! What the tool server and the orchestrator say to each other beside MCP, in `_meta` under these keys.

/// In the list: [`CONSENT_REQUIRED`] when the person who asked must consent to a call of the tool;
/// absent = they need not. In a call: the id of the approval that it rests on.
pub const APPROVAL: &str = "lotoai.dev/approval";
/// The value of [`APPROVAL`] in the list.
pub const CONSENT_REQUIRED: &str = "required";
/// In the list: a digest of everything that the tool was declared with, its address or script
/// included. In a call that somebody consented to: the digest of what they consented to.
pub const DECLARATION: &str = "lotoai.dev/declaration";
