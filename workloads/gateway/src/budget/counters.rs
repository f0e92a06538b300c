//! Questions weighed against the counters of their budgets, one after the other. Whoever weighs holds
//! the locks of the counters, so that any number of replicas admits no more than the budgets allow.

use std::collections::HashMap;
use std::time::Duration;

use uuid::Uuid;

use super::rules::{Amounts, Limits};

/// A counter: budget, subject, and the Unix second at which its window began.
pub type CounterKey = (String, String, i64);

/// A budget of a question: which counter, and how far that may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The counter.
    pub key: CounterKey,
    /// Unix seconds at which the window ends.
    pub end: i64,
    /// How far the counter may go.
    pub limits: Limits,
}

/// What a question asks of its budgets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The run.
    pub run_id: Uuid,
    /// Who asks.
    pub subject: String,
    /// The API key that is used; empty without one.
    pub api_key: String,
    /// The budgets; at least one.
    pub claims: Vec<Claim>,
    /// What it takes of each kind.
    pub needed: Amounts,
    /// Tokens read.
    pub input_tokens: i64,
    /// Tokens written.
    pub output_tokens: i64,
    /// Money; `None` when the price is not known.
    pub micros: Option<i64>,
    /// ISO 4217 code.
    pub currency: String,
    /// Version of the prices.
    pub price_version: String,
    /// How long it may stay unsettled before it is charged as it was made.
    pub lease: Duration,
}

/// What became of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserved {
    /// Whether the question may be asked.
    pub admitted: bool,
    /// What is used in each window, in the order of the claims; with the question if it is admitted.
    pub used: Vec<Amounts>,
}

#[derive(Debug, Clone, Copy)]
struct Counter {
    used: Amounts,
    added: Amounts,
}

/// Counters that are locked.
#[derive(Debug, Default)]
pub struct Counters(HashMap<CounterKey, Counter>);

impl Counters {
    /// Counters with what is used of them.
    pub fn new(used: impl IntoIterator<Item = (CounterKey, Amounts)>) -> Self {
        let counter = |(key, used)| {
            let added = Amounts::default();
            (key, Counter { used, added })
        };
        Self(used.into_iter().map(counter).collect())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reserves all that a question asks for, or nothing. Without one of its counters, nothing.
    pub fn reserve(&mut self, reservation: &Reservation) -> Reserved {
        let needed = reservation.needed;
        let fits = |claim: &Claim| {
            let counter = self.0.get(&claim.key);
            counter.is_some_and(|it| claim.limits.excess(&it.used, &needed).is_none())
        };
        let admitted = reservation.claims.iter().all(fits);
        let used = reservation.claims.iter().map(|claim| {
            let Some(counter) = self.0.get_mut(&claim.key) else {
                return Amounts::default();
            };
            if admitted {
                counter.used = sum(&counter.used, &needed);
                counter.added = sum(&counter.added, &needed);
            }
            counter.used
        });
        Reserved {
            used: used.collect(),
            admitted,
        }
    }

    /// What was reserved of each counter, if anything was.
    pub fn added(&self) -> impl Iterator<Item = (&CounterKey, &Amounts)> {
        let added = self.0.iter().map(|(key, counter)| (key, &counter.added));
        added.filter(|(_, added)| added.requests > 0)
    }
}

fn sum(a: &Amounts, b: &Amounts) -> Amounts {
    Amounts {
        requests: a.requests.saturating_add(b.requests),
        tokens: a.tokens.saturating_add(b.tokens),
        micros: a.micros.saturating_add(b.micros),
        unpriced: a.unpriced.saturating_add(b.unpriced),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(budget: &str) -> CounterKey {
        (budget.to_owned(), "ana".to_owned(), 0)
    }

    fn asking(claims: &[(&str, i64)]) -> Reservation {
        let claim = |&(budget, requests): &(&str, i64)| Claim {
            key: key(budget),
            end: 60,
            limits: Limits {
                requests: Some(requests),
                ..Limits::default()
            },
        };
        Reservation {
            run_id: Uuid::nil(),
            subject: "ana".to_owned(),
            api_key: String::new(),
            claims: claims.iter().map(claim).collect(),
            needed: Amounts {
                requests: 1,
                tokens: 7,
                ..Amounts::default()
            },
            input_tokens: 3,
            output_tokens: 4,
            micros: None,
            currency: String::new(),
            price_version: String::new(),
            lease: Duration::ZERO,
        }
    }

    #[test]
    fn the_last_that_fits_is_admitted_and_the_next_leaves_no_trace() {
        let used = Amounts {
            requests: 1,
            ..Amounts::default()
        };
        let mut counters = Counters::new([(key("a"), used), (key("b"), Amounts::default())]);
        let question = asking(&[("a", 3), ("b", 10)]);
        let told: Vec<_> = (0..3)
            .map(|_| {
                let Reserved { admitted, used } = counters.reserve(&question);
                (admitted, used[0].requests, used[1].requests)
            })
            .collect();
        assert_eq!(told, [(true, 2, 1), (true, 3, 2), (false, 3, 2)]);
        let mut added: Vec<_> = counters
            .added()
            .map(|(key, added)| (key.0.as_str(), added.requests, added.tokens))
            .collect();
        added.sort_unstable();
        assert_eq!(added, [("a", 2, 14), ("b", 2, 14)]);
    }

    #[test]
    fn without_its_counter_nothing_is_reserved() {
        let mut counters = Counters::new([(key("a"), Amounts::default())]);
        assert!(!counters.reserve(&asking(&[("a", 3), ("b", 3)])).admitted);
        assert_eq!(counters.added().count(), 0);
    }
}
