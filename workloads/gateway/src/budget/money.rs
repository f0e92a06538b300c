//! Money in whole millionths of a currency's unit. No part of it is ever a float.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// Decimals of [`Micros`].
pub const DECIMALS: u32 = 6;
const UNIT: i64 = 1_000_000;
/// Prices are given for this many tokens.
const TOKENS_OF_A_PRICE: u128 = 1_000_000;
/// Digits before the point: more than anybody pays, and far from the end of the type.
const MAX_DIGITS: usize = 9;

/// Millionths of a currency's unit, never negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micros(pub i64);

impl FromStr for Micros {
    type Err = String;

    /// Reads a decimal number such as `12` or `0.002500`.
    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || {
            format!(
                "{text:?} is no amount: write at most {MAX_DIGITS} digits and, after a point, at \
                 most {DECIMALS}, for example \"12.50\""
            )
        };
        let (units, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str, most: usize| {
            (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(units, MAX_DIGITS) || !digits(decimals, DECIMALS as usize) {
            return Err(fault());
        }
        let units: i64 = units.parse().map_err(|_| fault())?;
        let micros: i64 = format!("{decimals:0<6}").parse().map_err(|_| fault())?;
        Ok(Self(units * UNIT + micros))
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / UNIT, self.0 % UNIT)
    }
}

impl<'de> Deserialize<'de> for Micros {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a model costs, for a million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Price {
    /// For a million tokens that it reads.
    pub input: Micros,
    /// For a million tokens that it writes.
    pub output: Micros,
}

impl Price {
    /// What these tokens cost, rounded up: no part of a millionth is given away.
    pub fn of(self, input_tokens: u64, output_tokens: u64) -> Micros {
        let part = |tokens: u64, price: Micros| {
            u128::from(tokens).saturating_mul(u128::from(price.0.unsigned_abs()))
        };
        let whole = part(input_tokens, self.input).saturating_add(part(output_tokens, self.output));
        Micros(i64::try_from(whole.div_ceil(TOKENS_OF_A_PRICE)).unwrap_or(i64::MAX))
    }

    /// The higher of both prices, for reading and for writing apart.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[rstest::rstest]
    #[case("0", Some(0))]
    #[case("1", Some(1_000_000))]
    #[case("12.5", Some(12_500_000))]
    #[case("0.000001", Some(1))]
    #[case("999999999.999999", Some(999_999_999_999_999))]
    #[case("0.0000001", None)]
    #[case("1000000000", None)]
    #[case("1.", None)]
    #[case(".5", None)]
    #[case("-1", None)]
    #[case("1e3", None)]
    #[case("1,5", None)]
    #[case("٣", None)]
    #[case("", None)]
    fn amounts(#[case] text: &str, #[case] expected: Option<i64>) {
        assert_eq!(text.parse().ok(), expected.map(Micros), "{text}");
    }

    #[test]
    fn a_cost_is_rounded_up_and_never_lost() {
        let price = Price {
            input: "1.25".parse().unwrap(),
            output: "10".parse().unwrap(),
        };
        assert_eq!(price.of(1_000_000, 1_000_000), Micros(11_250_000));
        assert_eq!(price.of(1, 0), Micros(2), "1.25 millionths are two");
        assert_eq!(price.of(0, 0), Micros(0));
        assert_eq!(
            price.of(u64::MAX, u64::MAX),
            Micros(i64::MAX),
            "no overflow"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(micros in 0..=999_999_999_999_999_i64) {
            prop_assert_eq!(Micros(micros).to_string().parse(), Ok(Micros(micros)));
        }

        #[test]
        fn a_cost_grows_with_tokens_and_price(
            input in 0..1_u64 << 40, more in 0..1_u64 << 20, output in 0..1_u64 << 40,
            price in 0..1_i64 << 30, dearer in 0..1_i64 << 20,
        ) {
            let at = |price: i64| Price { input: Micros(price), output: Micros(price) };
            let cost = at(price).of(input, output);
            prop_assert!(cost <= at(price).of(input + more, output));
            prop_assert!(cost <= at(price + dearer).of(input, output));
            // Paying in two parts is never cheaper, and at most one millionth dearer.
            let parts = at(price).of(input, 0).0 + at(price).of(0, output).0;
            prop_assert!(cost.0 <= parts && parts <= cost.0 + 1);
        }

        #[test]
        fn only_nothing_is_free(tokens in 1..1_u64 << 40, price in 1..1_i64 << 30) {
            let price = Price { input: Micros(price), output: Micros(0) };
            prop_assert!(price.of(tokens, 0) > Micros(0));
        }
    }
}
