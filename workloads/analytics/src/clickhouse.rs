//! The HTTP interface of ClickHouse.

use std::time::Duration;

use lotoai_kit::authority::{self, AuthorityError};
use lotoai_kit::http_error::{BodyError, read_body_capped};
use lotoai_kit::upstream::CONNECT_TIMEOUT;
use secrecy::ExposeSecret;
use snafu::{ResultExt, Snafu};
use url::Url;

use crate::config::ClickHouseArgs;

/// How long one statement may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// More than this of an answer is not read.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// Characters of the server's error text that are shown.
const ERROR_CHARACTERS: usize = 300;

/// Rows are acknowledged when most servers have them. A server that is away makes the table when it
/// is back, and nobody waits for it.
const CLUSTER_SETTINGS: [(&str, &str); 4] = [
    ("insert_quorum", "auto"),
    ("insert_quorum_timeout", "15000"),
    ("distributed_ddl_task_timeout", "15"),
    ("distributed_ddl_output_mode", "null_status_on_timeout"),
];

/// Why a statement was not carried out.
#[derive(Debug, Snafu)]
pub enum Error {
    /// The client cannot be built.
    #[snafu(display("failed to build the HTTP client for ClickHouse"))]
    Client {
        /// Cause.
        source: reqwest::Error,
    },
    /// `CLICKHOUSE_CA_FILE` cannot be used.
    #[snafu(display("failed to use CLICKHOUSE_CA_FILE"))]
    Authority {
        /// Cause.
        source: AuthorityError,
    },
    /// No answer.
    #[snafu(display("failed to reach ClickHouse"))]
    Call {
        /// Cause.
        source: reqwest::Error,
    },
    /// The answer could not be read.
    #[snafu(display("failed to read the answer of ClickHouse"))]
    Body {
        /// Cause.
        source: BodyError,
    },
    /// The statement was refused.
    #[snafu(display("ClickHouse refused the statement with {status}: {text}"))]
    Refused {
        /// HTTP status.
        status: u16,
        /// The beginning of its explanation.
        text: String,
    },
}

/// A client of one database.
#[derive(Debug, Clone)]
pub struct ClickHouse {
    http: reqwest::Client,
    url: Url,
    args: ClickHouseArgs,
}

impl ClickHouse {
    /// A client of the configured database.
    ///
    /// # Errors
    /// The HTTP client cannot be built, or the authority cannot be read.
    pub fn new(args: &ClickHouseArgs) -> Result<Self, Error> {
        let builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        let http = authority::trust(builder, args.clickhouse_ca_file.as_deref())
            .context(AuthoritySnafu)?
            .build()
            .context(ClientSnafu)?;
        let mut url = args.clickhouse_url.clone();
        url.query_pairs_mut()
            .append_pair("database", &args.clickhouse_database)
            .append_pair("date_time_input_format", "best_effort");
        if args.clickhouse_cluster.is_some() {
            url.query_pairs_mut().extend_pairs(CLUSTER_SETTINGS);
        }
        Ok(Self {
            http,
            url,
            args: args.clone(),
        })
    }

    /// Carries out a statement and returns what it prints.
    ///
    /// # Errors
    /// ClickHouse is away or refuses.
    pub async fn execute(&self, statement: &str) -> Result<String, Error> {
        self.call(self.url.clone(), statement.to_owned()).await
    }

    /// Carries out `INSERT … FORMAT …` with its data.
    ///
    /// # Errors
    /// ClickHouse is away or refuses.
    pub async fn insert(&self, statement: &str, data: String) -> Result<(), Error> {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("query", statement);
        self.call(url, data).await.map(drop)
    }

    async fn call(&self, url: Url, body: String) -> Result<String, Error> {
        let response = self
            .http
            .post(url)
            .header("X-ClickHouse-User", &self.args.clickhouse_username)
            .header(
                "X-ClickHouse-Key",
                self.args.clickhouse_password.expose_secret(),
            )
            .body(body)
            .send()
            .await
            .map_err(reqwest::Error::without_url)
            .context(CallSnafu)?;
        let status = response.status();
        let bytes = read_body_capped(response, MAX_ANSWER_BYTES)
            .await
            .context(BodySnafu)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if status.is_success() {
            return Ok(text);
        }
        let text = text.chars().take(ERROR_CHARACTERS).collect::<String>();
        RefusedSnafu {
            status: status.as_u16(),
            text,
        }
        .fail()
    }
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::{method, query_param, query_param_is_missing};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    fn client(server: &MockServer, cluster: Option<&str>) -> ClickHouse {
        ClickHouse::new(&ClickHouseArgs {
            clickhouse_cluster: cluster.map(str::to_owned),
            ..ClickHouseArgs::for_tests(&server.uri())
        })
        .unwrap()
    }

    #[tokio::test]
    async fn in_a_cluster_most_servers_must_have_a_row() {
        let server = MockServer::start().await;
        let ok = ResponseTemplate::new(200);
        Mock::given(method("POST"))
            .and(query_param("insert_quorum", "auto"))
            .respond_with(ok.clone())
            .expect(1)
            .mount(&server)
            .await;
        Mock::given(method("POST"))
            .and(query_param_is_missing("insert_quorum"))
            .respond_with(ok)
            .expect(1)
            .mount(&server)
            .await;
        let insert = "INSERT INTO t FORMAT JSONEachRow";
        for cluster in [Some("lotoai"), None] {
            let client = client(&server, cluster);
            client.insert(insert, "{}".to_owned()).await.unwrap();
        }
    }
}
