//! `/api/documents`.

use std::sync::Arc;

use axum::Json;
use axum::extract::multipart::{Field, Multipart, MultipartError, MultipartRejection};
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use lotoai_policy::documents::{DEFAULT_KNOWLEDGE_BASE, may_add, may_change, visible_to};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::page::{Page, PageQuery};
use crate::domain::parameters::Parameters;
use crate::domain::text::file_name;
use crate::domain::upload::{self, Description};
use crate::export;
use crate::failure::Failure;
use crate::identity::{Identity, SignedIn};
use crate::intake::{self, Received, Receiving, Taken};
use crate::openapi::bodies::api::DocumentForm;
use crate::state::AppState;
use crate::store::Document;

/// The fields of an upload.
const FORM_FIELDS: [&str; 2] = ["file", "knowledge_base"];
/// Longest value of a form field other than the file.
const MAX_FIELD_BYTES: usize = 256;

/// A document as a caller is told of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ToldDocument {
    #[serde(flatten)]
    document: Document,
    /// Whether the caller may delete it, or have it indexed again; a key needs `documents:write` for that, too.
    may_change: bool,
}

impl ToldDocument {
    fn to(identity: &Identity, document: Document) -> Self {
        let may_change = may_change(identity.who(), &document.owner).is_ok();
        Self {
            document,
            may_change,
        }
    }
}

/// Takes a document: 202 when it will be indexed, 200 when the same content is there already.
///
/// # Errors
/// 400, 413 and 415 for what cannot be taken, 403 for somebody else's knowledge base, 401 and 403 when
/// the caller is signed out, its token ends or it loses a group while it comes, 503 when the object store or the database
/// is away.
#[utoipa::path(
    post,
    path = "/api/documents",
    operation_id = "uploadDocument",
    tag = "documents",
    request_body(content = DocumentForm, content_type = "multipart/form-data"),
    responses(
        (status = 202, description = "It will be indexed", body = ToldDocument),
        (status = 200, description = "The same content is there already", body = ToldDocument),
        (status = 413, description = "The file is too large"),
        (status = 415, description = "The file is none that can be read"),
    ),
)]
pub async fn upload(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Response, Failure> {
    let form = form.map_err(|_| {
        Failure::new(
            StatusCode::BAD_REQUEST,
            "invalid_multipart",
            "send multipart/form-data with a field named file",
        )
    })?;
    let follow = state.watch.follow(&identity);
    let (received, description) = tokio::select! {
        biased;
        // Its bytes may take long: what the caller had when they began may be over before they end.
        failure = follow.over() => return Err(failure),
        received = Box::pin(receive(&state, &identity, form)) => received?,
    };
    let (new, object) = received.into_document(&identity.subject, description);
    let mut change = state.store.begin().await?;
    let told = |document| Json(ToldDocument::to(&identity, document));
    let document = match intake::take(&mut change, &new).await? {
        Taken::Same(document) => return Ok((StatusCode::OK, told(document)).into_response()),
        Taken::Stored(document) => document,
    };
    // Whether a commit that fails took place is not known: the object stays either way, for an
    // object without a row costs less than a row without its object.
    object.keep();
    change.commit().await?;
    intake::announce(&state);
    Ok((StatusCode::ACCEPTED, told(document)).into_response())
}

/// Reads the form; the file goes to the object store as it arrives.
async fn receive(
    state: &AppState,
    identity: &Identity,
    mut form: Multipart,
) -> Result<(Received, Description), Failure> {
    let max = state.limits.upload_max_bytes;
    let mut received = None;
    let mut knowledge_base = DEFAULT_KNOWLEDGE_BASE.to_owned();
    while let Some(field) = form
        .next_field()
        .await
        .map_err(|error| broken(&error, max))?
    {
        match field.name() {
            Some("file") if received.is_some() => {
                return Err(Failure::invalid("file", "send one file in a request"));
            }
            Some("file") => received = Some(receive_file(state, field).await?),
            Some("knowledge_base") => {
                let name = receive_text(field, max).await?;
                upload::knowledge_base(&name)?;
                may_add(identity.who(), &name)?;
                knowledge_base = name;
            }
            name => {
                let name = name.unwrap_or_default();
                return Err(Failure::unknown_parameter(name, &FORM_FIELDS));
            }
        }
    }
    let (received, name, media_type) = received.ok_or_else(|| {
        Failure::invalid("file", "file is required: a multipart field with a file")
    })?;
    let description = Description {
        name,
        media_type: media_type.to_owned(),
        knowledge_base,
    };
    Ok((received, description))
}

/// Passes a file on to the object store; gives its name and media type beside it.
async fn receive_file(
    state: &AppState,
    mut field: Field<'_>,
) -> Result<(Received, String, &'static str), Failure> {
    let max = state.limits.upload_max_bytes;
    let name = field
        .file_name()
        .and_then(file_name)
        .ok_or_else(|| Failure::invalid("file", "file must have a file name"))?;
    let media_type = upload::media_type(&name)?;
    let mut receiving = Receiving::begin(&state.objects, max);
    while let Some(chunk) = field.chunk().await.map_err(|error| broken(&error, max))? {
        receiving.push(chunk).await?;
    }
    Ok((receiving.end().await?, name, media_type))
}

async fn receive_text(mut field: Field<'_>, max: u64) -> Result<String, Failure> {
    let name = field.name().unwrap_or_default().to_owned();
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| broken(&error, max))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_FIELD_BYTES {
            return Err(Failure::invalid(&*name, format!("{name} is too long")));
        }
    }
    String::from_utf8(bytes).map_err(|_| Failure::invalid(&*name, format!("{name} must be UTF-8")))
}

fn broken(error: &MultipartError, max: u64) -> Failure {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return upload::too_large(max);
    }
    Failure::new(
        StatusCode::BAD_REQUEST,
        "invalid_multipart",
        "the form broke off or is not well-formed multipart/form-data",
    )
}

/// The documents that the caller may read, newest first.
///
/// # Errors
/// 400 for a bad or unknown parameter, 503 when the database is away.
#[utoipa::path(
    get,
    path = "/api/documents",
    operation_id = "listDocuments",
    tag = "documents",
    params(
        PageQuery,
        ("knowledge_base" = Option<String>, Query, description = "Only those of this one"),
    ),
    responses((status = 200, description = "A page", body = Page<ToldDocument>)),
)]
pub async fn list(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<ToldDocument>>, Failure> {
    let mut query = Parameters::parse(query.as_deref(), &["knowledge_base", "limit", "cursor"])?;
    let knowledge_base = query.take("knowledge_base");
    let page = PageQuery::of(&mut query);
    let limit = page.limit()?;
    let after = page.after::<Uuid>()?;
    if let Some(name) = &knowledge_base {
        upload::knowledge_base(name)?;
    }
    let items = state
        .store
        .documents(
            &visible_to(identity.who()),
            knowledge_base.as_deref(),
            after,
            limit as i64 + 1,
        )
        .await?;
    let told = items.into_iter();
    let told = told.map(|document| ToldDocument::to(&identity, document));
    let id = |told: &ToldDocument| told.document.id;
    Ok(Json(Page::of(told.collect(), limit, id)))
}

/// One document.
///
/// # Errors
/// 404 when the caller may not read it, 503 when the database is away.
#[utoipa::path(
    get,
    path = "/api/documents/{id}",
    operation_id = "getDocument",
    tag = "documents",
    params(("id" = String, Path, description = "Identity of the document")),
    responses(
        (status = 200, description = "The document", body = ToldDocument),
        (status = 404, description = "There is no such document for the caller"),
    ),
)]
pub async fn one(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
) -> Result<Json<ToldDocument>, Failure> {
    let document = visible(&state, &identity, &id).await?;
    Ok(Json(ToldDocument::to(&identity, document)))
}

/// The file of a document, as it was uploaded.
///
/// # Errors
/// 404 when the caller may not read it, 429 when too many are being read, 500 when its bytes are lost,
/// 503 when the database or the object store is away.
#[utoipa::path(
    get,
    path = "/api/documents/{id}/content",
    operation_id = "downloadDocument",
    tag = "documents",
    params(("id" = String, Path, description = "Identity of the document")),
    responses(
        (
            status = 200,
            description = "The file, to be saved",
            content((String = "text/plain"), (String = "text/markdown"), (String = "text/html")),
        ),
        (status = 404, description = "There is no such document for the caller"),
    ),
)]
pub async fn content(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let row = || visible(&state, &identity, &id);
    export::document::download(&state, &identity, row).await
}

/// Deletes a document, its bytes and its chunks.
///
/// # Errors
/// 404 when the caller may not read it, 403 when it is somebody else's, 503 when the database is
/// away.
#[utoipa::path(
    delete,
    path = "/api/documents/{id}",
    operation_id = "deleteDocument",
    tag = "documents",
    params(("id" = String, Path, description = "Identity of the document")),
    responses(
        (status = 204, description = "It is deleted"),
        (status = 404, description = "There is no such document for the caller"),
    ),
)]
pub async fn remove(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    let document = own(&state, &identity, &id).await?;
    let mut change = state.store.begin().await?;
    if change.delete_document(document.id).await? {
        change.commit().await?;
        state.events.now();
        state.discarded.now();
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Indexes a failed document again; any other stays as it is.
///
/// # Errors
/// 404 when the caller may not read it, 403 when it is somebody else's, 503 when the database is
/// away.
#[utoipa::path(
    post,
    path = "/api/documents/{id}/retry",
    operation_id = "retryDocument",
    tag = "documents",
    params(("id" = String, Path, description = "Identity of the document")),
    responses(
        (status = 202, description = "It will be indexed again", body = ToldDocument),
        (status = 200, description = "It stays as it is", body = ToldDocument),
        (status = 404, description = "There is no such document for the caller"),
    ),
)]
pub async fn retry(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let document = own(&state, &identity, &id).await?;
    let told = |document| Json(ToldDocument::to(&identity, document));
    let mut change = state.store.begin().await?;
    match change.retry_document(document.id).await? {
        Some(document) => {
            change.emit(&intake::uploaded(&document)).await?;
            change.commit().await?;
            state.events.now();
            Ok((StatusCode::ACCEPTED, told(document)).into_response())
        }
        None => Ok((StatusCode::OK, told(document)).into_response()),
    }
}

async fn visible(state: &AppState, identity: &Identity, id: &str) -> Result<Document, Failure> {
    let unknown = || Failure::not_found("document");
    let id = Uuid::parse_str(id).map_err(|_| unknown())?;
    state
        .store
        .document(&visible_to(identity.who()), id)
        .await?
        .ok_or_else(unknown)
}

/// A document that the caller may change.
async fn own(state: &AppState, identity: &Identity, id: &str) -> Result<Document, Failure> {
    let document = visible(state, identity, id).await?;
    may_change(identity.who(), &document.owner)?;
    Ok(document)
}
