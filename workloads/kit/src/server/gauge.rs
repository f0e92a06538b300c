//! How many requests are open, and when the last one came.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// What of a server is in use.
#[derive(Debug)]
pub(crate) struct Gauge {
    open: AtomicUsize,
    none_open: Notify,
    started: Instant,
    /// Milliseconds from `started` to the last connection or request.
    last: AtomicU64,
}

impl Default for Gauge {
    fn default() -> Self {
        Self {
            open: AtomicUsize::new(0),
            none_open: Notify::new(),
            started: Instant::now(),
            last: AtomicU64::new(0),
        }
    }
}

impl Gauge {
    /// Somebody came.
    pub(super) fn touch(&self) {
        let now = self.started.elapsed().as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        self.last.fetch_max(now, Ordering::Relaxed);
    }

    /// When somebody came last; when nobody did, when the server began.
    pub(super) fn last(&self) -> Instant {
        self.started + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }

    /// Waits until no request is open.
    pub(super) async fn nothing_open(&self) {
        loop {
            let mut changed = std::pin::pin!(self.none_open.notified());
            changed.as_mut().enable();
            if self.open.load(Ordering::SeqCst) == 0 {
                return;
            }
            changed.await;
        }
    }

    /// Somebody who is being let in until this is dropped. The wait for their first request begins
    /// then.
    pub(crate) fn coming(self: &Arc<Self>) -> Coming {
        Coming(self.open())
    }

    /// A request that is open until this is dropped.
    pub(super) fn open(self: &Arc<Self>) -> Open {
        self.touch();
        self.open.fetch_add(1, Ordering::SeqCst);
        Open(Arc::clone(self))
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Open(Arc<Gauge>);

impl Drop for Open {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.none_open.notify_waiters();
        }
    }
}

/// Somebody who is being let in.
#[derive(Debug)]
pub(crate) struct Coming(Open);

impl Drop for Coming {
    fn drop(&mut self) {
        // Before they are no longer counted.
        self.0.0.touch();
    }
}
