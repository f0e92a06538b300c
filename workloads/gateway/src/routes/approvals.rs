//! `/api/approvals`: calls of tools that wait for the consent of the person who asked.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use jiff::Timestamp;
use lotoai_contracts::v1;
use uuid::Uuid;

use super::body;
use super::v1::chat::{self, Manner};
use crate::domain::approval::{Approval, conversation_of, id_of};
use crate::domain::approval_request::{self, DecisionRequest, MAX_BODY_BYTES};
use crate::domain::going_on::GoingOn;
use crate::domain::page::{Page, PageQuery, not_of_list};
use crate::domain::parameters::Parameters;
use crate::domain::run::Run;
use crate::failure::Failure;
use crate::identity::{Identity, SignedIn};
use crate::openapi::bodies::approvals as bodies;
use crate::openapi::bodies::chat::ChatCompletion;
use crate::state::AppState;

/// Most approvals that the orchestrator gives at a time.
const PAGE: u32 = 100;
/// One approval is looked for on so many pages: nobody has more that can still be decided.
const MOST_PAGES: usize = 50;
/// What a decision is called where nobody knows which model was asked: the one that decides by itself.
const AUTOMATIC: &str = "lotoai";

/// The caller's approvals, the newest first.
///
/// # Errors
/// 400 for a bad or unknown parameter, 503 when the orchestrator or the database is away.
#[utoipa::path(
    get,
    path = "/api/approvals",
    operation_id = "listApprovals",
    tag = "approvals",
    params(
        (
            "state" = Option<String>,
            Query,
            description = "`pending`, `approved`, `denied` or `expired`; all without it",
        ),
        PageQuery,
    ),
    responses((status = 200, description = "A page", body = Page<Approval>)),
)]
pub async fn list(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<Approval>>, Failure> {
    let mut query = Parameters::parse(query.as_deref(), &["state", "limit", "cursor"])?;
    let wanted = approval_request::state(&mut query)?;
    let query = PageQuery::of(&mut query);
    let limit = query.limit()?;
    let after = query.after::<String>()?;
    let has_cursor = after.is_some();
    let mut request = v1::ListApprovalsRequest {
        caller: Some(identity.to_caller()),
        state: wanted.into(),
        page_size: 0,
        page_token: after.unwrap_or_default(),
    };
    let mut approvals = Vec::new();
    for _ in 0..limit.div_ceil(PAGE as usize) {
        let left = limit.saturating_sub(approvals.len());
        request.page_size = u32::try_from(left).unwrap_or(PAGE).min(PAGE);
        let page = state.orchestrator.approvals(request.clone()).await;
        let page = page.map_err(|failure| match failure.status.as_u16() {
            // Nothing else of the request comes from the caller unchecked.
            400 if has_cursor => not_of_list(),
            _ => failure,
        })?;
        approvals.extend(page.approvals);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let items = shown(&state, &identity, approvals).await?;
    Ok(Json(Page::with_token(items, &request.page_token)))
}

/// One approval.
///
/// # Errors
/// 404 when it is not the caller's, 503 when the orchestrator or the database is away.
#[utoipa::path(
    get,
    path = "/api/approvals/{id}",
    operation_id = "getApproval",
    tag = "approvals",
    params(("id" = String, Path, description = "Identity of the approval")),
    responses(
        (status = 200, description = "The approval", body = Approval),
        (status = 404, description = "There is no such approval for the caller"),
    ),
)]
pub async fn one(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
) -> Result<Json<Approval>, Failure> {
    let id = known(&id)?;
    // Looked for here first: a database that is away is told at once.
    state.store.approval(&identity.subject, id).await?;
    let found = find(&state, &identity, id).await?.ok_or_else(unknown)?;
    let found = shown(&state, &identity, vec![found]).await?;
    found.into_iter().next().map(Json).ok_or_else(unknown)
}

/// Decides an approval and answers with the rest of its answer, which goes into the same conversation.
///
/// # Errors
/// 400 and 413 for a request that cannot be understood, 404 when it is not the caller's, 409 when it is
/// decided or is being decided, or its tool is declared otherwise by now, 410 when it has expired, 429
/// for a budget that is used up, 503 when something that is needed is away: then it stays as it was.
#[utoipa::path(
    post,
    path = "/api/approvals/{id}",
    operation_id = "decideApproval",
    tag = "approvals",
    params(("id" = String, Path, description = "Identity of the approval")),
    request_body = bodies::DecisionRequest,
    responses(
        (
            status = 200,
            description = "The rest of the answer: whole, or as the server-sent events of POST \
                           /v1/chat/completions, which can be come back to at GET \
                           /v1/chat/completions/{id}/stream; what it asks consent for once more is \
                           also an event `approval_request`",
            content((ChatCompletion = "application/json"), (String = "text/event-stream")),
        ),
        (status = 404, description = "There is no such approval for the caller"),
        (status = 409, description = "It was decided before, or is being decided"),
        (status = 410, description = "It has expired"),
        (status = 413, description = "The body is longer than 256 KiB"),
    ),
)]
pub async fn decide(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Failure> {
    let request = DecisionRequest::parse(&body::read(body, MAX_BODY_BYTES).await?)?;
    let approval = known(&id)?;
    let (conversation_id, model) = place(&state, &identity, approval).await?;
    // They go on for a while without the request that began them.
    let most = state.limits.requests_max_concurrent;
    let stays = state.streams.place(most, None)?;
    let manner = Manner {
        model: model.clone(),
        stream: request.stream,
        include_usage: false,
        tells_approvals: true,
        place: Some(stays),
    };
    let going_on = GoingOn {
        approval,
        verdict: request.verdict,
        conversation_id,
        model,
    };
    let run = Run::go_on(Arc::clone(&state), &identity, going_on).await?;
    chat::answer(&state, &identity, run, manner).await
}

/// Where an approval was asked for, and of which model. What was asked for in an answer that could not
/// be stored, or should not be, is known to the orchestrator alone.
async fn place(
    state: &AppState,
    identity: &Identity,
    id: Uuid,
) -> Result<(Option<Uuid>, String), Failure> {
    if let Some(known) = state.store.approval(&identity.subject, id).await? {
        return Ok((known.conversation_id, known.model));
    }
    let found = find(state, identity, id).await?.ok_or_else(unknown)?;
    Ok((conversation_of(&found), AUTOMATIC.to_owned()))
}

/// One of the caller's approvals as the orchestrator has it, which lists them and gives none by itself.
async fn find(
    state: &AppState,
    identity: &Identity,
    id: Uuid,
) -> Result<Option<v1::Approval>, Failure> {
    let mut request = v1::ListApprovalsRequest {
        caller: Some(identity.to_caller()),
        page_size: PAGE,
        ..v1::ListApprovalsRequest::default()
    };
    for _ in 0..MOST_PAGES {
        let page = state.orchestrator.approvals(request.clone()).await?;
        let mut approvals = page.approvals.into_iter();
        if let Some(found) = approvals.find(|it| id_of(it) == Some(id)) {
            return Ok(Some(found));
        }
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    Ok(None)
}

/// What the caller is shown of these: not those of conversations that were deleted.
async fn shown(
    state: &AppState,
    identity: &Identity,
    listed: Vec<v1::Approval>,
) -> Result<Vec<Approval>, Failure> {
    let (ids, conversations): (Vec<Uuid>, Vec<Option<Uuid>>) = listed
        .iter()
        .filter_map(|it| Some((id_of(it)?, conversation_of(it))))
        .unzip();
    let placed = state
        .store
        .place_approvals(&identity.subject, &ids, &conversations)
        .await?;
    let now = Timestamp::now().as_second();
    let shown = listed.into_iter().filter_map(|it| {
        let id = id_of(&it)?;
        let (_, run_id) = placed.iter().find(|(placed, _)| *placed == id)?;
        Approval::of_listed(it, *run_id, now)
    });
    Ok(shown.collect())
}

/// What is no id is the id of nothing.
fn known(id: &str) -> Result<Uuid, Failure> {
    Uuid::parse_str(id).map_err(|_| unknown())
}

fn unknown() -> Failure {
    Failure::not_found("approval")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("019aab4e-0000-7000-8000-000000000000", true)]
    #[case("019aab4e", false)]
    #[case("019aab4e-0000-7000-8000-00000000000\0", false)]
    fn what_is_no_id_is_the_id_of_nothing(#[case] id: &str, #[case] is_one: bool) {
        match known(id) {
            Ok(_) => assert!(is_one),
            Err(failure) => assert_eq!((is_one, failure), (false, unknown())),
        }
    }
}
