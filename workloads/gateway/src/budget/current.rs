//! The budgets that hold now: those of the file, which never change, and those that administrators
//! made, which every replica reads again and again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
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
        self.replace(store.stored_budgets().await?);
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
}
