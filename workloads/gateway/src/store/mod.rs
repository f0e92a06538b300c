//! Everything the gateway keeps in PostgreSQL. Statements are bounded in time; a database that is
//! away becomes a 503 that says so.

mod approvals;
mod budgets;
mod conversation_changes;
mod conversations;
mod document_steps;
mod documents;
mod erase;
mod export;
mod group;
mod idempotency;
mod keys;
mod open_answers;
mod outbox;
mod pending_erasures;
mod pulse;
mod questions;
mod responses;
mod run_ends;
mod search;
mod session_ends;
mod sessions;
mod stored_budgets;
mod streams;
mod talks;
mod totals;
mod upload_ends;
mod uploads;
mod used;

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use snafu::{ResultExt as _, Snafu};
use sqlx::{PgPool, Postgres, Transaction};

pub use approvals::{Attempt, ExportedApproval, KnownApproval};
pub use budgets::{OpenWindow, UsageCursor, UsageQuery, UsageRow, WindowCursor};
pub use conversation_changes::{Branched, NewBranch};
pub use document_steps::DocumentStep;
pub use documents::{Document, NewDocument, Upserted};
pub use export::{
    ExportedConversation, ExportedStream, HeldKey, KeyOwner, OpenSpending, OwnWindow,
};
pub use idempotency::{AnswerPlace, Claim, KeptAnswer, Outcome};
pub use keys::{ApiKey, NewApiKey, StoredApiKey};
pub use outbox::OutboxRow;
pub use questions::{Asked, NewQuestion, NewTalk};
pub use responses::{ExportedResponse, NewResponse, StoredResponse};
pub use run_ends::{RunEnd, Undone};
pub use search::Found;
pub use session_ends::TakenSession;
pub use sessions::{ListedSession, NewSession, StoredSession};
pub use streams::{Ended, Further, NewStream, Progress, Standing, StoredStream, StreamEnd, Wanted};
pub use talks::{
    Answer, Conversation, ConversationSummary, MessagePage, Most, NewMessage, Origin,
    PlacedMessage, StoredCall, StoredDecision, StoredMessage,
};
pub use totals::{By, TotalsCursor, UsageTotal};
pub use upload_ends::ExportedUpload;
pub use uploads::{Leased, MAX_OPEN_UPLOADS, NewUpload, Piece, StoredUpload, UploadPart};
pub use used::Used;

use self::group::Group;
use self::pulse::Pulse;
use crate::failure::{Effect, Failure};

/// The schema's history.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// No request waits longer than this for one statement or transaction step.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(3);

/// Why the database did not do what it was asked.
#[derive(Debug, Snafu)]
pub enum StoreError {
    /// The statement failed.
    #[snafu(display("failed to {action}"))]
    Statement {
        /// What it was for.
        action: &'static str,
        /// Cause.
        source: sqlx::Error,
    },
    /// The statement took too long.
    #[snafu(display("failed to {action} in time"))]
    Slow {
        /// What it was for.
        action: &'static str,
    },
    /// It answers nobody.
    #[snafu(display("failed to reach the database"))]
    Away,
    /// What was written together with others failed.
    #[snafu(display("failed to write for several requests"))]
    Shared {
        /// Cause.
        source: Arc<StoreError>,
    },
    /// Whether it was committed is not known.
    #[snafu(display("failed to hear of a commit"))]
    Unsure {
        /// Cause.
        source: Box<StoreError>,
    },
    /// Who wrote for several requests broke off.
    #[snafu(display("failed to hear of a write for several requests"))]
    Abandoned,
}

impl StoreError {
    /// Whether the database is away, so that the same statement will work when it is back.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Slow { .. } | Self::Away | Self::Unsure { .. } => true,
            Self::Statement { source, .. } => is_away(source),
            Self::Shared { source } => source.is_away(),
            Self::Abandoned => false,
        }
    }

    /// Whether the server said so itself, and not that it goes away.
    fn is_refusal(&self) -> bool {
        self.code()
            .is_some_and(|code| !code.starts_with("57P") && !code.starts_with("08"))
    }

    /// Whether what failed may be stored all the same.
    fn is_unsure(&self) -> bool {
        match self {
            Self::Unsure { .. } => true,
            Self::Shared { source } => source.is_unsure(),
            _ => false,
        }
    }

    /// Whether the same statements may well work in a moment: the database is away, or somebody
    /// else was in their way.
    pub fn may_pass(&self) -> bool {
        // Class 40: a deadlock or another conflict; 25P03: the transaction was left idle for too
        // long; 55P03: a lock was not to be had.
        self.is_away()
            || self
                .code()
                .is_some_and(|code| code.starts_with("40") || matches!(&*code, "25P03" | "55P03"))
    }

    /// Whether a row points to one that is not there: it may have been deleted at that moment, and
    /// who looks again sees that.
    pub fn is_dangling(&self) -> bool {
        self.code().is_some_and(|code| code == "23503")
    }

    /// What the database calls it.
    fn code(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Statement {
                source: sqlx::Error::Database(error),
                ..
            } => error.code(),
            Self::Shared { source } => source.code(),
            _ => None,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        tracing::error!(
            error = crate::error::chain(&error),
            "the database failed a request"
        );
        if error.is_unsure() {
            let mut failure = Self::unavailable(
                "storage_outcome_unknown",
                "the database did not answer in time, and this may have been done all the same; \
                 look whether it was before you send it again",
            );
            failure.is_final = true;
            failure.with_effect(Effect::Unknown)
        } else if error.is_away() {
            Self::unavailable(
                "storage_unavailable",
                "the database cannot be reached; nothing was changed, try again soon",
            )
        } else {
            Self::internal()
        }
    }
}

/// Whether an error means that the database is away (and not that the statement is wrong).
fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // Class 57: shutting down or starting; 53: out of resources; 08: connection; 28 and 3D:
        // not provisioned yet.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["57", "53", "08", "28", "3D"]
                .iter()
                .any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}

/// Runs a statement with its purpose and time limit.
async fn within<T>(
    action: &'static str,
    statement: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    within_limit(STATEMENT_TIMEOUT, action, statement).await
}

/// Runs a statement that may wait for others, with its purpose and its own time limit.
async fn within_limit<T>(
    limit: Duration,
    action: &'static str,
    statement: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, statement).await {
        Ok(outcome) => outcome.context(StatementSnafu { action }),
        Err(_) => SlowSnafu { action }.fail(),
    }
}

/// How long usage that nobody waits for is held to be written together: a crash loses as much of it.
const GATHER: Duration = Duration::from_millis(10);

/// The database.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
    pulse: Pulse,
    questions: Group<NewQuestion>,
    ends: Group<RunEnd>,
    /// Those that nobody waits for.
    passing_ends: Group<RunEnd>,
}

/// Changes that become visible together, with [`Change::commit`], or not at all.
#[derive(Debug)]
pub struct Change {
    tx: Transaction<'static, Postgres>,
}

impl Store {
    /// The database behind `pool`.
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            pulse: Pulse::new(),
            questions: Group::new(Duration::ZERO),
            ends: Group::new(Duration::ZERO),
            passing_ends: Group::new(GATHER),
        }
    }

    /// What comes of a statement that stands between a caller and a model, or [`StoreError::Away`]
    /// within a second when nobody is answered. A database that is only busy is waited for.
    async fn unless_away<T>(
        &self,
        statement: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        tokio::select! {
            biased;
            outcome = statement => {
                if outcome.is_ok() {
                    self.pulse.beats();
                }
                outcome
            }
            () = self.pulse.stops(&self.pool) => AwaySnafu.fail(),
        }
    }

    /// Most connections that this process has to the database at a time.
    pub fn connections(&self) -> usize {
        self.pool.options().get_max_connections() as usize
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn begin(&self) -> Result<Change, StoreError> {
        // Boxed: it has room for making a connection, and is part of nearly every other future here.
        let begun = Box::pin(within(
            "begin a transaction",
            lotoai_kit::postgres::begin(&self.pool),
        ));
        Ok(Change {
            tx: self.unless_away(begun).await?,
        })
    }
}

impl Change {
    /// Makes the changes visible.
    ///
    /// # Errors
    /// When the database fails; when it is away, [`StoreError::Unsure`]: it may have heard of it.
    pub async fn commit(self) -> Result<(), StoreError> {
        match within("commit", self.tx.commit()).await {
            Err(error) if error.is_away() && !error.is_refusal() => Err(StoreError::Unsure {
                source: Box::new(error),
            }),
            outcome => outcome,
        }
    }
}

/// A timestamp column as RFC 3339 text; the driver has no type for `jiff`.
macro_rules! rfc3339 {
    ($column:literal) => {
        concat!(
            "to_char(",
            $column,
            " at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
        )
    };
}
use rfc3339;
