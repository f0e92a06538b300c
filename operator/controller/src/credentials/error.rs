//! Why a credential cannot be made, read or used.

use lotoai_plan::credentials::{Lost, MissingCredential, told};
use snafu::Snafu;

use crate::tls;

/// Why credentials are not complete.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub enum Error {
    /// A Secret of somebody else bears our name.
    #[snafu(display(
        "failed to make Secret/{name}: it is there already and does not belong to this platform; \
         delete or rename it, or give the platform another name"
    ))]
    Foreign {
        /// Its name.
        name: String,
    },
    /// A Secret belongs to a resource of the same name that is gone.
    #[snafu(display(
        "failed to make Secret/{name}: the one of a deleted platform of the same name is still \
         there; it goes by itself"
    ))]
    Leftover {
        /// Its name.
        name: String,
    },
    /// A Secret that somebody else keeps lacks a value.
    #[snafu(display("failed to read Secret/{name}: it has no value for key {key}; add it"))]
    NotGiven {
        /// Name of the Secret.
        name: String,
        /// The key it lacks.
        key: String,
    },
    /// A Secret lacks a key that cannot be made again.
    #[snafu(display("failed to read credentials"))]
    Missing {
        /// Which one.
        source: MissingCredential,
    },
    /// Secrets are gone, and what they opened is there.
    #[snafu(display("failed to make {}", told(lost)))]
    Lost {
        /// Which ones.
        lost: Vec<Lost>,
    },
    /// The system gave no random numbers.
    #[snafu(display("failed to get random numbers for Secret/{name}"))]
    Random {
        /// Name of the Secret.
        name: String,
    },
    /// A certificate could not be made.
    #[snafu(display("failed to make the certificate in Secret/{name}"))]
    Certificate {
        /// Name of the Secret.
        name: String,
        /// Why.
        source: tls::Error,
    },
    /// The authority's Secret is damaged.
    #[snafu(display(
        "failed to read Secret/{name}: it has no key {key}; delete it, and it is made anew"
    ))]
    Damaged {
        /// Name of the Secret.
        name: String,
        /// The key it lacks.
        key: &'static str,
    },
    /// Secrets that planning did not know of bear their labels again.
    #[snafu(display(
        "failed to plan with Secret/{}: it lacked a label that the operator finds its own by, and \
         has it again; the next pass plans with what it holds",
        names.join(", Secret/")
    ))]
    TakenUp {
        /// Their names.
        names: Vec<String>,
    },
    /// The API server refused or did not answer.
    #[snafu(display("failed to {verb} Secret/{name}"))]
    Request {
        /// What was tried.
        verb: &'static str,
        /// Name of the Secret.
        name: String,
        /// What the API server said.
        #[snafu(source(from(kube::Error, Box::new)))]
        source: Box<kube::Error>,
    },
}

impl Error {
    /// Whether a person must act on a Secret.
    #[must_use]
    pub fn is_for_user(&self) -> bool {
        matches!(
            self,
            Self::Foreign { .. }
                | Self::NotGiven { .. }
                | Self::Missing { .. }
                | Self::Lost { .. }
                | Self::Damaged { .. }
        )
    }

    /// Whether nothing is wrong any more, but the pass knew too little.
    #[must_use]
    pub const fn is_taken_up(&self) -> bool {
        matches!(self, Self::TakenUp { .. })
    }

    /// What the API server said, if it said anything.
    #[must_use]
    pub fn kube(&self) -> Option<&kube::Error> {
        match self {
            Self::Request { source, .. } => Some(source),
            _ => None,
        }
    }
}
