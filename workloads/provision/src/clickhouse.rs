//! Databases and users in ClickHouse.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use snafu::{ResultExt, ensure};
use url::Url;

use crate::config::ClickhouseAdmin;
use crate::error::{BadValueSnafu, Error, HttpSnafu};
use crate::http::{HttpError, client, send};
use crate::plan::{ClickhousePlan, ClickhouseUser, Secrets};
use crate::told::sha256;
use crate::{let_in, reach};

const STORE: &str = "ClickHouse";

/// How long every server of a cluster may take for a statement: less than a request may.
const DDL_SECONDS: &str = "15";

/// What a user may do in its own database: everything with tables, views and rows, but nothing
/// with the database itself, with users or with the server.
const PRIVILEGES: &str = "SHOW, SELECT, INSERT, ALTER, CREATE TABLE, CREATE VIEW, \
                          DROP TABLE, DROP VIEW, TRUNCATE, OPTIMIZE";

/// Brings databases and users to what the plan says.
pub(crate) async fn provision(
    admin: &ClickhouseAdmin,
    plan: &ClickhousePlan,
    secrets: &Secrets,
    patience: Duration,
) -> Result<(), Error> {
    let mut statements = Vec::new();
    for user in &plan.users {
        let password = secrets.get(&user.password_env, &user.username)?;
        statements.extend(statements_for(user, &password, plan.cluster.as_deref())?);
    }
    for name in &plan.retired {
        check("retired[]", name)?;
        statements.push((
            format!("delete user {name:?} if it is there"),
            format!("DROP USER IF EXISTS {name}"),
        ));
    }
    let client = client(admin.clickhouse_ca_file.as_deref()).context(HttpSnafu { store: STORE })?;
    sign_in(&client, admin, &plan.servers, patience)
        .await
        .context(HttpSnafu { store: STORE })?;
    let mut admin = admin.clone();
    if plan.cluster.is_some() {
        let mut settings = admin.clickhouse_url.query_pairs_mut();
        settings.append_pair("distributed_ddl_task_timeout", DDL_SECONDS);
        // A server that is away does it when it is back.
        settings.append_pair("distributed_ddl_output_mode", "null_status_on_timeout");
    }
    let admin = &admin;
    for (what, statement) in statements {
        query(&client, admin, &what, &statement)
            .await
            .context(HttpSnafu { store: STORE })?;
        tracing::info!("{what}: done");
    }
    Ok(())
}

/// Waits for the server. While two administrators take turns it reads its file of them again within a
/// moment, and both must be let in: whichever is used next is known then. Each of several servers
/// reads it in its own time, so each is asked.
async fn sign_in(
    client: &reqwest::Client,
    admin: &ClickhouseAdmin,
    servers: &[Url],
    patience: Duration,
) -> Result<(), HttpError> {
    let question = "SELECT 1";
    let Some(other) = standby(admin) else {
        let ask = || query(client, admin, "reach ClickHouse", question);
        return reach(STORE, patience, ask).await;
    };
    let servers = match servers {
        [] => std::slice::from_ref(&admin.clickhouse_url),
        several => several,
    };
    for server in servers {
        for admin in [admin, &other] {
            let admin = ClickhouseAdmin {
                clickhouse_url: server.clone(),
                ..admin.clone()
            };
            let what = format!(
                "sign in to ClickHouse at {} as {:?}",
                server.host_str().unwrap_or_default(),
                admin.clickhouse_username
            );
            let_in(STORE, patience, || query(client, &admin, &what, question)).await?;
        }
    }
    Ok(())
}

/// The administrator that takes turns with this one.
fn standby(admin: &ClickhouseAdmin) -> Option<ClickhouseAdmin> {
    Some(ClickhouseAdmin {
        clickhouse_username: admin.clickhouse_username_standby.clone()?,
        clickhouse_password: admin.clickhouse_password_standby.clone()?,
        ..admin.clone()
    })
}

/// The statements for one user, each with what it does. The names are checked, so that they need
/// no quoting; the password goes as its digest, which is all that the server keeps, because
/// statements end up in the server's log of queries.
///
/// The servers of a cluster share users, but each has databases of its own.
fn statements_for(
    user: &ClickhouseUser,
    password: &SecretString,
    cluster: Option<&str>,
) -> Result<Vec<(String, String)>, Error> {
    let (database, name) = (&user.database, &user.username);
    check("users[].database", database)?;
    check("users[].username", name)?;
    let everywhere = match cluster {
        None => String::new(),
        Some(cluster) => {
            check("cluster", cluster)?;
            format!(" ON CLUSTER {cluster}")
        }
    };
    let hash = sha256(password.expose_secret());
    let identified = format!("IDENTIFIED WITH sha256_hash BY '{hash}'");
    let mut statements = vec![
        (
            format!("create database {database:?} if it is missing"),
            format!("CREATE DATABASE IF NOT EXISTS {database}{everywhere}"),
        ),
        (
            format!("create user {name:?} if it is missing"),
            format!("CREATE USER IF NOT EXISTS {name} {identified}"),
        ),
        (
            format!("set the password of user {name:?}"),
            format!("ALTER USER {name} {identified}"),
        ),
        (
            format!("give database {database:?} to user {name:?}"),
            format!("GRANT {PRIVILEGES} ON {database}.* TO {name}"),
        ),
    ];
    if cluster.is_some() {
        // What it may do there is what it may do in its database.
        statements.push((
            format!("let user {name:?} make tables on every server"),
            format!("GRANT CLUSTER ON *.* TO {name}"),
        ));
    }
    Ok(statements)
}

async fn query(
    client: &reqwest::Client,
    admin: &ClickhouseAdmin,
    what: &str,
    statement: &str,
) -> Result<(), HttpError> {
    let request = client
        .post(admin.clickhouse_url.clone())
        .header("x-clickhouse-user", &admin.clickhouse_username)
        .header(
            "x-clickhouse-key",
            admin.clickhouse_password.expose_secret(),
        )
        .body(statement.to_owned());
    send(what, request).await?.success().map(drop)
}

fn check(field: &'static str, name: &str) -> Result<(), Error> {
    let mut bytes = name.bytes();
    let good = bytes.next().is_some_and(|b| b.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && name.len() <= 63;
    let fix = "use up to 63 lower-case letters, digits and underscores, a letter first";
    ensure!(
        good,
        BadValueSnafu {
            field,
            value: name,
            fix
        }
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use wiremock::matchers::{body_string, header, method};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    /// SHA-256 of `abc`, from FIPS 180-2.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn admin(url: &str) -> ClickhouseAdmin {
        ClickhouseAdmin {
            clickhouse_url: url.parse().unwrap(),
            clickhouse_username: "admin".to_owned(),
            clickhouse_password: "secret".into(),
            clickhouse_username_standby: None,
            clickhouse_password_standby: None,
            clickhouse_ca_file: None,
        }
    }

    fn plan() -> ClickhousePlan {
        let user = ClickhouseUser {
            database: "lotoai".to_owned(),
            username: "analytics".to_owned(),
            password_env: "P".to_owned(),
        };
        ClickhousePlan {
            cluster: None,
            servers: Vec::new(),
            users: vec![user],
            retired: vec!["analytics_b".to_owned()],
        }
    }

    async fn run(server: &MockServer) -> Result<(), Error> {
        let secrets = Secrets::from_pairs(&[("P", "abc")]);
        provision(&admin(&server.uri()), &plan(), &secrets, Duration::ZERO).await
    }

    #[tokio::test]
    async fn database_user_password_and_grant_are_made_as_administrator() {
        let server = MockServer::start().await;
        for statement in [
            "SELECT 1".to_owned(),
            "CREATE DATABASE IF NOT EXISTS lotoai".to_owned(),
            format!("CREATE USER IF NOT EXISTS analytics IDENTIFIED WITH sha256_hash BY '{ABC}'"),
            format!("ALTER USER analytics IDENTIFIED WITH sha256_hash BY '{ABC}'"),
            format!("GRANT {PRIVILEGES} ON lotoai.* TO analytics"),
            "DROP USER IF EXISTS analytics_b".to_owned(),
        ] {
            Mock::given(method("POST"))
                .and(header("x-clickhouse-user", "admin"))
                .and(header("x-clickhouse-key", "secret"))
                .and(body_string(statement))
                .respond_with(ResponseTemplate::new(200))
                .expect(1)
                .mount(&server)
                .await;
        }
        run(&server).await.unwrap();
    }

    #[test]
    fn in_a_cluster_every_server_gets_the_database_and_users_are_shared() {
        let user = &plan().users[0];
        let statements = statements_for(user, &"abc".into(), Some("lotoai")).unwrap();
        let texts: Vec<_> = statements.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(
            texts[0],
            "CREATE DATABASE IF NOT EXISTS lotoai ON CLUSTER lotoai"
        );
        let everywhere = texts.iter().filter(|text| text.contains("ON CLUSTER"));
        assert_eq!(everywhere.count(), 1);
        assert_eq!(texts[4], "GRANT CLUSTER ON *.* TO analytics");
        let alone = statements_for(user, &"abc".into(), None).unwrap();
        assert!(alone.iter().all(|(_, text)| !text.contains("CLUSTER")));
        let bad = statements_for(user, &"abc".into(), Some("x; DROP DATABASE y"));
        assert!(bad.unwrap_err().to_string().contains("cluster"));
    }

    #[tokio::test]
    async fn a_wrong_password_is_an_error_that_says_so() {
        let server = MockServer::start().await;
        let refusal = ResponseTemplate::new(403).set_body_string("AUTHENTICATION_FAILED");
        Mock::given(method("POST"))
            .respond_with(refusal)
            .mount(&server)
            .await;
        let error = run(&server).await.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("AUTHENTICATION_FAILED"), "{cause}");
    }

    #[tokio::test]
    async fn a_server_that_refuses_is_asked_once_and_one_that_starts_is_waited_for() {
        for (first, wanted) in [(403, 1), (503, 2)] {
            let server = MockServer::start().await;
            Mock::given(method("POST"))
                .and(body_string("SELECT 1"))
                .respond_with(ResponseTemplate::new(first))
                .up_to_n_times(1)
                .mount(&server)
                .await;
            Mock::given(method("POST"))
                .respond_with(ResponseTemplate::new(200))
                .mount(&server)
                .await;
            let nothing = ClickhousePlan {
                cluster: None,
                servers: Vec::new(),
                users: Vec::new(),
                retired: Vec::new(),
            };
            let secrets = Secrets::from_pairs(&[]);
            let admin = admin(&server.uri());
            let result = provision(&admin, &nothing, &secrets, Duration::from_secs(60)).await;
            assert_eq!(result.is_ok(), first == 503, "{result:?}");
            assert_eq!(server.received_requests().await.unwrap().len(), wanted);
        }
    }

    /// Of two administrators the one that the server does not know yet is waited for, and the one in
    /// use does the work.
    #[tokio::test]
    async fn two_administrators_are_both_let_in_before_anything_is_done() {
        let server = MockServer::start().await;
        let of = |name: &str| {
            Mock::given(method("POST"))
                .and(header("x-clickhouse-user", name))
                .and(body_string("SELECT 1"))
        };
        let answer = |status: u16| ResponseTemplate::new(status);
        of("admin").respond_with(answer(200)).mount(&server).await;
        let unknown = of("admin_b").and(header("x-clickhouse-key", "other"));
        let unknown = unknown.respond_with(answer(403)).up_to_n_times(2);
        unknown.expect(2).mount(&server).await;
        of("admin_b").respond_with(answer(200)).mount(&server).await;
        let work = Mock::given(method("POST")).and(header("x-clickhouse-user", "admin"));
        let work = work.and(body_string("DROP USER IF EXISTS analytics_b"));
        work.respond_with(answer(200))
            .expect(1)
            .mount(&server)
            .await;
        let plan = ClickhousePlan {
            users: Vec::new(),
            ..plan()
        };
        let admin = ClickhouseAdmin {
            clickhouse_username_standby: Some("admin_b".to_owned()),
            clickhouse_password_standby: Some("other".into()),
            ..admin(&server.uri())
        };
        let secrets = Secrets::from_pairs(&[]);
        let patience = Duration::from_secs(60);
        provision(&admin, &plan, &secrets, patience).await.unwrap();
        // The work comes last.
        let asked = server.received_requests().await.unwrap();
        assert_eq!(asked.len(), 5);
        assert!(asked[4].body.starts_with(b"DROP USER"));
    }

    /// The one that a Service leads to may know what another does not know yet.
    #[tokio::test]
    async fn each_of_several_servers_is_asked_for_both_administrators() {
        let (first, second) = (MockServer::start().await, MockServer::start().await);
        let of = |name: &str| {
            Mock::given(method("POST"))
                .and(header("x-clickhouse-user", name))
                .and(body_string("SELECT 1"))
        };
        let answer = |status: u16| ResponseTemplate::new(status);
        let late = of("admin_b").respond_with(answer(403)).up_to_n_times(1);
        late.expect(1).mount(&second).await;
        for server in [&first, &second] {
            for name in ["admin", "admin_b"] {
                let known = of(name).respond_with(answer(200));
                known.expect(1).mount(server).await;
            }
        }
        let plan = ClickhousePlan {
            servers: [&first, &second]
                .map(|server| server.uri().parse::<Url>().unwrap())
                .to_vec(),
            users: Vec::new(),
            retired: Vec::new(),
            ..plan()
        };
        let admin = ClickhouseAdmin {
            clickhouse_username_standby: Some("admin_b".to_owned()),
            clickhouse_password_standby: Some("other".into()),
            ..admin(&first.uri())
        };
        let secrets = Secrets::from_pairs(&[]);
        let patience = Duration::from_secs(60);
        provision(&admin, &plan, &secrets, patience).await.unwrap();
    }

    #[rstest]
    #[case("")]
    #[case("1st")]
    #[case("a b")]
    #[case("x; DROP DATABASE y")]
    #[case("x`y")]
    fn a_name_that_would_need_quoting_is_refused(#[case] name: &str) {
        assert!(
            check("f", name)
                .unwrap_err()
                .to_string()
                .contains("is refused; use up to 63")
        );
    }
}
