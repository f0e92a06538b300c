//! Bodies, queries and headers of requests, and the file of budgets.

use std::ops::RangeInclusive;
use std::path::Path;

use axum::extract::{FromRequest as _, Multipart, Request};
use futures::executor::block_on;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use lotoai_gateway::budget::table::Table;
use lotoai_gateway::domain::approval_request::{self, DecisionRequest};
use lotoai_gateway::domain::budget_request::{self, Allowance};
use lotoai_gateway::domain::chat_request::{ChatRequest, MAX_MESSAGES};
use lotoai_gateway::domain::conversation_request::{self, BranchRequest};
use lotoai_gateway::domain::embedding_request::{EmbeddingRequest, Inputs};
use lotoai_gateway::domain::key_request::KeyRequest;
use lotoai_gateway::domain::page::PageQuery;
use lotoai_gateway::domain::parameters::Parameters;
use lotoai_gateway::domain::responses_request::ResponsesRequest;
use lotoai_gateway::domain::text::file_name;
use lotoai_gateway::domain::tus;
use lotoai_gateway::domain::upload::{TextCheck, knowledge_base, media_type};
use lotoai_gateway::idempotency::{self, hash::RequestHash};

use crate::{promise, refusal};

/// The body of a chat completion.
pub(crate) fn chat_body(bytes: &[u8]) {
    match ChatRequest::parse(bytes) {
        Ok(request) => {
            let count = request.messages.len();
            promise((1..=MAX_MESSAGES).contains(&count), "there are messages");
            promise(!request.model.is_empty(), "there is a model");
            can_be_kept_to(&request);
        }
        Err(failure) => refusal(&failure),
    }
}

/// What a question says of how a model is to write is within what providers take.
fn can_be_kept_to(question: &ChatRequest) {
    let asked = &question.sampling;
    let is_stop = |it: &String| (1..=256).contains(&it.len()) && !it.contains('\0');
    promise(asked.stop.len() <= 4, "there are few stop sequences");
    promise(asked.stop.iter().all(is_stop), "each of them is short");
    let is_within = |number: Option<f64>, bounds: RangeInclusive<f64>| {
        number.is_none_or(|it| bounds.contains(&it))
    };
    promise(
        is_within(asked.top_p, 0.0..=1.0)
            && is_within(asked.presence_penalty, -2.0..=2.0)
            && is_within(asked.frequency_penalty, -2.0..=2.0),
        "numbers are within their bounds",
    );
}

/// The body of a response.
pub(crate) fn responses_body(bytes: &[u8]) {
    match ResponsesRequest::parse(bytes) {
        Ok(request) => {
            let question = &request.question;
            let count = question.messages.len();
            // One more than are sent: the instructions.
            promise((1..=MAX_MESSAGES + 1).contains(&count), "there is input");
            promise(!question.model.is_empty(), "there is a model");
            can_be_kept_to(question);
            let goes_on = [question.conversation_id, request.previous];
            promise(goes_on.contains(&None), "it goes on from one thing");
            let mut messages = question.messages.iter();
            let asked = messages.any(|it| it.role == "user" && !it.content.trim().is_empty());
            promise(asked || goes_on != [None; 2], "something is asked");
        }
        Err(failure) => refusal(&failure),
    }
}

/// The body of a request for vectors.
pub(crate) fn embedding_body(bytes: &[u8]) {
    match EmbeddingRequest::parse(bytes) {
        Ok(request) => {
            promise(!request.model.is_empty(), "there is a model");
            let count = request.inputs.count();
            promise((1..=2_048).contains(&count), "there are inputs");
            let can_be_read = match &request.inputs {
                Inputs::Texts(texts) => texts
                    .iter()
                    .all(|it| !it.trim().is_empty() && !it.contains('\0') && it.len() <= 8192),
                Inputs::Tokens(lists) => {
                    let sizes = lists.iter().map(Vec::len);
                    sizes.clone().all(|it| (1..=8192).contains(&it))
                        && sizes.sum::<usize>() <= 300_000
                }
            };
            promise(can_be_read, "each of them can be read");
            let batches = request.batches();
            let sizes = batches.iter().map(|batch| batch.count());
            promise(
                sizes.clone().all(|it| (1..=256).contains(&it)),
                "a batch is taken",
            );
            promise(sizes.sum::<usize>() == count, "nothing is left out");
            promise(request.dimensions != Some(0), "a vector has a length");
        }
        Err(failure) => refusal(&failure),
    }
}

/// The bodies that name a conversation and that branch one.
pub(crate) fn conversation_body(bytes: &[u8]) {
    let shown = |title: &str| {
        let length = title.chars().count();
        promise((1..=200).contains(&length), "a title is short");
        promise(!title.contains(char::is_control), "it is one line");
    };
    match conversation_request::rename(bytes) {
        Ok(title) => shown(&title),
        Err(failure) => refusal(&failure),
    }
    match BranchRequest::parse(bytes) {
        Ok(request) => {
            if let Some(title) = &request.title {
                shown(title);
            }
        }
        Err(failure) => refusal(&failure),
    }
}

/// The body that decides an approval.
pub(crate) fn approval_body(bytes: &[u8]) {
    match DecisionRequest::parse(bytes) {
        Ok(request) => {
            let verdict = &request.verdict;
            let length = verdict.reason.chars().count();
            promise(length <= 500, "a reason is short");
            promise(!verdict.reason.contains('\0'), "it can be stored");
            let arguments = verdict.arguments_json.as_str();
            let is_object = serde_json::from_str::<serde_json::Value>(arguments)
                .is_ok_and(|arguments| arguments.is_object());
            promise(arguments.is_empty() || is_object, "arguments are an object");
        }
        Err(failure) => refusal(&failure),
    }
}

/// The body that makes an API key.
pub(crate) fn key_body(bytes: &[u8]) {
    match KeyRequest::parse(bytes) {
        Ok(request) => {
            promise(!request.name.is_empty(), "a key has a name");
            promise(!request.name.contains(char::is_control), "it can be shown");
            promise((1..=365).contains(&request.days), "a key has an end");
        }
        Err(failure) => refusal(&failure),
    }
}

/// The bodies that make and alter a budget.
pub(crate) fn budget_body(bytes: &[u8]) {
    match budget_request::parse(bytes, true) {
        Ok(budget) => {
            promise(budget_request::is_name(&budget.name), "a budget has a name");
            promise(budget.check(true).is_ok(), "it can be meant");
        }
        Err(failure) => refusal(&failure),
    }
    if let Err(failure) = Allowance::parse(bytes) {
        refusal(&failure);
    }
}

/// The form of an upload, with `x` as its boundary.
pub(crate) fn upload_form(bytes: &[u8]) {
    let request = http::Request::post("/api/documents")
        .header("content-type", "multipart/form-data; boundary=x")
        .body(axum::body::Body::from(bytes.to_vec()));
    let Ok(request) = request else {
        return;
    };
    block_on(read_form(request, bytes.len()));
}

async fn read_form(request: Request, length: usize) {
    let Ok(mut form) = Multipart::from_request(request, &()).await else {
        return;
    };
    let mut read = 0;
    while let Ok(Some(mut field)) = form.next_field().await {
        if let Some(name) = field.file_name() {
            upload_name(name.as_bytes());
        }
        while let Ok(Some(chunk)) = field.chunk().await {
            read += chunk.len();
        }
    }
    promise(read <= length, "nothing is read that was not sent");
}

/// The names of an uploaded file and of its knowledge base.
pub(crate) fn upload_name(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Some(name) = file_name(text) {
        promise(!name.is_empty(), "a file has a name");
        promise(name.chars().count() <= 200, "it is short");
        let has = |bad: fn(char) -> bool| name.contains(bad);
        promise(!has(char::is_control), "it can be shown");
        promise(!has(|c| c == '/' || c == '\\'), "it is no path");
        promise(name != "." && name != "..", "it is no directory");
        let path = Path::new("/root").join(&name);
        promise(path.parent() == Some(Path::new("/root")), "it stays inside");
        if let Err(failure) = media_type(&name) {
            refusal(&failure);
        }
    }
    match knowledge_base(text) {
        Ok(name) => promise(name == text, "a knowledge base is taken as it is"),
        Err(failure) => refusal(&failure),
    }
}

/// What is said of a file that comes in pieces: its length, and after the first line break the
/// metadata.
pub(crate) fn upload_metadata(bytes: &[u8]) {
    const MAX: u64 = 1024;
    let mut headers = HeaderMap::new();
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    for name in [tus::UPLOAD_LENGTH, tus::UPLOAD_METADATA] {
        let value = HeaderValue::from_bytes(parts.next().unwrap_or_default());
        let Ok(value) = value else { return };
        headers.insert(name, value);
    }
    match tus::Creation::of(&headers, MAX) {
        Ok(asked) => {
            let size = asked.size.unsigned_abs();
            promise(
                (1..=MAX).contains(&size),
                "a file is no larger than it may be",
            );
            promise(asked.size > 0, "its size is no debt");
            upload_name(asked.description.name.as_bytes());
            let base = knowledge_base(&asked.description.knowledge_base);
            promise(base.is_ok(), "a knowledge base has a name");
        }
        Err(failure) => refusal(&failure),
    }
}

/// What is said of a piece of a file, a header on each line: the version that is spoken, what the
/// body is, and where it begins.
pub(crate) fn upload_piece(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    let mut lines = bytes.split(|byte| *byte == b'\n');
    for name in [tus::TUS_RESUMABLE, CONTENT_TYPE, tus::UPLOAD_OFFSET] {
        // What is not there is not sent.
        let Some(value) = lines.next() else { break };
        let Ok(value) = HeaderValue::from_bytes(value) else {
            return;
        };
        headers.insert(name, value);
    }
    match tus::check_version(&headers) {
        Ok(()) => {
            let version = headers.get(tus::TUS_RESUMABLE);
            let is_ours = version.is_some_and(|it| it == tus::VERSION);
            promise(is_ours, "one version is spoken");
        }
        Err(failure) => refusal(&failure),
    }
    match tus::offset(&headers) {
        Ok(offset) => promise(offset >= 0, "no piece begins before its file"),
        Err(failure) => refusal(&failure),
    }
}

/// The bytes of a file: whether they are text must not depend on how they arrive.
pub(crate) fn upload_text(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else {
        return;
    };
    let expected = std::str::from_utf8(bytes).is_ok() && !bytes.contains(&0);
    let mut check = TextCheck::default();
    let mut pieces = bytes.chunks(usize::from(*size).max(1));
    let taken = pieces.try_for_each(|piece| check.push(piece));
    let verdict = taken.and_then(|()| check.end());
    promise(verdict.is_ok() == expected, "text is UTF-8 without NUL");
}

/// The query of a list: limit and cursor.
pub(crate) fn list_query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let mut parameters = match Parameters::parse(Some(text), &["state", "limit", "cursor"]) {
        Ok(parameters) => parameters,
        Err(failure) => return refusal(&failure),
    };
    if let Err(failure) = approval_request::state(&mut parameters) {
        refusal(&failure);
    }
    let page = PageQuery::of(&mut parameters);
    match page.limit() {
        Ok(limit) => promise((1..=200).contains(&limit), "a page has an end"),
        Err(failure) => refusal(&failure),
    }
    if let Err(failure) = page.after::<(i64, String)>() {
        refusal(&failure);
    }
}

/// The header `Idempotency-Key`, given once for every line of the input.
pub(crate) fn idempotency_key(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for value in bytes.split(|byte| *byte == b'\n') {
        let Ok(value) = HeaderValue::from_bytes(value) else {
            return;
        };
        headers.append("idempotency-key", value);
    }
    match idempotency::key(&headers) {
        Ok(key) => {
            let key = key.unwrap_or_default();
            promise((1..=255).contains(&key.len()), "a key is short");
            promise(key.is_ascii(), "a key is ASCII");
        }
        Err(failure) => refusal(&failure),
    }
}

/// What makes two requests the same: a media type, and after the first line break the length of the
/// pieces in which a body comes, as one byte, and the body.
pub(crate) fn form_hash(bytes: &[u8]) {
    let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
    let media_type = HeaderValue::from_bytes(lines.next().unwrap_or_default());
    let sent = lines.next().and_then(<[u8]>::split_first);
    let (Ok(media_type), Some((size, body))) = (media_type, sent) else {
        return;
    };
    let request = http::Request::post("/api/documents").header(CONTENT_TYPE, media_type);
    let Ok(request) = request.body(()) else {
        return;
    };
    let (head, ()) = request.into_parts();
    let hash_in = |size: usize| {
        let mut hash = RequestHash::begin(&head);
        for piece in body.chunks(size.max(1)) {
            hash.push(piece);
        }
        hash.end()
    };
    let (whole, cut) = (hash_in(body.len()), hash_in(usize::from(*size)));
    promise(whole == cut, "cuts do not change the hash");
}

/// `budgets.yaml`, which the operator writes from what people say in the resource.
pub(crate) fn budgets_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(table) = Table::parse("budgets.yaml", text) else {
        return;
    };
    for budget in &table.budgets {
        promise(!budget.name.is_empty(), "a budget has a name");
        let limits = &budget.limits;
        let all = [limits.requests, limits.tokens];
        promise(
            all.iter().flatten().all(|limit| *limit >= 1),
            "a limit is at least 1",
        );
        promise(
            (1..=100).contains(&budget.warn_at_percent),
            "a warning comes before the end",
        );
    }
    let _ = table.highest("lotoai");
}
