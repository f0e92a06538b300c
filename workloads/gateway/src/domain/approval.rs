//! Calls of tools that wait for a person's consent, as the API shows them.

use jiff::Timestamp;
use lotoai_contracts::v1;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::text::{json_or_text, without_nul};

/// A call of a tool that needs the consent of the person who asked.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ApprovalRequest {
    /// Identity.
    pub id: String,
    /// The tool.
    pub tool: String,
    /// What it would be given.
    pub arguments: Value,
    /// What the tool does, as it says itself.
    pub description: String,
    /// RFC 3339; when it can be decided no more.
    pub expires_at: String,
}

/// How far an approval is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalState {
    /// It waits for a decision.
    Pending,
    /// The tool may be called.
    Approved,
    /// The tool is not called.
    Denied,
    /// Nobody decided in time.
    Expired,
}

/// An approval: what is asked for, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Approval {
    /// What is asked for.
    #[serde(flatten)]
    pub request: ApprovalRequest,
    /// How far it is.
    pub state: ApprovalState,
    /// The run that asks.
    pub run_id: String,
    /// The conversation that asks; `null` where nothing of the exchange is stored.
    pub conversation_id: Option<Uuid>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339; `null` as long as nobody has decided.
    pub decided_at: Option<String>,
    /// What the person wrote with the decision.
    pub reason: Option<String>,
    /// The run of the newest attempt to go on after a decision; its stream can be come back to.
    pub answer_run_id: Option<Uuid>,
}

impl ApprovalRequest {
    /// As the orchestrator asks for it.
    pub fn of_event(request: &v1::ApprovalRequest) -> Self {
        Self {
            id: without_nul(&request.id),
            tool: without_nul(&request.tool),
            arguments: json_or_text(&request.arguments_json),
            description: without_nul(&request.description),
            expires_at: moment(request.expires_at),
        }
    }
}

impl Approval {
    /// As the orchestrator lists it, at `now` in Unix seconds; `None` of one without identity.
    pub fn of_listed(listed: v1::Approval, answer_run_id: Option<Uuid>, now: i64) -> Option<Self> {
        let conversation_id = conversation_of(&listed);
        let request = listed.request.as_ref()?;
        Some(Self {
            state: state_of(listed.state(), request.expires_at, now)?,
            request: ApprovalRequest::of_event(request),
            run_id: listed.run_id,
            conversation_id,
            created_at: moment(listed.created_at),
            decided_at: (listed.decided_at > 0).then(|| moment(listed.decided_at)),
            reason: Some(listed.reason).filter(|reason| !reason.is_empty()),
            answer_run_id,
        })
    }
}

/// The conversation that asks.
pub fn conversation_of(listed: &v1::Approval) -> Option<Uuid> {
    listed.conversation_id.parse().ok()
}

/// The identity of what is listed; `None` of what has none.
pub fn id_of(listed: &v1::Approval) -> Option<Uuid> {
    listed.request.as_ref()?.id.parse().ok()
}

/// What waits past its end has expired, also before anybody has written that down.
fn state_of(state: v1::ApprovalState, expires_at: i64, now: i64) -> Option<ApprovalState> {
    match state {
        v1::ApprovalState::Pending if expires_at <= now => Some(ApprovalState::Expired),
        v1::ApprovalState::Pending => Some(ApprovalState::Pending),
        v1::ApprovalState::Approved => Some(ApprovalState::Approved),
        v1::ApprovalState::Denied => Some(ApprovalState::Denied),
        v1::ApprovalState::Expired => Some(ApprovalState::Expired),
        v1::ApprovalState::Unspecified => None,
    }
}

/// Unix seconds as RFC 3339.
fn moment(seconds: i64) -> String {
    Timestamp::from_second(seconds)
        .unwrap_or_default()
        .to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(state: v1::ApprovalState) -> v1::Approval {
        v1::Approval {
            request: Some(v1::ApprovalRequest {
                id: Uuid::nil().to_string(),
                tool: "send".into(),
                arguments_json: r#"{"to":"bo"}"#.into(),
                description: "sends\0".into(),
                expires_at: 100,
            }),
            state: state.into(),
            run_id: "r".into(),
            created_at: 40,
            ..v1::Approval::default()
        }
    }

    #[test]
    fn an_approval_is_shown_as_json() {
        let approval = Approval::of_listed(listed(v1::ApprovalState::Pending), None, 99);
        assert_eq!(
            serde_json::to_value(approval.unwrap()).unwrap(),
            json!({
                "id": Uuid::nil(), "tool": "send", "arguments": {"to": "bo"},
                "description": "sends", "expires_at": "1970-01-01T00:01:40Z", "state": "pending",
                "run_id": "r", "conversation_id": null, "created_at": "1970-01-01T00:00:40Z",
                "decided_at": null, "reason": null, "answer_run_id": null,
            })
        );
    }

    #[rstest::rstest]
    #[case(v1::ApprovalState::Pending, 99, Some(ApprovalState::Pending))]
    #[case(v1::ApprovalState::Pending, 100, Some(ApprovalState::Expired))]
    #[case(v1::ApprovalState::Approved, 200, Some(ApprovalState::Approved))]
    #[case(v1::ApprovalState::Denied, 200, Some(ApprovalState::Denied))]
    #[case(v1::ApprovalState::Expired, 1, Some(ApprovalState::Expired))]
    #[case(v1::ApprovalState::Unspecified, 1, None)]
    fn what_waits_too_long_has_expired(
        #[case] state: v1::ApprovalState,
        #[case] now: i64,
        #[case] expected: Option<ApprovalState>,
    ) {
        let approval = Approval::of_listed(listed(state), None, now);
        assert_eq!(approval.map(|approval| approval.state), expected);
    }

    #[test]
    fn what_has_no_identity_is_no_approval() {
        let mut nothing = listed(v1::ApprovalState::Pending);
        assert_eq!(id_of(&nothing), Some(Uuid::nil()));
        assert_eq!(conversation_of(&nothing), None);
        nothing.request = None;
        assert_eq!(id_of(&nothing), None);
        assert_eq!(Approval::of_listed(nothing, None, 1), None);
    }

    #[test]
    fn a_time_that_is_none_breaks_nothing() {
        assert_eq!(moment(i64::MAX), "1970-01-01T00:00:00Z");
    }
}
