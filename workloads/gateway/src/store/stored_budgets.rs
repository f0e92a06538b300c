//! Rows of budgets that administrators made.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row as _};

use super::{Change, Store, StoreError, within};
use crate::budget::rules::Limits;
use crate::budget::table::Budget;

impl Store {
    /// All budgets that administrators made, by name. One that only a newer version knows is left
    /// out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stored_budgets(&self) -> Result<Vec<Budget>, StoreError> {
        let statement = sqlx::query(
            "select name, scope, names, per, requests, tokens, micros, unknown_price,
                    warn_at_percent
             from stored_budgets order by name",
        )
        .fetch_all(&self.pool);
        let rows = within("read the budgets of administrators", statement).await?;
        Ok(rows.iter().filter_map(budget).collect())
    }

    /// Adds a budget; whether there was none of this name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_stored_budget(&self, new: &Budget) -> Result<bool, StoreError> {
        let statement = sqlx::query(
            "insert into stored_budgets (name, names, requests, tokens, micros, unknown_price,
                                         warn_at_percent, scope, per)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (name) do nothing",
        );
        let statement = allowed(statement, new)
            .bind(text(&new.scope))
            .bind(text(&new.per));
        let done = within("store a budget", statement.execute(&self.pool)).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Replaces what a budget allows and for whom; whether there is one. Its scope and its windows
    /// stay, since its counters rest on them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn update_stored_budget(&self, changed: &Budget) -> Result<bool, StoreError> {
        let statement = sqlx::query(
            "update stored_budgets
             set names = $2, requests = $3, tokens = $4, micros = $5, unknown_price = $6,
                 warn_at_percent = $7
             where name = $1",
        );
        let statement = allowed(statement, changed).execute(&self.pool);
        let done = within("alter a budget", statement).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Deletes a budget, and its counters where they are `own`: they go by its name, and so do those
    /// of a budget of the file that has the same. Questions that are not folded yet count in it no
    /// more: one that is made again under this name would give back what it never reserved. Says
    /// whether there was one.
    ///
    /// # Errors
    /// When the database fails; then nothing was changed.
    pub async fn delete_stored_budget(&self, name: &str, own: bool) -> Result<bool, StoreError> {
        let mut change = self.begin().await?;
        // Nothing is folded meanwhile, by whichever replica: this is the lock of `fold_spendings`.
        let lock =
            sqlx::query("select pg_advisory_xact_lock(4919371862015573)").execute(&mut *change.tx);
        within("keep spendings from being folded", lock).await?;
        let delete = sqlx::query(
            // Counters are locked in the order of their keys, as questions lock them.
            "with gone as (delete from stored_budgets where name = $1 returning name),
                  held as (select budget, subject, starts_at from budget_windows
                           where $2 and budget in (select name from gone)
                           order by budget, subject, starts_at for update),
                  counters as (delete from budget_windows w using held h
                               where w.budget = h.budget and w.subject = h.subject
                                 and w.starts_at = h.starts_at)
             select count(*) from gone",
        )
        .bind(name)
        .bind(own)
        .fetch_one(&mut *change.tx);
        let row = within("delete a budget", delete).await?;
        let is_gone = row.get::<i64, _>(0) == 1;
        if is_gone && own {
            change.forget_budget(name).await?;
        }
        change.commit().await?;
        Ok(is_gone)
    }
}

impl Change {
    /// Takes a budget out of the questions that are not folded yet.
    async fn forget_budget(&mut self, name: &str) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "update spendings s
             set budgets = kept.budgets, subjects = kept.subjects, starts = kept.starts
             from (select o.run_id,
                          coalesce(array_agg(a.b order by a.n) filter (where a.b <> $1), '{}')
                              as budgets,
                          coalesce(array_agg(a.s order by a.n) filter (where a.b <> $1), '{}')
                              as subjects,
                          coalesce(array_agg(a.t order by a.n) filter (where a.b <> $1), '{}')
                              as starts
                   from spendings o
                   cross join unnest(o.budgets, o.subjects, o.starts)
                       with ordinality as a(b, s, t, n)
                   where $1 = any(o.budgets) group by o.run_id) kept
             where s.run_id = kept.run_id",
        )
        .bind(name)
        .execute(&mut *self.tx);
        within("take a budget out of open questions", statement)
            .await
            .map(|_| ())
    }
}

/// Binds the name of a budget, for whom it is and what it allows.
fn allowed<'q>(
    statement: Query<'q, Postgres, PgArguments>,
    budget: &'q Budget,
) -> Query<'q, Postgres, PgArguments> {
    statement
        .bind(&budget.name)
        .bind(&budget.names)
        .bind(budget.limits.requests)
        .bind(budget.limits.tokens)
        .bind(budget.limits.micros)
        .bind(text(&budget.unknown_price))
        .bind(budget.warn_at_percent)
}

fn budget(row: &PgRow) -> Option<Budget> {
    Some(Budget {
        name: row.get(0),
        scope: known(row.get(1))?,
        names: row.get(2),
        per: known(row.get(3))?,
        limits: Limits {
            requests: row.get(4),
            tokens: row.get(5),
            micros: row.get(6),
        },
        unknown_price: known(row.get(7))?,
        warn_at_percent: row.get(8),
    })
}

/// A value of few as its name.
fn text(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => name,
        // None of ours is written otherwise.
        _ => String::new(),
    }
}

fn known<T: DeserializeOwned>(name: String) -> Option<T> {
    serde_json::from_value(Value::String(name)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::table::{Scope, UnknownPrice};
    use crate::budget::window::Period;

    #[test]
    fn names_are_read_back() {
        for scope in [Scope::Platform, Scope::Group, Scope::User, Scope::APIKey] {
            assert_eq!(known(text(&scope)), Some(scope));
        }
        for per in [Period::Minute, Period::Day, Period::Month] {
            assert_eq!(known(text(&per)), Some(per));
        }
        for unknown in [UnknownPrice::Refuse, UnknownPrice::Warn] {
            assert_eq!(known(text(&unknown)), Some(unknown));
        }
        assert_eq!(text(&Scope::APIKey), "APIKey");
        assert_eq!(known::<Scope>("Galaxy".to_owned()), None);
    }
}
