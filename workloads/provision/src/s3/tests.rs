use rstest::rstest;
use wiremock::matchers::{
    body_json, body_string_contains, header_exists, header_regex, method, path, query_param,
};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::plan::{Access, S3User};

fn admin(url: &str) -> S3Admin {
    S3Admin {
        s3_url: url.parse().unwrap(),
        s3_region: "us-east-1".to_owned(),
        s3_username: "root".to_owned(),
        s3_password: "root-password".into(),
        s3_password_standby: None,
        s3_ca_file: None,
        s3_path_style: true,
    }
}

fn plan(access: Access) -> S3Plan {
    let user = S3User {
        username: "gateway".to_owned(),
        password_env: "P".to_owned(),
        bucket: "documents".to_owned(),
        access,
    };
    S3Plan {
        buckets: Vec::new(),
        users: vec![user],
        retired: Vec::new(),
    }
}

async fn run(server: &MockServer) -> Result<(), Error> {
    let secrets = Secrets::from_pairs(&[("P", "hunter2-hunter2")]);
    let plan = plan(Access::ReadWrite);
    provision(&admin(&server.uri()), &plan, &secrets, Duration::ZERO).await
}

async fn answer(server: &MockServer, verb: &str, at: &str, status: u16, body: &str) {
    Mock::given(method(verb))
        .and(path(at))
        .and(header_regex(
            "authorization",
            "^AWS4-HMAC-SHA256 Credential=root/.*/us-east-1/s3/",
        ))
        .and(header_exists("x-amz-content-sha256"))
        .respond_with(ResponseTemplate::new(status).set_body_string(body))
        .expect(1)
        .mount(server)
        .await;
}

#[tokio::test]
async fn bucket_policy_user_and_mapping_are_made_and_the_password_is_not_readable() {
    let server = MockServer::start().await;
    answer(&server, "GET", "/", 200, "").await;
    let there = "<Error><Code>BucketAlreadyOwnedByYou</Code></Error>";
    answer(&server, "PUT", "/documents", 409, there).await;
    Mock::given(method("PUT"))
        .and(path("/minio/admin/v3/add-canned-policy"))
        .and(query_param("name", "lotoai-gateway"))
        .and(body_json(policy::document("documents", Access::ReadWrite)))
        .respond_with(ResponseTemplate::new(200))
        .expect(1)
        .mount(&server)
        .await;
    answer(&server, "PUT", "/minio/admin/v3/add-user", 200, "").await;
    Mock::given(method("PUT"))
        .and(path("/minio/admin/v3/set-user-or-group-policy"))
        .and(query_param("policyName", "lotoai-gateway"))
        .and(query_param("userOrGroup", "gateway"))
        .and(query_param("isGroup", "false"))
        .respond_with(ResponseTemplate::new(200))
        .expect(1)
        .mount(&server)
        .await;
    run(&server).await.unwrap();
    for request in server.received_requests().await.unwrap() {
        let text = String::from_utf8_lossy(&request.body).into_owned() + request.url.as_str();
        assert!(!text.contains("hunter2"), "{}", request.url);
    }
}

async fn run_without_accounts(server: &MockServer) -> Result<(), Error> {
    let plan = S3Plan {
        buckets: vec!["documents".to_owned()],
        users: Vec::new(),
        retired: Vec::new(),
    };
    let mut admin = admin(&server.uri());
    admin.s3_region = "eu-central-1".to_owned();
    provision(&admin, &plan, &Secrets::from_pairs(&[]), Duration::ZERO).await
}

async fn head(server: &MockServer, status: u16) {
    Mock::given(method("HEAD"))
        .and(path("/documents"))
        .and(header_regex("authorization", "/eu-central-1/s3/"))
        .respond_with(ResponseTemplate::new(status))
        .expect(1)
        .mount(server)
        .await;
}

#[tokio::test]
async fn a_bucket_that_is_there_is_left_alone_and_no_account_is_made() {
    let server = MockServer::start().await;
    head(&server, 200).await;
    run_without_accounts(&server).await.unwrap();
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_bucket_that_is_missing_is_made_in_its_region() {
    let server = MockServer::start().await;
    head(&server, 404).await;
    Mock::given(method("PUT"))
        .and(path("/documents"))
        .and(body_string_contains(
            "<LocationConstraint>eu-central-1</LocationConstraint>",
        ))
        .respond_with(ResponseTemplate::new(200))
        .expect(1)
        .mount(&server)
        .await;
    run_without_accounts(&server).await.unwrap();
}

#[tokio::test]
async fn a_key_that_may_not_see_the_bucket_is_an_error_that_names_it() {
    let server = MockServer::start().await;
    head(&server, 403).await;
    let error = run_without_accounts(&server).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        cause.contains("look for bucket \"documents\"") && cause.contains("403"),
        "{cause}"
    );
}

#[test]
fn the_bucket_may_stand_before_the_host() {
    let mut admin = admin("https://s3.example.com");
    let url = |admin: &S3Admin| Api::new(admin).unwrap().bucket("documents").to_string();
    assert_eq!(url(&admin), "https://s3.example.com/documents");
    admin.s3_path_style = false;
    assert_eq!(url(&admin), "https://documents.s3.example.com/");
}

#[tokio::test]
async fn a_wrong_root_password_is_an_error_that_says_so() {
    let server = MockServer::start().await;
    answer(
        &server,
        "GET",
        "/",
        403,
        "<Code>SignatureDoesNotMatch</Code>",
    )
    .await;
    let error = run(&server).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        cause.contains("failed to reach MinIO") && cause.contains("SignatureDoesNotMatch"),
        "{cause}"
    );
}

/// Servers that are on their way to another root password refuse it until they have started with it.
#[tokio::test]
async fn a_root_password_that_is_about_to_be_known_is_waited_for() {
    for (standby, is_waited_for) in [(None, false), (Some("old"), true)] {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .respond_with(ResponseTemplate::new(403))
            .up_to_n_times(2)
            .mount(&server)
            .await;
        one_user(&server).await;
        let mut admin = admin(&server.uri());
        admin.s3_password_standby = standby.map(Into::into);
        let secrets = Secrets::from_pairs(&[("P", "hunter2-hunter2")]);
        let plan = plan(Access::ReadWrite);
        let patience = Duration::from_secs(60);
        let outcome = provision(&admin, &plan, &secrets, patience).await;
        assert_eq!(outcome.is_ok(), is_waited_for, "{outcome:?}");
    }
}

#[tokio::test]
async fn a_conflict_of_another_kind_is_an_error() {
    let server = MockServer::start().await;
    answer(&server, "GET", "/", 200, "").await;
    answer(
        &server,
        "PUT",
        "/documents",
        409,
        "<Code>OperationAborted</Code>",
    )
    .await;
    assert!(run(&server).await.is_err());
}

#[rstest]
#[case("ab")]
#[case("Documents")]
#[case("a/b")]
#[case("-documents")]
#[case("documents-")]
fn a_bucket_name_that_s3_refuses_is_refused_first(#[case] bucket: &str) {
    assert!(
        check_bucket("users[].bucket", bucket)
            .unwrap_err()
            .to_string()
            .contains("use 3 to 63")
    );
}

async fn goes(server: &MockServer, call: &str, key: &str, name: &str, status: u16) {
    Mock::given(method("DELETE"))
        .and(path(format!("/minio/admin/v3/{call}")))
        .and(query_param(key, name))
        .respond_with(ResponseTemplate::new(status))
        .expect(1)
        .mount(server)
        .await;
}

#[tokio::test]
async fn a_retired_user_is_deleted_and_one_that_is_gone_is_no_fault() {
    for (status, expected) in [(200, Some(true)), (404, Some(false)), (403, None)] {
        let server = MockServer::start().await;
        goes(&server, "remove-user", "accessKey", "gateway-b", status).await;
        goes(
            &server,
            "remove-canned-policy",
            "name",
            "lotoai-gateway-b",
            status,
        )
        .await;
        let api = Api::new(&admin(&server.uri())).unwrap();
        assert_eq!(api.delete_user("gateway-b").await.ok(), expected);
        let policy = policy::name("gateway-b");
        assert_eq!(api.delete_policy(&policy).await.ok(), expected);
    }
}

/// Everything that a plan with one user asks for before anybody is retired.
async fn one_user(server: &MockServer) {
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200))
        .mount(server)
        .await;
    Mock::given(method("PUT"))
        .respond_with(ResponseTemplate::new(200))
        .mount(server)
        .await;
}

#[tokio::test]
async fn who_is_retired_goes_before_its_policy_and_nobody_else_does() {
    let server = MockServer::start().await;
    one_user(&server).await;
    goes(&server, "remove-user", "accessKey", "gateway-b", 200).await;
    goes(
        &server,
        "remove-canned-policy",
        "name",
        "lotoai-gateway-b",
        200,
    )
    .await;
    let mut plan = plan(Access::ReadWrite);
    plan.retired = vec!["gateway-b".to_owned()];
    let secrets = Secrets::from_pairs(&[("P", "hunter2-hunter2")]);
    provision(&admin(&server.uri()), &plan, &secrets, Duration::ZERO)
        .await
        .unwrap();
    let requests = server.received_requests().await.unwrap();
    let deleted: Vec<_> = requests
        .iter()
        .filter(|request| request.method == "DELETE")
        .map(|request| request.url.query().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(deleted, ["accessKey=gateway-b", "name=lotoai-gateway-b"]);
}
