use rstest::rstest;
use wiremock::matchers::{body_json, header_exists, header_regex, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::plan::{Access, S3User};

fn admin(url: &str) -> S3Admin {
    S3Admin {
        s3_url: url.parse().unwrap(),
        s3_region: "us-east-1".to_owned(),
        s3_username: "root".to_owned(),
        s3_password: "root-password".into(),
    }
}

fn plan(access: Access) -> S3Plan {
    let user = S3User {
        username: "gateway".to_owned(),
        password_env: "P".to_owned(),
        bucket: "documents".to_owned(),
        access,
    };
    S3Plan { users: vec![user] }
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
        check_bucket(bucket)
            .unwrap_err()
            .to_string()
            .contains("use 3 to 63")
    );
}
