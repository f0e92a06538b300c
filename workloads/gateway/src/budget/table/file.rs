//! `budgets.yaml`. It is read once at start; anything that cannot be meant ends the process with the
//! place and the fix.

use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize;
use snafu::{ResultExt as _, Snafu};

use super::{Budget, DEFAULT_WARNING, ModelName, Scope, Table, UnknownPrice};
use crate::budget::money::{Micros, Price};
use crate::budget::rules::Limits;
use crate::budget::window::Period;

/// Why `budgets.yaml` cannot be used.
#[derive(Debug, Snafu)]
pub enum TableError {
    /// It cannot be read.
    #[snafu(display("failed to read {file}"))]
    Read {
        /// The file.
        file: String,
        /// Cause.
        source: std::io::Error,
    },
    /// It is not YAML of this shape.
    #[snafu(display("failed to parse {file}"))]
    Parse {
        /// The file.
        file: String,
        /// Cause; it names the field.
        source: serde_yaml_ng::Error,
    },
    /// It says something that cannot be meant.
    #[snafu(display("failed to use {file}: {message}"))]
    Meaning {
        /// The file.
        file: String,
        /// What and how to mend it.
        message: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    #[serde(default)]
    budgets: Vec<BudgetEntry>,
    prices: Option<PricesEntry>,
    #[serde(default)]
    roles: Vec<RoleEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct BudgetEntry {
    name: String,
    scope: Scope,
    #[serde(default)]
    names: Vec<String>,
    per: Period,
    requests: Option<i64>,
    tokens: Option<i64>,
    money: Option<Micros>,
    #[serde(default)]
    unknown_price: UnknownPrice,
    #[serde(default = "default_warning")]
    warn_at_percent: i64,
}

const fn default_warning() -> i64 {
    DEFAULT_WARNING
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PricesEntry {
    version: String,
    currency: String,
    models: Vec<PriceEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PriceEntry {
    provider: String,
    model: String,
    input_per_million: Micros,
    output_per_million: Micros,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleEntry {
    name: String,
    models: Vec<ModelName>,
}

impl Table {
    /// Reads the file; without one there are no budgets and no prices.
    ///
    /// # Errors
    /// The file cannot be read, or does not mean anything.
    pub fn load(file: Option<&Path>) -> Result<Self, TableError> {
        let Some(path) = file else {
            return Ok(Self::default());
        };
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).context(ReadSnafu { file: &file })?;
        Self::parse(&file, &text)
    }

    /// Reads the text of a file of this name.
    ///
    /// # Errors
    /// It does not mean anything.
    pub fn parse(file: &str, text: &str) -> Result<Self, TableError> {
        let parsed = serde_yaml_ng::from_str(text).context(ParseSnafu { file })?;
        Self::of(parsed).map_err(|message| TableError::Meaning {
            file: file.to_owned(),
            message,
        })
    }

    fn of(file: File) -> Result<Self, String> {
        let mut names = HashSet::new();
        let mut budgets = Vec::with_capacity(file.budgets.len());
        for entry in file.budgets {
            if !names.insert(entry.name.clone()) {
                return Err(format!(
                    "there are two budgets {:?}; rename one",
                    entry.name
                ));
            }
            budgets.push(budget(entry, file.prices.is_some())?);
        }
        let mut table = Self {
            budgets,
            ..Self::default()
        };
        for (at, role) in file.roles.into_iter().enumerate() {
            let RoleEntry { name, models } = role;
            // A second list would take the place of the first, and with it the price that a
            // question may have.
            if table.roles.contains_key(&name) {
                return Err(format!(
                    "roles[{at}].name: there are two roles {name:?}, and only one list of models \
                     can answer for it; remove one, or put their models into one list"
                ));
            }
            table.roles.insert(name, models);
        }
        if let Some(prices) = file.prices {
            table.price_version = prices.version;
            table.currency = prices.currency;
            for entry in prices.models {
                let name = ModelName {
                    provider: entry.provider,
                    model: entry.model,
                };
                let price = Price {
                    input: entry.input_per_million,
                    output: entry.output_per_million,
                };
                if table.prices.insert(name.clone(), price).is_some() {
                    let ModelName { provider, model } = name;
                    return Err(format!(
                        "model {model:?} of provider {provider:?} has two prices; remove one"
                    ));
                }
            }
        }
        Ok(table)
    }
}

fn budget(entry: BudgetEntry, has_prices: bool) -> Result<Budget, String> {
    let budget = Budget {
        name: entry.name,
        scope: entry.scope,
        names: entry.names,
        per: entry.per,
        limits: Limits {
            requests: entry.requests,
            tokens: entry.tokens,
            micros: entry.money.map(|money| money.0),
        },
        unknown_price: entry.unknown_price,
        warn_at_percent: entry.warn_at_percent,
    };
    budget.check(has_prices).map_err(|fault| fault.message)?;
    Ok(budget)
}

#[cfg(test)]
pub(crate) fn parse(text: &str) -> Result<Table, String> {
    let file = serde_yaml_ng::from_str(text).map_err(|error| error.to_string())?;
    Table::of(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::budget::table::Highest;
    use crate::budget::table::tests::PRICES;

    #[rstest::rstest]
    #[case(
        "budgets: [{name: a, scope: User, per: Day}]",
        "one of requests, tokens and money"
    )]
    #[case(
        "budgets: [{name: a, scope: User, per: Day, money: \"1\"}]",
        "there are no prices"
    )]
    #[case("budgets: [{name: a, scope: User, per: Week, requests: 1}]", "Week")]
    #[case(
        "budgets: [{name: a, scope: User, per: Day, requests: 0}]",
        "at least 1"
    )]
    #[case(
        "budgets: [{name: a, scope: Platform, names: [x], per: Day, requests: 1}]",
        "remove"
    )]
    #[case(
        "budgets: [{name: a, scope: User, per: Day, requests: 1, warnAtPercent: 0}]",
        "1 to 100"
    )]
    #[case(
        "budgets: [{name: a, scope: User, per: Day, request: 1}]",
        "unknown field"
    )]
    fn what_cannot_be_meant_is_refused(#[case] text: &str, #[case] message: &str) {
        let error = parse(text).unwrap_err();
        assert!(error.contains(message), "{error}");
    }

    #[test]
    fn names_and_prices_are_given_once() {
        let twice = "budgets: [{name: a, scope: User, per: Day, requests: 1}, \
                     {name: a, scope: User, per: Day, requests: 2}]";
        assert!(parse(twice).unwrap_err().contains("two budgets"));
        let again = PRICES.replace("claude, model: opus, i", "openai, model: gpt, i");
        assert!(parse(&again).unwrap_err().contains("two prices"));
        let role = "  - {name: cheap, models: [{provider: claude, model: opus}]}\n";
        let error = parse(&format!("{PRICES}{role}")).unwrap_err();
        assert!(
            error.starts_with("roles[2].name: there are two roles \"cheap\""),
            "{error}"
        );
        // The control: another name is another role.
        assert!(parse(&format!("{PRICES}{}", role.replace("cheap", "dear"))).is_ok());
    }

    #[test]
    fn what_the_operator_writes_is_understood() {
        let golden = include_str!(
            "../../../../../operator/plan/tests/plan/snapshots/custom/ConfigMap-demo-gateway.snap"
        );
        let object = golden.split("---\n").nth(2).unwrap();
        let object: serde_json::Value = serde_yaml_ng::from_str(object).unwrap();
        let table = parse(object["data"]["budgets.yaml"].as_str().unwrap()).unwrap();
        assert_eq!(table.budgets.len(), 3);
        assert_eq!(table.budgets[2].limits.micros, Some(120_500_000));
        let highest = Price {
            input: "0.25".parse().unwrap(),
            output: "2".parse().unwrap(),
        };
        assert_eq!(table.highest("support"), Highest::Known(highest));
    }

    #[test]
    fn without_a_file_there_are_no_budgets() {
        assert!(Table::load(None).unwrap().budgets.is_empty());
        let error = Table::load(Some(Path::new("/nowhere/budgets.yaml"))).unwrap_err();
        assert!(error.to_string().contains("/nowhere/budgets.yaml"));
    }
}
