use wiremock::matchers::{body_json, body_partial_json, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

fn admin(url: &str) -> RabbitmqAdmin {
    RabbitmqAdmin {
        rabbitmq_url: url.parse().unwrap(),
        rabbitmq_username: "admin".to_owned(),
        rabbitmq_password: "secret".into(),
        rabbitmq_password_standby: None,
        rabbitmq_ca_file: None,
    }
}

fn api<'a>(admin: &'a RabbitmqAdmin, vhost: &'a str) -> Api<'a> {
    Api {
        client: client(None).unwrap(),
        admin,
        vhost,
        start: Duration::ZERO,
    }
}

fn user(publish: bool, queue: Option<&str>) -> RabbitmqUser {
    RabbitmqUser {
        username: "gateway".to_owned(),
        password_env: "P".to_owned(),
        publish,
        queue: queue.map(str::to_owned),
    }
}

fn plan(users: Vec<RabbitmqUser>) -> RabbitmqPlan {
    RabbitmqPlan {
        vhost: "lotoai".to_owned(),
        users,
        retired: Vec::new(),
    }
}

async fn expect(server: &MockServer, verb: &str, at: &str, body: Value) {
    Mock::given(method(verb))
        .and(path(at))
        .and(header("authorization", "Basic YWRtaW46c2VjcmV0"))
        .and(body_partial_json(body))
        .respond_with(ResponseTemplate::new(201))
        .expect(1)
        .mount(server)
        .await;
}

#[test]
fn the_exchange_of_the_kit_is_the_one_that_is_created() {
    assert_eq!(lotoai_kit::rabbitmq::EXCHANGE, EXCHANGE);
}

#[test]
fn a_user_may_do_what_the_plan_says_and_nothing_else() {
    assert_eq!(
        permissions(&user(true, Some("gateway"))).unwrap(),
        json!({ "configure": "^$", "write": "^lotoai\\.events$", "read": "^gateway$" })
    );
    assert_eq!(
        permissions(&user(false, None)).unwrap(),
        json!({ "configure": "^$", "write": "^$", "read": "^$" })
    );
}

#[test]
fn a_queue_that_there_is_not_is_refused_with_those_that_there_are() {
    let error = permissions(&user(false, Some("gatewya")))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("\"gatewya\" is refused; use one of rag-ingest, gateway"),
        "{error}"
    );
}

#[tokio::test]
async fn exchanges_queues_bindings_and_users_are_created() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/api/overview"))
        .respond_with(ResponseTemplate::new(200))
        .expect(1)
        .mount(&server)
        .await;
    expect(&server, "PUT", "/api/vhosts/lotoai", json!({})).await;
    let everything = json!({ "configure": ".*", "write": ".*", "read": ".*" });
    expect(&server, "PUT", "/api/permissions/lotoai/admin", everything).await;
    let topic = json!({ "type": "topic", "durable": true });
    expect(&server, "PUT", "/api/exchanges/lotoai/lotoai.events", topic).await;
    let direct = json!({ "type": "direct", "durable": true });
    expect(&server, "PUT", "/api/exchanges/lotoai/lotoai.dead", direct).await;
    for queue in QUEUES {
        let at = format!("/api/queues/lotoai/{}", queue.name);
        let arguments = json!({ "durable": true, "arguments": {
            "x-queue-type": "quorum", "x-delivery-limit": 5, "x-dead-letter-exchange": "lotoai.dead",
            "x-dead-letter-routing-key": queue.name,
        }});
        expect(&server, "PUT", &at, arguments).await;
        expect(
            &server,
            "PUT",
            &format!("{at}.dead"),
            json!({ "durable": true }),
        )
        .await;
        let at = format!("/api/bindings/lotoai/e/lotoai.dead/q/{}.dead", queue.name);
        expect(&server, "POST", &at, json!({ "routing_key": queue.name })).await;
        for name in [queue.name.to_owned(), format!("{}.dead", queue.name)] {
            Mock::given(method("GET"))
                .and(path(format!("/api/queues/lotoai/{name}")))
                .respond_with(
                    ResponseTemplate::new(200).set_body_json(json!({ "state": "running" })),
                )
                .expect(1)
                .mount(&server)
                .await;
        }
        for key in queue.bindings {
            let at = format!("/api/bindings/lotoai/e/lotoai.events/q/{}", queue.name);
            expect(&server, "POST", &at, json!({ "routing_key": key })).await;
        }
    }
    let body = json!({ "password": "hunter2", "tags": "" });
    expect(&server, "PUT", "/api/users/gateway", body).await;
    let body = json!({ "configure": "^$", "write": "^lotoai\\.events$", "read": "^gateway$" });
    expect(&server, "PUT", "/api/permissions/lotoai/gateway", body).await;

    let plan = plan(vec![user(true, Some("gateway"))]);
    let secrets = Secrets::from_pairs(&[("P", "hunter2")]);
    provision(&admin(&server.uri()), &plan, &secrets, Duration::ZERO)
        .await
        .unwrap();
}

#[tokio::test]
async fn names_cannot_break_out_of_their_place_in_the_path() {
    let server = MockServer::start().await;
    Mock::given(method("PUT"))
        .and(path("/api/vhosts/a%2Fb%3Fc"))
        .and(body_json(json!({})))
        .respond_with(ResponseTemplate::new(201))
        .expect(1)
        .mount(&server)
        .await;
    let admin = admin(&server.uri());
    let api = api(&admin, "a/b?c");
    api.put("test", &["vhosts", api.vhost], json!({}))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_queue_with_other_settings_is_an_error_that_shows_the_answer() {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(400).set_body_string("inequivalent arg 'x-delivery-limit'");
    Mock::given(method("PUT"))
        .respond_with(answer)
        .mount(&server)
        .await;
    let admin = admin(&server.uri());
    let api = api(&admin, "lotoai");
    let error = api
        .declare("gateway", json!({}))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("create queue \"gateway\""), "{error}");
    assert!(error.contains("inequivalent arg"), "{error}");
}

#[tokio::test]
async fn a_missing_password_is_found_before_the_broker_is_touched() {
    let server = MockServer::start().await;
    let secrets = Secrets::from_pairs(&[]);
    let plan = plan(vec![user(true, None)]);
    let result = provision(&admin(&server.uri()), &plan, &secrets, Duration::ZERO).await;
    assert!(matches!(result, Err(Error::NoSecret { .. })), "{result:?}");
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_retired_user_is_deleted_and_one_that_is_gone_is_no_fault() {
    for (status, good) in [(204, true), (404, true), (403, false)] {
        let server = MockServer::start().await;
        Mock::given(method("DELETE"))
            .and(path("/api/users/gateway-b"))
            .and(header("authorization", "Basic YWRtaW46c2VjcmV0"))
            .respond_with(ResponseTemplate::new(status))
            .expect(1)
            .mount(&server)
            .await;
        let admin = admin(&server.uri());
        let api = api(&admin, "lotoai");
        assert_eq!(api.retire("gateway-b").await.is_ok(), good, "{status}");
    }
}

/// The server knows the password of before (`old`) and no other until it is told one.
async fn knows_the_old_password(server: &MockServer, told: u16) {
    let basic = |password: &str| wiremock::matchers::basic_auth("admin", password);
    let overview = || Mock::given(method("GET")).and(path("/api/overview"));
    overview()
        .and(basic("secret"))
        .respond_with(ResponseTemplate::new(401))
        .up_to_n_times(1)
        .mount(server)
        .await;
    overview()
        .and(basic("secret"))
        .respond_with(ResponseTemplate::new(200))
        .mount(server)
        .await;
    Mock::given(method("PUT"))
        .and(path("/api/users/admin"))
        .and(basic("old"))
        .and(body_json(
            json!({ "password": "secret", "tags": "administrator" }),
        ))
        .respond_with(ResponseTemplate::new(told))
        .mount(server)
        .await;
}

#[tokio::test]
async fn an_administrator_with_the_password_of_before_gets_the_new_one() {
    let server = MockServer::start().await;
    knows_the_old_password(&server, 204).await;
    let mut admin = admin(&server.uri());
    admin.rabbitmq_password_standby = Some("old".into());
    api(&admin, "lotoai").sign_in().await.unwrap();
    // It is known now.
    let before = server.received_requests().await.unwrap().len();
    api(&admin, "lotoai").sign_in().await.unwrap();
    assert_eq!(server.received_requests().await.unwrap().len(), before + 1);
}

#[tokio::test]
async fn without_it_or_with_a_wrong_one_the_administrator_is_refused() {
    for standby in [None, Some("wrong")] {
        let server = MockServer::start().await;
        knows_the_old_password(&server, 204).await;
        let mut admin = admin(&server.uri());
        admin.rabbitmq_password_standby = standby.map(Into::into);
        assert!(
            api(&admin, "lotoai").sign_in().await.is_err(),
            "{standby:?}"
        );
    }
}
