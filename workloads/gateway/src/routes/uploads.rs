//! `/api/uploads`: documents in pieces, by the protocol [tus](https://tus.io), version 1.0.0.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::header::LOCATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use lotoai_policy::documents::may_add;
use uuid::Uuid;

use crate::domain::tus::{
    self, Creation, EXTENSIONS, TUS_EXTENSION, TUS_MAX_SIZE, TUS_RESUMABLE, TUS_VERSION,
    UPLOAD_EXPIRES, UPLOAD_LENGTH, UPLOAD_METADATA, UPLOAD_OFFSET, VERSION,
};
use crate::failure::Failure;
use crate::identity::{Identity, SignedIn};
use crate::state::AppState;
use crate::store::{MAX_OPEN_UPLOADS, NewUpload, StoredUpload};
use crate::uploads as work;

const PATH: &str = "/api/uploads";
/// The document that a finished upload has become.
const DOCUMENT_ID: HeaderName = HeaderName::from_static("x-lotoai-document-id");

/// Extractor for a request that speaks our version of the protocol.
#[derive(Debug, Clone, Copy)]
pub struct Resumable;

impl<S: Sync> FromRequestParts<S> for Resumable {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        tus::check_version(&parts.headers).map(|()| Self)
    }
}

/// Whether a request is one of this protocol.
pub fn is_resumable(request: &Request) -> bool {
    let rest = request.uri().path().strip_prefix(PATH);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Says in an answer which version is spoken. Every answer does, also those that never get here.
pub fn mark(response: &mut Response) {
    let version = HeaderValue::from_static(VERSION);
    if response.status() == StatusCode::PRECONDITION_FAILED {
        let headers = response.headers_mut();
        headers.insert(TUS_VERSION, version.clone());
    }
    response.headers_mut().insert(TUS_RESUMABLE, version);
}

/// What of the protocol is spoken.
#[utoipa::path(
    options,
    path = "/api/uploads",
    operation_id = "describeUploads",
    tag = "documents",
    responses((
        status = 204,
        description = "Version, extensions and the size of the largest upload",
        headers(
            ("Tus-Version" = String, description = "The version that is spoken"),
            ("Tus-Extension" = String, description = "What is spoken beside the core"),
            ("Tus-Max-Size" = u64, description = "Bytes of the largest upload"),
        ),
    )),
)]
pub async fn options(State(state): State<Arc<AppState>>) -> Response {
    let headers = [
        (TUS_VERSION, HeaderValue::from_static(VERSION)),
        (TUS_EXTENSION, HeaderValue::from_static(EXTENSIONS)),
        (
            TUS_MAX_SIZE,
            HeaderValue::from(state.limits.upload_max_bytes),
        ),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Begins an upload, whose bytes follow with PATCH.
///
/// # Errors
/// 400, 413 and 415 for a file that cannot be taken, 403 for somebody else's knowledge base, 412 for
/// another version of the protocol, 429 when too many uploads are unfinished, 503 when the database
/// is away.
#[utoipa::path(
    post,
    path = "/api/uploads",
    operation_id = "beginUpload",
    tag = "documents",
    params(
        ("Tus-Resumable" = String, Header, description = "1.0.0"),
        ("Upload-Length" = u64, Header, description = "Bytes of the file"),
        (
            "Upload-Metadata" = String, Header,
            description = "Pairs of a key and a value in base64, with commas between them: \
                           filename, and knowledge_base where it is not default"
        ),
    ),
    responses(
        (
            status = 201,
            description = "It has begun",
            headers(
                ("Location" = String, description = "Where its bytes go"),
                ("Upload-Expires" = String, description = "When it ends if nothing is added"),
            ),
        ),
        (status = 412, description = "Another version of the protocol is spoken here"),
        (status = 413, description = "The file is too large"),
        (status = 415, description = "The file is none that can be read"),
    ),
)]
pub async fn create(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    _: Resumable,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let asked = Creation::of(&headers, state.limits.upload_max_bytes)?;
    may_add(identity.who(), &asked.description.knowledge_base)?;
    let new = NewUpload {
        id: Uuid::now_v7(),
        owner: identity.subject.clone(),
        knowledge_base: asked.description.knowledge_base,
        name: asked.description.name,
        media_type: asked.description.media_type,
        metadata: asked.metadata,
        size: asked.size,
    };
    let begun = state.store.begin_upload(&new).await?;
    let expires_at = begun.ok_or_else(too_many)?;
    work::count("begun", 1);
    let location = [(LOCATION, format!("{PATH}/{}", new.id))];
    let mut response = (StatusCode::CREATED, location).into_response();
    insert(&mut response, UPLOAD_EXPIRES, http_date(expires_at));
    Ok(response)
}

/// How many bytes of an upload are safe: the next piece begins there.
///
/// # Errors
/// 404 for what is none of the caller's, 410 when it has expired, 412 for another version of the
/// protocol, 413 and 415 when all its bytes are there and make no file that can be taken, 423 while
/// its document is being made, 503 when the database or the object store is away.
#[utoipa::path(
    head,
    path = "/api/uploads/{id}",
    operation_id = "getUploadOffset",
    tag = "documents",
    params(
        ("id" = String, Path, description = "Identity of the upload"),
        ("Tus-Resumable" = String, Header, description = "1.0.0"),
    ),
    responses(
        (
            status = 200,
            description = "How far it is",
            headers(
                ("Upload-Offset" = i64, description = "Bytes that are safe"),
                ("Upload-Length" = i64, description = "Bytes in all"),
                ("Upload-Metadata" = String, description = "As it was sent"),
                ("Upload-Expires" = String, description = "When it ends if nothing is added"),
                ("X-Lotoai-Document-Id" = String, description = "The document, once it is one"),
            ),
        ),
        (status = 404, description = "There is no such upload for the caller"),
        (status = 410, description = "It has expired"),
        (status = 412, description = "Another version of the protocol is spoken here"),
        (status = 413, description = "The file is too large"),
        (status = 415, description = "The file is none that can be read"),
        (status = 423, description = "Its document is being made"),
    ),
)]
pub async fn offset(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    _: Resumable,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let mut upload = own(&state, &identity, &id).await?;
    if upload.received >= upload.size && upload.document_id.is_none() {
        // A client that finds all bytes there sends nothing any more.
        upload = work::complete(&state, &identity, upload).await?;
    }
    let mut response = progress(StatusCode::OK, &upload);
    let headers = response.headers_mut();
    headers.insert(UPLOAD_LENGTH, HeaderValue::from(upload.size));
    let metadata = (!upload.metadata.is_empty()).then_some(upload.metadata);
    insert(&mut response, UPLOAD_METADATA, metadata);
    Ok(response)
}

/// Adds the next piece. With the last one the file becomes a document, as if it had come in one
/// request.
///
/// # Errors
/// 404 for what is none of the caller's, 409 when the piece is not the next one, 410 when the upload
/// has expired, 412 for another version of the protocol, 413 for more than was announced, 415 when
/// the request is no piece of a file or the file is none that can be read, 423 while another request
/// writes, 429 when too many do, 503 when the database or the object store is away.
#[utoipa::path(
    patch,
    path = "/api/uploads/{id}",
    operation_id = "addToUpload",
    tag = "documents",
    params(
        ("id" = String, Path, description = "Identity of the upload"),
        ("Tus-Resumable" = String, Header, description = "1.0.0"),
        ("Upload-Offset" = u64, Header, description = "Where the piece begins"),
    ),
    request_body(
        content = String,
        content_type = "application/offset+octet-stream",
        description = "Bytes of the file"
    ),
    responses(
        (
            status = 204,
            description = "What came of the piece is safe",
            headers(
                ("Upload-Offset" = i64, description = "Bytes that are safe"),
                ("Upload-Expires" = String, description = "When it ends if nothing is added"),
                ("X-Lotoai-Document-Id" = String, description = "The document, once it is one"),
            ),
        ),
        (status = 404, description = "There is no such upload for the caller"),
        (status = 409, description = "The piece is not the next one"),
        (status = 410, description = "It has expired"),
        (status = 412, description = "Another version of the protocol is spoken here"),
        (status = 413, description = "There are more bytes than were announced or may be"),
        (status = 415, description = "It is no piece of a file, or the file cannot be read"),
        (status = 423, description = "Another request writes to it"),
    ),
)]
pub async fn append(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    _: Resumable,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let offset = tus::offset(&headers)?;
    let mut upload = own(&state, &identity, &id).await?;
    if offset != upload.received {
        return Err(not_the_next(upload.received));
    }
    if upload.document_id.is_none() {
        upload = work::append(&state, &identity, upload, body).await?;
    }
    Ok(progress(StatusCode::NO_CONTENT, &upload))
}

/// Ends an upload and deletes what there is of it. A document that it has become stays.
///
/// # Errors
/// 404 for what is none of the caller's, 410 when it has expired, 412 for another version of the
/// protocol, 503 when the database is away.
#[utoipa::path(
    delete,
    path = "/api/uploads/{id}",
    operation_id = "endUpload",
    tag = "documents",
    params(
        ("id" = String, Path, description = "Identity of the upload"),
        ("Tus-Resumable" = String, Header, description = "1.0.0"),
    ),
    responses(
        (status = 204, description = "It has ended"),
        (status = 404, description = "There is no such upload for the caller"),
        (status = 410, description = "It has expired"),
        (status = 412, description = "Another version of the protocol is spoken here"),
    ),
)]
pub async fn end(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    _: Resumable,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    let upload = own(&state, &identity, &id).await?;
    if state.store.end_upload(&upload.owner, upload.id).await? {
        work::count("ended", 1);
        state.discarded.now();
    }
    Ok(StatusCode::NO_CONTENT)
}

/// An upload of the caller; administrators have no rights on those of others.
async fn own(state: &AppState, identity: &Identity, id: &str) -> Result<StoredUpload, Failure> {
    let unknown = || Failure::not_found("upload");
    let id = Uuid::parse_str(id).map_err(|_| unknown())?;
    let upload = state.store.upload(&identity.subject, id).await?;
    let upload = upload.ok_or_else(unknown)?;
    if upload.is_expired {
        return Err(Failure::new(
            StatusCode::GONE,
            "upload_expired",
            "nothing was added to this upload for 24 hours, so it has ended; begin a new one",
        ));
    }
    Ok(upload)
}

/// An answer that says how far an upload is.
fn progress(status: StatusCode, upload: &StoredUpload) -> Response {
    let mut response = status.into_response();
    let headers = response.headers_mut();
    headers.insert(UPLOAD_OFFSET, HeaderValue::from(upload.received));
    insert(&mut response, UPLOAD_EXPIRES, http_date(upload.expires_at));
    let document = upload.document_id.map(|id| id.to_string());
    insert(&mut response, DOCUMENT_ID, document);
    response
}

/// Adds a header whose value is there and can be one.
fn insert(response: &mut Response, name: HeaderName, value: Option<String>) {
    if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
        response.headers_mut().insert(name, value);
    }
}

/// Unix seconds as headers write a time.
fn http_date(seconds: i64) -> Option<String> {
    let time = Timestamp::from_second(seconds).ok()?;
    DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&time)
        .ok()
}

fn not_the_next(received: i64) -> Failure {
    let message = format!(
        "the next byte of this upload is that at {received}; ask for its Upload-Offset and go on \
         from there"
    );
    let mut failure = Failure::new(StatusCode::CONFLICT, "upload_offset_mismatch", message);
    failure.param = Some("Upload-Offset".to_owned());
    failure
}

fn too_many() -> Failure {
    let mut failure = Failure::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too_many_uploads",
        format!(
            "you have {MAX_OPEN_UPLOADS} unfinished uploads; finish some or end them with DELETE, \
             or wait until they expire"
        ),
    );
    // It passes when the caller does something, not in a moment.
    failure.retry_after = Some(60);
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_headers_write_them() {
        let date = http_date(1_795_000_000).unwrap();
        assert_eq!(date, "Wed, 18 Nov 2026 11:06:40 GMT");
        assert_eq!(http_date(i64::MAX), None);
    }

    #[rstest::rstest]
    #[case("/api/uploads", true)]
    #[case("/api/uploads/", true)]
    #[case("/api/uploads/019aab4e-0000-7000-8000-000000000000", true)]
    #[case("/api/uploadsx", false)]
    #[case("/api/documents", false)]
    fn the_paths_of_the_protocol(#[case] path: &str, #[case] expected: bool) {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        assert_eq!(is_resumable(&request), expected);
    }
}
