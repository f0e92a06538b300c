//! Roles, groups and the first user.

use lotoai_policy::ADMINS;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::Wanted;
use super::admin::{Api, Thing};
use crate::http::HttpError;

const ADMIN_ROLE: &str = "admin";
const USER_ROLE: &str = "user";
const USERS: &str = "users";

/// Creates the roles and groups that are missing, and gives `admin` to the group `admins` and
/// `user` to everybody.
pub(super) async fn put_roles_and_groups(api: &Api<'_>) -> Result<(), HttpError> {
    let admin = put_role(api, ADMIN_ROLE, "Administers LotoAI").await?;
    let user = put_role(api, USER_ROLE, "Uses LotoAI").await?;
    let everybody = format!("default-roles-{}", api.realm());
    let path = ["roles", everybody.as_str(), "composites"];
    api.create("give role \"user\" to everybody", &path, &json!([user]))
        .await?;
    let admins = put_group(api, ADMINS).await?;
    put_group(api, USERS).await?;
    let path = ["groups", admins.as_str(), "role-mappings", "realm"];
    api.create(
        "give role \"admin\" to group \"admins\"",
        &path,
        &json!([admin]),
    )
    .await?;
    Ok(())
}

async fn put_role(api: &Api<'_>, name: &str, description: &str) -> Result<Value, HttpError> {
    let body = json!({ "name": name, "description": description });
    let created = api
        .create(&format!("create role {name:?}"), &["roles"], &body)
        .await?;
    tracing::info!(role = name, created, "role is there");
    let what = format!("look for role {name:?}");
    api.find(&what, &["roles", name])
        .await?
        .ok_or(HttpError::Absent { what })
}

async fn put_group(api: &Api<'_>, name: &str) -> Result<String, HttpError> {
    let body = json!({ "name": name });
    let created = api
        .create(&format!("create group {name:?}"), &["groups"], &body)
        .await?;
    tracing::info!(group = name, created, "group is there");
    find_group(api, name).await
}

async fn find_group(api: &Api<'_>, name: &str) -> Result<String, HttpError> {
    let what = format!("look for group {name:?}");
    let query = [("search", name), ("exact", "true")];
    let found: Vec<Thing> = api.list(&what, &["groups"], &query).await?;
    // The search finds the parents of a subgroup too; only a top-level group of that name counts.
    let group = found.into_iter().find(|group| group.name == name);
    group
        .map(|group| group.id)
        .ok_or(HttpError::Absent { what })
}

/// Sees to it that somebody administers. Where nobody does, the first user is made, able to sign in at
/// once, and put into `admins`; an existing one keeps its password, name and e-mail address. Where
/// somebody does, it is left alone: who was taken out or deleted by the company does not come back.
pub(super) async fn put_first_user(api: &Api<'_>, wanted: &Wanted<'_>) -> Result<(), HttpError> {
    let name = wanted.plan.first_user.username.as_str();
    let group = find_group(api, ADMINS).await?;
    if has_members(api, &group).await? {
        tracing::info!(user = name, "somebody administers");
        return Ok(());
    }
    let mut created = false;
    let id = match find_user(api, name).await? {
        Some(id) => id,
        None => {
            let what = format!("create user {name:?}");
            created = api
                .create(&what, &["users"], &representation(wanted))
                .await?;
            find_user(api, name)
                .await?
                .ok_or(HttpError::Absent { what })?
        }
    };
    let what = format!("put user {name:?} into group {ADMINS:?}");
    api.replace(&what, &["users", &id, "groups", &group], &json!({}))
        .await?;
    tracing::info!(user = name, created, "first user is there");
    Ok(())
}

async fn has_members(api: &Api<'_>, group: &str) -> Result<bool, HttpError> {
    let what = format!("look for members of group {ADMINS:?}");
    let query = [("max", "1"), ("briefRepresentation", "true")];
    let members: Vec<Thing> = api
        .list(&what, &["groups", group, "members"], &query)
        .await?;
    Ok(!members.is_empty())
}

async fn find_user(api: &Api<'_>, name: &str) -> Result<Option<String>, HttpError> {
    let query = [("username", name), ("exact", "true")];
    let found: Vec<Thing> = api
        .list(&format!("look for user {name:?}"), &["users"], &query)
        .await?;
    Ok(found.into_iter().next().map(|user| user.id))
}

/// With everything that Keycloak's user profile requires: a user without name or address is asked
/// for them at the first sign-in and cannot use the password grant before.
fn representation(wanted: &Wanted<'_>) -> Value {
    let user = &wanted.plan.first_user;
    let email = user
        .email
        .clone()
        .unwrap_or_else(|| format!("{}@lotoai.invalid", user.username));
    json!({
        "username": user.username,
        "email": email,
        "emailVerified": true,
        "enabled": true,
        "firstName": "First",
        "lastName": "User",
        "requiredActions": [],
        "credentials": [{
            "type": "password",
            "value": wanted.first_password.expose_secret(),
            "temporary": false,
        }],
    })
}
