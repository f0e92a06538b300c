//! Buckets, users and policies in MinIO; in other object stores, buckets alone.

mod api;
mod encrypt;
mod policy;

use std::collections::BTreeSet;
use std::time::Duration;

use snafu::{ResultExt, ensure};

pub(crate) use api::S3Error;

use crate::config::S3Admin;
use crate::error::{BadValueSnafu, Error, S3Snafu};
use crate::plan::{S3Plan, Secrets};
use crate::{let_in, reach};
use api::Api;

/// Brings buckets, users and policies to what the plan says.
pub(crate) async fn provision(
    admin: &S3Admin,
    plan: &S3Plan,
    secrets: &Secrets,
    patience: Duration,
) -> Result<(), Error> {
    for bucket in &plan.buckets {
        check_bucket("buckets[]", bucket)?;
    }
    let mut users = Vec::new();
    for user in &plan.users {
        check_bucket("users[].bucket", &user.bucket)?;
        users.push((user, secrets.get(&user.password_env, &user.username)?));
    }
    let api = Api::new(admin).context(S3Snafu)?;
    for bucket in &plan.buckets {
        let there = reach("the object store", patience, || api.has_bucket(bucket))
            .await
            .context(S3Snafu)?;
        let created = !there && api.create_bucket(bucket).await.context(S3Snafu)?;
        tracing::info!(bucket, created, "bucket is there");
    }
    if users.is_empty() {
        return Ok(());
    }
    let reached = match admin.s3_password_standby {
        None => reach("MinIO", patience, || api.ping()).await,
        Some(_) => let_in("MinIO", patience, || api.ping()).await,
    };
    reached.context(S3Snafu)?;
    let buckets: BTreeSet<_> = plan.users.iter().map(|user| user.bucket.as_str()).collect();
    for bucket in buckets {
        let created = api.create_bucket(bucket).await.context(S3Snafu)?;
        tracing::info!(bucket, created, "bucket is there");
    }
    for (user, password) in users {
        let name = user.username.as_str();
        let policy_name = policy::name(name);
        let document = policy::document(&user.bucket, user.access);
        api.put_policy(&policy_name, &document)
            .await
            .context(S3Snafu)?;
        api.put_user(name, &password).await.context(S3Snafu)?;
        api.set_policy(name, &policy_name).await.context(S3Snafu)?;
        tracing::info!(
            user = name,
            policy = policy_name,
            "user is there, with its password and policy"
        );
    }
    for name in &plan.retired {
        let deleted = api.delete_user(name).await.context(S3Snafu)?;
        // Only after its user: MinIO keeps a policy that somebody has.
        let policy = policy::name(name);
        let forgotten = api.delete_policy(&policy).await.context(S3Snafu)?;
        if deleted || forgotten {
            tracing::info!(user = name, policy, "user and policy are deleted");
        }
    }
    Ok(())
}

fn check_bucket(field: &'static str, bucket: &str) -> Result<(), Error> {
    let good = (3..=63).contains(&bucket.len())
        && bucket
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !bucket.starts_with('-')
        && !bucket.ends_with('-');
    let fix = "use 3 to 63 lower-case letters, digits and hyphens, no hyphen at either end";
    ensure!(
        good,
        BadValueSnafu {
            field,
            value: bucket,
            fix
        }
    );
    Ok(())
}

#[cfg(test)]
mod tests;
