//! Runs and their steps in PostgreSQL; `approvals` has the calls that wait for a person, `personal`
//! what there is of one person.

pub mod approvals;
pub mod personal;

use std::time::Duration;

use lotoai_contracts::failures;
use sqlx::PgPool;
use uuid::Uuid;

use crate::failure::Failure;

/// The tables.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// One statement must end in this time.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What is known of a run when it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The run.
    pub id: Uuid,
    /// Its conversation; empty when it has none.
    pub conversation: String,
    /// OIDC `sub` of the caller.
    pub subject: String,
    /// The model that the caller named.
    pub model: String,
}

/// A decision as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// `knowledge`, `agent` or `tool`.
    pub route: &'static str,
    /// Knowledge base, role or tool.
    pub target: String,
    /// Why.
    pub reason: String,
    /// 0 to 1.
    pub confidence: f32,
}

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// `decide`, `retrieve`, `extract`, `complete`, `ask_consent` or `call_tool`.
    pub kind: &'static str,
    /// What it was done to.
    pub target: String,
    /// `ok` or what went wrong.
    pub outcome: String,
    /// How long it took.
    pub duration_ms: i64,
}

/// How a run ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// `ok`, `cancelled` or a failure code.
    pub outcome: String,
    /// The model that answered; empty when none did.
    pub model: String,
    /// Its provider; empty when none answered.
    pub provider: String,
    /// Tokens read, if known.
    pub input_tokens: Option<i64>,
    /// Tokens written, if known.
    pub output_tokens: Option<i64>,
}

/// The store of runs.
#[derive(Clone)]
pub enum Store {
    /// The real one.
    Postgres(PgPool),
    /// Keeps what it is told, for tests of everything around it.
    #[cfg(test)]
    Recording(std::sync::Arc<std::sync::Mutex<Vec<String>>>),
}

impl Store {
    /// Can the store be used?
    ///
    /// # Errors
    /// PostgreSQL is away or too slow.
    pub async fn ping(&self) -> Result<(), Failure> {
        match self {
            Self::Postgres(pool) => {
                bounded(async { sqlx::query("SELECT 1").execute(pool).await }).await?;
                Ok(())
            }
            #[cfg(test)]
            Self::Recording(_) => Ok(()),
        }
    }

    /// Stores the decision; the answer may begin when this has returned. A run that ended is not
    /// answered twice; one that broke off may be tried again.
    ///
    /// # Errors
    /// PostgreSQL is away or too slow, or the run has ended before.
    pub async fn decide(&self, run: &Run, decided: &Decided) -> Result<(), Failure> {
        match self {
            Self::Postgres(pool) => {
                let query = sqlx::query(
                    "INSERT INTO runs (run_id, conversation_id, subject, requested_model, \
                     route, target, reason, confidence, decided_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now()) \
                     ON CONFLICT (run_id) DO UPDATE SET route = excluded.route, \
                     target = excluded.target, reason = excluded.reason, \
                     confidence = excluded.confidence, decided_at = now() \
                     WHERE runs.ended_at IS NULL AND runs.subject = excluded.subject",
                )
                .bind(run.id)
                .bind(&run.conversation)
                .bind(&run.subject)
                .bind(&run.model)
                .bind(decided.route)
                .bind(&decided.target)
                .bind(&decided.reason)
                .bind(decided.confidence);
                let done = bounded(query.execute(pool)).await?;
                if done.rows_affected() == 0 {
                    return Err(Failure::permanent(
                        failures::DUPLICATE_RUN,
                        "this run has ended before: send the request with a new run_id",
                    ));
                }
                Ok(())
            }
            #[cfg(test)]
            Self::Recording(log) => {
                log.lock()
                    .unwrap()
                    .push(format!("decide {} {}", decided.route, decided.target));
                Ok(())
            }
        }
    }

    /// Stores the end of a run with its steps, in one transaction.
    ///
    /// # Errors
    /// PostgreSQL is away or too slow.
    pub async fn finish(
        &self,
        run: &Run,
        outcome: &Outcome,
        steps: &[Step],
    ) -> Result<(), Failure> {
        match self {
            Self::Postgres(pool) => bounded(write_end(pool, run, outcome, steps)).await,
            #[cfg(test)]
            Self::Recording(log) => {
                let kinds: Vec<&str> = steps.iter().map(|step| step.kind).collect();
                log.lock().unwrap().push(format!(
                    "finish {} {} [{}]",
                    outcome.outcome,
                    outcome.model,
                    kinds.join(" ")
                ));
                Ok(())
            }
        }
    }
}

async fn write_end(
    pool: &PgPool,
    run: &Run,
    outcome: &Outcome,
    steps: &[Step],
) -> Result<(), sqlx::Error> {
    let mut transaction = lotoai_kit::postgres::begin(pool).await?;
    let done = sqlx::query(
        "INSERT INTO runs (run_id, conversation_id, subject, requested_model, ended_at, outcome, \
         model, provider, input_tokens, output_tokens) \
         VALUES ($1, $2, $3, $4, now(), $5, $6, $7, $8, $9) \
         ON CONFLICT (run_id) DO UPDATE SET ended_at = now(), outcome = excluded.outcome, \
         model = excluded.model, provider = excluded.provider, \
         input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens \
         WHERE runs.ended_at IS NULL AND runs.subject = excluded.subject",
    )
    .bind(run.id)
    .bind(&run.conversation)
    .bind(&run.subject)
    .bind(&run.model)
    .bind(&outcome.outcome)
    .bind(&outcome.model)
    .bind(&outcome.provider)
    .bind(outcome.input_tokens)
    .bind(outcome.output_tokens)
    .execute(&mut *transaction)
    .await?;
    if done.rows_affected() == 0 {
        // The run has ended before; its record stays as it is.
        return transaction.rollback().await;
    }
    for (number, step) in (1_i32..).zip(steps) {
        sqlx::query(
            "INSERT INTO steps (run_id, number, kind, target, outcome, duration_ms) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (run_id, number) DO NOTHING",
        )
        .bind(run.id)
        .bind(number)
        .bind(step.kind)
        .bind(&step.target)
        .bind(&step.outcome)
        .bind(step.duration_ms)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await
}

async fn bounded<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Failure> {
    match tokio::time::timeout(TIMEOUT, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            tracing::error!(error = %error, "the store of runs failed");
            Err(Failure::dependency("postgres", "the statement failed"))
        }
        Err(_) => Err(Failure::dependency("postgres", "too slow")),
    }
}
