//! Writes of several requests in one transaction.
//!
//! A commit waits for the disk. Whoever comes while one is under way is written with all others that
//! came meanwhile, by the next: nobody who is awaited waits for company, and a busy database has fewer
//! and larger transactions.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Store, StoreError};

/// Most writes of a transaction.
const MOST: usize = 128;

/// What can be written together with others of its kind.
///
/// Its statements take lists, which they join with tables only as `(select … limit $length)`. The
/// server keeps a plan that it made when the table was nearly empty; of a plain list it expects ten
/// rows, for which it reads all of such a table, and goes on to do so when that has grown. Of a
/// limited one it expects one row, and looks each key up by its index.
pub(super) trait Together: Send + Sync + Sized + 'static {
    /// What becomes of one.
    type Outcome: Send + 'static;

    /// What a write begins with, before it is known which items it writes: who comes meanwhile is one
    /// of them.
    type Begun: Send;

    /// What they are, for metrics.
    const OF: &'static str;

    /// Begins a write.
    fn begin(store: &Store) -> impl Future<Output = Result<Self::Begun, StoreError>> + Send;

    /// Writes all of them or none, in one transaction. Gives their outcomes in their order.
    fn write(
        store: &Store,
        begun: Self::Begun,
        items: &[Arc<Self>],
    ) -> impl Future<Output = Result<Vec<Self::Outcome>, StoreError>> + Send;
}

/// The length of a list, to limit it.
pub(super) fn length<T>(list: &[T]) -> i64 {
    i64::try_from(list.len()).unwrap_or(i64::MAX)
}

type Waiter<T> = (Arc<T>, Told<T>);
type Told<T> = oneshot::Sender<Result<<T as Together>::Outcome, StoreError>>;

/// Those that wait to be written. Cheap to clone; all clones are the same.
pub(super) struct Group<T: Together> {
    waiting: Arc<Mutex<Waiting<T>>>,
    /// How long the first to come waits for company.
    gather: Duration,
}

struct Waiting<T: Together> {
    items: Vec<Waiter<T>>,
    is_writing: bool,
}

impl<T: Together> Clone for Group<T> {
    fn clone(&self) -> Self {
        Self {
            waiting: Arc::clone(&self.waiting),
            gather: self.gather,
        }
    }
}

impl<T: Together> std::fmt::Debug for Group<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").finish_non_exhaustive()
    }
}

impl<T: Together> Group<T> {
    /// A group in which the first to come waits so long for company: not at all where somebody waits
    /// for it.
    pub(super) fn new(gather: Duration) -> Self {
        Self {
            waiting: Arc::new(Mutex::new(Waiting {
                items: Vec::new(),
                is_writing: false,
            })),
            gather,
        }
    }

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
        while turn.goes_on() {
            self.gather().await;
            let begun = T::begin(&store).await;
            let (items, told): (Vec<_>, Vec<_>) = turn.take().into_iter().unzip();
            metrics::counter!("lotoai_gateway_transactions_total", "of" => T::OF).increment(1);
            metrics::counter!("lotoai_gateway_written_total", "of" => T::OF)
                .increment(items.len() as u64);
            let written = match begun {
                Ok(begun) => T::write(&store, begun, &items).await,
                Err(error) => Err(error),
            };
            match written {
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
                        let outcome = alone(&store, item).await;
                        tell([told], [outcome]);
                    }
                }
            }
        }
    }

    /// Lets others come.
    async fn gather(&self) {
        if !self.gather.is_zero() {
            if self.waiting() < MOST {
                tokio::time::sleep(self.gather).await;
            }
            return;
        }
        // Those who are there already: what came on other connections is looked at first, and what
        // came during that once more.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn alone<T: Together>(store: &Store, item: &Arc<T>) -> Result<T::Outcome, StoreError> {
    let begun = T::begin(store).await?;
    let outcomes = T::write(store, begun, std::slice::from_ref(item)).await?;
    outcomes.into_iter().next().ok_or(StoreError::Abandoned)
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
    /// Whether anybody waits; else the turn is over.
    fn goes_on(&self) -> bool {
        let mut waiting = self.0.lock();
        waiting.is_writing = !waiting.items.is_empty();
        waiting.is_writing
    }

    /// The next to be written.
    fn take(&self) -> Vec<Waiter<T>> {
        let mut waiting = self.0.lock();
        let most = waiting.items.len().min(MOST);
        waiting.items.drain(..most).collect()
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
mod plans;
#[cfg(test)]
mod tests;
