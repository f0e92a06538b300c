use axum::Router;
use axum::routing::get;
use rstest::rstest;
use tower::ServiceExt;

use super::*;

const GATEWAY: &str = "gateway-token-0123456789";
const INGEST: &str = "rag-ingest-token-01234567";

fn callers() -> Callers {
    Callers::new([
        ("GATEWAY".to_owned(), GATEWAY.into()),
        ("RAG_INGEST".to_owned(), INGEST.into()),
        ("WEAK".to_owned(), "short".into()),
    ])
}

#[rstest]
#[case(GATEWAY, "gateway")]
#[case(INGEST, "rag-ingest")]
fn a_right_token_tells_who_calls(#[case] token: &str, #[case] name: &str) {
    let callers = callers();
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let caller = callers.check(Some(&format!("{scheme} {token}"))).unwrap();
        assert_eq!(caller.name, name);
    }
}

#[rstest]
#[case::none(None)]
#[case::empty(Some(""))]
#[case::no_scheme(Some(GATEWAY))]
#[case::other_scheme(Some("Basic gateway-token-0123456789"))]
#[case::empty_token(Some("Bearer "))]
#[case::prefix(Some("Bearer gateway-token-012345678"))]
#[case::longer(Some("Bearer gateway-token-01234567890"))]
#[case::other_case(Some("Bearer GATEWAY-token-0123456789"))]
#[case::two(Some("Bearer gateway-token-0123456789 rag-ingest-token-01234567"))]
#[case::short_tokens_do_not_count(Some("Bearer short"))]
fn anything_else_is_refused(#[case] header: Option<&str>) {
    assert_eq!(callers().check(header).unwrap_err(), Unauthorized);
}

#[test]
fn during_a_rotation_two_tokens_of_a_caller_are_right_and_no_third_one() {
    const NEW: &str = "gateway-token-new-9876543210";
    let callers = Callers::new([
        ("GATEWAY".to_owned(), GATEWAY.into()),
        ("GATEWAY_STANDBY".to_owned(), NEW.into()),
    ]);
    for token in [GATEWAY, NEW] {
        let caller = callers.check(Some(&format!("Bearer {token}"))).unwrap();
        assert_eq!(caller.name, "gateway");
    }
    assert!(callers.check(Some(&format!("Bearer {INGEST}"))).is_err());
}

#[test]
fn without_any_token_every_call_is_refused() {
    let nobody = Callers::new([]);
    assert!(nobody.check(Some("Bearer ")).is_err());
    assert!(nobody.check(Some(&format!("Bearer {GATEWAY}"))).is_err());
}

#[test]
fn tokens_are_not_kept() {
    assert!(!format!("{:?}", callers()).contains(GATEWAY));
}

async fn call(authorization: Option<&str>) -> (StatusCode, String) {
    let router = Router::new()
        .route(
            "/",
            get(|caller: axum::Extension<CallerName>| async move { caller.0.0.to_string() }),
        )
        .layer(callers().layer());
    let mut request = Request::get("/");
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    let response = router
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 65_536)
        .await
        .unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn the_layer_lets_a_caller_in_by_name_and_keeps_the_rest_out() {
    assert_eq!(
        call(Some(&format!("Bearer {INGEST}"))).await,
        (StatusCode::OK, "rag-ingest".into())
    );
    for wrong in [None, Some("Bearer wrong-token-0123456789")] {
        let (status, body) = call(wrong).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(body.contains(r#""code":"invalid_token""#), "{body}");
    }
}

#[cfg(feature = "grpc")]
#[test]
fn the_interceptor_does_the_same() {
    use tonic::service::Interceptor;

    let mut interceptor = callers().interceptor();
    let mut call = |token: Option<&str>| {
        let mut request = tonic::Request::new(());
        if let Some(token) = token {
            request
                .metadata_mut()
                .insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        interceptor.call(request)
    };
    let request = call(Some(GATEWAY)).unwrap();
    assert_eq!(
        &*request.extensions().get::<CallerName>().unwrap().0,
        "gateway"
    );
    for wrong in [None, Some("wrong-token-0123456789")] {
        assert_eq!(
            call(wrong).unwrap_err().code(),
            tonic::Code::Unauthenticated
        );
    }
}

/// A comparison that stops at the first difference is slower the longer the common prefix is. Ours
/// compares digests, so a token that shares a prefix has nothing in common with the right one.
/// Negative control: the tokens themselves do share it.
#[test]
fn a_wrong_token_shares_nothing_with_the_right_one_where_they_are_compared() {
    let (right, wrong) = ("a".repeat(32), format!("{}b", "a".repeat(31)));
    let shared =
        |left: &[u8], right: &[u8]| left.iter().zip(right).take_while(|(l, r)| l == r).count();
    assert_eq!(shared(right.as_bytes(), wrong.as_bytes()), 31);
    assert!(shared(&digest(&right), &digest(&wrong)) < 4);
}
