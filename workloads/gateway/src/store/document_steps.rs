//! What ingestion reports of documents: how far one is, and when each of its steps began and ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Store, StoreError, rfc3339, within};

/// The steps in order, as the events name them.
const STEPS: &[&str] = &["fetching", "parsing", "chunking", "embedding", "storing"];

/// A step of ingestion. Its times are those at which the gateway heard of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DocumentStep {
    /// `fetching`, `parsing` with chunking, `embedding` or `storing`.
    pub step: String,
    /// RFC 3339.
    pub began_at: String,
    /// RFC 3339, also of one that failed; null while it lasts.
    pub ended_at: Option<String>,
    /// Units done: chunks, of `embedding`.
    pub done: i32,
    /// Units in all; 0 = not known.
    pub total: i32,
}

/// What is stored of steps, by their names. Each ends when the next one begins.
pub(super) type Noted = BTreeMap<String, Begun>;

/// A step that has begun.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Begun {
    began_at: String,
    done: i32,
    total: i32,
}

/// The steps in their order, the last of which ended at `ended_at`. What a step had done is all of it
/// once another one has begun or the document `is_indexed`: the last part of it is not told.
pub(super) fn steps(
    noted: &Noted,
    ended_at: Option<String>,
    is_indexed: bool,
) -> Vec<DocumentStep> {
    let begun = STEPS.iter().filter_map(|step| noted.get_key_value(*step));
    let begun: Vec<(&String, &Begun)> = begun.collect();
    let all = begun.iter().enumerate().map(|(index, (step, it))| {
        let next = begun.get(index + 1).map(|(_, next)| next.began_at.clone());
        let is_done = next.is_some() || is_indexed;
        DocumentStep {
            step: (*step).clone(),
            began_at: it.began_at.clone(),
            ended_at: next.or_else(|| ended_at.clone()),
            done: if is_done { it.total } else { it.done },
            total: it.total,
        }
    });
    all.collect()
}

impl Store {
    /// Notes progress of indexing. Progress of older content, of a step that is over, or of a
    /// document that is finished changes nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn document_progressed(
        &self,
        id: Uuid,
        content_hash: &str,
        step: &str,
        done: i32,
        total: i32,
    ) -> Result<bool, StoreError> {
        // Where nothing was heard of this content before, what stands there is of another one.
        let statement = sqlx::query(concat!(
            "update documents set status = 'indexing', step = $3, done = $4, total = $5,
                    updated_at = now(), steps_ended_at = null,
                    steps = case status when 'uploaded' then '{}'::jsonb else steps end
                      || jsonb_build_object($3::text,
                           coalesce(case status when 'uploaded' then null else steps -> $3::text end,
                                    jsonb_build_object('began_at', ",
            rfc3339!("now()"),
            "))
                           || jsonb_build_object('done', $4::int4, 'total', $5::int4))
             where id = $1 and content_hash = $2 and status in ('uploaded', 'indexing')
               and (status = 'uploaded'
                    or (array_position($6, step), done) <= (array_position($6, $3), $4))"
        ))
        .bind(id)
        .bind(content_hash)
        .bind(step)
        .bind(done)
        .bind(total)
        .bind(STEPS)
        .execute(&self.pool);
        within("note progress", statement)
            .await
            .map(|done| done.rows_affected() > 0)
    }

    /// Notes that a document can be found.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn document_indexed(
        &self,
        id: Uuid,
        content_hash: &str,
        chunks: i32,
    ) -> Result<bool, StoreError> {
        let statement = sqlx::query(
            "update documents set status = 'indexed', step = null, done = $3, total = $3,
                    chunks = $3, error_code = null, error_message = null, updated_at = now(),
                    steps_ended_at = case status when 'indexed' then steps_ended_at else now() end
             where id = $1 and content_hash = $2",
        )
        .bind(id)
        .bind(content_hash)
        .bind(chunks)
        .execute(&self.pool);
        within("note that a document is indexed", statement)
            .await
            .map(|done| done.rows_affected() > 0)
    }

    /// Notes that a document cannot be indexed. So does one that was: an event may come twice, and what was
    /// found of a document that fails is forgotten.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn document_failed(
        &self,
        id: Uuid,
        content_hash: &str,
        step: &str,
        code: &str,
        message: &str,
    ) -> Result<bool, StoreError> {
        let statement = sqlx::query(
            "update documents set status = 'failed', step = $3, error_code = $4,
                    error_message = $5, updated_at = now(),
                    steps_ended_at = case status when 'failed' then steps_ended_at else now() end
             where id = $1 and content_hash = $2",
        )
        .bind(id)
        .bind(content_hash)
        .bind(step)
        .bind(code)
        .bind(message)
        .execute(&self.pool);
        within("note that a document failed", statement)
            .await
            .map(|done| done.rows_affected() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(all: &[(&str, &str, i32, i32)]) -> Noted {
        let begun = |began_at: &str, done, total| Begun {
            began_at: began_at.to_owned(),
            done,
            total,
        };
        all.iter()
            .map(|(step, at, done, total)| ((*step).to_owned(), begun(at, *done, *total)))
            .collect()
    }

    fn shown(noted: &Noted, ended_at: Option<&str>, is_indexed: bool) -> Vec<String> {
        let steps = steps(noted, ended_at.map(str::to_owned), is_indexed);
        let line = |it: &DocumentStep| {
            let end = it.ended_at.as_deref().unwrap_or("…");
            format!("{} {}-{end} {}/{}", it.step, it.began_at, it.done, it.total)
        };
        steps.iter().map(line).collect()
    }

    #[test]
    fn a_step_ends_when_the_next_one_begins_and_the_last_with_the_document() {
        let noted = noted(&[
            ("embedding", "3", 32, 40),
            ("fetching", "1", 0, 0),
            ("parsing", "2", 0, 0),
            ("unheard of", "0", 0, 0),
        ]);
        let before = ["fetching 1-2 0/0", "parsing 2-3 0/0"];
        for (ended_at, is_indexed, last) in [
            (None, false, "embedding 3-… 32/40"),
            // Where it failed.
            (Some("4"), false, "embedding 3-4 32/40"),
            (Some("4"), true, "embedding 3-4 40/40"),
        ] {
            let shown = shown(&noted, ended_at, is_indexed);
            assert_eq!(shown, [&before[..], &[last][..]].concat());
        }
        assert!(shown(&Noted::new(), Some("4"), true).is_empty());
    }
}
