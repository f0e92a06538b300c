//! Leader election: one process at a time writes.
//!
//! Needs a client. The lease follows the protocol of client-go, so its timings are the usual ones:
//! 15 s until another process takes over, a renewal every 2 s.

use k8s_controller::LeaderElection;
use kube::Client;
use snafu::Snafu;
use tokio_util::sync::CancellationToken;

use crate::metrics;

/// Name of the Lease, unless the process is told another.
pub const LEASE: &str = "lotoai-operator";

/// Why leading ended.
#[derive(Debug, Snafu)]
pub enum Error {
    /// Another process may write now, so this one must end at once.
    #[snafu(display(
        "failed to renew the lease {lease:?} in time: another process may lead now, this one ends"
    ))]
    Lost {
        /// Name of the Lease.
        lease: String,
    },
}

/// Who this process is in the election.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease: who asks for another one leads beside this process.
    pub lease: String,
    /// Unique name of this process; the name of its pod.
    pub name: String,
}

/// Runs `work` while leading, and hands the lease over when it ends.
/// With no `identity`, `work` runs without a lease.
///
/// # Errors
/// When the lease is lost while working. `work` is dropped then.
pub async fn lead<F: Future>(
    client: Client,
    identity: Option<Identity>,
    shutdown: &CancellationToken,
    work: F,
) -> Result<Option<F::Output>, Error> {
    let work = async {
        metrics::leading(true);
        let output = work.await;
        metrics::leading(false);
        output
    };
    let Some(identity) = identity else {
        tracing::warn!("leader election is off: make sure that no second operator runs");
        return Ok(Some(work.await));
    };
    let Identity {
        namespace,
        lease,
        name,
    } = identity;
    tracing::info!(namespace, lease, name, "waiting for the lease");
    let election = LeaderElection::new(client, &namespace, &lease, &name);
    // A process that still waits for the lease has nothing to finish. One that holds it ends
    // through `work`, which stops on the same token.
    let started = CancellationToken::new();
    let work = async {
        started.cancel();
        work.await
    };
    let held = election.with_lease(work);
    let waiting = async {
        shutdown.cancelled().await;
        if started.is_cancelled() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        output = held => {
            metrics::leading(false);
            output.map(Some).ok_or(Error::Lost { lease })
        }
        () = waiting => Ok(None),
    }
}
