//! Queries and headers beside those of lists.

use axum::extract::Query;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use lotoai_gateway::domain::conversation_request::{self, Format};
use lotoai_gateway::domain::page::PageQuery;
use lotoai_gateway::domain::parameters::Parameters;
use lotoai_gateway::domain::responses_request::{id_of, run_of};
use lotoai_gateway::domain::usage_request;
use lotoai_gateway::identity::login::{CallbackQuery, local_path};
use lotoai_gateway::openapi::page::Language;
use lotoai_gateway::routes::auth::LoginQuery;
use lotoai_gateway::routes::v1::responses::inputs::Wanted;
use lotoai_gateway::routes::v1::responses::stored::Shown;
use lotoai_gateway::routes::v1::resume;
use lotoai_gateway::routes::{budgets, personal, sign_in_page, totals};
use lotoai_gateway::store::By;

use crate::{promise, refusal};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The query of a search in conversations, and of an export.
pub(crate) fn search_query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match Parameters::parse(Some(text), &["q", "limit", "cursor"]) {
        Ok(mut parameters) => {
            match conversation_request::search(&mut parameters) {
                Ok(words) => {
                    let length = words.chars().count();
                    promise((1..=200).contains(&length), "a search is short");
                    promise(!words.contains('\0'), "PostgreSQL can read it");
                }
                Err(failure) => refusal(&failure),
            }
            if let Err(failure) = PageQuery::of(&mut parameters).limit() {
                refusal(&failure);
            }
        }
        Err(failure) => refusal(&failure),
    }
    let format = Parameters::parse(Some(text), &["format"]);
    if let Err(failure) = format.and_then(|mut parameters| Format::of(&mut parameters)) {
        refusal(&failure);
    }
}

/// The query for usage: a span of days.
pub(crate) fn usage_query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let known = ["from", "to"];
    let Ok(now) = "2026-11-26T05:00:00Z".parse() else {
        return;
    };
    let parameters = Parameters::parse(Some(text), &known);
    match parameters.and_then(|mut parameters| usage_request::span(&mut parameters, now)) {
        Ok((from, to)) => {
            promise(from <= to, "a span goes forward");
            promise(from.year() >= 1, "PostgreSQL has its days");
            promise(to.year() <= 9999, "and all of them");
        }
        Err(failure) => refusal(&failure),
    }
}

/// The query for what was sent with a response, and the response's id.
pub(crate) fn input_items_query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Err(failure) = Wanted::of(Some(text)) {
        refusal(&failure);
    }
    if let Some(run) = run_of(text) {
        promise(run_of(&id_of(run)) == Some(run), "an id names one response");
    }
}

/// Queries that choose one thing or another: how usage is summed, whose budgets are told, and what
/// is confirmed.
pub(crate) fn choices_query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match Parameters::parse(Some(text), &["by", "all"]) {
        Ok(mut parameters) => {
            match totals::by(&mut parameters) {
                Ok(by) => promise(By::of_name(by.name()) == Some(by), "sums have a name"),
                Err(failure) => refusal(&failure),
            }
            match budgets::flag(&mut parameters, "all") {
                Ok(all) => promise(!all || text.contains('='), "nobody asks for all by a slip"),
                Err(failure) => refusal(&failure),
            }
        }
        Err(failure) => refusal(&failure),
    }
    match personal::confirmed(Some(text)) {
        Ok(()) => {
            let least = "confirm=erase-everything".len();
            promise(text.len() >= least, "nothing is erased by a slip");
        }
        Err(failure) => refusal(&failure),
    }
    match Shown::of(Some(text)) {
        Ok(Shown::Events(Some(_))) => {
            promise(text.contains('='), "nobody begins in the middle by a slip");
        }
        Ok(_) => {}
        Err(failure) => refusal(&failure),
    }
}

/// Where the provider sends a browser back to, and where a sign-in begins: the whole path with its
/// query.
pub(crate) fn callback_query(bytes: &[u8]) {
    let Ok(uri) = Uri::try_from(bytes) else {
        return;
    };
    // A query that cannot be read is refused by the framework.
    drop(Query::<CallbackQuery>::try_from_uri(&uri));
    drop(Query::<LoginQuery>::try_from_uri(&uri));
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let path = local_path(Some(text));
    let mut start = path.chars();
    promise(start.next() == Some('/'), "a path begins with a slash");
    promise(
        !matches!(start.next(), Some('/' | '\\')),
        "and is no other site's",
    );
    promise(HeaderValue::from_str(path).is_ok(), "it fits into a header");
}

/// The header `Accept` of a sign-in.
pub(crate) fn accept(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let headers = HeaderMap::from_iter([(ACCEPT, value)]);
    if sign_in_page::prefers_html(&headers) {
        let text = bytes.to_ascii_lowercase();
        let names = |word: &[u8]| text.windows(word.len()).any(|it| it == word);
        promise(
            names(b"text/") || names(b"application/"),
            "nobody prefers a page without naming a kind",
        );
    }
}

/// The header `Accept-Language`.
pub(crate) fn accept_language(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let language = Language::preferred(text);
    let is_named = text.to_ascii_lowercase().contains(language.tag());
    promise(
        is_named || language == Language::English,
        "nobody reads a language without naming it",
    );
    if let Some(named) = Language::of_tag(text) {
        promise(language == named, "who names one language reads it");
    }
}

/// The header `Last-Event-ID`.
pub(crate) fn last_event_id(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let headers = HeaderMap::from_iter([(LAST_EVENT_ID, value)]);
    match resume::last_event_id(&headers) {
        Ok(place) => promise(place.is_some(), "what is sent is read"),
        Err(failure) => refusal(&failure),
    }
}
