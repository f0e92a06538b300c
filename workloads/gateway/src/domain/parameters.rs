//! Query parameters of lists, each of them known and given once.

use std::collections::BTreeMap;

use url::form_urlencoded;

use crate::failure::Failure;

/// The parameters of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Reads the query of a request; `known` are the names that mean something. No value holds a NUL
    /// character, which PostgreSQL has no text for.
    ///
    /// # Errors
    /// 400 that names a parameter that is unknown, given twice or holds a NUL character.
    pub fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, Failure> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if !known.contains(&name.as_ref()) {
                return Err(Failure::unknown_parameter(&name, known));
            }
            let name = name.into_owned();
            if parameters.contains_key(&name) {
                let message = format!("{name} is given twice; give it once");
                return Err(Failure::invalid(name, message));
            }
            if value.contains('\0') {
                let message = format!("{name} must not hold a NUL character");
                return Err(Failure::invalid(name, message));
            }
            parameters.insert(name, value.into_owned());
        }
        Ok(Self(parameters))
    }

    /// The value of a parameter, once.
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_parameters_are_read() {
        let mut parameters = Parameters::parse(Some("a=x%20y&b="), &["a", "b", "c"]).unwrap();
        assert_eq!(parameters.take("a").as_deref(), Some("x y"));
        assert_eq!(parameters.take("b").as_deref(), Some(""));
        assert_eq!(parameters.take("c"), None);
        assert_eq!(Parameters::parse(None, &[]).unwrap(), Parameters::default());
    }

    #[rstest::rstest]
    #[case("colour=blue", "colour", "unknown_parameter")]
    #[case("a=1&A=2", "A", "unknown_parameter")]
    #[case("a=1&a=2", "a", "invalid_value")]
    #[case("=1", "", "unknown_parameter")]
    #[case("a=x%00y", "a", "invalid_value")]
    #[case("a%00=1", "a\0", "unknown_parameter")]
    fn others_are_named(#[case] query: &str, #[case] param: &str, #[case] code: &str) {
        let failure = Parameters::parse(Some(query), &["a"]).unwrap_err();
        assert_eq!(failure.param.as_deref(), Some(param));
        assert_eq!(failure.code, code);
    }
}
