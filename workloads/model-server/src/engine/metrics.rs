//! Names of the metrics, each in one place.

use std::time::Duration;

/// Tokens that a model read (`input`) or wrote (`output`).
pub(super) fn tokens(model: &'static str, kind: &'static str, count: usize) {
    metrics::counter!("lotoai_model_server_tokens_total", "model" => model, "kind" => kind)
        .increment(count as u64);
}

/// Seconds in a phase: `queue`, `first_token`, `generate` or `embed`.
pub(super) fn seconds(model: &'static str, phase: &'static str, elapsed: Duration) {
    metrics::histogram!("lotoai_model_server_phase_seconds", "model" => model, "phase" => phase)
        .record(elapsed.as_secs_f64());
}

/// Jobs that wait.
pub(super) fn queue_depth(model: &'static str, jobs: usize) {
    metrics::gauge!("lotoai_model_server_queue_jobs", "model" => model).set(jobs as f64);
}

/// A job was refused because the queue was full.
pub(super) fn refused(model: &'static str) {
    metrics::counter!("lotoai_model_server_refused_total", "model" => model).increment(1);
}

/// A job ended before its work was done because its client had gone.
pub(super) fn abandoned(model: &'static str) {
    metrics::counter!("lotoai_model_server_abandoned_total", "model" => model).increment(1);
}

/// Inputs that were cut at the embedding model's window.
pub(super) fn truncated(inputs: usize) {
    metrics::counter!("lotoai_model_server_truncated_inputs_total").increment(inputs as u64);
}

/// Answers that were ended because the model repeated itself.
pub(super) fn rambled() {
    metrics::counter!("lotoai_model_server_rambling_answers_total").increment(1);
}
