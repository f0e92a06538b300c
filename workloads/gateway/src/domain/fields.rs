//! Reading fields of a JSON object one by one, so that every refusal names the field.
//!
//! Within a request, fields that are not asked for are passed over: what belongs to a message or
//! to `metadata` is the client's. Of the request itself [`Fields::only`] refuses them.

use serde_json::{Map, Value};

use crate::failure::Failure;

/// An object and the path under which it stands in the request.
#[derive(Clone, Copy)]
pub struct Fields<'v> {
    map: &'v Map<String, Value>,
    path: &'v str,
}

impl<'v> Fields<'v> {
    /// The object `value`, which stands at `path` (empty for the whole request).
    ///
    /// # Errors
    /// 400 when it is not an object.
    pub fn of(value: &'v Value, path: &'v str) -> Result<Self, Failure> {
        match value {
            Value::Object(map) => Ok(Self { map, path }),
            _ if path.is_empty() => Err(Failure::new(
                axum::http::StatusCode::BAD_REQUEST,
                "invalid_value",
                "the request body must be a JSON object",
            )),
            _ => Err(Failure::invalid(path, format!("{path} must be an object"))),
        }
    }

    /// Path of one of the fields.
    pub fn path(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// A field; `null` counts as absent.
    pub fn get(&self, name: &str) -> Option<&'v Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// Refuses every field that is none of `known`.
    ///
    /// # Errors
    /// 400 that names the first of them.
    pub fn only(&self, known: &[&str]) -> Result<(), Failure> {
        match self.map.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(Failure::unknown_parameter(&self.path(name), known)),
            None => Ok(()),
        }
    }

    fn wrong(&self, name: &str, expected: &str) -> Failure {
        let path = self.path(name);
        Failure::invalid(path.clone(), format!("{path} must be {expected}"))
    }

    /// A refusal of a field that is there and has the right type.
    pub fn refuse(&self, name: &str, message: impl Into<String>) -> Failure {
        Failure::invalid(self.path(name), message)
    }

    /// A field that must be there.
    ///
    /// # Errors
    /// 400 when it is absent.
    pub fn required(&self, name: &str) -> Result<&'v Value, Failure> {
        self.get(name).ok_or_else(|| {
            let path = self.path(name);
            let mut failure = Failure::invalid(path.clone(), format!("{path} is required"));
            failure.code = "missing_required_parameter".into();
            failure
        })
    }

    /// A text field that may be absent.
    ///
    /// # Errors
    /// 400 when it is not a string or holds a NUL character.
    pub fn text(&self, name: &str) -> Result<Option<&'v str>, Failure> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let text = value.as_str().ok_or_else(|| self.wrong(name, "a string"))?;
        if text.contains('\0') {
            return Err(self.refuse(name, "NUL characters are not allowed"));
        }
        Ok(Some(text))
    }

    /// A boolean field that may be absent.
    ///
    /// # Errors
    /// 400 when it is not a boolean.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Failure> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        value
            .as_bool()
            .map(Some)
            .ok_or_else(|| self.wrong(name, "true or false"))
    }

    /// An integer field within `range` that may be absent.
    ///
    /// # Errors
    /// 400 when it is not such an integer.
    pub fn integer(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<u32>,
    ) -> Result<Option<u32>, Failure> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        value
            .as_u64()
            .and_then(|value| u32::try_from(value).ok())
            .filter(|value| range.contains(value))
            .map(Some)
            .ok_or_else(|| {
                let expected = format!("an integer from {} to {}", range.start(), range.end());
                self.wrong(name, &expected)
            })
    }

    /// An integer field within `range` that may be absent, for what may be larger than
    /// [`Self::integer`] knows.
    ///
    /// # Errors
    /// 400 when it is not such an integer.
    pub fn count(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Result<Option<i64>, Failure> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        value
            .as_i64()
            .filter(|value| range.contains(value))
            .map(Some)
            .ok_or_else(|| {
                let expected = format!("an integer from {} to {}", range.start(), range.end());
                self.wrong(name, &expected)
            })
    }

    /// A list of at most `most` names of at most `chars` characters that may be absent; each of
    /// them once, in order.
    ///
    /// # Errors
    /// 400 when it is not such a list.
    pub fn names(
        &self,
        name: &str,
        most: usize,
        chars: usize,
    ) -> Result<Option<Vec<String>>, Failure> {
        if self.get(name).is_none() {
            return Ok(None);
        }
        let wrong = || {
            let expected = format!("a list of at most {most} names of 1 to {chars} characters");
            self.wrong(name, &expected)
        };
        let list = self.list(name)?;
        if list.len() > most {
            return Err(wrong());
        }
        let good = |name: &&str| {
            (1..=chars).contains(&name.chars().count()) && !name.chars().any(char::is_control)
        };
        let mut names = list
            .iter()
            .map(|item| item.as_str().filter(good).map(str::to_owned))
            .collect::<Option<Vec<String>>>()
            .ok_or_else(wrong)?;
        names.sort_unstable();
        names.dedup();
        Ok(Some(names))
    }

    /// A number field within `range` that may be absent.
    ///
    /// # Errors
    /// 400 when it is not such a number.
    pub fn number(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<f64>,
    ) -> Result<Option<f64>, Failure> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        value
            .as_f64()
            .filter(|value| range.contains(value))
            .map(Some)
            .ok_or_else(|| {
                let expected = format!("a number from {} to {}", range.start(), range.end());
                self.wrong(name, &expected)
            })
    }

    /// An object field that may be absent, for [`Fields::of`].
    ///
    /// # Errors
    /// 400 when it is not an object.
    pub fn object(&self, name: &str) -> Result<Option<&'v Map<String, Value>>, Failure> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        value
            .as_object()
            .map(Some)
            .ok_or_else(|| self.wrong(name, "an object"))
    }

    /// An array field that must be there.
    ///
    /// # Errors
    /// 400 when it is absent or not an array.
    pub fn list(&self, name: &str) -> Result<&'v Vec<Value>, Failure> {
        self.required(name)?
            .as_array()
            .ok_or_else(|| self.wrong(name, "an array"))
    }
}
