//! Roles and databases in PostgreSQL.

mod scram;

use std::io;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use snafu::{OptionExt, ResultExt};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::config::PostgresAdmin;
use crate::error::{Error, NoRandomSnafu, PostgresAddressSnafu, PostgresSnafu};
use crate::plan::{Database, PostgresPlan, Secrets};
use crate::reach;

/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one statement may take; the server ends it. Creating a database copies files.
const STATEMENT_TIMEOUT: &str = "60s";

/// Brings roles and databases to what the plan says.
pub(crate) async fn provision(
    admin: &PostgresAdmin,
    plan: &PostgresPlan,
    secrets: &Secrets,
    patience: Duration,
) -> Result<(), Error> {
    let mut wanted = Vec::new();
    for entry in &plan.databases {
        let mut logins = Vec::new();
        for login in &entry.logins {
            let password = secrets.get(&login.password_env, &login.username)?;
            logins.push((login.username.as_str(), password));
        }
        wanted.push((entry, logins));
    }
    let options: PgConnectOptions = admin
        .postgres_url
        .as_str()
        .parse()
        .context(PostgresAddressSnafu)?;
    let options = match &admin.postgres_ca_file {
        Some(file) => options.ssl_root_cert(file),
        None => options,
    };
    let options = options
        .username(&admin.postgres_username)
        .application_name("provision")
        .options([("statement_timeout", STATEMENT_TIMEOUT)]);
    let with = |password: &SecretString| options.clone().password(password.expose_secret());
    let wanted_password = with(&admin.postgres_password);
    let standby = admin.postgres_password_standby.as_ref().map(with);
    let (mut connection, is_old) = reach("PostgreSQL", patience, || {
        connect_with_either(&wanted_password, standby.as_ref())
    })
    .await
    .context(PostgresSnafu { what: "connect" })?;
    if is_old {
        renew(&mut connection, admin).await?;
    }
    if !plan.shared {
        // Nobody but administrators has business in the maintenance database.
        execute(
            &mut connection,
            "close the database of the administrator",
            "SELECT format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', current_database())",
            &[],
        )
        .await?;
    }
    for (entry, logins) in wanted {
        owner(&mut connection, &entry.owner).await?;
        for (username, password) in logins {
            login(&mut connection, &entry.owner, username, &password).await?;
        }
        database(&mut connection, entry).await?;
        for username in &entry.retired {
            retire(&mut connection, username).await?;
        }
    }
    connection
        .close()
        .await
        .context(PostgresSnafu { what: "disconnect" })
}

/// It signs in only when it is among the logins as well.
const CREATE_OWNER: &str =
    "SELECT format('CREATE ROLE %I NOLOGIN NOCREATEDB NOCREATEROLE', $1::text)";
/// Only a superuser may say anything about SUPERUSER of a role that is there.
const ALTER_ROLE: &str =
    "SELECT format('ALTER ROLE %I LOGIN NOCREATEDB NOCREATEROLE PASSWORD %L', $1::text, $2::text)";
const CREATE_ROLE: &str =
    "SELECT format('CREATE ROLE %I LOGIN NOCREATEDB NOCREATEROLE PASSWORD %L', $1::text, $2::text)";

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options))
        .await
        .unwrap_or_else(|_| {
            let text = format!("no answer within {} s", CONNECT_TIMEOUT.as_secs());
            Err(sqlx::Error::Io(io::Error::new(
                io::ErrorKind::TimedOut,
                text,
            )))
        })
}

/// A connection, and whether it took the password of before.
async fn connect_with_either(
    options: &PgConnectOptions,
    standby: Option<&PgConnectOptions>,
) -> Result<(PgConnection, bool), sqlx::Error> {
    match (connect(options).await, standby) {
        (Err(error), Some(standby)) if is_wrong_password(&error) => {
            connect(standby).await.map(|connection| (connection, true))
        }
        (connected, _) => connected.map(|connection| (connection, false)),
    }
}

fn is_wrong_password(error: &sqlx::Error) -> bool {
    const INVALID_PASSWORD: &str = "28P01";
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code == INVALID_PASSWORD)
}

/// Gives the administrator the password that it should have.
async fn renew(connection: &mut PgConnection, admin: &PostgresAdmin) -> Result<(), Error> {
    let verifier = scram::verifier(admin.postgres_password.expose_secret())
        .ok()
        .context(NoRandomSnafu)?;
    let username = admin.postgres_username.as_str();
    let format = "SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text)";
    let what = format!("give role {username:?} its new password");
    execute(connection, &what, format, &[username, &verifier]).await?;
    tracing::info!(role = username, "the administrator has its new password");
    Ok(())
}

async fn has_role(connection: &mut PgConnection, name: &str) -> Result<bool, Error> {
    exists(
        connection,
        "SELECT 1 FROM pg_roles WHERE rolname = $1",
        name,
    )
    .await
}

async fn owner(connection: &mut PgConnection, name: &str) -> Result<(), Error> {
    if !has_role(connection, name).await? {
        let what = format!("create role {name:?}");
        execute(connection, &what, CREATE_OWNER, &[name]).await?;
    }
    // Whoever is no superuser may give a database only to a role that it is a member of.
    let format = "SELECT format('GRANT %I TO CURRENT_USER', $1::text)";
    let what = format!("become a member of role {name:?}");
    execute(connection, &what, format, &[name]).await
}

/// Lets a role sign in: the owner, or a member of it that works in its name, so that it does not
/// matter who of them made a table.
async fn login(
    connection: &mut PgConnection,
    owner: &str,
    username: &str,
    password: &SecretString,
) -> Result<(), Error> {
    let there = has_role(connection, username).await?;
    let (verb, format) = if there {
        ("alter", ALTER_ROLE)
    } else {
        ("create", CREATE_ROLE)
    };
    let what = format!("{verb} role {username:?}");
    let verifier = scram::verifier(password.expose_secret())
        .ok()
        .context(NoRandomSnafu)?;
    execute(connection, &what, format, &[username, &verifier]).await?;
    if username != owner {
        let format = "SELECT format('GRANT %I TO %I', $1::text, $2::text)";
        let what = format!("make role {username:?} a member of {owner:?}");
        execute(connection, &what, format, &[owner, username]).await?;
        let format = "SELECT format('ALTER ROLE %I SET role TO %L', $1::text, $2::text)";
        let what = format!("let role {username:?} work as {owner:?}");
        execute(connection, &what, format, &[username, owner]).await?;
    }
    tracing::info!(
        role = username,
        created = !there,
        "role is there, with its password"
    );
    Ok(())
}

/// Takes a role's way in. It stays, because it may own things.
async fn retire(connection: &mut PgConnection, username: &str) -> Result<(), Error> {
    if has_role(connection, username).await? {
        let format = "SELECT format('ALTER ROLE %I NOLOGIN PASSWORD NULL', $1::text)";
        let what = format!("close role {username:?}");
        execute(connection, &what, format, &[username]).await?;
        tracing::info!(role = username, "role may not sign in");
    }
    Ok(())
}

async fn database(connection: &mut PgConnection, entry: &Database) -> Result<(), Error> {
    let (database, owner) = (entry.database.as_str(), entry.owner.as_str());
    let there = exists(
        connection,
        "SELECT 1 FROM pg_database WHERE datname = $1",
        database,
    )
    .await?;
    if there {
        let format = "SELECT format('ALTER DATABASE %I OWNER TO %I', $1::text, $2::text)";
        execute(
            connection,
            &format!("set the owner of database {database:?}"),
            format,
            &[database, owner],
        )
        .await?;
    } else {
        let format = "SELECT format('CREATE DATABASE %I OWNER %I', $1::text, $2::text)";
        execute(
            connection,
            &format!("create database {database:?}"),
            format,
            &[database, owner],
        )
        .await?;
    }
    let format = "SELECT format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', $1::text)";
    execute(
        connection,
        &format!("close database {database:?} to others"),
        format,
        &[database],
    )
    .await?;
    tracing::info!(
        database,
        owner,
        created = !there,
        "database is there, for its owner alone"
    );
    Ok(())
}

async fn exists(
    connection: &mut PgConnection,
    query: &'static str,
    name: &str,
) -> Result<bool, Error> {
    let found: Option<i32> = sqlx::query_scalar(query)
        .bind(name)
        .fetch_optional(connection)
        .await
        .with_context(|_| PostgresSnafu {
            what: format!("look for {name:?}"),
        })?;
    Ok(found.is_some())
}

/// Runs the statement that `format` yields. DDL takes no parameters, so the server itself quotes
/// names (`%I`) and texts (`%L`), by its own rules and settings.
async fn execute(
    connection: &mut PgConnection,
    what: &str,
    format: &'static str,
    values: &[&str],
) -> Result<(), Error> {
    let mut query = sqlx::query_scalar(format);
    for value in values {
        query = query.bind(*value);
    }
    let statement: String = query
        .fetch_one(&mut *connection)
        .await
        .context(PostgresSnafu { what })?;
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(connection)
        .await
        .context(PostgresSnafu { what })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Login;

    #[tokio::test]
    async fn a_server_that_is_not_there_is_an_error_within_the_patience() {
        let admin = PostgresAdmin {
            postgres_url: "postgres://127.0.0.1:1/postgres".parse().unwrap(),
            postgres_username: "admin".to_owned(),
            postgres_password: "secret".into(),
            postgres_password_standby: None,
            postgres_ca_file: None,
        };
        let plan = PostgresPlan {
            shared: false,
            databases: Vec::new(),
        };
        let secrets = Secrets::from_pairs(&[]);
        let error = provision(&admin, &plan, &secrets, Duration::ZERO)
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "failed to connect in PostgreSQL");
    }

    #[tokio::test]
    async fn a_missing_password_is_found_before_anything_is_changed() {
        let admin = PostgresAdmin {
            postgres_url: "postgres://127.0.0.1:1/postgres".parse().unwrap(),
            postgres_username: "admin".to_owned(),
            postgres_password: "secret".into(),
            postgres_password_standby: None,
            postgres_ca_file: None,
        };
        let database = Database {
            database: "d".to_owned(),
            owner: "u".to_owned(),
            logins: vec![Login {
                username: "u".to_owned(),
                password_env: "NOT_SET".to_owned(),
            }],
            retired: Vec::new(),
        };
        let plan = PostgresPlan {
            shared: false,
            databases: vec![database],
        };
        let secrets = Secrets::from_pairs(&[]);
        let error = provision(&admin, &plan, &secrets, Duration::ZERO)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::NoSecret { .. }), "{error:?}");
    }
}
