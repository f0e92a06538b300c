//! What a question reserves, what its answer is charged with, and what people are told about it.
//! Nothing here reads a clock or a database.

use std::time::Duration;

use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::counters::{Claim, Reservation, Reserved};
use super::estimate::{Measured, Tokens};
use super::money::{DECIMALS, Micros};
use super::rules::{Amounts, Excess, Kind};
use super::table::{Highest, Table, UnknownPrice};
use super::{Matched, Principal};
use crate::failure::Failure;

/// A client that asks again by itself should not do so for longer than this, in seconds.
const LONGEST_AUTOMATIC_WAIT: u64 = 60;

/// A question that is about to be asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// The run.
    pub run_id: Uuid,
    /// Whose it is.
    pub principal: Principal,
    /// What it may take.
    pub tokens: Tokens,
    /// The highest price that it may have.
    pub highest: Highest,
}

/// A question with the budgets that it counts in.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The question.
    pub question: &'a Question,
    /// The budgets; at least one.
    pub matched: Vec<Matched<'a>>,
    /// How long it may stay unsettled before it is charged as it was reserved.
    pub lease: Duration,
    /// ISO 4217 code.
    pub currency: &'a str,
    /// Version of the prices.
    pub price_version: &'a str,
}

/// What an answer is charged with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spending {
    /// The run.
    pub run_id: Uuid,
    /// Whose it is.
    pub principal: Principal,
    /// The provider; empty when it is not known.
    pub provider: String,
    /// The model; empty when it is not known.
    pub model: String,
    /// Tokens read.
    pub input_tokens: i64,
    /// Tokens written.
    pub output_tokens: i64,
    /// Money; `None` when the price is not known.
    pub micros: Option<i64>,
    /// Whether any of the counts is a guess.
    pub estimated: bool,
    /// ISO 4217 code; empty without prices.
    pub currency: String,
    /// Version of the prices; empty without prices.
    pub price_version: String,
}

impl Question {
    /// Money that it may cost, if that is known.
    pub fn micros(&self) -> Option<i64> {
        match &self.highest {
            Highest::Known(price) => Some(price.of(self.tokens.input, self.tokens.output).0),
            Highest::Unknown(_) => None,
        }
    }

    /// What it may take of each kind.
    fn needed(&self) -> Amounts {
        Amounts {
            requests: 1,
            tokens: count(self.tokens.input.saturating_add(self.tokens.output)),
            micros: self.micros().unwrap_or_default(),
            unpriced: 0,
        }
    }

    /// The budgets that it counts in; `None` when there are none.
    ///
    /// # Errors
    /// 403 when one of them limits money and refuses questions without a known price.
    pub fn plan<'a>(
        &'a self,
        table: &'a Table,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Option<Plan<'a>>, Failure> {
        let matched = table.matching(&self.principal, now);
        if let Highest::Unknown(what) = &self.highest {
            let strict = matched.iter().map(|matched| matched.budget).find(|budget| {
                budget.limits.micros.is_some() && budget.unknown_price == UnknownPrice::Refuse
            });
            if let Some(budget) = strict {
                let name = &budget.name;
                let message = format!(
                    "budget {name:?} limits money, and model {what} has no price; ask an \
                     administrator to add its price, or name another model"
                );
                let mut failure = Failure::new(StatusCode::FORBIDDEN, "price_unknown", message);
                failure.param = Some("model".to_owned());
                return Err(failure);
            }
        }
        Ok((!matched.is_empty()).then_some(Plan {
            question: self,
            matched,
            lease,
            currency: &table.currency,
            price_version: &table.price_version,
        }))
    }

    /// What its answer is charged with.
    pub fn spending(self, measured: Measured, table: &Table) -> Spending {
        let Tokens { input, output } = measured.tokens;
        let price = match &measured.model {
            _ if !measured.asked => Some(super::money::Price::default()),
            Some(model) => table.price(model),
            None => match self.highest {
                Highest::Known(price) => Some(price),
                Highest::Unknown(_) => None,
            },
        };
        let (provider, model) = measured
            .model
            .map(|name| (name.provider, name.model))
            .unwrap_or_default();
        Spending {
            run_id: self.run_id,
            principal: self.principal,
            provider,
            model,
            input_tokens: count(input),
            output_tokens: count(output),
            micros: price.map(|price| price.of(input, output).0),
            estimated: measured.estimated,
            currency: table.currency.clone(),
            price_version: table.price_version.clone(),
        }
    }
}

impl Plan<'_> {
    /// What it asks of its budgets.
    pub fn reservation(&self) -> Reservation {
        let question = self.question;
        let claim = |it: &Matched<'_>| Claim {
            key: (it.budget.name.clone(), it.subject.clone(), it.window.start),
            end: it.window.end,
            limits: it.budget.limits,
        };
        Reservation {
            run_id: question.run_id,
            subject: question.principal.user.clone(),
            api_key: question.principal.api_key.clone().unwrap_or_default(),
            claims: self.matched.iter().map(claim).collect(),
            needed: question.needed(),
            input_tokens: count(question.tokens.input),
            output_tokens: count(question.tokens.output),
            micros: question.micros(),
            currency: self.currency.to_owned(),
            price_version: self.price_version.to_owned(),
            lease: self.lease,
        }
    }

    /// Judges a reservation: the warnings that go with the answer.
    ///
    /// # Errors
    /// 429 that names the budget, what is left of it and when it is whole again.
    pub fn judge(&self, reserved: &Reserved, now: Timestamp) -> Result<Vec<String>, Failure> {
        let windows = self.matched.iter().zip(&reserved.used);
        if reserved.admitted {
            return Ok(windows
                .filter_map(|(it, used)| self.warning(it, used))
                .collect());
        }
        let needed = self.question.needed();
        windows
            .filter_map(|(it, used)| Some((it, it.budget.limits.excess(used, &needed)?)))
            // Waiting for one of them alone would end in the next refusal.
            .max_by_key(|(it, _)| it.window.end)
            .map_or_else(
                || Err(Failure::internal()),
                |(it, excess)| Err(self.refusal(it, excess, now)),
            )
    }

    fn warning(&self, it: &Matched<'_>, used: &Amounts) -> Option<String> {
        let Matched { budget, window, .. } = it;
        let (kind, percent) = budget.limits.percent(used);
        let name = &budget.name;
        if percent >= budget.warn_at_percent {
            let resets_at = window.resets_at();
            return Some(format!(
                "{name}; {}={percent}%; resets={resets_at}",
                kind.name()
            ));
        }
        let unpriced = budget.limits.micros.is_some() && self.question.micros().is_none();
        unpriced.then(|| format!("{name}; money=unknown"))
    }

    fn refusal(&self, it: &Matched<'_>, excess: Excess, now: Timestamp) -> Failure {
        let Matched {
            budget,
            subject,
            window,
        } = it;
        let resets_at = window.resets_at();
        let amount = |value: i64| match excess.kind {
            Kind::Requests | Kind::Tokens => format!("{value} {}", excess.kind.name()),
            Kind::Money => format!("{} {}", Micros(value), self.currency),
        };
        let (left, needed) = (
            excess.limit.saturating_sub(excess.used).max(0),
            excess.needed,
        );
        let hint = match excess.kind {
            Kind::Requests => "",
            Kind::Tokens | Kind::Money => " or send less and set a lower max_tokens,",
        };
        let message = format!(
            "budget {:?} is used up: {} are left of {}, and this request may need {}; wait until \
             {resets_at},{hint} or ask an administrator for more",
            budget.name,
            amount(left),
            amount(excess.limit),
            amount(needed),
        );
        let wait = window.seconds_left(now);
        let mut failure = Failure::new(StatusCode::TOO_MANY_REQUESTS, "budget_exceeded", message);
        failure.retry_after = Some(wait);
        failure.is_final = wait > LONGEST_AUTOMATIC_WAIT;
        failure.details = Some(Box::new((
            "budget",
            json!({
                "name": budget.name,
                "scope": budget.scope,
                "subject": subject,
                "per": budget.per,
                "kind": excess.kind,
                "limit": shown(excess.kind, excess.limit, self.currency),
                "used": shown(excess.kind, excess.used, self.currency),
                "needed": shown(excess.kind, needed, self.currency),
                "resets_at": resets_at,
            }),
        )));
        failure
    }
}

/// An amount as the API shows it: a count, or money in whole millionths.
pub fn shown(kind: Kind, value: i64, currency: &str) -> Value {
    match kind {
        Kind::Requests | Kind::Tokens => json!(value),
        Kind::Money => json!({
            "micros": value,
            "amount": Micros(value).to_string(),
            "currency": currency,
            "decimals": DECIMALS,
        }),
    }
}

/// Tokens as the database counts them.
pub fn count(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
