//! The built-in probe: goes through every hop that an answer needs and answers from a built-in
//! passage, without a completion model and without a stored run.

use std::time::Duration;

use futures::TryFutureExt as _;
use lotoai_contracts::v1::Citation;

use super::{
    Done, Hub, PROBE,
    gather::{self, Reading},
    knowledge,
    session::Session,
};
use crate::{
    domain::router::{Decision, Route},
    failure::Failure,
};

/// What each hop may take.
const HOP_TIMEOUT: Duration = Duration::from_secs(5);

/// What the probe's answer is taken from.
pub const PASSAGE: &str = "LotoAI answers questions from documents, with agents and with tools. \
    The probe asks one question through every hop that an answer needs. \
    The probe question is answered when the platform works.";

/// Asks every hop, then answers.
///
/// # Errors
/// `probe_failed`, naming the hop.
pub async fn answer(hub: &Hub, session: &mut Session) -> Result<Done, Failure> {
    let run_id = session.run.id.to_string();
    let caller = session.caller.clone();
    let question = session.question.clone();
    let question = gather::readable(&question);
    let (store, agents, mcp, rag, vectors) = tokio::join!(
        hop("postgres", hub.store.ping()),
        hop("agents", hub.agents.fetch_roles()),
        hop("mcp-server", hub.mcp.fresh_tools(&caller)),
        hop(
            "rag-server",
            hub.rag
                .search(&run_id, &caller, question, 1)
                .map_err(Failure::from)
        ),
        hop(
            "model-server",
            hub.embeddings.embed(std::slice::from_ref(&question))
        ),
    );
    store?;
    agents?;
    mcp?;
    rag?;
    let vector = vectors?.into_iter().next();
    let decision = Decision {
        route: Route::Agent(PROBE.to_owned()),
        reason: "The built-in probe role was named.".to_owned(),
        confidence: 1.0,
    };
    session.show(&decision).await?;
    let readings = [Reading {
        text: question.to_owned(),
        vector,
    }];
    let chosen = hop(
        "model-server",
        knowledge::choose(hub, session.language, &readings, &[PASSAGE]),
    )
    .await?;
    // Any question is answered: what is probed is the way, not the wording.
    let text = chosen.map_or_else(|| format!("{PASSAGE} [1]"), |extract| extract.text);
    session.say(text).await?;
    session
        .cite(vec![Citation {
            number: 1,
            document_id: PROBE.to_owned(),
            document_name: "built-in probe passage".to_owned(),
            passage: PASSAGE.to_owned(),
            score: 1.0,
            ..Citation::default()
        }])
        .await?;
    Ok(Done::extractive())
}

async fn hop<T>(
    name: &'static str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let why = match tokio::time::timeout(HOP_TIMEOUT, work).await {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(failure)) => failure.message,
        Err(_) => "no answer within 5 s".to_owned(),
    };
    metrics::counter!("lotoai_orchestrator_probe_failures_total", "hop" => name).increment(1);
    Err(Failure::passing(
        "probe_failed",
        format!("the probe failed at {name}: {why}"),
    ))
}
