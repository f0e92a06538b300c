//! A few workers over a list.

use std::sync::{Mutex, PoisonError};
use std::thread;

use super::error::Result;

/// `work` on every item by `workers` threads, in the order of the items. After a failure no new
/// item is begun, and the first failure is returned.
pub(crate) fn map<T: Sync, R: Send>(
    items: &[T],
    workers: usize,
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let queue = Mutex::new(items.iter().enumerate());
    let results = Mutex::new(Vec::with_capacity(items.len()));
    thread::scope(|scope| {
        for _ in 0..workers.max(1) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((index, item)) = next else { return };
                    let result = work(item);
                    if result.is_err() {
                        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
                        queue.by_ref().for_each(drop);
                    }
                    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                    results.push((index, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::images::error::UnknownImageSnafu;

    #[test]
    fn results_keep_the_order() {
        let items: Vec<u32> = (0..50).collect();
        let doubled = map(&items, 4, |item| Ok(item * 2)).unwrap();
        assert_eq!(
            doubled,
            items.iter().map(|item| item * 2).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_failure_ends_the_queue_and_is_returned() {
        let begun = AtomicUsize::new(0);
        let items: Vec<usize> = (0..100).collect();
        let result = map(&items, 1, |&item| {
            begun.fetch_add(1, Ordering::Relaxed);
            if item == 2 {
                UnknownImageSnafu {
                    name: "x",
                    known: Vec::new(),
                }
                .fail()
            } else {
                Ok(())
            }
        });
        assert!(result.unwrap_err().to_string().contains("no image \"x\""));
        assert_eq!(begun.into_inner(), 3);
    }
}
