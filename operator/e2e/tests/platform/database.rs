//! A component's database, for what no call shows or no test can wait for.

use std::process::Command;

use lotoai_e2e::Platform;

use crate::credentials::{self, Account};
use crate::inside::Inside;

/// PostgreSQL, as a component or its administrator reaches it.
pub(crate) struct Database {
    inside: Inside,
    account: Account,
    /// The database that statements are for unless they name another.
    name: &'static str,
}

impl Database {
    /// The gateway's database of the platform under test. Nothing, with the reason printed, where it
    /// is out of reach.
    pub(crate) async fn of(platform: &Platform) -> Option<Self> {
        Self::of_component(platform, "gateway").await
    }

    /// The database of this component, which has its name.
    pub(crate) async fn of_component(platform: &Platform, name: &'static str) -> Option<Self> {
        Self::open(platform, &format!("{name}-postgres"), name).await
    }

    /// The server, in the name of its administrator.
    pub(crate) async fn of_administrator(platform: &Platform) -> Option<Self> {
        Self::open(platform, "postgres-admin", "postgres").await
    }

    async fn open(platform: &Platform, account: &str, name: &'static str) -> Option<Self> {
        let inside = Inside::of(platform, "postgres").await?;
        let account = credentials::account(platform, account).await;
        Some(Self {
            inside,
            account,
            name,
        })
    }

    /// The rows that a statement gives, one on a line; panics with PostgreSQL's words when it fails.
    pub(crate) fn run(&self, statement: &str) -> String {
        let rows = self.run_in(self.name, statement);
        rows.unwrap_or_else(|told| panic!("{statement}: {told}"))
    }

    /// The same in this database of the server, or PostgreSQL's words when it fails.
    pub(crate) fn run_in(&self, database: &str, statement: &str) -> Result<String, String> {
        let target = format!(
            "host={} port=5432 dbname={database} user={} sslmode=require connect_timeout=10",
            self.inside.address, self.account.username
        );
        let output = Command::new("nsenter")
            .arg(format!("--net={}", self.inside.namespace().display()))
            .args(["psql", "--no-psqlrc", "--quiet", "--tuples-only"])
            .args(["--no-align", "--set=ON_ERROR_STOP=1"])
            .args(["--dbname", &target, "--command", statement])
            .env("PGPASSWORD", &self.account.password)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        }
    }
}
