use serde_json::{Value, json};
use wiremock::matchers::{
    body_partial_json, body_string_contains, header, method, path, query_param,
};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::http::HttpError;
use crate::plan::{ConfidentialClient, FirstUser};

const REALM: &str = "/admin/realms/lotoai";

fn admin(url: &str) -> KeycloakAdmin {
    KeycloakAdmin {
        keycloak_url: url.parse().unwrap(),
        keycloak_username: "root".to_owned(),
        keycloak_password: "secret".into(),
        keycloak_password_standby: None,
        keycloak_ca_file: None,
    }
}

fn plan() -> KeycloakPlan {
    let client = |id: &str, variable: &str| ConfidentialClient {
        client_id: id.to_owned(),
        secret_env: variable.to_owned(),
    };
    KeycloakPlan {
        realm: "lotoai".to_owned(),
        audience: "lotoai".to_owned(),
        public_url: "https://ai.example.com:8443/".parse().unwrap(),
        back_channel_logout_url: Some("https://gw:8080/auth/back-channel-logout".parse().unwrap()),
        clients: vec![client(WEB, "W"), client(PROBE, "P")],
        first_user: FirstUser {
            username: "ada".to_owned(),
            password_env: "F".to_owned(),
            email: None,
        },
    }
}

fn secrets() -> Secrets {
    Secrets::from_pairs(&[
        ("W", "web-secret"),
        ("P", "probe-secret"),
        ("F", "first-secret"),
    ])
}

async fn run(server: &MockServer) -> Result<(), Error> {
    provision(&admin(&server.uri()), &plan(), &secrets(), Duration::ZERO).await
}

async fn sign_in(server: &MockServer) {
    Mock::given(method("POST"))
        .and(path("/realms/master/protocol/openid-connect/token"))
        .and(body_string_contains("grant_type=password"))
        .and(body_string_contains("username=root"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "access_token": "t" })))
        .expect(1)
        .mount(server)
        .await;
}

async fn get(server: &MockServer, at: &str, status: u16, body: Value) {
    Mock::given(method("GET"))
        .and(path(format!("{REALM}{at}")))
        .and(header("authorization", "Bearer t"))
        .respond_with(ResponseTemplate::new(status).set_body_json(body))
        .mount(server)
        .await;
}

/// One more answer to the same question, before those that were mounted earlier.
async fn found(server: &MockServer, at: &str, key: &str, value: &str, answers: &[Value]) {
    for (index, answer) in answers.iter().enumerate() {
        let mock = Mock::given(method("GET"))
            .and(path(format!("{REALM}{at}")))
            .and(query_param(key, value))
            .respond_with(ResponseTemplate::new(200).set_body_json(answer));
        if index + 1 < answers.len() {
            mock.up_to_n_times(1).mount(server).await;
        } else {
            mock.mount(server).await;
        }
    }
}

async fn change(server: &MockServer, verb: &str, at: &str, status: u16, body: Value) {
    Mock::given(method(verb))
        .and(path(format!("{REALM}{at}")))
        .and(header("authorization", "Bearer t"))
        .and(body_partial_json(body))
        .respond_with(ResponseTemplate::new(status))
        .expect(1)
        .mount(server)
        .await;
}

/// What a realm answers in all cases: roles, groups, mappers, and who administers.
async fn common(server: &MockServer, status: u16, administrators: Value) {
    sign_in(server).await;
    for role in ["admin", "user"] {
        change(server, "POST", "/roles", status, json!({ "name": role })).await;
        let known = json!({ "id": format!("role-{role}"), "name": role });
        get(server, &format!("/roles/{role}"), 200, known).await;
    }
    let user = json!([{ "id": "role-user" }]);
    change(
        server,
        "POST",
        "/roles/default-roles-lotoai/composites",
        204,
        user,
    )
    .await;
    for group in ["admins", "users"] {
        change(server, "POST", "/groups", status, json!({ "name": group })).await;
        let answer = json!([
            { "id": "other", "name": "parent-of-one-of-that-name" },
            { "id": format!("group-{group}"), "name": group },
        ]);
        found(server, "/groups", "search", group, &[answer]).await;
    }
    let role = json!([{ "id": "role-admin" }]);
    change(
        server,
        "POST",
        "/groups/group-admins/role-mappings/realm",
        204,
        role,
    )
    .await;
    let is_first = administrators == json!([]);
    get(server, "/groups/group-admins/members", 200, administrators).await;
    if is_first {
        let membership = "/users/u/groups/group-admins";
        change(server, "PUT", membership, 204, json!({})).await;
    }
}

fn web_client() -> Value {
    json!({
        "clientId": "lotoai-web", "publicClient": false, "secret": "web-secret",
        "standardFlowEnabled": true, "directAccessGrantsEnabled": false,
        "redirectUris": ["https://ai.example.com:8443/auth/callback"],
        "webOrigins": ["https://ai.example.com:8443"],
        "attributes": {
            "pkce.code.challenge.method": "S256",
            "backchannel.logout.url": "https://gw:8080/auth/back-channel-logout",
            "backchannel.logout.session.required": "true",
        },
    })
}

#[tokio::test]
async fn an_empty_server_gets_realm_clients_and_a_usable_first_user() {
    let server = MockServer::start().await;
    common(&server, 201, json!([])).await;
    get(&server, "", 404, json!({})).await;
    Mock::given(method("POST"))
        .and(path("/admin/realms"))
        .and(body_partial_json(json!({
            "realm": "lotoai", "accessTokenLifespan": 300,
            "ssoSessionIdleTimeout": 36000, "ssoSessionMaxLifespan": 36000,
        })))
        .respond_with(ResponseTemplate::new(201))
        .expect(1)
        .mount(&server)
        .await;
    let cli = json!({
        "clientId": "lotoai-cli", "publicClient": true, "directAccessGrantsEnabled": true,
        "attributes": { "oauth2.device.authorization.grant.enabled": "true" },
    });
    let probe = json!({
        "clientId": "lotoai-probe", "serviceAccountsEnabled": true, "secret": "probe-secret",
        "standardFlowEnabled": false, "directAccessGrantsEnabled": false,
    });
    for (name, client) in [(WEB, web_client()), (CLI, cli), (PROBE, probe)] {
        found(
            &server,
            "/clients",
            "clientId",
            name,
            &[json!([]), json!([{ "id": name }])],
        )
        .await;
        change(&server, "POST", "/clients", 201, client).await;
        let at = format!("/clients/{name}/protocol-mappers/models");
        get(&server, &at, 200, json!([])).await;
        let audience = json!({ "config": { "included.custom.audience": "lotoai" } });
        change(&server, "POST", &at, 201, audience).await;
        let groups = json!({ "config": { "claim.name": "groups", "full.path": "true" } });
        change(&server, "POST", &at, 201, groups).await;
    }
    found(
        &server,
        "/users",
        "username",
        "ada",
        &[json!([]), json!([{ "id": "u" }])],
    )
    .await;
    let first = json!({
        "username": "ada", "email": "ada@lotoai.invalid", "emailVerified": true, "enabled": true,
        "firstName": "First", "lastName": "User", "requiredActions": [],
        "credentials": [{ "type": "password", "value": "first-secret", "temporary": false }],
    });
    change(&server, "POST", "/users", 201, first).await;

    run(&server).await.unwrap();
}

/// A realm that is there, in which these administer.
async fn existing(administrators: Value) -> MockServer {
    let server = MockServer::start().await;
    common(&server, 409, administrators).await;
    get(&server, "", 200, json!({ "realm": "lotoai" })).await;
    change(
        &server,
        "PUT",
        "",
        204,
        json!({ "registrationAllowed": false, "ssoSessionIdleTimeout": 36000 }),
    )
    .await;
    for name in [WEB, CLI, PROBE] {
        found(
            &server,
            "/clients",
            "clientId",
            name,
            &[json!([{ "id": name }])],
        )
        .await;
        let at = format!("/clients/{name}");
        change(&server, "PUT", &at, 204, json!({ "clientId": name })).await;
        let at = format!("{at}/protocol-mappers/models");
        let there = json!([
            { "id": "m1", "name": "lotoai-audience" },
            { "id": "m2", "name": "lotoai-groups" },
        ]);
        get(&server, &at, 200, there).await;
        for id in ["m1", "m2"] {
            change(
                &server,
                "PUT",
                &format!("{at}/{id}"),
                204,
                json!({ "id": id }),
            )
            .await;
        }
    }
    server
}

#[tokio::test]
async fn what_is_there_is_corrected_and_the_first_users_password_is_not_touched() {
    let server = existing(json!([])).await;
    found(
        &server,
        "/users",
        "username",
        "ada",
        &[json!([{ "id": "u" }])],
    )
    .await;

    run(&server).await.unwrap();
    for request in server.received_requests().await.unwrap() {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        assert!(
            !body.contains("first-secret"),
            "{} {}",
            request.method,
            request.url
        );
    }
}

/// Whom a company took out of `admins`, or deleted, stays away.
#[tokio::test]
async fn where_somebody_administers_the_first_user_is_left_alone() {
    let server = existing(json!([{ "id": "other", "username": "eve" }])).await;
    run(&server).await.unwrap();
    for request in server.received_requests().await.unwrap() {
        assert!(
            !request.url.path().starts_with(&format!("{REALM}/users")),
            "{} {}",
            request.method,
            request.url
        );
    }
}

#[tokio::test]
async fn a_wrong_password_of_the_administrator_is_an_error_that_says_so() {
    let server = MockServer::start().await;
    let refusal = ResponseTemplate::new(401).set_body_string(r#"{"error":"invalid_grant"}"#);
    Mock::given(method("POST"))
        .respond_with(refusal)
        .mount(&server)
        .await;
    let error = run(&server).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        cause.contains("failed to sign in to Keycloak: the answer was 401"),
        "{cause}"
    );
}

#[tokio::test]
async fn a_plan_that_cannot_be_carried_out_is_refused_before_the_server_is_touched() {
    let server = MockServer::start().await;
    let mut unknown = plan();
    unknown.clients[0].client_id = "lotoai-wbe".to_owned();
    let mut query = plan();
    query.public_url = "https://ai.example.com/?x=1".parse().unwrap();
    let mut missing = plan();
    missing.clients.pop();
    for (plan, field) in [
        (unknown, "clients"),
        (query, "public_url"),
        (missing, "clients"),
    ] {
        let admin = admin(&server.uri());
        let error = provision(&admin, &plan, &secrets(), Duration::ZERO)
            .await
            .unwrap_err();
        assert!(error.to_string().starts_with(field), "{error}");
    }
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[test]
fn an_authority_that_is_not_there_is_an_error() {
    let mut admin = admin("https://keycloak:8443");
    admin.keycloak_ca_file = Some("/nowhere/ca.crt".into());
    let error = Api::new(&admin, "lotoai").err().unwrap();
    assert!(matches!(error, HttpError::Authority { .. }), "{error}");
}

/// The server gives a token for this password of its administrator.
async fn gives_a_token(server: &MockServer, password: &str, token: &str) {
    Mock::given(method("POST"))
        .and(path("/realms/master/protocol/openid-connect/token"))
        .and(body_string_contains(format!("password={password}")))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "access_token": token })))
        .mount(server)
        .await;
}

#[rstest::rstest]
#[tokio::test]
async fn an_administrator_with_the_password_of_before_gets_the_new_one(
    #[values(400, 401)] refusal: u16,
) {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(body_string_contains("password=secret"))
        .respond_with(
            ResponseTemplate::new(refusal).set_body_json(json!({ "error": "invalid_grant" })),
        )
        .up_to_n_times(1)
        .with_priority(1)
        .mount(&server)
        .await;
    gives_a_token(&server, "secret", "new").await;
    gives_a_token(&server, "old", "old").await;
    Mock::given(method("GET"))
        .and(path("/admin/realms/master/users"))
        .and(query_param("username", "root"))
        .and(query_param("exact", "true"))
        .and(header("authorization", "Bearer old"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([{ "id": "u-1" }])))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(method("PUT"))
        .and(path("/admin/realms/master/users/u-1/reset-password"))
        .and(header("authorization", "Bearer old"))
        .and(body_partial_json(
            json!({ "type": "password", "temporary": false, "value": "secret" }),
        ))
        .respond_with(ResponseTemplate::new(204))
        .expect(1)
        .mount(&server)
        .await;
    let mut admin = admin(&server.uri());
    admin.keycloak_password_standby = Some("old".into());
    let api = Api::new(&admin, "lotoai").unwrap();
    api.sign_in().await.unwrap();
    // The next request bears the token of the new one.
    Mock::given(method("GET"))
        .and(path(format!("{REALM}/x")))
        .and(header("authorization", "Bearer new"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([])))
        .mount(&server)
        .await;
    api.list::<Value>("ask", &["x"], &[]).await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_of_before_is_a_refusal() {
    for standby in [None, Some("wrong")] {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(401))
            .mount(&server)
            .await;
        let mut admin = admin(&server.uri());
        admin.keycloak_password_standby = standby.map(Into::into);
        let api = Api::new(&admin, "lotoai").unwrap();
        assert!(api.sign_in().await.is_err());
    }
}
