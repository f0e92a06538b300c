//! The query API.

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use lotoai_kit::callers::Callers;
use lotoai_kit::http_error::{ApiError, Shape};
use serde::Deserialize;

use crate::clickhouse::ClickHouse;
use crate::usage::{self, Period, Summary};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SummaryQuery {
    #[serde(default)]
    period: Period,
}

/// The routes; every one needs a caller's token.
pub fn router(clickhouse: ClickHouse, callers: &Callers) -> Router {
    Router::new()
        .route("/v1/usage/summary", get(summary))
        .with_state(clickhouse)
        .layer(callers.layer())
}

async fn summary(
    State(clickhouse): State<ClickHouse>,
    query: Result<Query<SummaryQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Summary>, ApiError> {
    let Query(query) = query.map_err(|error| {
        let message = format!("{error}; use period=today, week, month or all");
        error_of(StatusCode::BAD_REQUEST, "invalid_query", message).with_param("period")
    })?;
    let text = clickhouse
        .execute(&usage::summary(query.period))
        .await
        .map_err(|error| {
            tracing::warn!(error = %snafu::Report::from_error(&error), "no summary");
            let message = "usage figures are not available now; try again in a minute";
            error_of(
                StatusCode::SERVICE_UNAVAILABLE,
                "analytics_unavailable",
                message,
            )
        })?;
    serde_json::from_str(text.trim())
        .map(Json)
        .map_err(|error| {
            tracing::error!(error = %error, "ClickHouse gave another shape");
            error_of(
                StatusCode::BAD_GATEWAY,
                "analytics_unreadable",
                "the usage figures cannot be read",
            )
        })
}

/// Everything under `/v1` answers in OpenAI's shape, as the check of callers does.
fn error_of(status: StatusCode, code: &'static str, message: impl Into<String>) -> ApiError {
    ApiError::new(status, code, message).with_shape(Shape::OpenAi)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tokio_util::sync::CancellationToken;
    use wiremock::matchers::{body_string_contains, header, method};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::config::ClickHouseArgs;

    const TOKEN: &str = "0123456789abcdef0123";

    async fn ask(path: &str, token: &str, answer: ResponseTemplate) -> (u16, String) {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(header("X-ClickHouse-User", "analytics"))
            .and(body_string_contains("usage_events"))
            .respond_with(answer)
            .mount(&server)
            .await;
        let clickhouse = ClickHouse::new(&ClickHouseArgs::for_tests(&server.uri())).unwrap();
        let callers = Callers::new([("MCP_SERVER".to_owned(), TOKEN.into())]);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}{path}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let app = router(clickhouse, &callers);
        let serving = tokio::spawn(async move {
            axum::serve(listener, app)
                .with_graceful_shutdown(stopped)
                .await
                .unwrap();
        });
        let response = reqwest::Client::new()
            .get(url)
            .bearer_auth(token)
            .send()
            .await
            .unwrap();
        let result = (response.status().as_u16(), response.text().await.unwrap());
        stop.cancel();
        serving.await.unwrap();
        result
    }

    fn good() -> ResponseTemplate {
        ResponseTemplate::new(200).set_body_string(
            "{\"requests\":3,\"failed\":1,\"users\":2,\"input_tokens\":10,\"output_tokens\":20,\"median_duration_ms\":5}\n",
        )
    }

    #[tokio::test]
    async fn a_summary_is_json() {
        let (status, body) = ask("/v1/usage/summary?period=week", TOKEN, good()).await;
        assert_eq!(status, 200, "{body}");
        assert!(body.contains("\"requests\":3"), "{body}");
    }

    #[rstest]
    #[case("/v1/usage/summary", "wrong-token-wrong-token", good(), 401)]
    #[case("/v1/usage/summary?period=decade", TOKEN, good(), 400)]
    #[case("/v1/usage/summary?colour=blue", TOKEN, good(), 400)]
    #[case("/v1/usage/summary", TOKEN, ResponseTemplate::new(500), 503)]
    #[case("/v1/usage/summary", TOKEN, ResponseTemplate::new(200).set_body_string("x"), 502)]
    #[tokio::test]
    async fn what_goes_wrong_is_typed(
        #[case] path: &str,
        #[case] token: &str,
        #[case] answer: ResponseTemplate,
        #[case] expected: u16,
    ) {
        let (status, body) = ask(path, token, answer).await;
        assert_eq!(status, expected, "{body}");
        assert!(body.contains("\"error\""), "{body}");
    }
}
