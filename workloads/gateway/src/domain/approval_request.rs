//! What may be asked of approvals: requests, checked.

use lotoai_contracts::v1::{ApprovalDecision, ApprovalState};
use sha2::{Digest as _, Sha256};

use super::fields::Fields;
use super::json_body;
use super::parameters::Parameters;
use crate::failure::Failure;

/// Largest request body, in bytes: arguments of a tool, which may be a text to write somewhere.
pub const MAX_BODY_BYTES: usize = 256 * 1024;
/// Longest reason, in characters.
const MAX_REASON_CHARS: usize = 500;

/// The decision of `POST /api/approvals/{id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionRequest {
    /// What is decided.
    pub verdict: Verdict,
    /// Whether the rest of the answer comes as server-sent events.
    pub stream: bool,
}

/// What a person decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the tool is called.
    pub decision: ApprovalDecision,
    /// What it is given, as JSON; empty as it was asked for.
    pub arguments_json: String,
    /// A word of the person; may be empty.
    pub reason: String,
}

impl DecisionRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// 400 that names the field, or says where the JSON breaks.
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        let value = json_body::read(body)?;
        let fields = Fields::of(&value, "")?;
        fields.only(&["arguments", "decision", "reason", "stream"])?;
        fields.required("decision")?;
        let decision = match fields.text("decision")? {
            Some("approve") => ApprovalDecision::Approve,
            Some("deny") => ApprovalDecision::Deny,
            _ => return Err(fields.refuse("decision", "decision must be approve or deny")),
        };
        let arguments = fields.object("arguments")?;
        let arguments_json = arguments
            .and_then(|it| serde_json::to_string(it).ok())
            .unwrap_or_default();
        if arguments_json.contains("\\u0000") {
            return Err(fields.refuse("arguments", "NUL characters are not allowed"));
        }
        if decision == ApprovalDecision::Deny && arguments.is_some() {
            let message = "arguments are for a tool that is called; leave them out, or approve";
            return Err(fields.refuse("arguments", message));
        }
        let reason = fields.text("reason")?.unwrap_or_default().trim();
        if reason.chars().count() > MAX_REASON_CHARS {
            let message = format!("reason must be at most {MAX_REASON_CHARS} characters");
            return Err(fields.refuse("reason", message));
        }
        Ok(Self {
            verdict: Verdict {
                decision,
                arguments_json,
                reason: reason.to_owned(),
            },
            stream: fields.flag("stream")?.unwrap_or(false),
        })
    }
}

impl Verdict {
    /// What tells this decision from any other of the same approval.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let (arguments, reason) = (self.arguments_json.as_str(), self.reason.as_str());
        for part in [self.decision.as_str_name(), arguments, reason] {
            // The length first: no two lists of texts are the same bytes.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

/// The state that a list is limited to; every one where nothing is said.
///
/// # Errors
/// 400 for a word that is no state.
pub fn state(parameters: &mut Parameters) -> Result<ApprovalState, Failure> {
    match parameters.take("state").as_deref() {
        None => Ok(ApprovalState::Unspecified),
        Some("pending") => Ok(ApprovalState::Pending),
        Some("approved") => Ok(ApprovalState::Approved),
        Some("denied") => Ok(ApprovalState::Denied),
        Some("expired") => Ok(ApprovalState::Expired),
        Some(_) => Err(Failure::invalid(
            "state",
            "state must be pending, approved, denied or expired",
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(body: &Value) -> Result<DecisionRequest, Failure> {
        DecisionRequest::parse(body.to_string().as_bytes())
    }

    #[test]
    fn a_decision_may_bring_arguments_and_a_reason() {
        let request = parse(&json!({
            "decision": "approve", "arguments": {"to": "bo"}, "reason": " fine ", "stream": true,
        }))
        .unwrap();
        assert!(request.stream);
        assert_eq!(request.verdict.decision, ApprovalDecision::Approve);
        assert_eq!(request.verdict.arguments_json, r#"{"to":"bo"}"#);
        assert_eq!(request.verdict.reason, "fine");
        let request = parse(&json!({"decision": "deny"})).unwrap();
        assert!(!request.stream);
        assert_eq!(request.verdict.arguments_json, "");
        // No arguments are not those that were asked for.
        let request = parse(&json!({"decision": "approve", "arguments": {}})).unwrap();
        assert_eq!(request.verdict.arguments_json, "{}");
    }

    #[rstest::rstest]
    #[case(json!({}), "decision")]
    #[case(json!({"decision": "yes"}), "decision")]
    #[case(json!({"decision": 1}), "decision")]
    #[case(json!({"decision": "approve", "arguments": "{}"}), "arguments")]
    #[case(json!({"decision": "approve", "arguments": []}), "arguments")]
    #[case(json!({"decision": "approve", "arguments": {"a": "b\u{0}"}}), "arguments")]
    #[case(json!({"decision": "deny", "arguments": {}}), "arguments")]
    #[case(json!({"decision": "deny", "reason": "ñ".repeat(501)}), "reason")]
    #[case(json!({"decision": "deny", "reason": "a\u{0}"}), "reason")]
    #[case(json!({"decision": "deny", "stream": "yes"}), "stream")]
    #[case(json!({"decision": "deny", "subject": "eve"}), "subject")]
    fn what_is_no_decision_is_refused(#[case] body: Value, #[case] param: &str) {
        assert_eq!(parse(&body).unwrap_err().param.as_deref(), Some(param));
    }

    #[test]
    fn a_long_reason_has_an_end() {
        assert!(parse(&json!({"decision": "deny", "reason": "ñ".repeat(500)})).is_ok());
    }

    #[test]
    fn decisions_are_told_apart_by_all_they_say() {
        let verdict = |decision: &str, reason: &str| {
            let body = json!({"decision": decision, "reason": reason});
            parse(&body).unwrap().verdict.digest()
        };
        assert_eq!(verdict("deny", "a"), verdict("deny", "a"));
        assert_ne!(verdict("deny", "a"), verdict("deny", "b"));
        assert_ne!(verdict("deny", "a"), verdict("approve", "a"));
        let edited = json!({"decision": "approve", "arguments": {}, "reason": "a"});
        assert_ne!(
            verdict("approve", "a"),
            parse(&edited).unwrap().verdict.digest()
        );
    }

    #[rstest::rstest]
    #[case(None, Some(ApprovalState::Unspecified))]
    #[case(Some("state=pending"), Some(ApprovalState::Pending))]
    #[case(Some("state=expired"), Some(ApprovalState::Expired))]
    #[case(Some("state="), None)]
    #[case(Some("state=PENDING"), None)]
    fn states(#[case] query: Option<&str>, #[case] expected: Option<ApprovalState>) {
        let mut parameters = Parameters::parse(query, &["state"]).unwrap();
        assert_eq!(state(&mut parameters).ok(), expected);
    }
}
