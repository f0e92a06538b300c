//! The schema's history, on a database that others use meanwhile: the rules that every migration
//! keeps, and the last one beside a reader, the writers of the version before and their restart.

mod rules;

use std::time::Duration;

use lotoai_kit::postgres::{PostgresError, migrate};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgPool, SqlSafeStr};
use uuid::Uuid;

use super::postgres;
use crate::store::MIGRATIONS;

/// Longer than any migration may wait for a lock.
const PATIENCE: Duration = Duration::from_secs(15);
/// SQLSTATE of a lock that was not got in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// What replicas write that do not know the last migration. Whoever adds one leaves the statements
/// as they are, and adds those of the migration before.
const WRITES: [&str; 23] = [
    "insert into conversations (id, owner, title) values ($1, 'ana', 'hers')",
    "insert into messages (id, conversation_id, role, content) values ($1, $1, 'user', 'what?')",
    "insert into messages (id, conversation_id, role, content, run_id, outcome, model, decision,
                           citations, tool_calls, function_calls)
     values (gen_random_uuid(), $1, 'assistant', 'so', $1, 'ok', 'm', '{}', '[]', '[]', '[]')",
    "insert into documents (id, owner, groups, knowledge_base, name, media_type, size,
                            content_hash, object_key)
     values ($1, 'ana', '{}', 'hr', $1::text, 'text/plain', 1, 'x', $1::text)",
    "insert into outbox (message_id, routing_key, body) values ($1::text, 'k', '')",
    "insert into sessions (id_hash, subject, sealed, expires_at)
     values (sha256($1::text::bytea), 'ana', '', now() + interval '1 hour')",
    "insert into api_keys (id, hash, owner, owner_name, name, scopes, groups, expires_at)
     values ($1::text, '', 'ana', 'Ana', 'k', '{chat}', '{}', now() + interval '1 hour')",
    "insert into answer_streams (run_id, conversation_id, subject, api_key, model, include_usage,
                                 alive_until)
     values ($1, $1, 'ana', '', 'm', false, now())",
    "insert into approvals (id, owner, conversation_id, model) values ($1, 'ana', $1, 'm')",
    "insert into idempotency_keys (owner, key, state, lease_until, expires_at, request_hash, status,
                                   headers, body)
     values ('ana', $1::text, 'kept', now(), now() + interval '1 day', '', 200, '{}', '')",
    "update messages set content = content || '.' where conversation_id = $1",
    "insert into responses (run_id, inputs, model, repeated, failure, finish_reason, provider,
                            input_tokens, output_tokens)
     select run_id, '{}', 'm', '{}', null, 'stop', 'p', 1, 1 from messages where run_id = $1",
    "insert into uploads (id, owner, knowledge_base, name, media_type, metadata, size, expires_at)
     values ($1, 'ana', 'hr', $1::text, 'text/plain', '', 1, now() + interval '1 hour')",
    "insert into upload_parts (upload_id, number, object_key, size) values ($1, 1, $1::text, 1)",
    "update uploads set received = received + 1, lease = $1, lease_until = now() where id = $1",
    "insert into stored_budgets (name, names, requests, tokens, micros, unknown_price,
                                 warn_at_percent, scope, per)
     values ($1::text, '{}', 1, null, null, 'Refuse', 80, 'User', 'Day')",
    "insert into budget_windows (budget, subject, starts_at, ends_at)
     values ('cap', $1::text, now(), now() + interval '1 day')",
    "insert into spendings (run_id, budgets, subjects, starts, reserved_tokens, reserved_micros,
                            lease_until, settled, subject, api_key, provider, model, currency,
                            price_version, input_tokens, output_tokens, micros, estimated)
     values ($1, '{cap}', array[$1::text], array[now()], 1, 1, now() + interval '1 hour', false,
             'ana', '', '', '', 'EUR', 'v', 1, 1, 1, true)",
    "update spendings set settled = true, provider = 'p', model = 'm', estimated = false
     where run_id = $1 and not settled",
    "insert into usage_days (day, subject, api_key, provider, model, currency, price_version,
                             requests, input_tokens, output_tokens, micros, unpriced, estimated)
     values (current_date, $1::text, '', 'p', 'm', 'EUR', 'v', 1, 1, 1, 1, 0, 0)",
    "insert into idempotency_keys (owner, key, state, lease_until, expires_at)
     values ('eve', $1::text, 'running', now(), now() + interval '1 day')",
    "update idempotency_keys set state = 'kept', request_hash = '', status = 200, headers = '{}',
                                 body = ''
     where owner = 'eve' and key = $1::text and state = 'running'",
    "insert into pending_erasures (subject) values ($1::text) on conflict (subject) do nothing",
];

/// The history up to the migration before the last.
fn but_the_last() -> Migrator {
    let mut migrations: Vec<Migration> = MIGRATIONS.iter().cloned().collect();
    migrations.pop();
    Migrator::with_migrations(migrations)
}

async fn write(pool: &PgPool) {
    let id = Uuid::now_v7();
    for statement in WRITES {
        let done = sqlx::query(statement).bind(id).execute(pool).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(PATIENCE, future).await;
    outcome.expect("nobody waits for long")
}

/// Whether a migration gave up because somebody else had a table.
fn is_given_up(error: &PostgresError) -> bool {
    let PostgresError::Migrate { source } = error else {
        return false;
    };
    let MigrateError::ExecuteMigration(cause, _) = source else {
        return false;
    };
    let code = cause.as_database_error().and_then(|it| it.code());
    code.as_deref() == Some(LOCK_NOT_AVAILABLE)
}

#[tokio::test]
async fn the_last_migration_runs_beside_a_reader_and_the_writers_before_it() {
    let Some(database) = postgres::start_empty() else {
        return;
    };
    let pool = database.pool();
    within(but_the_last().run(&pool)).await.unwrap();
    write(&pool).await;
    // Somebody reads every table, and does not come to an end.
    let tables: Vec<String> =
        sqlx::query_scalar("select tablename::text from pg_tables where schemaname = 'public'")
            .fetch_all(&pool)
            .await
            .unwrap();
    let mut reader = lotoai_kit::postgres::begin(&pool).await.unwrap();
    for table in tables.iter().filter(|name| *name != "_sqlx_migrations") {
        let read = format!("select count(*) from {table}");
        let read = sqlx::query(sqlx::AssertSqlSafe(read)).execute(&mut *reader);
        read.await.unwrap();
    }
    let (migrated, ()) = tokio::join!(within(migrate(&pool, &MIGRATIONS)), within(write(&pool)));
    match migrated {
        Ok(()) => reader.commit().await.unwrap(),
        Err(error) => {
            assert!(is_given_up(&error), "{error:?}");
            reader.commit().await.unwrap();
            // The process is started again.
            within(migrate(&pool, &MIGRATIONS)).await.unwrap();
        }
    }
    write(&pool).await;
    let last = MIGRATIONS.iter().last().unwrap().version;
    let applied: i64 = sqlx::query_scalar("select max(version) from _sqlx_migrations")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(applied, last, "the control");
}

/// Replicas wait for their turn by a lock, however long others wait for one.
#[tokio::test]
async fn a_migration_waits_for_as_long_as_it_says_itself() {
    let Some(database) = postgres::start_empty() else {
        return;
    };
    let options = (*database.pool().connect_options()).clone();
    let pool = PgPoolOptions::new().connect_lazy_with(options.options([("lock_timeout", "9s")]));
    let sql = "create table seen as select current_setting('lock_timeout') as timeout";
    let kind = MigrationType::Simple;
    let seeing = Migration::new(1, "see".into(), kind, SqlSafeStr::into_sql_str(sql), false);
    let migrator = Migrator::with_migrations(vec![seeing]);
    within(migrate(&pool, &migrator)).await.unwrap();
    let timeouts: (String, String) =
        sqlx::query_as("select timeout, current_setting('lock_timeout') from seen")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(timeouts, ("0".to_owned(), "9s".to_owned()));
}

#[tokio::test]
async fn a_replica_of_the_version_before_starts_again_on_the_newer_schema() {
    let Some(database) = postgres::start() else {
        return;
    };
    let old = but_the_last();
    within(migrate(&database.pool(), &old)).await.unwrap();
    write(&database.pool()).await;
    // The control: there is a migration that it does not know.
    let last = MIGRATIONS.iter().last().unwrap().version;
    let strict = database.pool();
    let refused = within(old.run(&strict)).await;
    strict.close().await;
    assert!(
        matches!(refused, Err(MigrateError::VersionMissing(version)) if version == last),
        "{refused:?}"
    );
    // What it knows must be what was applied, still.
    let mut changed: Vec<Migration> = MIGRATIONS.iter().cloned().collect();
    changed[0].checksum = vec![0].into();
    let changed = Migrator::with_migrations(changed);
    let refused = within(migrate(&database.pool(), &changed)).await;
    let refused = refused.unwrap_err();
    let PostgresError::Migrate { source } = refused else {
        panic!("{refused:?}")
    };
    assert!(
        matches!(source, MigrateError::VersionMismatch(1)),
        "{source:?}"
    );
}
