//! What is measured, in the units that the JSON has.

use std::collections::BTreeMap;

use serde::Serialize;

/// Everything about one program.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    /// Which program.
    pub(crate) program: &'static str,
    /// How many resources.
    pub(crate) resources: usize,
    /// Children of all of them.
    pub(crate) children: usize,
    /// Until all resources had settled, from the creation of the first.
    pub(crate) settle_seconds: f64,
    /// Passes until nothing was written any more.
    pub(crate) passes: u64,
    /// Those that failed.
    pub(crate) failed_passes: u64,
    /// Where and why passes failed until then.
    pub(crate) failures: Vec<String>,
    /// Requests until nothing was written any more, by verb.
    pub(crate) requests: BTreeMap<String, u64>,
    /// Memory by number of resources.
    pub(crate) memory: BTreeMap<usize, Memory>,
    /// From the edit of a resource until its child is updated.
    pub(crate) edits: Latency,
    /// What a time without any change was like.
    pub(crate) stillness: Stillness,
    /// Memory after all of that.
    pub(crate) before_ballast: Memory,
    /// Memory after 50 MB of Secrets and ConfigMaps of others came.
    pub(crate) with_ballast: Memory,
    /// What a restart was like.
    pub(crate) restart: Restart,
}

/// Memory of a process in bytes.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) resident: u64,
    /// Resident at most since the process began.
    pub(crate) peak: u64,
}

/// Latencies in milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    /// How many were seen.
    pub(crate) count: usize,
    /// How many were not seen in time.
    pub(crate) missed: usize,
    /// Half are faster.
    pub(crate) p50: f64,
    /// One of a hundred is slower.
    pub(crate) p99: f64,
}

impl Latency {
    /// From all that were seen, in any order.
    pub(crate) fn new(mut seen: Vec<f64>, sent: usize) -> Self {
        seen.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            // The nearest rank: at least `percent` of all are no slower.
            let rank = (seen.len() * percent).div_ceil(100).max(1);
            seen.get(rank - 1).copied().unwrap_or(f64::NAN)
        };
        Self {
            count: seen.len(),
            missed: sent - seen.len(),
            p50: at(50),
            p99: at(99),
        }
    }
}

/// A time without any change from outside.
#[derive(Debug, Serialize)]
pub(crate) struct Stillness {
    /// How long.
    pub(crate) seconds: f64,
    /// Objects whose `resourceVersion` changed, that came or that went.
    pub(crate) changed: usize,
    /// Requests that could have written.
    pub(crate) writes: u64,
    /// Requests that read.
    pub(crate) reads: u64,
}

/// A restart with all resources there, and with the ballast.
#[derive(Debug, Serialize)]
pub(crate) struct Restart {
    /// From the start until every resource had its pass and nothing was sent any more.
    pub(crate) seconds: f64,
    /// Objects whose `resourceVersion` changed, that came or that went.
    pub(crate) changed: usize,
    /// Requests that could have written.
    pub(crate) writes: u64,
    /// Memory then.
    pub(crate) memory: Memory,
}
