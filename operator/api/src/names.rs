//! Names with their rules. A value of these types is a name that Kubernetes accepts wherever we
//! put it, so nothing further down has to check again.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use snafu::Snafu;

/// Why a text is not a name.
#[derive(Debug, Snafu, PartialEq, Eq)]
pub enum NameError {
    /// Nothing, or nothing but separators.
    #[snafu(display("a name may not be empty"))]
    Empty,
    /// Shorter than what it is the name of can bear.
    #[snafu(display("{name:?} has {length} characters, at least {min} are needed"))]
    TooShort {
        /// The text.
        name: String,
        /// Its length in bytes.
        length: usize,
        /// The least length.
        min: usize,
    },
    /// Longer than the objects made from it can bear.
    #[snafu(display("{name:?} has {length} characters, at most {max} are allowed"))]
    TooLong {
        /// The text.
        name: String,
        /// Its length in bytes.
        length: usize,
        /// The greatest length.
        max: usize,
    },
    /// A character that is not allowed at its place.
    #[snafu(display("{name:?} does not match {pattern}"))]
    Characters {
        /// The text.
        name: String,
        /// Regular expression that a name matches.
        pattern: &'static str,
    },
}

fn check(
    name: &str,
    (min, max): (usize, usize),
    pattern: &'static str,
    separators: &[u8],
) -> Result<(), NameError> {
    let bytes = name.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return Err(NameError::Empty);
    };
    if bytes.len() < min {
        return Err(NameError::TooShort {
            name: name.to_owned(),
            length: bytes.len(),
            min,
        });
    }
    if bytes.len() > max {
        return Err(NameError::TooLong {
            name: name.to_owned(),
            length: bytes.len(),
            max,
        });
    }
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let inner = bytes
        .iter()
        .all(|byte| alphanumeric(byte) || separators.contains(byte));
    if first.is_ascii_lowercase() && alphanumeric(last) && inner {
        Ok(())
    } else {
        Err(NameError::Characters {
            name: name.to_owned(),
            pattern,
        })
    }
}

/// Name of an object that somebody else made, such as a Secret or a storage class: a DNS subdomain.
/// Whether there is such an object only the cluster knows, so the schema alone checks it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ObjectName(pub String);

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for ObjectName {
    fn schema_name() -> Cow<'static, str> {
        "ObjectName".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 1,
            "maxLength": 253,
            "pattern": "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$",
        })
    }
}

macro_rules! name_type {
    (
        $(#[$doc:meta])*
        $name:ident, $min:literal, $max:literal, $pattern:literal, $separators:literal
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Least length in bytes.
            pub const MIN_LENGTH: usize = $min;
            /// Greatest length in bytes.
            pub const MAX_LENGTH: usize = $max;
            /// Regular expression that every name matches.
            pub const PATTERN: &'static str = $pattern;

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                let lengths = (Self::MIN_LENGTH, Self::MAX_LENGTH);
                check(name, lengths, Self::PATTERN, $separators)?;
                Ok(Self(name.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(name: String) -> Result<Self, Self::Error> {
                name.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "minLength": Self::MIN_LENGTH,
                    "maxLength": Self::MAX_LENGTH,
                    "pattern": Self::PATTERN,
                })
            }
        }
    };
}

name_type! {
    /// Name of a `LotoAI` resource: RFC 1035, because Services begin with it.
    PlatformName, 1, 30, "^[a-z]([-a-z0-9]*[a-z0-9])?$", b"-"
}
name_type! {
    /// Name of an agent role or of a model provider.
    RoleName, 1, 40, "^[a-z]([-a-z0-9]*[a-z0-9])?$", b"-"
}
name_type! {
    /// Name of a tool, as a model calls it.
    ToolName, 1, 50, "^[a-z]([_a-z0-9]*[a-z0-9])?$", b"_"
}
name_type! {
    /// Name of the first user: Keycloak refuses names of less than three characters.
    UserName, 3, 60, "^[a-z][-._@a-z0-9]+[a-z0-9]$", b"-._@"
}

/// Longest object name that we make: a StatefulSet's revision label adds 11 characters to it and
/// label values end at 63.
pub const MAX_OBJECT_NAME: usize = 52;

/// Longest part that follows the platform's name in an object name, without the joining dash.
pub const MAX_PART_NAME: usize = 21;
const _: () = assert!(PlatformName::MAX_LENGTH + 1 + MAX_PART_NAME <= MAX_OBJECT_NAME);

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::Component;

    #[rstest]
    #[case("demo", true)]
    #[case("a", true)]
    #[case("a-1", true)]
    #[case("", false)]
    #[case("1a", false)]
    #[case("a-", false)]
    #[case("-a", false)]
    #[case("Demo", false)]
    #[case("a_b", false)]
    #[case("añb", false)]
    #[case("a.b", false)]
    #[case("abcdefghijklmnopqrstuvwxyzabcd", true)]
    #[case("abcdefghijklmnopqrstuvwxyzabcde", false)]
    fn platform_names(#[case] name: &str, #[case] good: bool) {
        assert_eq!(name.parse::<PlatformName>().is_ok(), good, "{name}");
    }

    #[rstest]
    #[case("ana", true)]
    #[case("a.b", true)]
    #[case("ana@example.com", true)]
    #[case("", false)]
    #[case("a", false)]
    #[case("ab", false)]
    #[case("ab-", false)]
    #[case("1ab", false)]
    #[case("Ana", false)]
    fn user_names(#[case] name: &str, #[case] good: bool) {
        assert_eq!(name.parse::<UserName>().is_ok(), good, "{name}");
    }

    #[test]
    fn a_short_user_name_is_refused_with_the_length_that_is_needed() {
        let error = "eo".parse::<UserName>().unwrap_err().to_string();
        assert!(error.contains("at least 3 are needed"), "{error}");
    }

    #[test]
    fn tool_names_take_underscores() {
        assert!("working_days".parse::<ToolName>().is_ok());
        assert!("working-days".parse::<ToolName>().is_err());
    }

    #[test]
    fn errors_name_the_fix() {
        let error = "Demo".parse::<PlatformName>().unwrap_err().to_string();
        assert!(error.contains(PlatformName::PATTERN), "{error}");
    }

    #[test]
    fn every_component_fits_behind_the_longest_platform_name() {
        for component in Component::ALL {
            assert!(component.name().len() <= MAX_PART_NAME);
        }
    }
}
