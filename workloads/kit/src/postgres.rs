//! The relational store.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use snafu::{ResultExt, Snafu};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgPool, PgTransaction};
use url::Url;

use crate::readiness::Gate;
use crate::{Service, retry};

/// How long a start waits for the database.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long getting a connection may take.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one statement may take; the server ends it.
const STATEMENT_TIMEOUT: &str = "30s";
/// How long a statement may wait for a lock; the server ends it then, so that who has given up waiting
/// holds no lock himself that others wait for. Longer than anybody waits for one.
const LOCK_TIMEOUT: &str = "10s";
/// How long a transaction may stand still; the server ends it then, so that a process that hangs or
/// is cut off holds no lock that others wait for.
const IDLE_TRANSACTION_TIMEOUT: &str = "30s";
/// A connection that was used so lately is taken without being asked whether it lives: that would be a
/// round trip for each use of a busy one.
const TRUSTED: Duration = Duration::from_millis(500);
/// How often the gate is looked at.
const PING_EVERY: Duration = Duration::from_secs(5);

/// Where the database is and who we are there.
#[derive(Debug, Clone, Args)]
pub struct PostgresArgs {
    /// Address with database, for example `postgres://lotoai-postgres:5432/gateway?sslmode=verify-full`
    #[arg(long, env = "POSTGRES_URL")]
    pub postgres_url: Url,
    /// Role
    #[arg(long, env = "POSTGRES_USERNAME")]
    pub postgres_username: String,
    /// Password of the role
    #[arg(long, env = "POSTGRES_PASSWORD", hide_env_values = true)]
    pub postgres_password: SecretString,
    /// File with the authority of the server's certificate, beside the well-known ones
    #[arg(long, env = "POSTGRES_CA_FILE")]
    pub postgres_ca_file: Option<PathBuf>,
    /// Most connections that this process holds, 1 to 100
    #[arg(long, env = "POSTGRES_MAX_CONNECTIONS", default_value_t = 8,
          value_parser = clap::value_parser!(u32).range(1..=100))]
    pub postgres_max_connections: u32,
}

/// Why the database cannot be used.
#[derive(Debug, Snafu)]
pub enum PostgresError {
    /// The address is no PostgreSQL address.
    #[snafu(display("failed to use POSTGRES_URL; write it as postgres://host:5432/database"))]
    Address {
        /// The cause.
        source: sqlx::Error,
    },
    /// It did not answer in time.
    #[snafu(display("failed to reach PostgreSQL at {host} within {} s", PATIENCE.as_secs()))]
    Unreachable {
        /// The server.
        host: String,
        /// The last cause.
        source: sqlx::Error,
    },
    /// The schema could not be brought up to date.
    #[snafu(display("failed to migrate the database"))]
    Migrate {
        /// The cause.
        source: MigrateError,
    },
}

impl PostgresArgs {
    /// How to connect, with credentials. The address says whether TLS is spoken and the server
    /// checked, with `?sslmode=verify-full` for example.
    ///
    /// # Errors
    /// `POSTGRES_URL` is no PostgreSQL address.
    pub fn connect_options(&self, application: &str) -> Result<PgConnectOptions, PostgresError> {
        let options: PgConnectOptions = self.postgres_url.as_str().parse().context(AddressSnafu)?;
        let options = match &self.postgres_ca_file {
            Some(file) => options.ssl_root_cert(file),
            None => options,
        };
        Ok(options
            .username(&self.postgres_username)
            .password(self.postgres_password.expose_secret())
            .application_name(application)
            .options([
                ("statement_timeout", STATEMENT_TIMEOUT),
                ("lock_timeout", LOCK_TIMEOUT),
                (
                    "idle_in_transaction_session_timeout",
                    IDLE_TRANSACTION_TIMEOUT,
                ),
            ]))
    }

    /// A pool, once the database answers. Registers the gate `postgres`, which follows whether the
    /// database answers.
    ///
    /// # Errors
    /// The address is wrong, or the database did not answer within two minutes.
    pub async fn pool(&self, service: &Service) -> Result<PgPool, PostgresError> {
        let gate = service.readiness.register("postgres");
        let pool = PgPoolOptions::new()
            .max_connections(self.postgres_max_connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, known| {
                Box::pin(async move {
                    if known.idle_for >= TRUSTED {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(self.connect_options(service.name)?);
        let reached = retry::until("PostgreSQL", PATIENCE, || ping(&pool, &gate));
        let host = self.postgres_url.host_str().unwrap_or_default();
        // A stop that comes while we wait ends the wait; the workload then sees the error.
        tokio::select! {
            result = reached => result.context(UnreachableSnafu { host })?,
            () = service.shutdown.cancelled() => {
                let source = sqlx::Error::PoolClosed;
                return Err(PostgresError::Unreachable { host: host.to_owned(), source });
            }
        }
        watch(service, pool.clone(), gate);
        Ok(pool)
    }
}

async fn ping(pool: &PgPool, gate: &Gate) -> Result<(), sqlx::Error> {
    let result = sqlx::query("SELECT 1").execute(pool).await;
    match &result {
        Ok(_) => gate.ready(),
        Err(error) => gate.not_ready(error.to_string()),
    }
    result.map(drop)
}

fn watch(service: &Service, pool: PgPool, gate: Gate) {
    let shutdown = service.shutdown.clone();
    service.keep_up("postgres-ping", async move {
        let mut ticks = tokio::time::interval(PING_EVERY);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            // A full pool is no fault of the database: a ping would only add to the queue.
            let busy = pool.num_idle() == 0 && pool.size() >= pool.options().get_max_connections();
            if !busy && let Err(error) = ping(&pool, &gate).await {
                tracing::warn!(%error, "PostgreSQL does not answer");
            }
        }
    });
}

/// Begins a transaction, and may be cancelled. The library's own way may not: dropped while its `BEGIN` is
/// under way, it gives the connection back with a transaction that nobody ends, and what is written
/// there next is told to be stored and never is (<https://github.com/transact-rs/sqlx/issues/4393>).
///
/// # Errors
/// No connection is to be had, or the database refuses.
pub async fn begin(pool: &PgPool) -> Result<PgTransaction<'static>, sqlx::Error> {
    let pool = pool.clone();
    #[expect(clippy::disallowed_methods, reason = "its task is never cancelled")]
    let begun = tokio::spawn(async move { pool.begin().await });
    begun.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

/// Brings the schema up to date. Replicas that start together take turns. A schema that is newer
/// already is taken as it is: migrations are additions, and a replica of the version before may have
/// to start again while a newer one is rolled out, or after it was rolled back.
///
/// # Errors
/// A migration fails, or one that was applied is another now.
pub async fn migrate(pool: &PgPool, migrator: &Migrator) -> Result<(), PostgresError> {
    let mut tolerant = Migrator::with_migrations(migrator.iter().cloned().collect());
    tolerant.set_ignore_missing(true);
    // A replica waits for its turn by a lock, and each migration says itself how long it waits for others.
    let options = (*pool.connect_options())
        .clone()
        .options([("lock_timeout", "0")]);
    // Of its own, since a migration that fails leaves its connection with the lock of all of them.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options);
    let applied = tolerant.run(&pool).await;
    pool.close().await;
    applied.context(MigrateSnafu)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(url: &str) -> PostgresArgs {
        PostgresArgs {
            postgres_url: url.parse().unwrap(),
            postgres_username: "gate\"way".to_owned(),
            postgres_password: "p@ss/word".into(),
            postgres_ca_file: None,
            postgres_max_connections: 1,
        }
    }

    #[test]
    fn credentials_are_taken_as_they_are() {
        let options = args("postgres://db:5433/gateway")
            .connect_options("test")
            .unwrap();
        assert_eq!(options.get_username(), "gate\"way");
        assert_eq!((options.get_host(), options.get_port()), ("db", 5433));
        assert_eq!(options.get_database(), Some("gateway"));
    }

    #[test]
    fn nobody_waits_for_ever() {
        let options = args("postgres://db/gateway").connect_options("test");
        let options = options.unwrap().get_options().unwrap().to_owned();
        for bound in [
            "statement_timeout=30s",
            "lock_timeout=10s",
            "idle_in_transaction_session_timeout=30s",
        ] {
            assert!(options.contains(bound), "{options}");
        }
    }

    #[test]
    fn the_address_asks_for_a_server_that_is_checked() {
        use sqlx::postgres::PgSslMode;
        let mode = |url: &str| args(url).connect_options("test").unwrap().get_ssl_mode();
        let checked = mode("postgres://db/gateway?sslmode=verify-full");
        assert!(matches!(checked, PgSslMode::VerifyFull));
        let clear = mode("postgres://db/gateway?sslmode=disable");
        assert!(matches!(clear, PgSslMode::Disable));
    }

    #[tokio::test]
    async fn an_authority_that_is_not_there_fails_the_connection() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // Says yes to TLS, as a server does.
        let server = tokio::spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_exact(&mut [0; 8]).await.unwrap();
            stream.write_all(b"S").await.unwrap();
        });
        let mut args = args(&format!(
            "postgres://127.0.0.1:{port}/x?sslmode=verify-full"
        ));
        args.postgres_ca_file = Some("/nowhere/ca.crt".into());
        let options = args.connect_options("test").unwrap();
        let error = sqlx::ConnectOptions::connect(&options).await.unwrap_err();
        assert!(
            matches!(error, sqlx::Error::Tls(_) | sqlx::Error::Io(_)),
            "{error:?}"
        );
        server.await.unwrap();
    }

    #[tokio::test]
    async fn over_tls_the_authority_and_the_name_are_checked() {
        use crate::testing::{Authority, secured};

        let platform = Authority::new("platform");
        platform.issue(&["localhost"]);
        let attempt = async |host: &str, authority: &Authority| {
            // The server says yes to the eight bytes that ask for TLS.
            let (port, greeted) = secured(platform.certificates(), b"S").await;
            let mut args = args(&format!("postgres://{host}:{port}/x?sslmode=verify-full"));
            args.postgres_ca_file = Some(authority.file("ca.crt"));
            let options = args.connect_options("test").unwrap();
            let error = sqlx::ConnectOptions::connect(&options).await.unwrap_err();
            (greeted.await.unwrap(), crate::runtime::chain(&error))
        };
        // Who is let in says who he is; the server is no database and hangs up then.
        assert!(attempt("localhost", &platform).await.0.is_ok());
        let (greeted, cause) = attempt("localhost", &Authority::new("other")).await;
        assert!(
            greeted.is_err() && cause.contains("UnknownIssuer"),
            "{cause}"
        );
        let (greeted, cause) = attempt("127.0.0.1", &platform).await;
        assert!(
            greeted.is_err() && cause.contains("not valid for name"),
            "{cause}"
        );
    }

    #[tokio::test]
    async fn a_database_that_does_not_answer_keeps_the_gate_shut() {
        let service = Service::for_tests("test");
        let gate = service.readiness.register("postgres");
        // Bound but never accepted by a server: connecting works, the handshake does not.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let options = args(&format!("postgres://127.0.0.1:{port}/x")).connect_options("test");
        let pool = PgPoolOptions::new()
            .acquire_timeout(Duration::from_millis(200))
            .connect_lazy_with(options.unwrap());
        assert!(ping(&pool, &gate).await.is_err());
        assert!(service.readiness.reasons().contains_key("postgres"));
    }

    #[tokio::test]
    async fn a_stop_ends_the_wait_for_the_database() {
        let service = Service::for_tests("test");
        service.shutdown.cancel();
        let error = args("postgres://127.0.0.1:1/x")
            .pool(&service)
            .await
            .unwrap_err();
        assert!(matches!(error, PostgresError::Unreachable { .. }));
    }
}
