//! `/api/conversations`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use uuid::Uuid;

use super::body;
use crate::domain::conversation_request::{self, BranchRequest, Format, MAX_BODY_BYTES};
use crate::domain::page::{Page, PageQuery, not_of_list};
use crate::domain::parameters::Parameters;
use crate::export::{self, File};
use crate::failure::Failure;
use crate::identity::SignedIn;
use crate::openapi::bodies::api as bodies;
use crate::state::AppState;
use crate::store::{
    Branched, Conversation, ConversationSummary, Found, Most, NewBranch, StoredMessage,
};

/// Messages that a conversation is shown with, unless they are long …
const NEWEST: usize = 500;
/// … together longer than this, in bytes. There is one at least; so it is for pages.
const PAGE_BYTES: i64 = 4 * 1024 * 1024;

/// The caller's conversations, the most recently used first.
///
/// # Errors
/// 400 for a bad or unknown parameter, 503 when the database is away.
#[utoipa::path(
    get,
    path = "/api/conversations",
    operation_id = "listConversations",
    tag = "conversations",
    params(PageQuery),
    responses((status = 200, description = "A page", body = Page<ConversationSummary>)),
)]
pub async fn list(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<ConversationSummary>>, Failure> {
    let mut query = Parameters::parse(query.as_deref(), &["limit", "cursor"])?;
    let query = PageQuery::of(&mut query);
    let limit = query.limit()?;
    let after = query.after::<(i64, Uuid)>()?;
    let items = state
        .store
        .conversations(&identity.subject, after, limit as i64 + 1)
        .await?;
    Ok(Json(Page::of(items, limit, |item| {
        (item.updated_micros, item.id)
    })))
}

/// The caller's conversations that have the words of `q`, the most recently used first.
///
/// # Errors
/// 400 for a bad or unknown parameter, 503 when the database is away.
#[utoipa::path(
    get,
    path = "/api/conversations/search",
    operation_id = "searchConversations",
    tag = "conversations",
    params(("q" = String, Query, description = "Words, at most 200 characters"), PageQuery),
    responses((status = 200, description = "A page", body = Page<Found>)),
)]
pub async fn search(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<Found>>, Failure> {
    let mut query = Parameters::parse(query.as_deref(), &["q", "limit", "cursor"])?;
    let words = conversation_request::search(&mut query)?;
    let page = PageQuery::of(&mut query);
    let limit = page.limit()?;
    let after = page.after::<(i64, Uuid)>()?;
    let items = state
        .store
        .search_conversations(&identity.subject, &words, after, limit as i64 + 1)
        .await?;
    Ok(Json(Page::of(items, limit, |found| {
        let conversation = &found.conversation;
        (conversation.updated_micros, conversation.id)
    })))
}

/// One conversation with its newest messages: at most 500, and 4 MiB of them, but one at least.
/// `next_cursor` gets those before them at `GET /api/conversations/{id}/messages`.
///
/// # Errors
/// 404 when it is not the caller's, 503 when the database is away.
#[utoipa::path(
    get,
    path = "/api/conversations/{id}",
    operation_id = "getConversation",
    tag = "conversations",
    params(("id" = String, Path, description = "Identity of the conversation")),
    responses(
        (status = 200, description = "The conversation", body = Conversation),
        (status = 404, description = "There is no such conversation for the caller"),
    ),
)]
pub async fn one(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
) -> Result<Json<Conversation>, Failure> {
    let id = known(&id)?;
    let found = state.store.conversation_summary(&identity.subject, id);
    let summary = found
        .await?
        .ok_or_else(|| Failure::not_found("conversation"))?;
    let newest = page(&state, id, None, NEWEST).await?;
    Ok(Json(Conversation {
        summary,
        messages: newest.items.into_iter().rev().collect(),
        next_cursor: newest.next_cursor,
    }))
}

/// The messages of a conversation, whosever it is, before a place; the newest first.
async fn page(
    state: &AppState,
    id: Uuid,
    before: Option<i64>,
    limit: usize,
) -> Result<Page<StoredMessage>, Failure> {
    let most = Most {
        messages: limit as i64,
        bytes: PAGE_BYTES,
    };
    let found = state.store.messages_before(id, before, most).await?;
    let page = Page::with_more(found.messages, found.has_more, |it| (id, it.position));
    let messages = page.items.into_iter().map(|placed| placed.message);
    Ok(Page {
        items: messages.collect(),
        next_cursor: page.next_cursor,
    })
}

/// The messages of one conversation, the newest first. A page has fewer than `limit` where they are
/// longer than 4 MiB together, and one at least.
///
/// # Errors
/// 400 for a bad or unknown parameter, 404 when it is not the caller's, 503 when the database is
/// away.
#[utoipa::path(
    get,
    path = "/api/conversations/{id}/messages",
    operation_id = "listMessages",
    tag = "conversations",
    params(("id" = String, Path, description = "Identity of the conversation"), PageQuery),
    responses(
        (status = 200, description = "A page", body = Page<StoredMessage>),
        (status = 404, description = "There is no such conversation for the caller"),
    ),
)]
pub async fn messages(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<StoredMessage>>, Failure> {
    let mut query = Parameters::parse(query.as_deref(), &["limit", "cursor"])?;
    let query = PageQuery::of(&mut query);
    let limit = query.limit()?;
    let after = query.after::<(Uuid, i64)>()?;
    let id = known(&id)?;
    if after.is_some_and(|(conversation, _)| conversation != id) {
        return Err(not_of_list());
    }
    let found = state.store.conversation_summary(&identity.subject, id);
    if found.await?.is_none() {
        return Err(Failure::not_found("conversation"));
    }
    let before = after.map(|(_, position)| position);
    page(&state, id, before, limit).await.map(Json)
}

/// Gives one conversation another title.
///
/// # Errors
/// 400 and 413 for a request that cannot be understood, 404 when it is not the caller's, 503 when
/// the database is away.
#[utoipa::path(
    patch,
    path = "/api/conversations/{id}",
    operation_id = "renameConversation",
    tag = "conversations",
    params(("id" = String, Path, description = "Identity of the conversation")),
    request_body = bodies::RenameRequest,
    responses(
        (status = 200, description = "The conversation", body = ConversationSummary),
        (status = 404, description = "There is no such conversation for the caller"),
        (status = 413, description = "The body is longer than 16 KiB"),
    ),
)]
pub async fn rename(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<ConversationSummary>, Failure> {
    let title = conversation_request::rename(&body::read(body, MAX_BODY_BYTES).await?)?;
    let renamed = state
        .store
        .rename_conversation(&identity.subject, known(&id)?, &title)
        .await?;
    renamed
        .map(Json)
        .ok_or_else(|| Failure::not_found("conversation"))
}

/// Makes a conversation of another's messages up to one of them.
///
/// # Errors
/// 400 and 413 for a request that cannot be understood, 404 when the conversation is not the
/// caller's or has no such message, 503 when the database is away.
#[utoipa::path(
    post,
    path = "/api/conversations/{id}/branch",
    operation_id = "branchConversation",
    tag = "conversations",
    params(("id" = String, Path, description = "Identity of the conversation")),
    request_body = bodies::BranchRequest,
    responses(
        (status = 201, description = "The branch", body = ConversationSummary),
        (status = 404, description = "There is no such conversation or message for the caller"),
        (status = 413, description = "The body is longer than 16 KiB"),
    ),
)]
pub async fn branch(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
    body: Body,
) -> Result<(StatusCode, Json<ConversationSummary>), Failure> {
    let request = BranchRequest::parse(&body::read(body, MAX_BODY_BYTES).await?)?;
    let source = known(&id)?;
    let mut change = state.store.begin().await?;
    let branched = change
        .branch_conversation(&NewBranch {
            id: Uuid::now_v7(),
            owner: &identity.subject,
            source,
            // What is no id is the id of nothing.
            message: request.message.unwrap_or_default(),
            title: request.title.as_deref(),
        })
        .await?;
    match branched {
        Branched::Made(made) => {
            change.commit().await?;
            Ok((StatusCode::CREATED, Json(made)))
        }
        Branched::NoConversation => Err(Failure::not_found("conversation")),
        Branched::NoMessage => {
            let mut failure = Failure::not_found("message");
            failure.param = Some("message_id".to_owned());
            Err(failure)
        }
    }
}

/// One conversation as a file, with all of its messages.
///
/// # Errors
/// 400 for a bad or unknown parameter, 404 when it is not the caller's, 503 when the database is
/// away.
#[utoipa::path(
    get,
    path = "/api/conversations/{id}/export",
    operation_id = "exportConversation",
    tag = "conversations",
    params(
        ("id" = String, Path, description = "Identity of the conversation"),
        ("format" = Option<String>, Query, description = "`json`, or `markdown` for people"),
    ),
    responses(
        (
            status = 200,
            description = "The file",
            content((Object = "application/json"), (String = "text/markdown")),
        ),
        (status = 404, description = "There is no such conversation for the caller"),
    ),
)]
pub async fn export(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let mut query = Parameters::parse(query.as_deref(), &["format"])?;
    let format = Format::of(&mut query)?;
    let id = known(&id)?;
    let found = state.store.conversation_summary(&identity.subject, id);
    let conversation = found
        .await?
        .ok_or_else(|| Failure::not_found("conversation"))?;
    let (media_type, extension) = match format {
        Format::Json => ("application/json", "json"),
        Format::Markdown => ("text/markdown; charset=utf-8", "md"),
    };
    let name = format!("conversation-{id}.{extension}");
    let file = File {
        media_type,
        name: &name,
    };
    let store = state.store.clone();
    export::download(&state, &identity, file, |pipe| {
        export::conversation::write(pipe, store, conversation, format)
    })
}

/// Brings a deleted conversation back; one that is not deleted stays as it is.
///
/// # Errors
/// 404 when it is not the caller's or was deleted more than a day ago, 503 when the database is
/// away.
#[utoipa::path(
    post,
    path = "/api/conversations/{id}/restore",
    operation_id = "restoreConversation",
    tag = "conversations",
    params(("id" = String, Path, description = "Identity of the conversation")),
    responses(
        (status = 200, description = "The conversation", body = ConversationSummary),
        (status = 404, description = "There is no such conversation for the caller"),
    ),
)]
pub async fn restore(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
) -> Result<Json<ConversationSummary>, Failure> {
    let restored = state
        .store
        .restore_conversation(&identity.subject, known(&id)?)
        .await?;
    restored
        .map(Json)
        .ok_or_else(|| Failure::not_found("conversation"))
}

/// Deletes one conversation. It can be brought back for a day.
///
/// # Errors
/// 404 when it is not the caller's, 503 when the database is away.
#[utoipa::path(
    delete,
    path = "/api/conversations/{id}",
    operation_id = "deleteConversation",
    tag = "conversations",
    params(("id" = String, Path, description = "Identity of the conversation")),
    responses(
        (status = 204, description = "It is deleted"),
        (status = 404, description = "There is no such conversation for the caller"),
    ),
)]
pub async fn remove(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    if state
        .store
        .delete_conversation(&identity.subject, known(&id)?)
        .await?
    {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Failure::not_found("conversation"))
    }
}

/// What is no id is the id of nothing.
fn known(id: &str) -> Result<Uuid, Failure> {
    Uuid::parse_str(id).map_err(|_| Failure::not_found("conversation"))
}
