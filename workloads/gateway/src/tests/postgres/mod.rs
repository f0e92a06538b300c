//! A PostgreSQL database for one test, if this machine has the programs for it. All tests that run
//! at the same time share one server; who stops a server has one alone.

mod machine;
mod process;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool};

use process::Process;

/// The database that all others are copies of: the migrations have run in it.
const TEMPLATE: &str = "migrated";

/// A statement for the thread that started the server, and where it says what came of it.
type Statement = (String, Sender<sqlx::Result<()>>);

/// A server, and the way to the thread that started it, which ends when this is gone.
struct Server {
    process: Process,
    statements: Sender<Statement>,
}

/// A database that goes with it.
pub(crate) struct Database {
    name: String,
    server: Arc<Server>,
}

/// A migrated database of its own. `None`, with the reason printed, when there is no PostgreSQL here.
pub(crate) fn start() -> Option<Database> {
    Some(Database::create(shared()?, TEMPLATE))
}

/// The same without a schema.
pub(crate) fn start_empty() -> Option<Database> {
    Some(Database::create(shared()?, "template1"))
}

/// The server of all tests that run now.
fn shared() -> Option<Arc<Server>> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let server = shared.upgrade().or_else(spawn)?;
    *shared = Arc::downgrade(&server);
    Some(server)
}

/// The same on a server of its own, which the test may stop.
pub(crate) fn start_alone() -> Option<Database> {
    Some(Database::create(spawn()?, TEMPLATE))
}

/// Starts a server. The kernel ends it with the thread that started it, which must outlive the test
/// that happens to be the first; it makes the databases too.
fn spawn() -> Option<Arc<Server>> {
    let (ready, started) = mpsc::channel();
    let (sender, statements) = mpsc::channel::<Statement>();
    thread::spawn(move || {
        let Some(server) = Process::start() else {
            return ready.send(None).unwrap();
        };
        let options = server.options("postgres");
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(prepare(&server));
        ready.send(Some(server)).unwrap();
        for (statement, done) in statements {
            let result = runtime.block_on(execute(&options, statement));
            // Nobody waits where the test has failed.
            done.send(result).ok();
        }
    });
    let process = started.recv().unwrap()?;
    Some(Arc::new(Server {
        process,
        statements: sender,
    }))
}

/// Makes the database that the others are copies of, once the server answers.
async fn prepare(server: &Process) {
    server.answers().await;
    let create = format!("create database {TEMPLATE}");
    execute(&server.options("postgres"), create).await.unwrap();
    let pool = PgPoolOptions::new().connect_lazy_with(server.options(TEMPLATE));
    crate::store::MIGRATIONS.run(&pool).await.unwrap();
    // A database that somebody is connected to cannot be copied.
    pool.close().await;
}

async fn execute(options: &PgConnectOptions, statement: String) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect_with(options).await?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
        .execute(&mut connection)
        .await?;
    connection.close().await
}

/// The tables that hold `word` in any row, with the schema as it is: a table that is added later
/// is among them. Bytes are read as text.
pub(crate) async fn tables_with(pool: &PgPool, word: &str) -> Vec<String> {
    let names: Vec<(String, Vec<String>)> = sqlx::query_as(
        "select table_name::text,
                coalesce(array_agg(column_name::text) filter (where data_type = 'bytea'), '{}')
         from information_schema.columns join information_schema.tables
              using (table_catalog, table_schema, table_name)
         where table_schema = 'public' group by table_name order by table_name",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut found = Vec::new();
    for (name, bytes) in names {
        let bytes = bytes.iter().map(|it| format!(", encode({it}, 'escape')"));
        let row = format!("concat_ws(' ', t::text{})", bytes.collect::<String>());
        let count = format!("select count(*) from {name} t where strpos({row}, $1) > 0");
        let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count))
            .bind(word)
            .fetch_one(pool)
            .await
            .unwrap();
        if rows > 0 {
            found.push(name);
        }
    }
    found
}

impl Database {
    fn create(server: Arc<Server>, template: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let database = Self { name, server };
        let create = format!("create database {} template {template}", database.name);
        database.ask(create).unwrap();
        database
    }

    fn ask(&self, statement: String) -> sqlx::Result<()> {
        let (done, result) = mpsc::channel();
        self.server.statements.send((statement, done)).unwrap();
        result.recv().unwrap()
    }

    /// A pool on it.
    pub(crate) fn pool(&self) -> PgPool {
        PgPoolOptions::new()
            .max_connections(5)
            .connect_lazy_with(self.server.process.options(&self.name))
    }

    /// Takes it away from everybody who is connected to it.
    pub(crate) fn lose(&self) {
        self.ask(format!("drop database {} with (force)", self.name))
            .unwrap();
    }

    /// The server, of a database that has it alone.
    pub(crate) fn server(&mut self) -> &mut Process {
        let server = Arc::get_mut(&mut self.server).expect("a server alone: see `start_alone`");
        &mut server.process
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // It goes with its server otherwise, and may be lost already.
        if Arc::strong_count(&self.server) > 1 {
            let drop = format!("drop database if exists {} with (force)", self.name);
            self.ask(drop).ok();
        }
    }
}
