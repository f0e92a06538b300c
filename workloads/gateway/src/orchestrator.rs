//! The client of the orchestrator.

use std::time::Duration;

use axum::http::StatusCode;
use futures::TryFutureExt as _;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use lotoai_contracts::failures;
use lotoai_contracts::v1::orchestrator_client::OrchestratorClient;
use lotoai_contracts::v1::{
    AnswerEvent, AnswerRequest, Caller, DecideApprovalRequest, ErasePersonRequest,
    ErasePersonResponse, ExportPersonRequest, ExportPersonResponse, Failed, ListApprovalsRequest,
    ListApprovalsResponse, ListModelsRequest, Model, RecordKind,
};
use lotoai_kit::MAX_GRPC_MESSAGE_BYTES;
use lotoai_kit::upstream::GrpcChannel;
use tonic::{Code, Status, Streaming};

use crate::config::LimitArgs;
use crate::failure::Failure;

/// A call that involves no model.
const SHORT_TIMEOUT: Duration = Duration::from_secs(10);

/// The events of one answer. Dropping it cancels the answer.
pub type Events = BoxStream<'static, Result<AnswerEvent, Failure>>;

/// The orchestrator. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Orchestrator {
    client: OrchestratorClient<GrpcChannel>,
    longest: Duration,
    silence: Duration,
}

impl Orchestrator {
    /// A client on `channel`.
    pub fn new(channel: GrpcChannel, limits: &LimitArgs) -> Self {
        let client = OrchestratorClient::new(channel)
            .max_decoding_message_size(MAX_GRPC_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_GRPC_MESSAGE_BYTES);
        Self {
            client,
            longest: limits.answer_max(),
            silence: limits.answer_idle(),
        }
    }

    /// The models that the caller may name.
    ///
    /// # Errors
    /// 503 when the orchestrator cannot be reached in time.
    pub async fn models(&self, caller: Caller) -> Result<Vec<Model>, Failure> {
        let mut client = self.client.clone();
        let request = short(ListModelsRequest {
            caller: Some(caller),
        });
        Ok(soon(client.list_models(request)).await?.models)
    }

    /// Asks for an answer. The call begins when the events are first polled; silence that is too
    /// long, or an answer that takes too long, ends it with 504.
    pub fn answer(&self, request: AnswerRequest) -> Events {
        let (mut client, request) = (self.client.clone(), self.bounded(request));
        let call = async move { client.answer(request).await };
        self.events(call, of_status)
    }

    /// A page of the caller's approvals.
    ///
    /// # Errors
    /// 503 when the orchestrator cannot be reached in time, 400 for a token that no page gave.
    pub async fn approvals(
        &self,
        request: ListApprovalsRequest,
    ) -> Result<ListApprovalsResponse, Failure> {
        let mut client = self.client.clone();
        soon(client.list_approvals(short(request))).await
    }

    /// Deletes everything that the orchestrator holds of a person; says how much. What is gone stays
    /// gone: who asks again after a failure goes on where it broke off.
    ///
    /// # Errors
    /// 503 when the orchestrator cannot be reached, 504 when it takes too long.
    pub async fn erase_person(&self, subject: &str) -> Result<ErasePersonResponse, Failure> {
        let mut all = ErasePersonResponse::default();
        loop {
            let mut client = self.client.clone();
            let request = short(ErasePersonRequest {
                subject: subject.to_owned(),
            });
            let part = soon(client.erase_person(request)).await?;
            all.approvals += part.approvals;
            all.decisions += part.decisions;
            all.runs += part.runs;
            if !part.more {
                return Ok(all);
            }
        }
    }

    /// A page of the records that the orchestrator holds of a person; the first one for an empty
    /// `page_token`.
    ///
    /// # Errors
    /// 503 when the orchestrator cannot be reached, 504 when it takes too long.
    pub async fn export_person(
        &self,
        subject: &str,
        kind: RecordKind,
        page_token: String,
    ) -> Result<ExportPersonResponse, Failure> {
        let mut client = self.client.clone();
        let request = short(ExportPersonRequest {
            subject: subject.to_owned(),
            kind: kind.into(),
            page_token,
        });
        soon(client.export_person(request)).await
    }

    /// Decides an approval, for the rest of its answer: events as [`Self::answer`] gives them.
    pub fn decide(&self, request: DecideApprovalRequest) -> Events {
        let (mut client, request) = (self.client.clone(), self.bounded(request));
        let call = async move { client.decide_approval(request).await };
        self.events(call, of_decision)
    }

    /// A call that takes no longer than an answer may.
    fn bounded<T>(&self, request: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(request);
        request.set_timeout(self.longest);
        request
    }

    /// The events of a call, which `failed` gives the failure of where it fails as a whole.
    fn events<F>(&self, call: F, failed: fn(&Status) -> Failure) -> Events
    where
        F: Future<Output = Result<tonic::Response<Streaming<AnswerEvent>>, Status>>
            + Send
            + 'static,
    {
        let call = call.map_ok(tonic::Response::into_inner);
        let events = stream::once(call)
            .try_flatten()
            .map_err(move |status| failed(&status));
        let silence = self.silence;
        let end = tokio::time::Instant::now() + self.longest;
        let bounded = stream::unfold(Some(events.boxed()), move |events| async move {
            let mut events: Events = events?;
            let now = tokio::time::Instant::now();
            // Also for a reader who is behind, for whom there always is a next event.
            if now >= end {
                return Some((Err(too_slow()), None));
            }
            let limit = end.min(now + silence);
            match tokio::time::timeout_at(limit, events.next()).await {
                Ok(Some(event)) => Some((event, Some(events))),
                Ok(None) => None,
                Err(_) => Some((Err(too_slow()), None)),
            }
        });
        bounded.boxed()
    }
}

/// A request that involves no model.
fn short<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(SHORT_TIMEOUT);
    request
}

/// What comes of a [`short`] request, in its time.
async fn soon<T>(
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(SHORT_TIMEOUT, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) if status.code() != Code::DeadlineExceeded => Err(of_status(&status)),
        Ok(Err(_)) | Err(_) => {
            tracing::error!("the orchestrator did not answer in time");
            Err(away())
        }
    }
}

/// 504 for an answer that was stopped.
pub fn too_slow() -> Failure {
    Failure::new(
        StatusCode::GATEWAY_TIMEOUT,
        "answer_timeout",
        "the answer took too long and was stopped; ask for less, or try again",
    )
}

/// A failure that the orchestrator reports within an answer.
pub fn of_failed(failed: Failed) -> Failure {
    let status = match failed.code.as_str() {
        failures::UNKNOWN_APPROVAL => return Failure::not_found("approval"),
        failures::APPROVAL_EXPIRED => StatusCode::GONE,
        failures::UNKNOWN_MODEL | failures::UNKNOWN_ROLE => StatusCode::NOT_FOUND,
        failures::INVALID_REQUEST | failures::UNSUPPORTED_PARAMETER => StatusCode::BAD_REQUEST,
        failures::DUPLICATE_RUN | failures::APPROVAL_DECIDED | failures::APPROVAL_OUTDATED => {
            StatusCode::CONFLICT
        }
        failures::RATE_LIMITED => StatusCode::TOO_MANY_REQUESTS,
        failures::TIMEOUT => StatusCode::GATEWAY_TIMEOUT,
        _ if failed.retryable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_GATEWAY,
    };
    let mut failure = Failure::new(status, failed.code, failed.message);
    failure.param = Some(failed.param).filter(|param| !param.is_empty());
    if status == StatusCode::NOT_FOUND {
        // The code that OpenAI's clients know.
        failure.code = "model_not_found".into();
        failure.param = Some("model".to_owned());
    }
    failure
}

/// A decision that failed as a whole.
fn of_decision(status: &Status) -> Failure {
    match status.code() {
        Code::NotFound => Failure::not_found("approval"),
        _ => of_status(status),
    }
}

/// A call that failed as a whole.
fn of_status(status: &Status) -> Failure {
    let message = || status.message().to_owned();
    match status.code() {
        Code::NotFound => {
            let mut failure = Failure::new(StatusCode::NOT_FOUND, "model_not_found", message());
            failure.param = Some("model".to_owned());
            failure
        }
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => {
            Failure::new(StatusCode::BAD_REQUEST, "invalid_value", message())
        }
        Code::ResourceExhausted => {
            Failure::new(StatusCode::TOO_MANY_REQUESTS, "overloaded", message())
        }
        Code::DeadlineExceeded => too_slow(),
        code => {
            // The message may tell of addresses inside the platform: it goes to the log only.
            tracing::error!(
                ?code,
                reason = status.message(),
                "the orchestrator failed a call"
            );
            away()
        }
    }
}

fn away() -> Failure {
    Failure::unavailable(
        "orchestrator_unavailable",
        "the orchestrator cannot be reached or failed; try again soon",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(failures::UNKNOWN_MODEL, false, 404, "model_not_found")]
    #[case(failures::UNKNOWN_ROLE, false, 404, "model_not_found")]
    #[case(failures::RATE_LIMITED, true, 429, "rate_limited")]
    #[case(failures::INVALID_REQUEST, false, 400, "invalid_request")]
    #[case(failures::UNSUPPORTED_PARAMETER, false, 400, "unsupported_parameter")]
    #[case(failures::DUPLICATE_RUN, false, 409, "duplicate_run")]
    #[case(failures::APPROVAL_DECIDED, false, 409, "approval_decided")]
    #[case(failures::APPROVAL_OUTDATED, false, 409, "approval_outdated")]
    #[case(failures::APPROVAL_EXPIRED, false, 410, "approval_expired")]
    #[case(failures::TIMEOUT, true, 504, "timeout")]
    #[case(failures::PROVIDER_UNAVAILABLE, true, 503, "provider_unavailable")]
    #[case(failures::PROVIDER_REFUSED, false, 502, "provider_refused")]
    #[case("rag_server_unavailable", true, 503, "rag_server_unavailable")]
    fn reported_failures_have_a_fitting_status(
        #[case] code: &str,
        #[case] retryable: bool,
        #[case] status: u16,
        #[case] shown: &str,
    ) {
        let failed = Failed {
            code: code.into(),
            message: "m".into(),
            retryable,
            param: "tools".into(),
            ..Failed::default()
        };
        let failure = of_failed(failed);
        let param = if status == 404 { "model" } else { "tools" };
        assert_eq!(failure.param.as_deref(), Some(param));
        assert_eq!(
            (failure.status.as_u16(), failure.code.as_ref()),
            (status, shown)
        );
    }

    #[test]
    fn an_approval_that_is_not_there_is_no_model() {
        let failed = Failed {
            code: failures::UNKNOWN_APPROVAL.into(),
            ..Failed::default()
        };
        let reported = of_failed(failed);
        let refused = of_decision(&Status::not_found("10.0.0.7 has none"));
        assert_eq!(reported, refused);
        assert_eq!(
            (reported.status.as_u16(), reported.code.as_ref()),
            (404, "approval_not_found")
        );
        // The control: any other call is about models.
        let other = of_status(&Status::not_found("none"));
        assert_eq!(other.code, "model_not_found");
        let away = of_decision(&Status::unavailable("10.0.0.7"));
        assert_eq!(away.code, "orchestrator_unavailable");
    }

    #[rstest::rstest]
    #[case(Some(Code::DeadlineExceeded))]
    #[case(None)]
    #[tokio::test(start_paused = true)]
    async fn a_call_without_a_model_that_is_slow_finds_nobody(#[case] code: Option<Code>) {
        let call = async {
            match code {
                Some(code) => Err(Status::new(code, "too late")),
                None => std::future::pending().await,
            }
        };
        let failure = soon::<()>(call).await.unwrap_err();
        assert_eq!(failure.code, "orchestrator_unavailable");
        // The control: no call is refused for less.
        let refused = soon::<()>(async { Err(Status::not_found("none")) }).await;
        assert_eq!(refused.unwrap_err().code, "model_not_found");
    }

    #[rstest::rstest]
    #[case(Code::Unavailable, 503, "orchestrator_unavailable")]
    #[case(Code::Unauthenticated, 503, "orchestrator_unavailable")]
    #[case(Code::DeadlineExceeded, 504, "answer_timeout")]
    #[case(Code::NotFound, 404, "model_not_found")]
    #[case(Code::InvalidArgument, 400, "invalid_value")]
    fn failed_calls_have_a_fitting_status(
        #[case] code: Code,
        #[case] status: u16,
        #[case] expected: &str,
    ) {
        let failure = of_status(&Status::new(code, "10.0.0.7 said no"));
        assert_eq!(
            (failure.status.as_u16(), failure.code.as_ref()),
            (status, expected)
        );
        assert_eq!(failure.message.contains("10.0.0.7"), status < 500);
    }
}
