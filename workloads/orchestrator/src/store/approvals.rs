//! Calls that wait for the consent of a person, and what came of them.

use lotoai_contracts::failures;
use sqlx::FromRow;
use uuid::Uuid;

use super::{Run, Store, bounded};
use crate::{
    domain::{
        approval::{Asked, Chosen, HOURS_TO_DECIDE},
        language::Language,
    },
    failure::Failure,
};

/// How long an approval is kept after it was asked for, in days.
const DAYS_KEPT: i32 = 30;

/// A query on approvals as they stand now.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, run_id, conversation_id, language, tool, description, arguments, digest, \
             declaration, extract(epoch FROM created_at)::bigint AS created_at, \
             extract(epoch FROM expires_at)::bigint AS expires_at, \
             CASE WHEN state = 'pending' AND expires_at <= now() THEN 'expired' ELSE state END \
             AS state, extract(epoch FROM decided_at)::bigint AS decided_at, decided_run, reason, \
             decided_arguments, decided_digest, called_at IS NOT NULL AS called FROM approvals ",
            $rest
        )
    };
}

/// Where an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody has decided.
    Pending,
    /// The call may be made, once.
    Approved,
    /// The call is not made.
    Denied,
    /// Nobody decided in time.
    Expired,
}

impl State {
    /// Its name in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
        }
    }

    /// What has a name that nobody knows must not be decided: it counts as expired.
    fn named(name: &str) -> Self {
        [Self::Pending, Self::Approved, Self::Denied]
            .into_iter()
            .find(|state| state.name() == name)
            .unwrap_or(Self::Expired)
    }
}

/// An approval. Times are Unix times in seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Its identity.
    pub id: Uuid,
    /// The run that asked.
    pub run: Uuid,
    /// Its conversation; empty when it has none.
    pub conversation: String,
    /// The language of the rest of the answer.
    pub language: Language,
    /// What is asked.
    pub asked: Asked,
    /// Where it stands.
    pub state: State,
    /// When it was asked.
    pub created_at: i64,
    /// Until when it can be decided.
    pub expires_at: i64,
    /// What was decided; `None` = nothing yet.
    pub ruled: Option<Ruled>,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruled {
    /// The run that goes on.
    pub run: Uuid,
    /// When, as a Unix time in seconds.
    pub at: i64,
    /// What the person wrote with it.
    pub reason: String,
    /// The arguments that were approved and their digest; `None` when it was denied.
    pub chosen: Option<(String, String)>,
    /// The call has begun, and is not begun again.
    pub called: bool,
}

/// A decision to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling<'a> {
    /// The approval.
    pub approval: Uuid,
    /// The run that goes on.
    pub run: &'a Run,
    /// Name of the person, for people who read the record.
    pub name: &'a str,
    /// The arguments that are approved; `None` = denied.
    pub chosen: Option<&'a Chosen>,
    /// What the person wrote.
    pub reason: &'a str,
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    run_id: Uuid,
    conversation_id: String,
    language: String,
    tool: String,
    description: String,
    arguments: String,
    digest: String,
    declaration: String,
    created_at: i64,
    expires_at: i64,
    state: String,
    decided_at: Option<i64>,
    decided_run: Option<Uuid>,
    reason: String,
    decided_arguments: Option<String>,
    decided_digest: Option<String>,
    called: bool,
}

impl From<Row> for Approval {
    fn from(row: Row) -> Self {
        let ruled = row.decided_run.zip(row.decided_at);
        Self {
            id: row.id,
            run: row.run_id,
            conversation: row.conversation_id,
            language: Language::of_code(&row.language),
            asked: Asked {
                tool: row.tool,
                description: row.description,
                arguments_json: row.arguments,
                digest: row.digest,
                declaration: row.declaration,
            },
            state: State::named(&row.state),
            created_at: row.created_at,
            expires_at: row.expires_at,
            ruled: ruled.map(|(run, at)| Ruled {
                run,
                at,
                reason: row.reason,
                chosen: row.decided_arguments.zip(row.decided_digest),
                called: row.called,
            }),
        }
    }
}

impl Store {
    /// Stores what a person is asked, and gives its identity and until when it can be decided. A run
    /// that broke off and asks again has asked once: the same question keeps its identity, another
    /// one takes its place.
    ///
    /// # Errors
    /// PostgreSQL is away or too slow, or what this run asked was decided meanwhile.
    pub async fn ask(
        &self,
        run: &Run,
        language: Language,
        asked: &Asked,
    ) -> Result<(Uuid, i64), Failure> {
        match self {
            Self::Postgres(pool) => {
                let query = sqlx::query_as::<_, (Uuid, i64)>(
                    "INSERT INTO approvals (id, run_id, conversation_id, subject, language, tool, \
                     description, arguments, digest, declaration, expires_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, \
                     now() + make_interval(hours => $11)) \
                     ON CONFLICT (run_id) DO UPDATE SET id = CASE \
                     WHEN approvals.digest = excluded.digest \
                     AND approvals.declaration = excluded.declaration \
                     THEN approvals.id ELSE excluded.id END, \
                     language = excluded.language, tool = excluded.tool, \
                     description = excluded.description, arguments = excluded.arguments, \
                     digest = excluded.digest, declaration = excluded.declaration, \
                     expires_at = excluded.expires_at \
                     WHERE approvals.state = 'pending' AND approvals.subject = excluded.subject \
                     RETURNING id, extract(epoch FROM expires_at)::bigint",
                )
                .bind(Uuid::new_v4())
                .bind(run.id)
                .bind(&run.conversation)
                .bind(&run.subject)
                .bind(language.code())
                .bind(&asked.tool)
                .bind(&asked.description)
                .bind(&asked.arguments_json)
                .bind(&asked.digest)
                .bind(&asked.declaration)
                .bind(HOURS_TO_DECIDE);
                let stored = bounded(query.fetch_optional(pool)).await?;
                stored.ok_or_else(|| {
                    Failure::permanent(
                        failures::DUPLICATE_RUN,
                        "what this run asked was decided: send the request with a new run_id",
                    )
                })
            }
            #[cfg(test)]
            Self::Recording(log) => {
                log.lock().unwrap().push(format!("ask {}", asked.tool));
                Ok((Uuid::nil(), 0))
            }
        }
    }

    /// The approval, if it is this person's.
    ///
    /// # Errors
    /// PostgreSQL is away or too slow.
    pub async fn approval(&self, subject: &str, id: Uuid) -> Result<Option<Approval>, Failure> {
        match self {
            Self::Postgres(pool) => {
                let query = select!("WHERE id = $1 AND subject = $2");
                let query = sqlx::query_as::<_, Row>(query).bind(id).bind(subject);
                let row = bounded(query.fetch_optional(pool)).await?;
                Ok(row.map(Approval::from))
            }
            #[cfg(test)]
            Self::Recording(_) => Ok(None),
        }
    }

    /// The approvals of a person in one state or in all, newest first, at most `limit`, from the one
    /// after `after` on.
    ///
    /// # Errors
    /// PostgreSQL is away or too slow.
    pub async fn approvals(
        &self,
        subject: &str,
        state: Option<State>,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<Approval>, Failure> {
        match self {
            Self::Postgres(pool) => {
                let query = select!(
                    "WHERE subject = $1 AND ($2::text IS NULL OR $2 = CASE \
                     WHEN state = 'pending' AND expires_at <= now() THEN 'expired' ELSE state END) \
                     AND ($3::uuid IS NULL OR (created_at, id) < (SELECT last.created_at, last.id \
                     FROM approvals AS last WHERE last.id = $3 AND last.subject = $1)) \
                     ORDER BY approvals.created_at DESC, id DESC LIMIT $4"
                );
                let query = sqlx::query_as::<_, Row>(query)
                    .bind(subject)
                    .bind(state.map(State::name))
                    .bind(after)
                    .bind(limit);
                let rows = bounded(query.fetch_all(pool)).await?;
                Ok(rows.into_iter().map(Approval::from).collect())
            }
            #[cfg(test)]
            Self::Recording(_) => Ok(Vec::new()),
        }
    }

    /// Writes a decision and its record in one statement, if the approval is this person's, still
    /// open and in time. Says whether it was.
    ///
    /// # Errors
    /// PostgreSQL is away or too slow.
    pub async fn rule(&self, ruling: &Ruling<'_>) -> Result<bool, Failure> {
        let state = match ruling.chosen {
            Some(_) => State::Approved,
            None => State::Denied,
        };
        match self {
            Self::Postgres(pool) => {
                let changed = ruling.chosen.map(|it| it.changed.as_slice());
                let query = sqlx::query(
                    "WITH decided AS (UPDATE approvals SET state = $3, decided_at = now(), \
                     decided_run = $4, reason = $5, decided_arguments = $6, decided_digest = $7 \
                     WHERE id = $1 AND subject = $2 AND state = 'pending' AND expires_at > now() \
                     RETURNING run_id, tool, digest) \
                     INSERT INTO approval_decisions (approval_id, asked_run, run_id, subject, \
                     name, tool, decision, asked_digest, decided_digest, changed, reason) \
                     SELECT $1, run_id, $4, $2, $8, tool, $3, digest, $7, $9, $5 FROM decided",
                )
                .bind(ruling.approval)
                .bind(&ruling.run.subject)
                .bind(state.name())
                .bind(ruling.run.id)
                .bind(ruling.reason)
                .bind(ruling.chosen.map(|it| it.arguments_json.as_str()))
                .bind(ruling.chosen.map(|it| it.digest.as_str()))
                .bind(ruling.name)
                .bind(changed.unwrap_or_default());
                let done = bounded(query.execute(pool)).await?;
                Ok(done.rows_affected() == 1)
            }
            #[cfg(test)]
            Self::Recording(_) => Ok(false),
        }
    }

    /// Notes that the approved call begins now. Says whether it may: once, and only for the run
    /// that the decision belongs to.
    ///
    /// # Errors
    /// PostgreSQL is away or too slow.
    pub async fn begin_call(&self, approval: Uuid, run: Uuid) -> Result<bool, Failure> {
        match self {
            Self::Postgres(pool) => {
                let query = sqlx::query(
                    "UPDATE approvals SET called_at = now() WHERE id = $1 AND decided_run = $2 \
                     AND state = 'approved' AND called_at IS NULL",
                )
                .bind(approval)
                .bind(run);
                let done = bounded(query.execute(pool)).await?;
                Ok(done.rows_affected() == 1)
            }
            #[cfg(test)]
            Self::Recording(_) => Ok(false),
        }
    }

    /// Deletes approvals that were asked for more than 30 days ago; the records of decisions stay.
    /// Gives how many.
    ///
    /// # Errors
    /// PostgreSQL is away or too slow.
    pub async fn forget_approvals(&self) -> Result<u64, Failure> {
        match self {
            Self::Postgres(pool) => {
                let query = sqlx::query(
                    "DELETE FROM approvals WHERE created_at < now() - make_interval(days => $1)",
                )
                .bind(DAYS_KEPT);
                Ok(bounded(query.execute(pool)).await?.rows_affected())
            }
            #[cfg(test)]
            Self::Recording(_) => Ok(0),
        }
    }
}
