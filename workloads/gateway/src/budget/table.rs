//! Budgets, prices, and the models that may answer for a role.

mod file;

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::money::Price;
use super::rules::Limits;
use super::window::Period;

pub use file::TableError;
#[cfg(test)]
pub(crate) use file::parse;

/// How full a budget is when it warns, in percent, where nobody says otherwise.
pub const DEFAULT_WARNING: i64 = 80;

/// The requested model that stands for all roles.
const AUTOMATIC: &str = "lotoai";

/// Whom a budget is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// Everybody together.
    Platform,
    /// Each group by itself: its members share it.
    Group,
    /// Each user by themself; a name is the `sub` of their token.
    User,
    /// Each API key by itself; a name is its id.
    APIKey,
}

/// What a money budget does about a question that a model without a price may answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnknownPrice {
    /// It is refused.
    #[default]
    Refuse,
    /// It is answered with a warning, and its money is missing in what is used.
    Warn,
}

/// A model of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelName {
    /// The provider.
    pub provider: String,
    /// The model as the provider knows it.
    pub model: String,
}

/// A budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Its name.
    pub name: String,
    /// Whom it is for.
    pub scope: Scope,
    /// For whom of them; everybody when it is empty.
    pub names: Vec<String>,
    /// How long its windows are.
    pub per: Period,
    /// Most within a window.
    pub limits: Limits,
    /// What it does about unknown prices.
    pub unknown_price: UnknownPrice,
    /// How full it is when it warns, in percent.
    pub warn_at_percent: i64,
}

/// What is wrong with a budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The field, as the API calls it.
    pub field: &'static str,
    /// Cause and fix.
    pub message: String,
}

impl Budget {
    /// Whether it can be meant. Where there are no prices, money cannot be counted.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, has_prices: bool) -> Result<(), Fault> {
        let Self { name, limits, .. } = self;
        let fault = |field, message: String| Err(Fault { field, message });
        if name.is_empty() || *limits == Limits::default() {
            let message =
                format!("budget {name:?} needs a name and one of requests, tokens and money");
            return fault("requests", message);
        }
        for (field, limit) in [("requests", limits.requests), ("tokens", limits.tokens)] {
            if limit.is_some_and(|limit| limit < 1) {
                return fault(
                    field,
                    format!("{field} of budget {name:?} must be at least 1"),
                );
            }
        }
        if limits.micros.is_some() && !has_prices {
            let message = format!("budget {name:?} limits money and there are no prices; add them");
            return fault("money", message);
        }
        if self.scope == Scope::Platform && !self.names.is_empty() {
            let message = format!("budget {name:?} is for the platform; remove its names");
            return fault("names", message);
        }
        if !(1..=100).contains(&self.warn_at_percent) {
            let message = format!("budget {name:?} must warn at 1 to 100 percent");
            return fault("warn_at_percent", message);
        }
        Ok(())
    }
}

/// What a question may cost for each of its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Highest {
    /// At most this.
    Known(Price),
    /// Nobody knows, because this has no price.
    Unknown(String),
}

/// Budgets and prices.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// The budgets.
    pub budgets: Vec<Budget>,
    /// Version of the prices; empty without prices.
    pub price_version: String,
    /// ISO 4217 code; empty without prices.
    pub currency: String,
    prices: HashMap<ModelName, Price>,
    roles: BTreeMap<String, Vec<ModelName>>,
}

impl Table {
    /// The budget of that name.
    pub fn budget(&self, name: &str) -> Option<&Budget> {
        self.budgets.iter().find(|budget| budget.name == name)
    }

    /// The same with more budgets. Of two with one name that which was here before holds.
    #[must_use]
    pub fn with(&self, more: &[Budget]) -> Self {
        let mut table = self.clone();
        for budget in more {
            if table.budget(&budget.name).is_none() {
                table.budgets.push(budget.clone());
            }
        }
        table
    }

    /// Whether any model has a price, so that money can be counted.
    pub fn has_prices(&self) -> bool {
        !self.currency.is_empty()
    }

    /// The price of a model, if it is known.
    pub fn price(&self, model: &ModelName) -> Option<Price> {
        self.prices.get(model).copied()
    }

    /// The highest price that an answer to this requested model may have.
    pub fn highest(&self, requested: &str) -> Highest {
        let models: Vec<&ModelName> = if requested == AUTOMATIC {
            self.roles.values().flatten().collect()
        } else {
            self.roles.get(requested).into_iter().flatten().collect()
        };
        // A role that is not known here may have any price.
        if models.is_empty() {
            return Highest::Unknown(format!("{requested:?}"));
        }
        let mut highest = Price::default();
        for name in models {
            match self.highest_of(name) {
                Highest::Known(price) => highest = highest.max(price),
                unknown @ Highest::Unknown(_) => return unknown,
            }
        }
        Highest::Known(highest)
    }

    /// The price of an answer of this very model.
    pub fn highest_of(&self, name: &ModelName) -> Highest {
        let ModelName { provider, model } = name;
        self.price(name).map_or_else(
            || Highest::Unknown(format!("{model:?} of provider {provider:?}")),
            Highest::Known,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const PRICES: &str = r#"
prices:
  version: "2026-11"
  currency: EUR
  models:
    - {provider: openai, model: gpt, inputPerMillion: "1.25", outputPerMillion: "10"}
    - {provider: claude, model: opus, inputPerMillion: "5", outputPerMillion: "2.5"}
roles:
  - {name: cheap, models: [{provider: openai, model: gpt}]}
  - {name: both, models: [{provider: openai, model: gpt}, {provider: claude, model: opus}]}
"#;

    #[test]
    fn the_highest_price_is_that_of_any_model_that_may_answer() {
        let table = parse(PRICES).unwrap();
        let price = |input: &str, output: &str| {
            Highest::Known(Price {
                input: input.parse().unwrap(),
                output: output.parse().unwrap(),
            })
        };
        assert_eq!(table.highest("cheap"), price("1.25", "10"));
        assert_eq!(table.highest("both"), price("5", "10"));
        assert_eq!(table.highest("lotoai"), price("5", "10"));
        // Unknown, never nothing.
        assert_eq!(
            table.highest("no-such-role"),
            Highest::Unknown("\"no-such-role\"".into())
        );
    }

    #[test]
    fn one_model_without_a_price_makes_the_whole_unknown() {
        let local = "  - {name: here, models: [{provider: local, model: small}]}\n";
        let table = parse(&format!("{PRICES}{local}")).unwrap();
        let small = ModelName {
            provider: "local".into(),
            model: "small".into(),
        };
        assert_eq!(table.price(&small), None);
        for requested in ["here", "lotoai"] {
            let unknown = Highest::Unknown("\"small\" of provider \"local\"".into());
            assert_eq!(table.highest(requested), unknown);
        }
        // The control: without that role the price is known.
        assert!(matches!(
            parse(PRICES).unwrap().highest("lotoai"),
            Highest::Known(_)
        ));
    }
}
