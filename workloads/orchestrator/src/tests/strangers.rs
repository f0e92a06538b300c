//! Calls of a service over gRPC by somebody who has no token of it. Other services' tests share this.

use lotoai_contracts::METHODS;
use lotoai_kit::callers::Callers;
use tonic::codegen::{Service as _, http};
use tonic::service::Routes;

const TOKEN: &str = "token-of-the-caller-0123456789";
const UNIMPLEMENTED: &str = "12";
const UNAUTHENTICATED: &str = "16";

/// The callers of a service that has one.
pub(crate) fn callers() -> Callers {
    Callers::new([("CALLER".to_owned(), TOKEN.to_owned().into())])
}

/// The status with which a call is refused before it is answered.
async fn refusal(mut routes: Routes, method: &str, authorization: Option<&str>) -> Option<String> {
    let mut request = http::Request::post(method)
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    // A message that is empty, after its length.
    let request = request.body("\0\0\0\0\0".to_owned()).unwrap();
    let response = routes.call(request).await.unwrap();
    let status = response.headers().get("grpc-status")?;
    Some(status.to_str().unwrap().to_owned())
}

/// Fails where a method of the service of this name, which stands behind [`callers`], answers without
/// the right token.
pub(crate) async fn are_refused_by_all_methods(service: &str, routes: &Routes) {
    let prefix = format!("/lotoai.v1.{service}/");
    let methods = METHODS.iter().copied();
    let methods: Vec<&str> = methods.filter(|it| it.starts_with(&prefix)).collect();
    assert!(!methods.is_empty(), "{service} has no methods");
    for method in methods {
        for wrong in [
            None,
            Some("Bearer "),
            Some("Bearer token-of-the-caller-012345678"),
            Some("Bearer token-of-somebody-0123456789"),
            Some("Basic token-of-the-caller-0123456789"),
        ] {
            let status = refusal(routes.clone(), method, wrong).await;
            assert_eq!(
                status.as_deref(),
                Some(UNAUTHENTICATED),
                "{method} {wrong:?}"
            );
        }
        // The control: who has the token is let in to a method that there is.
        let right = format!("Bearer {TOKEN}");
        let status = refusal(routes.clone(), method, Some(&right)).await;
        let is_let_in = !matches!(status.as_deref(), Some(UNAUTHENTICATED | UNIMPLEMENTED));
        assert!(is_let_in, "{method}: {status:?}");
    }
}
