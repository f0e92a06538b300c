//! One run from its beginning to its one end.

use std::time::{Duration, Instant};

use lotoai_contracts::failures;
use lotoai_contracts::v1::{AnswerEvent, Finished, answer_event::Event};
use tokio_util::sync::CancellationToken;

use super::Work;
use crate::{
    failure::Failure,
    flows::{
        Done, Hub, PROBE,
        session::{Out, Session},
        tool,
    },
    store::Outcome,
};

/// The end of the process, as a run sees it.
#[derive(Debug, Clone)]
pub struct Stop {
    ended: CancellationToken,
}

impl Stop {
    /// `begun` is cancelled when the process is told to stop; runs may take `answers` from then on,
    /// also those that begin later. Needs a running tokio runtime.
    #[must_use]
    pub fn new(begun: CancellationToken, answers: Duration) -> Self {
        let ended = CancellationToken::new();
        let ends = ended.clone();
        tokio::spawn(async move {
            begun.cancelled().await;
            tokio::time::sleep(answers).await;
            ends.cancel();
        });
        Self { ended }
    }

    /// Waits until a run must end, so that its end can be told and stored.
    async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

/// Runs one answer to its one end.
pub(super) async fn run(hub: Hub, work: Work, out: Out, stop: Stop) {
    let started = Instant::now();
    let (mut session, work) = match work.check(out.clone()) {
        Ok(checked) => checked,
        Err(failure) => {
            count("none", &failure.code, started);
            last(&out, Event::Failed(failure.wire(false))).await;
            return;
        }
    };
    let limit = hub.args.request_timeout();
    let result = tokio::select! {
        // A caller who is gone pays for nothing more: dropping the work ends every call below it.
        () = out.closed() => Err(Failure::permanent(failures::CANCELLED, "the caller went away")),
        () = stop.ended() => Err(stopped()),
        result = tokio::time::timeout(limit, work.done(&hub, &mut session)) => {
            result.unwrap_or_else(|_| Err(too_slow(limit.as_secs())))
        }
    };
    let result = settled(&mut session, result).await;
    let outcome = outcome(&result);
    count(session.route, &outcome.outcome, started);
    if session.run.model != PROBE
        && !(session.may_go_on && result.is_err())
        && let Err(failure) = hub
            .store
            .finish(&session.run, &outcome, &session.steps)
            .await
    {
        tracing::error!(
            reason = failure.message,
            "the end of a run could not be stored"
        );
    }
    let event = match result {
        Ok(done) => Event::Finished(finished(done)),
        Err(failure) => {
            // The message may quote the prompt: the caller gets it, the log does not.
            tracing::warn!(code = failure.code, "a request failed");
            Event::Failed(failure.wire(session.model_asked))
        }
    };
    last(&out, event).await;
}

fn too_slow(seconds: u64) -> Failure {
    Failure::passing(
        failures::TIMEOUT,
        format!("the answer took longer than {seconds} s: ask for less, or try again"),
    )
}

fn stopped() -> Failure {
    Failure::passing(
        failures::TIMEOUT,
        "the orchestrator is being stopped, and the answer took longer than it may wait: try again",
    )
}

/// The result, but where the run was ended after it had begun to call a tool. That may do its work all
/// the same, and who heard a failure that passes would ask again, and have it done twice.
async fn settled(session: &mut Session, result: Result<Done, Failure>) -> Result<Done, Failure> {
    match (result, session.calling.take()) {
        (Err(failure), Some(calling)) if failure.retryable => {
            tool::cut_short(session, &calling, &failure.code).await
        }
        (result, _) => result,
    }
}

fn outcome(result: &Result<Done, Failure>) -> Outcome {
    let tokens = |count: Option<u64>| count.and_then(|count| i64::try_from(count).ok());
    match result {
        Ok(done) => Outcome {
            outcome: "ok".to_owned(),
            model: done.model.clone(),
            provider: done.provider.clone(),
            input_tokens: tokens(done.usage.as_ref().and_then(|usage| usage.input_tokens)),
            output_tokens: tokens(done.usage.as_ref().and_then(|usage| usage.output_tokens)),
        },
        Err(failure) => Outcome {
            outcome: failure.code.clone(),
            ..Outcome::default()
        },
    }
}

fn finished(done: Done) -> Finished {
    Finished {
        finish_reason: done.finish_reason,
        usage: done.usage,
        model: done.model,
        provider: done.provider,
    }
}

fn count(route: &'static str, outcome: &str, started: Instant) {
    let outcome = outcome.to_owned();
    metrics::counter!("lotoai_orchestrator_runs_total", "route" => route, "outcome" => outcome)
        .increment(1);
    metrics::histogram!("lotoai_orchestrator_run_duration_seconds", "route" => route)
        .record(started.elapsed().as_secs_f64());
}

async fn last(out: &Out, event: Event) {
    if out
        .send(Ok(AnswerEvent { event: Some(event) }))
        .await
        .is_err()
    {
        tracing::debug!("the caller went away before the end");
    }
}
