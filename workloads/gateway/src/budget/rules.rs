//! What a budget allows: the arithmetic that PostgreSQL applies, for telling people about it.

use serde::{Deserialize, Serialize};

/// Most of each kind within a window; what is `None` is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Questions to a model.
    pub requests: Option<i64>,
    /// Tokens read and written.
    pub tokens: Option<i64>,
    /// Millionths of the currency's unit.
    pub micros: Option<i64>,
}

/// What was or will be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Questions to a model.
    pub requests: i64,
    /// Tokens read and written.
    pub tokens: i64,
    /// Millionths of the currency's unit.
    pub micros: i64,
    /// Questions whose price is not known; their money is not in `micros`.
    pub unpriced: i64,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Questions to a model.
    Requests,
    /// Tokens read and written.
    Tokens,
    /// Money.
    Money,
}

/// A limit that a question does not fit under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excess {
    /// Which one.
    pub kind: Kind,
    /// The limit.
    pub limit: i64,
    /// What is used or reserved.
    pub used: i64,
    /// What the question was estimated to need.
    pub needed: i64,
}

impl Limits {
    fn each(&self, amounts: &Amounts) -> [(Kind, Option<i64>, i64); 3] {
        [
            (Kind::Requests, self.requests, amounts.requests),
            (Kind::Tokens, self.tokens, amounts.tokens),
            (Kind::Money, self.micros, amounts.micros),
        ]
    }

    /// The first limit that `needed` does not fit under.
    pub fn excess(&self, used: &Amounts, needed: &Amounts) -> Option<Excess> {
        let pairs = self.each(used).into_iter().zip(self.each(needed));
        pairs
            .filter_map(|((kind, limit, used), (_, _, needed))| {
                let limit = limit?;
                (used.saturating_add(needed) > limit).then_some(Excess {
                    kind,
                    limit,
                    used,
                    needed,
                })
            })
            .next()
    }

    /// How full the fullest limit is, in whole percent, rounded down.
    pub fn percent(&self, used: &Amounts) -> (Kind, i64) {
        self.each(used)
            .into_iter()
            .filter_map(|(kind, limit, used)| {
                let percent = i128::from(used) * 100 / i128::from(limit?.max(1));
                Some((kind, i64::try_from(percent).unwrap_or(i64::MAX)))
            })
            .max_by_key(|(_, percent)| *percent)
            .unwrap_or((Kind::Requests, 0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn amounts(requests: i64, tokens: i64, micros: i64) -> Amounts {
        Amounts {
            requests,
            tokens,
            micros,
            unpriced: 0,
        }
    }

    #[test]
    fn the_last_that_fits_is_allowed_and_the_next_is_not() {
        let limits = Limits {
            requests: Some(2),
            tokens: Some(100),
            micros: None,
        };
        let needed = amounts(1, 50, 7);
        assert_eq!(limits.excess(&amounts(1, 50, 0), &needed), None);
        let excess = limits.excess(&amounts(1, 51, 0), &needed).unwrap();
        assert_eq!(
            (excess.kind, excess.used, excess.needed),
            (Kind::Tokens, 51, 50)
        );
        let excess = limits.excess(&amounts(2, 0, 0), &needed).unwrap();
        assert_eq!((excess.kind, excess.limit), (Kind::Requests, 2));
    }

    #[test]
    fn the_fullest_limit_warns() {
        let limits = Limits {
            requests: Some(10),
            tokens: Some(1_000),
            micros: Some(1),
        };
        assert_eq!(limits.percent(&amounts(1, 799, 0)), (Kind::Tokens, 79));
        assert_eq!(limits.percent(&amounts(0, 0, i64::MAX)).0, Kind::Money);
        assert_eq!(Limits::default().percent(&amounts(9, 9, 9)).1, 0);
    }

    proptest! {
        #[test]
        fn any_order_of_questions_stays_within_the_limit(
            limit in 0..1_000_i64, needs in prop::collection::vec(0..300_i64, 0..50),
        ) {
            let limits = Limits { tokens: Some(limit), ..Limits::default() };
            let mut used = Amounts::default();
            for need in needs {
                if limits.excess(&used, &amounts(1, need, 0)).is_none() {
                    used.tokens += need;
                } else {
                    prop_assert!(used.tokens + need > limit);
                }
                prop_assert!(used.tokens <= limit);
            }
        }
    }
}
