//! Writes of several requests in one transaction.
//!
//! A commit waits for the disk. Whoever comes while one is under way is written with all others that
//! came meanwhile, by the next: nobody waits for company, and a busy database has fewer and larger
//! transactions.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::{Store, StoreError};

/// Most writes of a transaction.
const MOST: usize = 128;

/// What can be written together with others of its kind.
pub(super) trait Together: Send + Sync + Sized + 'static {
    /// What becomes of one.
    type Outcome: Send + 'static;

    /// What they are, for metrics.
    const OF: &'static str;

    /// Writes all of them or none, in one transaction. Gives their outcomes in their order.
    fn write(
        store: &Store,
        items: &[Arc<Self>],
    ) -> impl Future<Output = Result<Vec<Self::Outcome>, StoreError>> + Send;
}

type Waiter<T> = (Arc<T>, Told<T>);
type Told<T> = oneshot::Sender<Result<<T as Together>::Outcome, StoreError>>;

/// Those that wait to be written. Cheap to clone; all clones are the same.
pub(super) struct Group<T: Together>(Arc<Mutex<Waiting<T>>>);

struct Waiting<T: Together> {
    items: Vec<Waiter<T>>,
    is_writing: bool,
}

impl<T: Together> Default for Group<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Waiting {
            items: Vec::new(),
            is_writing: false,
        })))
    }
}

impl<T: Together> Clone for Group<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Together> std::fmt::Debug for Group<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").finish_non_exhaustive()
    }
}

impl<T: Together> Group<T> {
    /// Writes an item with those that wait as well. It is written though the caller may leave.
    ///
    /// # Errors
    /// When the database fails: this item alone, or all that were written with it.
    pub(super) async fn write(
        &self,
        store: &Store,
        item: Arc<T>,
    ) -> Result<T::Outcome, StoreError> {
        let (told, outcome) = oneshot::channel();
        let is_first = {
            let mut waiting = self.lock();
            waiting.items.push((item, told));
            !std::mem::replace(&mut waiting.is_writing, true)
        };
        if is_first {
            tokio::spawn(self.clone().write_all(store.clone()));
        }
        // Who writes is gone without a word only when it has panicked.
        outcome.await.unwrap_or(Err(StoreError::Abandoned))
    }

    /// How many wait to be written.
    pub(super) fn waiting(&self) -> usize {
        self.lock().items.len()
    }

    /// Writes until nobody waits.
    async fn write_all(self, store: Store) {
        let turn = Turn(&self);
        while let Some(waiters) = turn.next() {
            let (items, told): (Vec<_>, Vec<_>) = waiters.into_iter().unzip();
            metrics::counter!("lotoai_gateway_transactions_total", "of" => T::OF).increment(1);
            metrics::counter!("lotoai_gateway_written_total", "of" => T::OF)
                .increment(items.len() as u64);
            match T::write(&store, &items).await {
                Ok(outcomes) => tell(told, outcomes.into_iter().map(Ok)),
                // All of them would wait for it again, one after the other.
                Err(error) if error.is_away() || items.len() == 1 => {
                    let error = Arc::new(error);
                    let shared = || {
                        Some(Err(StoreError::Shared {
                            source: Arc::clone(&error),
                        }))
                    };
                    tell(told, std::iter::from_fn(shared));
                }
                // It may be the fault of one.
                Err(_) => {
                    for (item, told) in items.iter().zip(told) {
                        let outcome = T::write(&store, std::slice::from_ref(item)).await;
                        tell(
                            [told],
                            outcome.map_or_else(
                                |error| vec![Err(error)],
                                |outcomes| outcomes.into_iter().map(Ok).collect(),
                            ),
                        );
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell<T>(
    told: impl IntoIterator<Item = oneshot::Sender<T>>,
    outcomes: impl IntoIterator<Item = T>,
) {
    for (told, outcome) in told.into_iter().zip(outcomes) {
        // Who has left wants to know nothing.
        drop(told.send(outcome));
    }
}

/// The turn of who writes. Where that panics, nobody waits for it for ever.
struct Turn<'a, T: Together>(&'a Group<T>);

impl<T: Together> Turn<'_, T> {
    /// The next to be written; without any, the turn is over.
    fn next(&self) -> Option<Vec<Waiter<T>>> {
        let mut waiting = self.0.lock();
        if waiting.items.is_empty() {
            waiting.is_writing = false;
            return None;
        }
        let most = waiting.items.len().min(MOST);
        Some(waiting.items.drain(..most).collect())
    }
}

impl<T: Together> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut waiting = self.0.lock();
            waiting.is_writing = false;
            waiting.items.clear();
        }
    }
}

#[cfg(test)]
mod tests;
