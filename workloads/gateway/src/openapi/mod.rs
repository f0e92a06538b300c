//! The OpenAPI 3.1 document of the public API.
//!
//! What a call takes and gives is declared beside its handler; what it needs of its caller is the
//! policy's, and added here, as are the errors that every call can have. Tests hold the document
//! against the table of routes in both directions, and against what the handlers really say.

pub mod bodies;
mod finish;
pub mod page;

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Value, json};
use url::Url;
use utoipa::OpenApi as _;

#[cfg(test)]
pub(crate) use self::finish::COMMON;
use self::page::Language;
use crate::routes::{
    self, approvals, auth, budget_rules, budgets, conversations, docs, documents, keys, me,
    personal, sessions, totals, uploads, v1,
};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "LotoAI",
        description = "One front door to a company's AI platform. Calls under /v1 are those of \
                       OpenAI's API, so that its clients work here with another base URL and key; \
                       calls under /api are the platform's own."
    ),
    paths(
        v1::models::list,
        v1::models::one,
        v1::chat::complete,
        v1::resume::resume,
        v1::resume::cancel,
        v1::embeddings::create,
        documents::upload,
        documents::list,
        documents::one,
        documents::content,
        documents::remove,
        documents::retry,
        uploads::options,
        uploads::create,
        uploads::offset,
        uploads::append,
        uploads::end,
        conversations::list,
        conversations::one,
        conversations::messages,
        conversations::remove,
        approvals::list,
        approvals::one,
        approvals::decide,
        budgets::list,
        budget_rules::list,
        budget_rules::make,
        budget_rules::alter,
        budget_rules::remove,
        budgets::usage,
        totals::list,
        me::show,
        keys::make,
        keys::list,
        keys::list_all,
        keys::remove,
        sessions::list,
        sessions::list_all,
        sessions::remove,
        sessions::remove_any,
        sessions::remove_others,
        docs::document,
        docs::page,
        docs::style,
        conversations::search,
        conversations::rename,
        conversations::branch,
        conversations::restore,
        conversations::export,
        personal::export,
        personal::erase,
        personal::erase_other,
        v1::responses::create,
        v1::responses::stored::show,
        v1::responses::stored::input_items,
        v1::responses::stored::remove,
        v1::responses::background::cancel,
        auth::login,
        auth::callback,
        auth::logout,
        auth::back_channel,
    ),
    components(schemas(bodies::errors::OpenAiError, bodies::errors::Problem)),
    tags(
        (name = "models", description = "What can be asked"),
        (name = "chat", description = "Questions and answers"),
        (name = "embeddings", description = "Vectors of texts"),
        (name = "conversations", description = "Stored questions and answers"),
        (name = "approvals", description = "Calls of tools that wait for a person"),
        (name = "documents", description = "What answers can rest on"),
        (name = "usage", description = "Budgets, and what was used"),
        (name = "keys", description = "API keys for programs"),
        (name = "sessions", description = "Who is signed in"),
        (name = "sign-in", description = "Sign-in and sign-out of browsers"),
        (name = "docs", description = "This document"),
    ),
)]
struct Api;

/// The document and its pages, each made when it is first asked for.
#[derive(Debug)]
pub struct Docs {
    public_url: Url,
    document: OnceLock<Bytes>,
    pages: [OnceLock<Bytes>; Language::ALL.len()],
}

impl Docs {
    /// Of the platform at `public_url`.
    pub fn new(public_url: &Url) -> Self {
        Self {
            public_url: public_url.clone(),
            document: OnceLock::new(),
            pages: Default::default(),
        }
    }

    /// The document as JSON.
    pub fn document(&self) -> Bytes {
        let make = || document(&self.public_url).to_string().into();
        self.document.get_or_init(make).clone()
    }

    /// The document as a page for people.
    pub fn page(&self, language: Language) -> Bytes {
        let make = || page::render(&document(&self.public_url), language).into();
        self.pages[language as usize].get_or_init(make).clone()
    }
}

/// The document of a platform at `public_url`.
pub fn document(public_url: &Url) -> Value {
    // Texts, lists and maps of them can always be written.
    let mut document = serde_json::to_value(Api::openapi()).unwrap_or_default();
    let url = public_url.as_str().trim_end_matches('/');
    document["servers"] = json!([{ "url": url }]);
    finish::finish(&mut document, &routes::table());
    document
}
