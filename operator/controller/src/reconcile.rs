//! One pass over a resource: the order of the stages, and what a pass comes to.
//!
//! Nothing is read or written here but through the stages.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};
use lotoai_api::{LotoAI, reasons};
use lotoai_plan::events::{self, Facts, Failed, Turn};
use lotoai_plan::rotation;
use lotoai_plan::{
    Gates, Invalid, Judgement, Observed, Outcome, Pass, Platform, Prepared, ProbeOutcome,
    ResourceSet,
};
use snafu::ResultExt;
use tracing::Instrument;

use crate::apply::{self, Owner, Sent};
use crate::context::Context;
use crate::credentials::Changes;
use crate::error::{
    ApplySnafu, CredentialsSnafu, DereferenceSnafu, Error, ErrorClass, PruneSnafu, ReportSnafu,
    RetainSnafu, chain,
};
use crate::metrics::{self, Step};
use crate::object::{Desired, Existing};
use crate::pace::Done;
use crate::panics::caught;
use crate::probe::Key;
use crate::{credentials, dereference, prune, question, report, retain, tls, unread};

/// One pass.
///
/// # Errors
/// The first failure of a stage. Status and events tell it already.
pub async fn reconcile(
    object: Arc<DeserializeGuard<LotoAI>>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    let meta = object.meta();
    let span = tracing::info_span!(
        "reconcile",
        namespace = meta.namespace,
        name = meta.name,
        generation = meta.generation,
        outcome = tracing::field::Empty,
    );
    // It is never closed.
    let _turn = context.turns.acquire().await;
    let started = Instant::now();
    let result = Box::pin(guard(&object, &context))
        .instrument(span.clone())
        .await;
    let outcome = result
        .as_ref()
        .map_or_else(Error::outcome, |done| done.name());
    metrics::reconciled(&Key::of(meta), outcome, started.elapsed());
    span.record("outcome", outcome);
    span.in_scope(|| log(&result, started.elapsed()));
    let done = result?;
    let uid = meta.uid.as_deref().unwrap_or_default();
    if context.passed(uid) {
        // The next failure is a new event, not a repetition of the last one.
        context.recorder.forget(object.as_ref());
    }
    Ok(done.action())
}

/// What to do after a failed pass.
pub fn failed(
    object: Arc<DeserializeGuard<LotoAI>>,
    error: &Error,
    context: Arc<Context>,
) -> Action {
    error.action(context.failed(object.meta().uid.as_deref().unwrap_or_default()))
}

fn log(result: &Result<Done, Error>, elapsed: Duration) {
    let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    match result {
        Ok(_) => tracing::debug!(elapsed_ms, "pass ended"),
        Err(error) if error.class() == ErrorClass::Conflict => {
            tracing::info!(elapsed_ms, error = %chain(error), "pass is repeated");
        }
        Err(error) if error.class() == ErrorClass::Bug => {
            tracing::error!(elapsed_ms, reason = error.reason(), error = %chain(error), "pass failed");
        }
        Err(error) => {
            tracing::warn!(elapsed_ms, reason = error.reason(), error = %chain(error), "pass failed");
        }
    }
}

async fn guard(object: &DeserializeGuard<LotoAI>, context: &Context) -> Result<Done, Error> {
    match &object.0 {
        Ok(loto) => match caught(Box::pin(pass(loto, context))).await {
            Some(result) => result,
            None => {
                let error = Error::Panicked;
                // What tells of failures may be what panics.
                caught(report::failed(&context.recorder, object, &error)).await;
                Err(error)
            }
        },
        Err(invalid) => {
            let error = Error::ReadResource {
                cause: unread::words(&invalid.error),
            };
            report::failed(&context.recorder, object, &error).await;
            unread::report(&context.client, object.meta(), &error).await;
            unread::measure(&context.probes, object.meta());
            Err(error)
        }
    }
}

/// How far a pass came, for the status.
#[derive(Default)]
struct Seen {
    observed: Observed,
    platform: Option<Platform>,
    planned: Option<(ResourceSet<Prepared>, Gates)>,
    faults: Vec<Invalid>,
    facts: Facts,
}

async fn pass(loto: &LotoAI, context: &Context) -> Result<Done, Error> {
    let mut seen = Seen::default();
    let deleting = loto.meta().deletion_timestamp.is_some();
    let result = if deleting {
        Ok(Done::Deleting)
    } else {
        let stages = caught(Box::pin(stages(loto, context, &mut seen))).await;
        stages.unwrap_or(Err(Error::Panicked))
    };
    let is_at_rest = deleting || loto.spec.paused || loto.spec.suspend;
    let probe = probe(loto, context, &seen, is_at_rest);
    let judgement = judge(loto, context, &seen, &probe, &result);
    if !is_at_rest {
        metrics::ready(&Key::of(&loto.metadata), is_ready(&judgement));
    }
    let wrote = Step::begin("report")
        .end(report::write(&context.client, loto, &judgement.status).await)
        .context(ReportSnafu);
    // What a person must mend is told by the transition to Stalled.
    seen.facts.failure = result
        .as_ref()
        .err()
        .filter(|error| matches!(error.class(), ErrorClass::Transient | ErrorClass::Bug))
        .map(|error| Failed {
            reason: error.reason(),
            action: error.attempt(),
            message: chain(error),
        });
    tell(loto, context, &seen.facts, &judgement, wrote.is_ok()).await;
    let done = result?;
    wrote?;
    Ok(done.after(&judgement, Timestamp::now()))
}

/// Publishes what the pass adds to the story. A status that could not be written is written by a
/// later pass, which then tells what it says.
async fn tell(
    loto: &LotoAI,
    context: &Context,
    facts: &Facts,
    judgement: &Judgement,
    written: bool,
) {
    let before = loto.status.as_ref();
    let events = if written {
        let turn = Turn {
            before,
            after: judgement,
            facts,
        };
        let uid = loto.uid().unwrap_or_default();
        context.story(&uid, |story| story.tell(&turn, Timestamp::now()))
    } else {
        facts.events(false)
    };
    report::tell(&context.recorder, loto, events).await;
}

async fn look(loto: &LotoAI, context: &Context) -> Result<(Observed, Existing), Error> {
    let looked = dereference::dereference(&context.client, loto, &context.applied).await;
    let looked = Step::begin("dereference").end(looked);
    looked.context(DereferenceSnafu)
}

/// Guarded resource in, everything written that may be written.
async fn stages(loto: &LotoAI, context: &Context, seen: &mut Seen) -> Result<Done, Error> {
    let client = &context.client;
    let (observed, mut existing) = look(loto, context).await?;
    seen.observed = observed;
    let retained = Step::begin("retain").end(retain::retain(client, loto, &seen.observed).await);
    if retained.context(RetainSnafu)? {
        (seen.observed, existing) = look(loto, context).await?;
    }
    context.lacks_only(&seen.observed.missing_kinds);
    let platform = Step::begin("validate")
        .end(lotoai_plan::validate(loto, &seen.observed, &context.env))
        .map_err(|faults| {
            let texts = faults.iter().map(ToString::to_string).collect();
            seen.faults = faults;
            Error::InvalidSpec { faults: texts }
        })?;
    let platform = seen.platform.insert(platform);
    if platform.spec.paused {
        return Ok(Done::Paused);
    }
    if !report::withdraw(client, loto).await.context(ReportSnafu)? {
        return Ok(Done::Deleting);
    }
    let now = Timestamp::now();
    let given = tls::given::given(platform, &seen.observed, now).map_err(|fault| {
        let faults = vec![fault.to_string()];
        seen.faults.push(fault);
        Error::InvalidSpec { faults }
    })?;
    let required = lotoai_plan::required_secrets(platform);
    let mut changes = Changes::default();
    let credentials = Step::begin("credentials").end(
        credentials::credentials(
            client,
            platform,
            &seen.observed,
            &required,
            given.as_ref(),
            &mut changes,
            now,
        )
        .await,
    );
    seen.facts.made = changes.made;
    seen.facts.renewed = changes.renewed;
    seen.facts.prepared = changes.prepared;
    let credentials = credentials.context(CredentialsSnafu)?;
    let (prepared, gates) = lotoai_plan::plan(platform, &credentials, &seen.observed);
    let asleep = lotoai_plan::asleep(platform, &seen.observed);
    let desired: Vec<Desired> = lotoai_plan::in_order(platform, prepared.objects())
        .into_iter()
        .map(|planned| {
            let id = planned.id();
            Desired {
                held: gates.held(&id).is_some(),
                wake: asleep.get(&id).copied(),
                planned,
            }
        })
        .collect();
    seen.facts.provisioned = Some(events::provisioned(&prepared, &seen.observed));
    seen.planned = Some((prepared, gates));
    let owner = Owner {
        namespace: &platform.namespace,
        uid: &platform.uid,
    };
    let depends = |object: &Desired, refused: &Desired| {
        lotoai_plan::depends(platform, &object.planned, &refused.planned)
    };
    let mut sent = Vec::new();
    let applied = Step::begin("apply").end(
        apply::apply(
            client,
            owner,
            &existing,
            &context.applied,
            &desired,
            &depends,
            &mut sent,
        )
        .await,
    );
    take_over(sent, platform, &mut seen.observed, &mut seen.facts);
    let refused = match applied.context(ApplySnafu) {
        Err(error) if error.is_refusal() => Some(error),
        other => {
            other?;
            None
        }
    };
    // What is refused may be to take the place of what would go.
    let mut pruned = Ok(());
    if refused.is_none() {
        let ids = desired.iter().map(Desired::id).collect();
        let gone = &mut seen.facts.pruned;
        pruned = Step::begin("prune")
            .end(prune::prune(client, owner, &existing, &ids, &context.applied, gone).await)
            .context(PruneSnafu);
    }
    let prepared = seen.planned.as_ref().map(|(prepared, _)| prepared);
    let now = Timestamp::now();
    let steps = prepared.map(|set| rotation::next(platform, set, &seen.observed, now));
    let steps = steps.unwrap_or_default();
    let taken = &mut seen.facts.rotated;
    // A rotation must not stand half-way because of an object that has no part in it, be it one that
    // cannot go; the steps wait for those that have.
    let rotated = Step::begin("rotate")
        .end(credentials::rotate(client, platform, &seen.observed, steps, taken).await)
        .context(CredentialsSnafu);
    if let Some(error) = refused {
        return Err(error);
    }
    pruned?;
    rotated?;
    Ok(Done::Applied)
}

/// What writes came to, for the rest of the pass.
fn take_over(sent: Vec<Sent>, platform: &Platform, observed: &mut Observed, facts: &mut Facts) {
    let changed = sent.iter().filter(|sent| sent.changed);
    facts.changed = changed.map(|sent| sent.id.clone()).collect();
    facts.started = events::started(platform, observed, &facts.changed);
    for Sent { id, metadata, .. } in sent {
        observed.sent(&id, metadata);
    }
}

fn is_ready(judgement: &Judgement) -> bool {
    let ready = judgement.status.condition(reasons::READY);
    ready.is_some_and(|ready| ready.status == "True")
}

/// Keeps the probe of a platform that can be asked, ends that of one that cannot or may not.
fn probe(loto: &LotoAI, context: &Context, seen: &Seen, is_at_rest: bool) -> ProbeOutcome {
    let key = Key::of(&loto.metadata);
    if is_at_rest {
        context.probes.stop(&key);
        return ProbeOutcome::Pending;
    }
    let Some(platform) = &seen.platform else {
        // Where to ask is not known in this pass, so whoever asks goes on as before.
        return context.probes.last(&key);
    };
    match question::target(platform, &seen.observed) {
        Some(target) => context.probes.keep(&key, target),
        None => {
            context.probes.interrupt(&key);
            ProbeOutcome::Pending
        }
    }
}

fn judge(
    loto: &LotoAI,
    context: &Context,
    seen: &Seen,
    probe: &ProbeOutcome,
    result: &Result<Done, Error>,
) -> Judgement {
    let platform = seen.platform.as_ref();
    let message = result
        .as_ref()
        .err()
        .map(|error| chain(error))
        .unwrap_or_default();
    let in_the_way = [Invalid {
        field: "metadata.name".to_owned(),
        message: message.clone(),
        reason: reasons::RECONCILE_FAILED,
    }];
    let outcome = match (result, platform, &seen.planned) {
        (Err(Error::InvalidSpec { .. }), _, _) => Outcome::Invalid(&seen.faults),
        (Err(error), _, _) if error.class() == ErrorClass::User => Outcome::Invalid(&in_the_way),
        (Ok(Done::Deleting), _, _) => Outcome::Deleting,
        (Ok(Done::Paused), Some(platform), _) => Outcome::Paused { platform },
        (Err(error), Some(platform), Some((prepared, gates))) if error.is_refusal() => {
            Outcome::Refused {
                platform,
                prepared,
                gates,
                message: &message,
            }
        }
        (Ok(_), Some(platform), Some((prepared, gates))) => Outcome::Reconciled {
            platform,
            prepared,
            gates,
        },
        _ => Outcome::Failed {
            platform,
            message: &message,
        },
    };
    let pass = Pass {
        lotoai: loto,
        env: &context.env,
        observed: &seen.observed,
        probe,
        outcome,
    };
    lotoai_plan::judge(&pass, Timestamp::now())
}
