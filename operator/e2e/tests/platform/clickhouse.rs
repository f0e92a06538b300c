//! Statements to the platform's ClickHouse, in the name of who has an account there.

use lotoai_e2e::Platform;

use crate::credentials;
use crate::inside::{Inside, Told};
use crate::support::NAME;

/// What the server in the network of `inside` answers to a statement of the account in this Secret,
/// named as for [`credentials::account`].
pub(crate) async fn ask(
    platform: &Platform,
    inside: &Inside,
    name: &str,
    statement: String,
) -> Told {
    let account = credentials::account(platform, name).await;
    let authorities = credentials::authorities(platform).await;
    let host = format!("{NAME}-clickhouse");
    let url = format!("https://{host}:8443/");
    inside
        .call((host.as_str(), 8443), &authorities, move |http| {
            http.post(url)
                .header("x-clickhouse-user", account.username)
                .header("x-clickhouse-key", account.password)
                .body(statement)
        })
        .await
}
