//! Requests of `/api/admin/budgets`, checked.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::fields::Fields;
use super::json_body;
use crate::budget::money::Micros;
use crate::budget::rules::Limits;
use crate::budget::table::{Budget, DEFAULT_WARNING, Scope, UnknownPrice};
use crate::budget::window::Period;
use crate::failure::Failure;

/// Largest request body, in bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
const MAX_NAME_CHARS: usize = 40;
const MAX_NAMES: usize = 100;
const MAX_SUBJECT_CHARS: usize = 255;
/// Most requests or tokens of a window.
const MAX_COUNT: i64 = 1_000_000_000_000;
/// Nine digits, a point and six digits.
const MAX_MONEY_BYTES: usize = 16;
/// What a budget allows, and for whom.
const ALLOWANCE: [&str; 6] = [
    "names",
    "requests",
    "tokens",
    "money",
    "unknown_price",
    "warn_at_percent",
];
/// What a budget is for as long as it is there.
const NATURE: [&str; 3] = ["name", "scope", "per"];

/// What a budget allows, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    names: Vec<String>,
    limits: Limits,
    unknown_price: UnknownPrice,
    warn_at_percent: i64,
}

impl Allowance {
    /// Reads the body of a request that alters a budget.
    ///
    /// # Errors
    /// 400 that names the field, or says where the JSON breaks.
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        let value = json_body::read(body)?;
        let fields = Fields::of(&value, "")?;
        fields.only(&ALLOWANCE)?;
        Self::of(&fields)
    }

    fn of(fields: &Fields<'_>) -> Result<Self, Failure> {
        let count = |name| fields.count(name, 1..=MAX_COUNT);
        let limits = Limits {
            requests: count("requests")?,
            tokens: count("tokens")?,
            micros: money(fields)?.map(|money| money.0),
        };
        let names = fields.names("names", MAX_NAMES, MAX_SUBJECT_CHARS)?;
        let warn = fields.count("warn_at_percent", 1..=100)?;
        Ok(Self {
            names: names.unwrap_or_default(),
            limits,
            unknown_price: choice(fields, "unknown_price", "Refuse or Warn")?.unwrap_or_default(),
            warn_at_percent: warn.unwrap_or(DEFAULT_WARNING),
        })
    }

    /// A budget of this nature that allows this.
    ///
    /// # Errors
    /// 400 when both contradict each other, or money is limited that cannot be counted.
    pub fn budget(
        self,
        name: String,
        scope: Scope,
        per: Period,
        has_prices: bool,
    ) -> Result<Budget, Failure> {
        let budget = Budget {
            name,
            scope,
            names: self.names,
            per,
            limits: self.limits,
            unknown_price: self.unknown_price,
            warn_at_percent: self.warn_at_percent,
        };
        match budget.check(has_prices) {
            Ok(()) => Ok(budget),
            Err(fault) => Err(Failure::invalid(fault.field, fault.message)),
        }
    }
}

/// Reads the body of a request that makes a budget.
///
/// # Errors
/// 400 that names the field, or says where the JSON breaks.
pub fn parse(body: &[u8], has_prices: bool) -> Result<Budget, Failure> {
    let value = json_body::read(body)?;
    let fields = Fields::of(&value, "")?;
    let known: Vec<&str> = NATURE.into_iter().chain(ALLOWANCE).collect();
    fields.only(&known)?;
    for name in NATURE {
        fields.required(name)?;
    }
    let name = fields.text("name")?.unwrap_or_default();
    if !is_name(name) {
        let message = format!(
            "name must be 1 to {MAX_NAME_CHARS} of a-z, 0-9 and -, begin with a letter and not end \
             with -"
        );
        return Err(fields.refuse("name", message));
    }
    // They are there, and null is not.
    let scope = choice(&fields, "scope", "Platform, Group, User or APIKey")?;
    let per = choice(&fields, "per", "Minute, Day or Month")?;
    let (Some(scope), Some(per)) = (scope, per) else {
        return Err(Failure::internal());
    };
    Allowance::of(&fields)?.budget(name.to_owned(), scope, per, has_prices)
}

/// Whether a budget can have this name, as in the resource of the platform.
pub fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME_CHARS
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// An amount of money. A refusal does not repeat what is far too long for one.
fn money(fields: &Fields<'_>) -> Result<Option<Micros>, Failure> {
    let Some(text) = fields.text("money")? else {
        return Ok(None);
    };
    if text.len() > MAX_MONEY_BYTES {
        let message = format!("money must be at most {MAX_MONEY_BYTES} characters");
        return Err(fields.refuse("money", message));
    }
    text.parse()
        .map(Some)
        .map_err(|message: String| fields.refuse("money", message))
}

/// One of few words.
fn choice<T: DeserializeOwned>(
    fields: &Fields<'_>,
    name: &str,
    known: &str,
) -> Result<Option<T>, Failure> {
    let Some(text) = fields.text(name)? else {
        return Ok(None);
    };
    serde_json::from_value(Value::String(text.to_owned()))
        .map(Some)
        .map_err(|_| fields.refuse(name, format!("{name} must be {known}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn budget(value: &Value) -> Result<Budget, Failure> {
        parse(value.to_string().as_bytes(), true)
    }

    #[test]
    fn a_budget_needs_a_name_a_scope_a_period_and_a_limit() {
        let made = budget(&json!({"name": "day-1", "scope": "User", "per": "Day", "tokens": 5}));
        let made = made.unwrap();
        assert_eq!((made.name.as_str(), made.scope), ("day-1", Scope::User));
        assert_eq!(made.limits.tokens, Some(5));
        assert_eq!(
            (made.unknown_price, made.warn_at_percent),
            (UnknownPrice::Refuse, 80)
        );
        let whole = json!({
            "name": "d", "scope": "APIKey", "names": ["b", "a", "b"], "per": "Month",
            "requests": 1, "money": "2.5", "unknown_price": "Warn", "warn_at_percent": 100,
        });
        let made = budget(&whole).unwrap();
        assert_eq!(made.names, ["a", "b"], "each once");
        assert_eq!(made.limits.micros, Some(2_500_000));
        // Money that nobody can count is refused, and the rest of it is not at fault.
        let failure = parse(whole.to_string().as_bytes(), false).unwrap_err();
        assert_eq!(failure.param.as_deref(), Some("money"));
    }

    #[rstest::rstest]
    #[case("name", json!(null), "name")]
    #[case("name", json!("Day"), "name")]
    #[case("name", json!("1day"), "name")]
    #[case("name", json!("day-"), "name")]
    #[case("name", json!(""), "name")]
    #[case("name", json!("d".repeat(41)), "name")]
    #[case("scope", json!("Galaxy"), "scope")]
    #[case("scope", json!(null), "scope")]
    #[case("per", json!("Week"), "per")]
    #[case("per", json!(1), "per")]
    #[case("requests", json!(0), "requests")]
    #[case("requests", json!(1.5), "requests")]
    #[case("requests", json!(-1), "requests")]
    #[case("requests", json!(null), "requests")]
    #[case("tokens", json!(1_000_000_000_001_i64), "tokens")]
    #[case("money", json!("-1"), "money")]
    #[case("money", json!("0.0000001"), "money")]
    #[case("money", json!(5), "money")]
    #[case("money", json!("9".repeat(60_000)), "money")]
    #[case("names", json!(["a"]), "names")]
    #[case("names", json!([1]), "names")]
    #[case("names", json!(vec!["n"; 101]), "names")]
    #[case("unknown_price", json!("Ignore"), "unknown_price")]
    #[case("warn_at_percent", json!(0), "warn_at_percent")]
    #[case("warn_at_percent", json!(101), "warn_at_percent")]
    #[case("source", json!("Resource"), "source")]
    fn what_is_wrong_is_named(#[case] field: &str, #[case] value: Value, #[case] param: &str) {
        let mut body = json!({"name": "d", "scope": "Platform", "per": "Day", "requests": 1});
        assert!(budget(&body).is_ok(), "the control");
        body[field] = value;
        assert_eq!(budget(&body).unwrap_err().param.as_deref(), Some(param));
    }

    #[test]
    fn what_a_budget_is_cannot_be_altered() {
        let parse = |body: &Value| Allowance::parse(body.to_string().as_bytes());
        assert!(parse(&json!({"requests": 1})).is_ok());
        for field in NATURE {
            let failure = parse(&json!({ "requests": 1, field: "x" })).unwrap_err();
            assert_eq!(failure.code, "unknown_parameter", "{field}");
        }
        // For everybody together there are no names.
        let named = parse(&json!({"requests": 1, "names": ["ana"]})).unwrap();
        let for_all = named.clone();
        let failure = for_all.budget("d".into(), Scope::Platform, Period::Day, true);
        assert_eq!(failure.unwrap_err().param.as_deref(), Some("names"));
        assert!(
            named
                .budget("d".into(), Scope::User, Period::Day, true)
                .is_ok()
        );
    }
}
