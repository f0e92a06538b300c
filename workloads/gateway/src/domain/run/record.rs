//! What is stored and measured of a run that is over.

use std::sync::Arc;
use std::time::Duration;

use lotoai_contracts::events::UsageRecorded;
use lotoai_policy::probe;
use serde_json::Value;

use super::{CANCELLED, Run};
use crate::budget::estimate::Progress;
use crate::domain::end::Record;
use crate::failure::Failure;
use crate::store::{Answer, NewResponse, RunEnd, StreamEnd};

impl Run {
    /// What is stored of it now that it ends with `outcome`; counts it too.
    pub(super) fn record(&self, outcome: &str, failure: Option<&Failure>) -> Record {
        let duration = self.started.elapsed();
        let route = self.transcript.route().to_owned();
        metrics::histogram!("lotoai_gateway_answer_seconds",
            "route" => route.clone(), "outcome" => outcome.to_owned())
        .record(duration.as_secs_f64());
        if let Some(first_token) = self.first_token {
            metrics::histogram!("lotoai_gateway_first_token_seconds", "route" => route.clone())
                .record(first_token.as_secs_f64());
        }
        let model = &self.requested_model;
        if failure.is_some() || self.question.streams {
            tracing::info!(run_id = %self.id, model, outcome, route, "a run ends");
        } else {
            // The line of its request tells of it at the same time.
            tracing::debug!(run_id = %self.id, model, outcome, route, "a run ends");
        }
        let spending = self.charge.close(
            &self.state,
            Progress {
                finished: self.transcript.finished.as_ref(),
                may_have_asked: self.transcript.may_have_asked(),
                text_bytes: self.transcript.written_bytes(),
                outcome,
            },
        );
        let finished = self.transcript.finished.clone().unwrap_or_default();
        let usage = finished.usage.unwrap_or_default();
        let end = || StreamEnd {
            run_id: self.id,
            failure: failure.map(Failure::to_stored),
            finish_reason: self.transcript.finish_reason().to_owned(),
            provider: finished.provider.clone(),
            tokens: usage.input_tokens.zip(usage.output_tokens),
        };
        let stream = self.resumable.then(end);
        let undone = failure
            .filter(|_| outcome != CANCELLED)
            .and_then(|_| self.question.undone(self.conversation_id, &self.transcript));
        // A decision that did not come through leaves nothing in its conversation: it is made again.
        let is_left = undone.is_none()
            && (failure.is_none() || self.decides.is_none() || self.transcript.is_begun());
        let place = self.conversation_id.filter(|_| is_left);
        // Without an answer there is none to give back.
        let kept = self.repeated.as_ref().filter(|_| place.is_some());
        let response = kept.map(|repeated| NewResponse {
            inputs: self.question.messages.clone(),
            model: self.requested_model.clone(),
            repeated: repeated.clone(),
            end: end(),
        });
        let event = UsageRecorded {
            run_id: self.id.to_string(),
            ended_at: jiff::Timestamp::now().to_string(),
            subject: self.subject.clone(),
            requested_model: self.requested_model.clone(),
            model: finished.model.clone(),
            provider: finished.provider,
            route,
            outcome: outcome.to_owned(),
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            first_token_ms: self.first_token.map(milliseconds),
            duration_ms: milliseconds(duration),
        };
        let answer = place.map(|conversation_id| Answer {
            conversation_id,
            run_id: self.id,
            content: self.transcript.text.clone(),
            outcome: outcome.to_owned(),
            model: Some(finished.model).filter(|model| !model.is_empty()),
            decision: self.transcript.decision.clone(),
            citations: Value::Array(self.transcript.citations.clone()),
            tool_calls: Value::Array(self.transcript.tool_calls.clone()),
            approvals: self.transcript.approvals.clone(),
            function_calls: self.transcript.function_calls.clone(),
        });
        let end = RunEnd {
            answer,
            asked: self.transcript.approval_ids(),
            decided: self
                .decides
                .filter(|_| failure.is_none())
                .map(|approval| (approval, self.id)),
            stream,
            response,
            undone,
            event,
            spending,
            is_reserved: self.charge.is_reserved(),
        };
        Record {
            end: Arc::new(end),
            is_probe: self.requested_model == probe::MODEL,
            until: (self.started + self.state.limits.answer_lease()).into(),
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
