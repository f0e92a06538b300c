//! Why provisioning failed.

use std::path::PathBuf;

use snafu::Snafu;

use crate::http::HttpError;
use crate::s3::S3Error;

/// Why provisioning failed.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub enum Error {
    /// The file cannot be read.
    #[snafu(display("failed to read PROVISION_FILE {path:?}"))]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[snafu(display("failed to understand PROVISION_FILE {path:?}"))]
    ParseFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: serde_yaml_ng::Error,
    },
    /// A variable that the file names is not set.
    #[snafu(display(
        "{variable}, which PROVISION_FILE names as the password of {of:?}, is not set"
    ))]
    NoSecret {
        /// The variable.
        variable: String,
        /// Whose password it is.
        of: String,
    },
    /// A value of the file cannot be used.
    #[snafu(display("{field} {value:?} is refused; {fix}"))]
    BadValue {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What to write instead.
        fix: String,
    },
    /// The process was told to stop.
    #[snafu(display("stopped before everything was provisioned; run it again"))]
    Stopped,
    /// A store that is spoken to over HTTP refused, or did not answer.
    #[snafu(display("failed to provision {store}"))]
    Http {
        /// The store.
        store: &'static str,
        /// The cause.
        source: HttpError,
    },
    /// The address is no PostgreSQL address.
    #[snafu(display("failed to use POSTGRES_URL; write it as postgres://host:5432/postgres"))]
    PostgresAddress {
        /// The cause.
        source: sqlx::Error,
    },
    /// The system gave no random numbers.
    #[snafu(display("failed to get random numbers from the system"))]
    NoRandom,
    /// PostgreSQL refused, or did not answer.
    #[snafu(display("failed to {what} in PostgreSQL"))]
    Postgres {
        /// What was being done.
        what: String,
        /// The cause.
        source: sqlx::Error,
    },
    /// MinIO refused, or did not answer.
    #[snafu(display("failed to provision MinIO"))]
    S3 {
        /// The cause.
        source: S3Error,
    },
}
