//! The budgets that hold now: those of the file, which never change, and those that administrators
//! made, which every replica reads again and again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use super::table::{Budget, Table};
use crate::error::chain;
use crate::store::{Store, StoreError};

/// What was changed on another replica holds here after this long at the latest.
const READ_EVERY: Duration = Duration::from_secs(2);

/// The budgets and prices that hold now. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub struct Budgets {
    file: Arc<Table>,
    now: Arc<watch::Sender<Now>>,
    /// Who reads holds it until what was read holds: what was read earlier must not come later.
    reading: Arc<Mutex<()>>,
}

#[derive(Debug)]
struct Now {
    stored: Vec<Budget>,
    table: Arc<Table>,
}

impl Budgets {
    /// Those of the file, until what is stored is read for the first time.
    pub fn new(file: Table) -> Self {
        let file = Arc::new(file);
        let now = Now {
            stored: Vec::new(),
            table: Arc::clone(&file),
        };
        Self {
            file,
            now: Arc::new(watch::Sender::new(now)),
            reading: Arc::default(),
        }
    }

    /// All that hold now, with prices.
    pub fn table(&self) -> Arc<Table> {
        Arc::clone(&self.now.borrow().table)
    }

    /// Those of the file alone.
    pub fn of_file(&self) -> &Table {
        &self.file
    }

    /// Reads what is stored, and holds to it from now on.
    ///
    /// # Errors
    /// When the database fails: then what was read before goes on to hold.
    pub async fn refresh(&self, store: &Store) -> Result<(), StoreError> {
        self.refresh_from(store.stored_budgets()).await
    }

    /// Those that are read take turns. Safe to cancel: then the next one reads.
    async fn refresh_from(
        &self,
        reading: impl Future<Output = Result<Vec<Budget>, StoreError>>,
    ) -> Result<(), StoreError> {
        let _turn = self.reading.lock().await;
        self.replace(reading.await?);
        Ok(())
    }

    fn replace(&self, stored: Vec<Budget>) {
        self.now.send_if_modified(|now| {
            if now.stored == stored {
                return false;
            }
            now.table = Arc::new(self.file.with(&stored));
            now.stored = stored;
            true
        });
    }

    /// Reads what is stored, again and again, until `stop`.
    pub async fn keep(self, store: Store, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(READ_EVERY) => {}
                () = stop.cancelled() => return,
            }
            if let Err(error) = self.refresh(&store).await {
                tracing::warn!(
                    error = chain(&error),
                    "the budgets of administrators were not read; those that were known hold"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::table::parse;

    fn names(budgets: &Budgets) -> Vec<String> {
        let table = budgets.table();
        let names = table.budgets.iter().map(|budget| budget.name.clone());
        names.collect()
    }

    fn made(entries: &str) -> Vec<Budget> {
        parse(&format!("budgets: [{entries}]")).unwrap().budgets
    }

    #[test]
    fn what_is_stored_stands_beside_the_file_and_never_in_its_place() {
        let file = "budgets: [{name: cap, scope: Platform, per: Day, requests: 5}]";
        let budgets = Budgets::new(parse(file).unwrap());
        let before = budgets.table();
        assert_eq!(names(&budgets), ["cap"]);

        let stored = made(
            "{name: more, scope: User, per: Day, requests: 1}, \
             {name: cap, scope: Platform, per: Day, requests: 900}",
        );
        budgets.replace(stored.clone());
        assert_eq!(names(&budgets), ["cap", "more"]);
        let table = budgets.table();
        assert_eq!(table.budgets[0].limits.requests, Some(5), "the file's");
        // Who began with the budgets of before ends with them.
        assert_eq!(before.budgets.len(), 1);

        budgets.replace(stored);
        assert!(Arc::ptr_eq(&table, &budgets.table()), "nothing is new");
        budgets.replace(Vec::new());
        assert_eq!(names(&budgets), ["cap"]);
    }

    #[tokio::test]
    async fn what_was_read_earlier_does_not_come_later() {
        let budgets = Budgets::new(Table::default());
        let stored = std::sync::Mutex::new(made("{name: old, scope: User, per: Day, requests: 1}"));
        let (go_on, wait) = tokio::sync::oneshot::channel::<()>();
        // Reads what there is, and is held up on its way back.
        let slow = budgets.refresh_from(async {
            let read = stored.lock().unwrap().clone();
            wait.await.unwrap();
            Ok(read)
        });
        let quick = budgets.refresh_from(async { Ok(stored.lock().unwrap().clone()) });
        let changing = async {
            *stored.lock().unwrap() = made("{name: new, scope: User, per: Day, requests: 1}");
            go_on.send(()).unwrap();
        };
        // They begin in this order, and without turns the slow one would be the last to write.
        let (slow, (), quick) = tokio::join!(biased; slow, changing, quick);
        slow.unwrap();
        quick.unwrap();
        assert_eq!(names(&budgets), ["new"]);
    }
}
