//! What a budget allows: the arithmetic by which a question fits or does not.

use serde::{Serialize, Serializer};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Questions to a model.
    Requests,
    /// Tokens read and written.
    Tokens,
    /// Money.
    Money,
}

impl Kind {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Requests, Self::Tokens, Self::Money];

    /// As the API writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Money => "money",
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Amounts {
    /// The amount of one kind.
    pub const fn of(&self, kind: Kind) -> i64 {
        match kind {
            Kind::Requests => self.requests,
            Kind::Tokens => self.tokens,
            Kind::Money => self.micros,
        }
    }
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
    const fn of(&self, kind: Kind) -> Option<i64> {
        match kind {
            Kind::Requests => self.requests,
            Kind::Tokens => self.tokens,
            Kind::Money => self.micros,
        }
    }

    /// What is limited, with its limit.
    pub fn each(&self) -> impl Iterator<Item = (Kind, i64)> {
        let limit = move |kind| self.of(kind).map(|limit| (kind, limit));
        Kind::ALL.into_iter().filter_map(limit)
    }

    /// The first limit that `needed` does not fit under.
    pub fn excess(&self, used: &Amounts, needed: &Amounts) -> Option<Excess> {
        self.each().find_map(|(kind, limit)| {
            let (used, needed) = (used.of(kind), needed.of(kind));
            (used.saturating_add(needed) > limit).then_some(Excess {
                kind,
                limit,
                used,
                needed,
            })
        })
    }

    /// How full the fullest limit is, in whole percent, rounded down.
    pub fn percent(&self, used: &Amounts) -> (Kind, i64) {
        self.each()
            .map(|(kind, limit)| {
                let percent = i128::from(used.of(kind)) * 100 / i128::from(limit.max(1));
                (kind, i64::try_from(percent).unwrap_or(i64::MAX))
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
