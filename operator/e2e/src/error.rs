//! Errors of the public client.

use snafu::Snafu;

/// Why a call to the platform failed.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub enum Error {
    /// The cluster could not be reached or refused.
    #[snafu(display("failed to {action}"))]
    Cluster {
        /// What was tried.
        action: String,
        /// Cause.
        #[snafu(source(from(kube::Error, Box::new)))]
        source: Box<kube::Error>,
    },
    /// No usable kubeconfig.
    #[snafu(display("failed to read the kubeconfig; set KUBECONFIG or run `make up` first"))]
    Kubeconfig {
        /// Cause.
        source: kube::config::InferConfigError,
    },
    /// The resource has no URL yet.
    #[snafu(display(
        "LotoAI {name:?} has no URL in its status yet; see `kubectl describe lotoai {name}`"
    ))]
    NoUrl {
        /// Name of the resource.
        name: String,
    },
    /// A Secret lacks a key.
    #[snafu(display("Secret {secret:?} has no key {key:?}"))]
    SecretKey {
        /// Name of the Secret.
        secret: String,
        /// The key.
        key: String,
    },
    /// The HTTP client could not be built.
    #[snafu(display("failed to build the HTTP client"))]
    Build {
        /// Cause.
        source: reqwest::Error,
    },
    /// A request did not complete.
    #[snafu(display("failed to {action}"))]
    Request {
        /// What was tried.
        action: String,
        /// Cause.
        source: reqwest::Error,
    },
    /// The platform answered with an error.
    #[snafu(display("failed to {action}: the platform answered {status}: {body}"))]
    Refused {
        /// What was tried.
        action: String,
        /// HTTP status.
        status: u16,
        /// The body, as it came.
        body: String,
    },
    /// An answer was not what the API promises.
    #[snafu(display("failed to understand the answer to {action}: {problem}"))]
    Unexpected {
        /// What was tried.
        action: String,
        /// What is wrong with the answer.
        problem: String,
    },
    /// A file could not be read.
    #[snafu(display("failed to read {path:?}"))]
    ReadFile {
        /// The path.
        path: std::path::PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// Something did not happen in time.
    #[snafu(display("gave up after {seconds} s waiting for {what}; last seen: {last}"))]
    Deadline {
        /// What was awaited.
        what: String,
        /// The limit.
        seconds: u64,
        /// The last state.
        last: String,
    },
}

/// Result of the public client.
pub type Result<T, E = Error> = std::result::Result<T, E>;
