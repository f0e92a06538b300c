//! What a pass can fail with, and what to do about it.
//!
//! No client needed. "Not ready yet" is an outcome of a pass, never an error.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::time::Duration;

use kube::runtime::controller::Action;
use rand::Rng;
use snafu::Snafu;

use crate::{apply, credentials, dereference, prune, report, retain};

/// Longest wait after repeated transient failures: whatever failed, a platform is as it should be
/// within a minute after the cluster is well again.
const LONGEST_BACKOFF: Duration = Duration::from_secs(45);
/// Wait while the API server does not know us. The client reads its token file anew when it has
/// used a token for 50 s, so the first attempt after that must come soon.
const UNKNOWN_TO_API_SERVER: Duration = Duration::from_secs(8);

/// Why a pass failed. The variant's name is the reason of the event.
#[derive(Debug, Snafu, strum::IntoStaticStr)]
#[snafu(visibility(pub(crate)))]
pub enum Error {
    /// The stored resource is not what this version of the operator understands.
    #[snafu(display(
        "failed to read the resource: {cause}; correct it with kubectl edit, or upgrade the operator"
    ))]
    ReadResource {
        /// What the parser said.
        cause: String,
    },
    /// The resource asks for what cannot be. Every fault names its field and the fix.
    #[snafu(display("failed to plan the platform: {}", faults.join("; ")))]
    InvalidSpec {
        /// All faults.
        faults: Vec<String>,
    },
    /// A read failed.
    #[snafu(display("failed to look at the cluster"))]
    Dereference {
        /// Which read, and why.
        source: dereference::Error,
    },
    /// An object could not be kept from going with the resource.
    #[snafu(display("failed to bring deletionPolicy Retain into force"))]
    Retain {
        /// Which one, and why.
        source: retain::Error,
    },
    /// A Secret could not be made.
    #[snafu(display("failed to make credentials"))]
    Credentials {
        /// Which one, and why.
        source: credentials::Error,
    },
    /// An object could not be written.
    #[snafu(display("failed to bring the platform's objects up to date"))]
    Apply {
        /// Which one, and why.
        source: apply::Error,
    },
    /// An object could not be deleted.
    #[snafu(display("failed to delete what is no longer wanted"))]
    Prune {
        /// Which one, and why.
        source: prune::Error,
    },
    /// The status could not be written.
    #[snafu(display("failed to write the status"))]
    Report {
        /// Why.
        source: report::Error,
    },
    /// The operator has a fault. What it said stands nowhere: it may hold any value.
    #[snafu(display(
        "failed to end the pass: the operator met a fault of its own; its log says where it \
         panicked, please report that; other platforms are not concerned, and this one is tried \
         again"
    ))]
    Panicked,
}

/// Who can do something about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// A person: by the resource, or by an object that stands in the way.
    User,
    /// Nobody: somebody else wrote at the same time, or a label was put right, so the next pass sees
    /// newer objects.
    Conflict,
    /// Nobody, most likely: the API server or the network did not answer well.
    Transient,
    /// Whoever makes the operator.
    Bug,
}

impl Error {
    /// Who can do something about it.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::ReadResource { .. } | Self::InvalidSpec { .. } => ErrorClass::User,
            Self::Credentials { source } if source.is_for_user() => ErrorClass::User,
            Self::Credentials { source } if source.is_taken_up() => ErrorClass::Conflict,
            Self::Apply { source } if source.is_foreign() => ErrorClass::User,
            Self::Panicked => ErrorClass::Bug,
            _ => class_of(self.kube()),
        }
    }

    /// Whether the cluster refused objects for what they are, and the rest was written.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Apply { source } if source.is_refusal())
    }

    /// Whether the token is not, or no longer, one that the API server knows.
    fn is_unauthorised(&self) -> bool {
        matches!(self.kube(), Some(kube::Error::Api(status)) if status.code == 401)
    }

    /// What the API server said, if it said anything.
    fn kube(&self) -> Option<&kube::Error> {
        match self {
            Self::ReadResource { .. } | Self::InvalidSpec { .. } | Self::Panicked => None,
            Self::Dereference { source } => source.kube(),
            Self::Retain { source } => source.kube(),
            Self::Credentials { source } => source.kube(),
            Self::Apply { source } => source.kube(),
            Self::Prune { source } => source.kube(),
            Self::Report { source } => source.kube(),
        }
    }

    /// The reason of the event and of the log line.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.into()
    }

    /// What the pass came to, for metrics and traces.
    pub(crate) const fn outcome(&self) -> &'static str {
        if matches!(self, Self::Panicked) {
            "panicked"
        } else {
            "failed"
        }
    }

    /// What the operator was doing: the action of the event.
    #[must_use]
    pub const fn attempt(&self) -> &'static str {
        match self {
            Self::ReadResource { .. } => "Read",
            Self::InvalidSpec { .. } => "Validate",
            Self::Dereference { .. } => "Observe",
            Self::Retain { .. } => "Retain",
            Self::Credentials { .. } => "Create",
            Self::Apply { .. } => "Apply",
            Self::Prune { .. } => "Prune",
            Self::Report { .. } => "WriteStatus",
            Self::Panicked => "Reconcile",
        }
    }

    /// When to try again after `failures` failures in a row, this one included. A change of the
    /// resource or of anything it owns comes earlier by itself.
    pub fn action(&self, failures: u32) -> Action {
        match self.class() {
            // Objects that stand in the way are not ours, so nothing wakes us when they go.
            ErrorClass::User => Action::requeue(Duration::from_secs(60)),
            ErrorClass::Conflict => Action::requeue(Duration::from_secs(1)),
            ErrorClass::Transient if self.is_unauthorised() => {
                Action::requeue(UNKNOWN_TO_API_SERVER)
            }
            ErrorClass::Transient | ErrorClass::Bug => Action::requeue(backoff(failures)),
        }
    }
}

fn class_of(error: Option<&kube::Error>) -> ErrorClass {
    match error {
        Some(kube::Error::Api(status)) if status.code == 409 => ErrorClass::Conflict,
        // 400, 403 and 422 do not go away by themselves, but a person can make them go away
        // without touching the resource (RBAC, quota, admission), so they are tried again.
        _ => ErrorClass::Transient,
    }
}

/// 2^n seconds up to [`LONGEST_BACKOFF`], ± a fifth, so that platforms which failed together do
/// not come back together.
fn backoff(failures: u32) -> Duration {
    let exact = Duration::from_secs(1 << failures.clamp(1, 8)).min(LONGEST_BACKOFF);
    exact.mul_f64(rand::rng().random_range(0.8..1.2))
}

/// The error and its causes in one line. A cause that the text before it already contains is
/// dropped, because `kube::Error` prints its sources itself.
pub fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let message = cause.to_string();
        if !text.contains(&message) {
            let _ = write!(text, ": {message}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use rstest::rstest;

    use super::*;

    /// A write of the status that the API server refused with `code`.
    fn refused(code: u16) -> Error {
        let status = Status::failure("no", "No").with_code(code).boxed();
        Error::Report {
            source: report::Error::PatchStatus {
                name: "demo".to_owned(),
                source: Box::new(kube::Error::Api(status)),
            },
        }
    }

    #[test]
    fn each_class_waits_as_long_as_it_takes_to_pass() {
        let after = |error: &Error| (error.class(), error.action(1));
        let seconds = |seconds| Action::requeue(Duration::from_secs(seconds));
        assert_eq!(after(&refused(409)), (ErrorClass::Conflict, seconds(1)));
        assert_eq!(after(&refused(401)), (ErrorClass::Transient, seconds(8)));
        let invalid = Error::ReadResource {
            cause: "spec.url: no".to_owned(),
        };
        assert_eq!(after(&invalid), (ErrorClass::User, seconds(60)));
    }

    #[rstest]
    fn what_may_pass_by_itself_is_tried_again_and_later_each_time(
        #[values(400, 403, 422, 429, 500, 503)] code: u16,
    ) {
        let error = refused(code);
        assert_eq!(error.class(), ErrorClass::Transient);
        assert_ne!(error.action(1), error.action(8));
    }

    #[derive(Debug, Snafu)]
    #[snafu(display("outer says inner"))]
    struct Outer {
        source: Inner,
    }

    #[derive(Debug, Snafu)]
    #[snafu(display("inner"))]
    struct Inner {
        source: std::fmt::Error,
    }

    #[test]
    fn the_chain_drops_what_was_said_already() {
        let error = Outer {
            source: Inner {
                source: std::fmt::Error,
            },
        };
        assert_eq!(
            chain(&error),
            "outer says inner: an error occurred when formatting an argument"
        );
    }

    #[test]
    fn backoff_grows_and_ends() {
        assert!(backoff(1) < Duration::from_secs(3));
        assert!(backoff(6) > Duration::from_secs(30));
        assert!(backoff(1000) < Duration::from_secs(60));
    }
}
