//! Our gateway, twice: as a plain proxy, and with limits and durable persistence on. Both check the
//! caller's token in every request, since no route of ours goes without. And the least program on the
//! same libraries, which checks nothing.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use snafu::{OptionExt as _, ResultExt as _, ensure_whatever};
use wiremock::MockServer;

use crate::Result;
use crate::driver::Target;
use crate::environment::{self, Sides};
use crate::keys::{Signer, claims};
use crate::machine::{programs, unprivileged};
use crate::mock::FarSides;
use crate::names::{FULL, LEAST, LEAST_STORED, PLAIN};
use crate::process::{Place, Process};
use crate::question::{PROMPT, question};

/// Longer than any run, so that no token ends within one.
const TOKEN_SECONDS: u64 = 24 * 3600;
/// How long a program may take until it answers.
pub(crate) const START: Duration = Duration::from_secs(120);
/// Budgets that every request reserves of and settles, and that are never used up.
const BUDGETS: &str = "budgets:
  - {name: user, scope: User, per: Day, requests: 1000000000, tokens: 1000000000000}
  - {name: platform, scope: Platform, per: Month, requests: 1000000000, tokens: 1000000000000}
";

/// The database of [`least`].
const LEAST_DATABASE: &str = "least";

/// A system that is measured.
pub(crate) struct System {
    /// Its name in the table.
    pub(crate) name: &'static str,
    /// The process.
    pub(crate) process: Process,
    /// What it is asked.
    pub(crate) target: Target,
}

/// What all systems share.
pub(crate) struct Ground {
    /// For files of a run.
    pub(crate) directory: PathBuf,
    /// The far sides.
    pub(crate) far: FarSides,
    /// Who signs tokens.
    pub(crate) signer: Signer,
    /// Who publishes its key.
    pub(crate) realm: MockServer,
    /// The address of a broker.
    pub(crate) broker: String,
    /// The database server.
    pub(crate) postgres: Postgres,
}

impl Ground {
    /// The header with a good token.
    pub(crate) fn token(&self) -> String {
        let mut claims = claims("ana");
        let begin = claims["iat"].as_u64().unwrap_or_default();
        claims["exp"] = json!(begin + TOKEN_SECONDS);
        format!("Bearer {}", self.signer.sign(&claims))
    }
}

/// A target with these headers beside the usual ones.
pub(crate) fn target(
    address: SocketAddr,
    path: &str,
    headers: &[(&'static str, &str)],
    body: bytes::Bytes,
) -> Result<Target> {
    let mut map = HeaderMap::new();
    map.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    map.insert(
        http::header::HOST,
        HeaderValue::try_from(address.to_string()).whatever_context("a bad host")?,
    );
    for (name, value) in headers {
        let value = HeaderValue::try_from(*value).whatever_context("a bad header")?;
        map.insert(HeaderName::from_static(name), value);
    }
    Ok(Target {
        address,
        path: path.to_owned(),
        headers: map,
        body,
    })
}

/// A port that nothing listens on.
pub(crate) fn free() -> Result<SocketAddr> {
    let listener =
        std::net::TcpListener::bind("127.0.0.1:0").whatever_context("failed to find a port")?;
    listener
        .local_addr()
        .whatever_context("failed to find a port")
}

/// Whether something accepts connections there.
pub(crate) async fn listens(address: SocketAddr) -> bool {
    tokio::net::TcpStream::connect(address).await.is_ok()
}

/// What a gateway is started with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Gateway {
    /// Nothing is limited or stored.
    Plain,
    /// Budgets, and every exchange stored before its answer ends.
    Full,
}

impl Gateway {
    const fn name(self) -> &'static str {
        match self {
            Self::Plain => PLAIN,
            Self::Full => FULL,
        }
    }

    const fn database(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Full => "full",
        }
    }
}

/// The gateway that is measured.
pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_gateway"))
}

/// Starts a gateway; how long it took until it was ready.
pub(crate) async fn gateway(ground: &Ground, kind: Gateway) -> Result<(System, Duration)> {
    let (address, admin) = (free()?, free()?);
    let mut command = Command::new(program());
    command.envs(environment::variables(&Sides {
        listen: address,
        admin,
        postgres: &ground.postgres.url(kind.database()),
        rabbitmq: &ground.broker,
        orchestrator: &ground.far.orchestrator,
        realm: &ground.realm.uri(),
    }));
    let stores = match kind {
        Gateway::Plain => false,
        Gateway::Full => {
            let budgets = ground.directory.join("budgets.yaml");
            std::fs::write(&budgets, BUDGETS).whatever_context("failed to write budgets.yaml")?;
            command.env("BUDGETS_FILE", budgets);
            true
        }
    };
    let log = ground.directory.join(format!("{}.log", kind.database()));
    let mut process = Process::start(command, Place::Measured, &log)?;
    let http = reqwest::Client::new();
    let ready = format!("http://{admin}/readyz");
    let is_ready = async || {
        let answer = http.get(&ready).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    };
    let took = process.up(START, is_ready).await?;
    let body = question(PROMPT, &json!({ "store": stores }));
    let token = ground.token();
    let headers = [("authorization", token.as_str())];
    let target = target(address, "/v1/chat/completions", &headers, body)?;
    let system = System {
        name: kind.name(),
        process,
        target,
    };
    Ok((system, took))
}

/// Starts the least program on the same libraries.
pub(crate) async fn least(ground: &Ground, stores: bool) -> Result<System> {
    let address = free()?;
    let program = std::env::current_exe().whatever_context("failed to find this program")?;
    let mut command = Command::new(program);
    command.args(["least", "--listen", &address.to_string()]);
    command.args(["--orchestrator", &ground.far.orchestrator]);
    if stores {
        command.args(["--database", &ground.postgres.url(LEAST_DATABASE)]);
    }
    let name = if stores { LEAST_STORED } else { LEAST };
    let log = ground.directory.join(format!("{name}.log"));
    let mut process = Process::start(command, Place::Measured, &log)?;
    process.up(START, async || listens(address).await).await?;
    let body = question(PROMPT, &json!({}));
    Ok(System {
        name,
        process,
        target: target(address, "/v1/chat/completions", &[], body)?,
    })
}

/// A PostgreSQL server with its defaults: what it has acknowledged is on the disk.
pub(crate) struct Postgres {
    /// The server.
    pub(crate) process: Process,
    port: u16,
    // Removed after the server has ended.
    _directory: tempfile::TempDir,
}

impl Postgres {
    /// Starts one with the databases of those that store.
    pub(crate) async fn start() -> Result<Self> {
        let directory = tempfile::tempdir().whatever_context("failed to make a directory")?;
        let programs = programs().whatever_context(
            "there is no `postgres` on PATH or in /usr/lib/postgresql/*/bin; install postgresql",
        )?;
        let data = directory.path().join("data");
        own(directory.path())?;
        let run = |program: &str| {
            let mut command = Command::new("setpriv");
            if let Some((user, group)) = unprivileged() {
                command.args([format!("--reuid={user}"), format!("--regid={group}")]);
                command.arg("--clear-groups");
            }
            command
                .arg("--")
                .arg(programs.join(program))
                .current_dir(directory.path());
            command
        };
        let made = run("initdb")
            .args([
                "--auth=trust",
                "--username=gateway",
                "--encoding=UTF8",
                "-D",
            ])
            .arg(&data)
            .output()
            .whatever_context("failed to start initdb")?;
        let said = String::from_utf8_lossy(&made.stderr);
        ensure_whatever!(made.status.success(), "initdb failed: {said}");
        let address = free()?;
        let mut command = run("postgres");
        command
            .arg("-D")
            .arg(&data)
            .args(["-p", &address.port().to_string(), "-k"])
            .arg(directory.path())
            .args(["-c", "listen_addresses=127.0.0.1"]);
        let log = std::env::temp_dir().join(format!("lotoai-bench-postgres-{}", address.port()));
        let mut process = Process::start(command, Place::Beside, &log)?;
        process.up(START, async || listens(address).await).await?;
        let server = Self {
            process,
            port: address.port(),
            _directory: directory,
        };
        let ours = [Gateway::Plain, Gateway::Full].map(Gateway::database);
        for database in ours.into_iter().chain([LEAST_DATABASE]) {
            server.create(database).await?;
        }
        drop(std::fs::remove_file(log));
        Ok(server)
    }

    fn url(&self, database: &str) -> String {
        format!(
            "postgres://127.0.0.1:{}/{database}?sslmode=disable",
            self.port
        )
    }

    async fn create(&self, database: &'static str) -> Result<()> {
        let options = sqlx::postgres::PgConnectOptions::new()
            .host("127.0.0.1")
            .port(self.port)
            .username("gateway")
            .database("postgres");
        let begun = Instant::now();
        loop {
            let pool = sqlx::PgPool::connect_lazy_with(options.clone());
            let statement = sqlx::AssertSqlSafe(format!("create database \"{database}\""));
            match sqlx::query(statement).execute(&pool).await {
                Ok(_) => return Ok(()),
                // It listens a moment before it takes anybody in.
                Err(_) if begun.elapsed() < START => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => return Err(error).whatever_context("failed to make a database"),
            }
        }
    }
}

fn own(directory: &Path) -> Result<()> {
    let Some((user, group)) = unprivileged() else {
        return Ok(());
    };
    std::os::unix::fs::chown(directory, Some(user), Some(group))
        .whatever_context("failed to give a directory to the server")
}
