//! Everything that is held of one person: to be given to them, and to be deleted.

use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use uuid::Uuid;

use super::{Store, bounded};
use crate::failure::Failure;

/// The most rows of each table that one part of an erasure deletes; it must end within the time of a
/// statement.
const PART: i64 = 1_000;
/// Records in one page. Arguments have 64 KiB at most, as asked and as approved, and quoting may make
/// them twice as long: a page stays far below the limit of a message.
const PAGE: i64 = 20;

/// A kind of record that knows a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Calls that needed consent, with their arguments.
    Approval,
    /// How they were decided.
    Decision,
    /// Runs, with their steps.
    Run,
}

/// How many rows an erasure has deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erased {
    /// Calls that needed consent.
    pub approvals: u64,
    /// How they were decided.
    pub decisions: u64,
    /// Runs.
    pub runs: u64,
    /// There may be more.
    pub more: bool,
}

/// Some records of a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Each as a JSON object.
    pub records: Vec<String>,
    /// The last of them, where there are more.
    pub next: Option<Uuid>,
}

/// A table that knows people.
struct Table {
    name: &'static str,
    /// Its primary key.
    key: &'static str,
    /// The column with the time, which its index of subjects has.
    time: &'static str,
    /// A row, `held`, as JSON.
    record: &'static str,
}

const APPROVALS: Table = Table {
    name: "approvals",
    key: "id",
    time: "created_at",
    record: "to_jsonb(held) - 'subject'",
};

const DECISIONS: Table = Table {
    name: "approval_decisions",
    key: "approval_id",
    time: "decided_at",
    record: "to_jsonb(held) - 'subject'",
};

const RUNS: Table = Table {
    name: "runs",
    key: "run_id",
    time: "created_at",
    record: "(to_jsonb(held) - 'subject') || jsonb_build_object('steps', coalesce( \
             (SELECT jsonb_agg(to_jsonb(step) - 'run_id' ORDER BY step.number) \
             FROM steps AS step WHERE step.run_id = held.run_id), '[]'))",
};

impl Table {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Approval => APPROVALS,
            Kind::Decision => DECISIONS,
            Kind::Run => RUNS,
        }
    }

    /// Some rows of a person as JSON, newest first, from the one after `$2` on.
    fn page(&self) -> String {
        let Self {
            name,
            key,
            time,
            record,
        } = self;
        format!(
            "SELECT {key}, ({record})::text FROM {name} AS held \
             WHERE subject = $1 AND ($2::uuid IS NULL OR ({time}, {key}) < \
             (SELECT last.{time}, last.{key} FROM {name} AS last \
             WHERE last.{key} = $2 AND last.subject = $1)) \
             ORDER BY {time} DESC, {key} DESC LIMIT $3"
        )
    }

    /// Deletes some rows of a person, locked in the order of their time, so that two who do it at
    /// once wait for one another.
    async fn erase(
        &self,
        connection: &mut PgConnection,
        subject: &str,
    ) -> Result<u64, sqlx::Error> {
        let Self {
            name, key, time, ..
        } = self;
        let statement = format!(
            "DELETE FROM {name} WHERE {key} IN (SELECT {key} FROM {name} \
             WHERE subject = $1 ORDER BY {time}, {key} LIMIT $2 FOR UPDATE)"
        );
        // Made of the names above alone.
        let query = sqlx::query(AssertSqlSafe(statement))
            .bind(subject)
            .bind(PART);
        Ok(query.execute(connection).await?.rows_affected())
    }
}

impl Store {
    /// Deletes a part of what is held of a person, in one transaction; says how much, and whether
    /// there may be more.
    ///
    /// # Errors
    /// PostgreSQL is away or too slow.
    pub async fn erase_person(&self, subject: &str) -> Result<Erased, Failure> {
        match self {
            Self::Postgres(pool) => bounded(erase(pool, subject)).await,
            #[cfg(test)]
            Self::Recording(_) => Ok(Erased::default()),
        }
    }

    /// A page of the records of a person, newest first, from the one after `after` on.
    ///
    /// # Errors
    /// PostgreSQL is away or too slow.
    pub async fn records(
        &self,
        subject: &str,
        kind: Kind,
        after: Option<Uuid>,
    ) -> Result<Page, Failure> {
        match self {
            Self::Postgres(pool) => {
                let statement = AssertSqlSafe(Table::of(kind).page());
                let query = sqlx::query_as::<_, (Uuid, String)>(statement)
                    .bind(subject)
                    .bind(after)
                    // One more than the page holds, to see whether there are more.
                    .bind(PAGE + 1);
                Ok(page_of(bounded(query.fetch_all(pool)).await?))
            }
            #[cfg(test)]
            Self::Recording(_) => Ok(Page::default()),
        }
    }
}

/// The page of rows of which there may be one too many.
fn page_of(mut rows: Vec<(Uuid, String)>) -> Page {
    let size = usize::try_from(PAGE).unwrap_or_default();
    let more = rows.len() > size;
    rows.truncate(size);
    let last = rows.last().map(|(key, _)| *key);
    Page {
        next: last.filter(|_| more),
        records: rows.into_iter().map(|(_, record)| record).collect(),
    }
}

async fn erase(pool: &PgPool, subject: &str) -> Result<Erased, sqlx::Error> {
    let mut transaction = lotoai_kit::postgres::begin(pool).await?;
    let approvals = APPROVALS.erase(&mut transaction, subject).await?;
    let decisions = DECISIONS.erase(&mut transaction, subject).await?;
    let runs = RUNS.erase(&mut transaction, subject).await?;
    transaction.commit().await?;
    Ok(Erased {
        approvals,
        decisions,
        runs,
        more: [approvals, decisions, runs].contains(&PART.unsigned_abs()),
    })
}
