//! Every route and every kind of caller: who gets an answer is said here once more, and nobody else
//! gets one. Whatever status they get is one that the OpenAPI document describes.

mod callers;
mod foreign;
mod platform;
mod requests;
mod writes;

use axum::http::{Method, StatusCode};
use lotoai_policy::{Needs, Scope};
use serde_json::json;

use self::callers::{known, refused};
use self::platform::{Platform, Proof};
use self::requests::path_of;
use super::api_keys::{bearing, key};
use super::browser::{ANA, sign_in_as};
use crate::routes::table;

/// Sends every route to every caller that nobody should be. Its test has the name of the fault that
/// it stands for, in `bypass`.
pub(super) async fn no_route_answers_who_is_unknown() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    let good = Proof::Bearer(platform.gateway.signer.token("ana", &["hr", "admins"]));
    let refused = refused(&platform).await;
    let mut cells = 0;
    for route in table() {
        if route.needs == Needs::Nothing {
            continue;
        }
        for (name, proof) in &refused {
            let path = path_of(route.path, &platform.things().await);
            let reply = platform.send(&route.method, &path, proof).await;
            assert_eq!(
                reply.status,
                StatusCode::UNAUTHORIZED,
                "{} {path} by {name}: {reply:?}",
                route.method
            );
            cells += 1;
        }
        // The control: the very same request is answered to who is known.
        let path = path_of(route.path, &platform.things().await);
        let reply = platform.send(&route.method, &path, &good).await;
        assert!(
            reply.status.is_success(),
            "{} {path}: {reply:?}",
            route.method
        );
    }
    assert_eq!(cells, (table().len() - 4) * refused.len());
    platform.check_statuses();
}

/// Whether a caller who is known gets an answer from a route.
fn expected(caller: &str, method: &Method, route: &str, needs: Needs) -> bool {
    if needs == Needs::Admin {
        return caller == "admin";
    }
    let one_of_anas = route.contains("{id}") && route != "/v1/models/{id}";
    let a_stream =
        route.starts_with("/v1/chat/completions/") || route == "/v1/responses/{id}/cancel";
    match caller {
        "owner" | "owner's session" => true,
        "other user" | "other group" => !one_of_anas,
        // Reads what the group may read, and changes nothing of it.
        "same group" => {
            !one_of_anas || (method == Method::GET && route.starts_with("/api/documents/"))
        }
        "admin" => {
            !one_of_anas
                || route.starts_with("/api/documents/")
                || (method, route) == (&Method::DELETE, "/api/keys/{id}")
        }
        // The owner's keys: what their scope says.
        "API key without scope" => needs == Needs::Caller && route != "/v1/models/{id}",
        "API key for chat" => {
            !a_stream && matches!(needs, Needs::Caller | Needs::Scope(Scope::Chat))
        }
        "API key with every scope" => !a_stream && needs != Needs::Person,
        "another's API key with every scope" | "admin's API key without that scope" => {
            !one_of_anas && needs != Needs::Person
        }
        "admin's API key with that scope" => {
            needs != Needs::Person && (!one_of_anas || route.starts_with("/api/documents/"))
        }
        "owner's session, another site" => method.is_safe(),
        // Its question is to model `probe`, and not this one.
        "operator" => false,
        _ => unreachable!("{caller}"),
    }
}

#[tokio::test]
async fn every_route_answers_whom_it_should_and_nobody_else() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    let mut callers = known(&platform).await;
    let names: Vec<&str> = callers.iter().map(|(name, _)| *name).collect();
    let (mut answered, mut unexpected) = (0, Vec::new());
    for route in table() {
        if route.needs == Needs::Nothing {
            continue;
        }
        for caller in names.clone() {
            let proof = &callers.iter().find(|(name, _)| *name == caller).unwrap().1;
            let path = path_of(route.path, &platform.things().await);
            let reply = platform.send(&route.method, &path, proof).await;
            let wanted = expected(caller, &route.method, route.path, route.needs);
            if reply.status.is_success() != wanted || reply.status.is_server_error() {
                unexpected.push(format!(
                    "{} {path} by {caller}: {} {}",
                    route.method, reply.status, reply.body
                ));
            }
            answered += usize::from(reply.status.is_success());
            // Whoever is erased has no session and no key any more, and whoever ends all other
            // sessions has one at most.
            let ends = matches!(
                (&route.method, route.path),
                (_, "/api/me/data") | (&Method::DELETE, "/api/sessions")
            );
            if ends && reply.status.is_success() {
                callers = known(&platform).await;
            }
        }
    }
    assert!(unexpected.is_empty(), "{unexpected:#?}");
    assert!(answered > table().len(), "the controls were answered");
    platform.check_statuses();
}

#[tokio::test]
async fn a_session_and_a_key_at_once_are_what_the_key_is() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    let gateway = &platform.gateway;
    let session = sign_in_as(gateway, ANA, 300).await;
    let chat = key(gateway, "eve", &[], &json!({ "name": "chat" })).await;
    let mut request = bearing(Method::GET, "/api/me", &chat);
    request
        .headers_mut()
        .insert("cookie", session.parse().unwrap());
    assert_eq!(gateway.send(request).await.json()["subject"], "eve");
}
