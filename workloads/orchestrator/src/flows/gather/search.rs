//! Passages that fit the question.

use lotoai_contracts::v1::Citation;

use super::{Gathered, PASSAGES, signals};
use crate::{
    domain::{language::Language, router},
    flows::{Hub, session::Session},
    rag::Missed,
};

/// Taken off what a Spanish question as asked scores: the embedding model knows Spanish mostly as
/// "not English", so a Spanish passage on anything has about 0.43 with any Spanish question. What
/// the English reading finds counts in full.
const SPANISH_BIAS: f32 = 0.15;

/// Searches with every reading; a passage that two readings find counts with its better score.
/// Gives the passages, best first, and the score of the best one as the router takes it.
pub(super) async fn search(
    hub: &Hub,
    session: &Session,
    readings: &[&str],
) -> Result<(Vec<Citation>, Option<f32>), Missed> {
    let run_id = session.run.id.to_string();
    let searches = readings
        .iter()
        .map(|query| hub.rag.search(&run_id, &session.caller, query, PASSAGES));
    let found = futures::future::try_join_all(searches).await?;
    let mut all: Vec<(f32, Citation)> = Vec::new();
    for (reading, hits) in found.into_iter().enumerate() {
        let as_asked_in_spanish = session.language == Language::Spanish && reading == 0;
        let bias = if as_asked_in_spanish {
            SPANISH_BIAS
        } else {
            0.0
        };
        all.extend(hits.into_iter().map(|hit| (hit.score - bias, hit)));
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let best = all.first().map(|(score, _)| *score);
    let mut kept: Vec<Citation> = Vec::new();
    for (_, hit) in all {
        let same =
            |k: &Citation| k.document_id == hit.document_id && k.chunk_index == hit.chunk_index;
        if !kept.iter().any(same) {
            kept.push(hit);
        }
    }
    kept.truncate(usize::try_from(PASSAGES).unwrap_or(usize::MAX));
    Ok((kept, best))
}

/// Searches again, for as long as a request may wait for that, where nothing but the passages is
/// missing, they may come, and no decision can do without them.
pub async fn search_again(hub: &Hub, session: &Session, gathered: &mut Gathered) {
    if !gathered.search_passes
        || gathered.failures.len() > 1
        || router::certain(&signals(gathered, session)).is_some()
    {
        return;
    }
    let texts: Vec<&str> = gathered
        .readings
        .iter()
        .map(|it| it.text.as_str())
        .collect();
    let attempt = || search(hub, session, &texts);
    let patience = hub.args.search_patience();
    let found = hub.rag.patiently(patience, attempt).await;
    match found {
        Ok((hits, knowledge)) => {
            (gathered.hits, gathered.knowledge) = (hits, knowledge);
            gathered.failures.clear();
        }
        Err(missed) => gathered.failures = vec![missed.into()],
    }
}
