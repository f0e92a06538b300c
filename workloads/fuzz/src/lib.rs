//! Everything that reads bytes of strangers on the path of a request, one function each.
//!
//! A target takes any bytes and returns; it panics where the parser does, or where what the parser
//! accepted is not what it promises. `tests` throws bytes at all of them for a moment in
//! every `make test`; `make fuzz TARGET=<name>` does so for long, with libFuzzer, which looks for
//! inputs that reach new code. Both begin with the files in `corpus/<name>`.

mod credentials;
mod issuer;
#[cfg(test)]
mod parsers;
mod queries;
mod requests;
mod routes;
mod sign_in;
#[cfg(test)]
mod tests;
mod upstream;

/// A target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its directory in `corpus`.
    pub name: &'static str,
    /// What is run.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    target("chat_body", requests::chat_body),
    target("responses_body", requests::responses_body),
    target("embedding_body", requests::embedding_body),
    target("conversation_body", requests::conversation_body),
    target("approval_body", requests::approval_body),
    target("key_body", requests::key_body),
    target("budget_body", requests::budget_body),
    target("upload_form", requests::upload_form),
    target("upload_name", requests::upload_name),
    target("upload_metadata", requests::upload_metadata),
    target("upload_piece", requests::upload_piece),
    target("upload_text", requests::upload_text),
    target("list_query", requests::list_query),
    target("search_query", queries::search_query),
    target("usage_query", queries::usage_query),
    target("input_items_query", queries::input_items_query),
    target("choices_query", queries::choices_query),
    target("callback_query", queries::callback_query),
    target("accept", queries::accept),
    target("accept_language", queries::accept_language),
    target("last_event_id", queries::last_event_id),
    target("idempotency_key", requests::idempotency_key),
    target("form_hash", requests::form_hash),
    target("budgets_file", requests::budgets_file),
    target("authorization", credentials::authorization),
    target("access_token", credentials::access_token),
    target("api_key", credentials::api_key),
    target("cookie", credentials::cookie),
    target("csrf", credentials::csrf),
    target("token_claims", issuer::token_claims),
    target("key_set", issuer::key_set_answer),
    target("discovery_document", issuer::discovery_document),
    target("token_answer", issuer::token_answer),
    target("logout_form", sign_in::logout_form),
    target("logout_claims", sign_in::logout_claims),
    target("login_cookie", sign_in::login_cookie),
    target("path", routes::path),
    target("provider_stream", upstream::provider_stream),
    target("model_server_answer", upstream::model_server_answer),
];

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// The target of this name.
pub fn find(name: &str) -> Option<Target> {
    TARGETS.iter().copied().find(|target| target.name == name)
}

/// Panics where a promise is broken; `what` says which.
#[track_caller]
fn promise(kept: bool, what: &str) {
    assert!(kept, "{what}");
}

/// What every refusal promises: a status of the caller's fault, a sentence, and a body of bounded
/// length.
#[track_caller]
fn refusal(failure: &lotoai_gateway::failure::Failure) {
    promise(
        failure.status.is_client_error(),
        "bad input is the caller's fault",
    );
    promise(!failure.message.is_empty(), "a refusal says why");
    let length = failure.openai().to_string().len();
    promise(length < 4096, "a refusal does not repeat its input");
}
