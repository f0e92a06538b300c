//! The gateway's database, for what no call shows or no test can wait for.

use std::process::Command;

use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use lotoai_e2e::Platform;

use crate::inside::Inside;
use crate::support::{NAME, NAMESPACE};

/// The database, as the gateway reaches it.
pub(crate) struct Database {
    inside: Inside,
    username: String,
    password: String,
}

impl Database {
    /// The database of the platform under test. Nothing, with the reason printed, where it is out of
    /// reach.
    pub(crate) async fn of(platform: &Platform) -> Option<Self> {
        let inside = Inside::of(platform, "postgres").await?;
        let secrets: Api<Secret> = Api::namespaced(platform.kube.clone(), NAMESPACE);
        let secret = secrets.get(&format!("{NAME}-gateway-postgres")).await;
        let data = secret.unwrap().data.unwrap();
        let text = |key: &str| String::from_utf8(data[key].0.clone()).unwrap();
        Some(Self {
            inside,
            username: text("username"),
            password: text("password"),
        })
    }

    /// The rows that a statement gives, one on a line; panics with PostgreSQL's words when it fails.
    pub(crate) fn run(&self, statement: &str) -> String {
        let target = format!(
            "host={} port=5432 dbname=gateway user={} sslmode=require connect_timeout=10",
            self.inside.address, self.username
        );
        let output = Command::new("nsenter")
            .arg(format!("--net={}", self.inside.namespace().display()))
            .args(["psql", "--no-psqlrc", "--quiet", "--tuples-only"])
            .args(["--no-align", "--set=ON_ERROR_STOP=1"])
            .args(["--dbname", &target, "--command", statement])
            .env("PGPASSWORD", &self.password)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{statement}: {told}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}
