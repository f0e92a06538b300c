//! Arguments of a tool, read from the question by its JSON schema.

use std::sync::LazyLock;

use jiff::civil::Date;
use regex::Regex;
use serde_json::{Map, Value};

use super::{
    dates,
    language::Language,
    text::{fold, pattern},
};

static URL: LazyLock<Regex> = LazyLock::new(|| pattern(r#"https?://[^\s"'<>]+[^\s"'<>.,;:!?)]"#));
static EMAIL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"));
static QUOTED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#""([^"]+)"|“([^”]+)”|«([^»]+)»|`([^`]+)`|'([^']+)'"#));
static NUMBER: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"-?\b\d+(?:[.,]\d+)?(?:\s?(%|[a-z€$]+))?"));
static ARITHMETIC: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"\(*-?\d+(?:[.,]\d+)?\)*(?:\s*[-+*/x×÷^]\s*\(*-?\d+(?:[.,]\d+)?\)*)+")
});

/// A required argument that the question does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Name in the schema.
    pub name: String,
    /// Description in the schema; empty if there is none.
    pub description: String,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extraction {
    /// The arguments that were found.
    pub arguments: Map<String, Value>,
    /// Required arguments that were not.
    pub missing: Vec<Missing>,
    /// Required arguments that were found by their form (a date, a number, a URL, one of a list),
    /// which free text is not.
    pub typed: usize,
}

impl Extraction {
    /// Is the question shaped like a call of this tool?
    #[must_use]
    pub fn fits(&self) -> bool {
        self.typed > 0 && self.missing.is_empty()
    }
}

/// What a property wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    Date,
    Number { whole: bool },
    OneOf,
    Url,
    Email,
    Expression,
    Text,
    Other,
}

/// Pieces of the question that no argument has taken yet.
struct Pool {
    dates: Vec<Date>,
    numbers: Vec<(f64, String)>,
    urls: Vec<String>,
    emails: Vec<String>,
    quoted: Vec<String>,
    expression: Option<String>,
    folded: String,
}

/// Does the text hold a calculation such as `12 * (3 + 4)`? Dates are not one.
#[must_use]
pub fn arithmetic(text: &str, language: Language, today: Date) -> Option<String> {
    let found = ARITHMETIC.find(text)?;
    let all_dates = dates::find(found.as_str(), language, today);
    all_dates
        .is_empty()
        .then(|| found.as_str().trim().to_owned())
}

/// Reads the arguments that `schema` names from `question`.
#[must_use]
pub fn extract(
    schema: &Map<String, Value>,
    question: &str,
    language: Language,
    today: Date,
) -> Extraction {
    let mut pool = Pool::new(question, language, today);
    let mut result = Extraction::default();
    let required = required(schema);
    for (name, property) in ordered(schema, &required) {
        let want = want(name, property);
        let is_required = required.contains(&name.as_str());
        match pool.take(want, name, property, is_required) {
            Some(value) => {
                if is_required && !matches!(want, Want::Text | Want::Other) {
                    result.typed += 1;
                }
                result.arguments.insert(name.clone(), value);
            }
            None if is_required && property.get("default").is_none() => {
                let description = text_of(property, "description");
                result.missing.push(Missing {
                    name: name.clone(),
                    description,
                });
            }
            None => {}
        }
    }
    sort_span(&mut result.arguments);
    result
}

fn required(schema: &Map<String, Value>) -> Vec<&str> {
    let list = schema.get("required").and_then(Value::as_array);
    list.map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

/// The properties: required ones first and in the order of `required`, a start before an end.
fn ordered<'a>(schema: &'a Map<String, Value>, required: &[&str]) -> Vec<(&'a String, &'a Value)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let mut all: Vec<_> = properties.into_iter().flatten().collect();
    all.sort_by_key(|(name, _)| {
        let place = required
            .iter()
            .position(|r| r == &name.as_str())
            .unwrap_or(usize::MAX);
        (place == usize::MAX, side(name), place)
    });
    all
}

/// -1 for the start of a span, 1 for its end, else 0.
fn side(name: &str) -> i8 {
    let parts: Vec<&str> = name.split(['_', '-']).collect();
    let any = |list: &[&str]| parts.iter().any(|part| list.contains(part));
    if any(&[
        "start", "from", "begin", "since", "first", "desde", "inicio",
    ]) {
        -1
    } else if any(&["end", "to", "until", "till", "last", "hasta", "fin"]) {
        1
    } else {
        0
    }
}

fn text_of(property: &Value, field: &str) -> String {
    property
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn want(name: &str, property: &Value) -> Want {
    let format = text_of(property, "format");
    let description = text_of(property, "description");
    let lower = name.to_ascii_lowercase();
    if property.get("enum").is_some_and(Value::is_array) {
        return Want::OneOf;
    }
    match property.get("type").and_then(Value::as_str) {
        Some("integer") => return Want::Number { whole: true },
        Some("number") => return Want::Number { whole: false },
        Some("string") | None => {}
        Some(_) => return Want::Other,
    }
    let pattern = text_of(property, "pattern");
    if format == "date"
        || lower
            .split(['_', '-'])
            .any(|part| matches!(part, "date" | "day" | "fecha"))
        || description.contains("YYYY-MM-DD")
        || pattern.contains(r"\d{4}-\d{2}-\d{2}")
    {
        Want::Date
    } else if matches!(format.as_str(), "uri" | "url") || lower.contains("url") {
        Want::Url
    } else if format == "email" || lower.contains("email") {
        Want::Email
    } else if matches!(lower.as_str(), "expression" | "calculation" | "formula") {
        Want::Expression
    } else {
        Want::Text
    }
}

/// A start that lies after its end is written the wrong way round in the question.
fn sort_span(arguments: &mut Map<String, Value>) {
    let is_date = |value: &Value| value.as_str().is_some_and(|s| s.parse::<Date>().is_ok());
    let of = |wanted: i8| {
        arguments
            .iter()
            .find(|(name, value)| side(name) == wanted && is_date(value))
            .map(|(name, value)| (name.clone(), value.clone()))
    };
    if let (Some((start, first)), Some((end, last))) = (of(-1), of(1))
        && first.as_str() > last.as_str()
    {
        arguments.insert(start, last);
        arguments.insert(end, first);
    }
}

impl Pool {
    fn new(question: &str, language: Language, today: Date) -> Self {
        let strings = |regex: &Regex| {
            regex
                .find_iter(question)
                .map(|m| m.as_str().to_owned())
                .collect::<Vec<_>>()
        };
        let folded = fold(question);
        let found = dates::find(question, language, today);
        let inside_date = |at: usize| found.iter().any(|d| d.start <= at && at < d.end);
        let numbers = NUMBER
            .captures_iter(&folded)
            .filter_map(|captures| {
                let whole = captures.get(0)?;
                let unit = captures.get(1).map_or("", |unit| unit.as_str());
                let digits = whole
                    .as_str()
                    .strip_suffix(unit)
                    .unwrap_or(whole.as_str())
                    .trim();
                let value = digits.replace(',', ".").parse().ok()?;
                (!inside_date(whole.start())).then(|| (value, unit.to_owned()))
            })
            .collect();
        let quoted = QUOTED
            .captures_iter(question)
            .filter_map(|c| {
                c.iter()
                    .skip(1)
                    .flatten()
                    .next()
                    .map(|m| m.as_str().to_owned())
            })
            .collect();
        Self {
            dates: found.iter().map(|f| f.date).collect(),
            numbers,
            urls: strings(&URL),
            emails: strings(&EMAIL),
            quoted,
            expression: arithmetic(question, language, today),
            folded,
        }
    }

    fn take(&mut self, want: Want, name: &str, property: &Value, required: bool) -> Option<Value> {
        match want {
            Want::Date => first(&mut self.dates).map(|date| date.to_string().into()),
            Want::Number { whole } => self.number(name, whole, required),
            Want::OneOf => self.one_of(property),
            Want::Url => first(&mut self.urls).map(Value::from),
            Want::Email => first(&mut self.emails).map(Value::from),
            Want::Expression => self.expression.take().map(Value::from),
            Want::Text => first(&mut self.quoted).map(Value::from),
            Want::Other => None,
        }
    }

    /// A number whose unit is in the argument's name wins; without one, the next number with no
    /// unit that belongs to another argument. An optional argument takes only a named unit.
    fn number(&mut self, name: &str, whole: bool, required: bool) -> Option<Value> {
        let name = name.to_ascii_lowercase();
        let percent = ["percent", "pct", "rate", "porcentaje"]
            .iter()
            .any(|p| name.contains(p));
        let named = self.numbers.iter().position(|(_, unit)| {
            if percent {
                unit == "%"
            } else {
                unit.len() > 2 && name.contains(unit.trim_end_matches('s'))
            }
        });
        let at = named.or_else(|| {
            let free = self
                .numbers
                .iter()
                .position(|(_, unit)| percent || unit != "%");
            free.filter(|_| required)
        })?;
        let (value, _) = self.numbers.remove(at);
        if !whole {
            return serde_json::Number::from_f64(value).map(Value::Number);
        }
        // Only a number without a fraction is an integer.
        (value.fract() == 0.0)
            .then(|| format!("{value:.0}").parse::<i64>().ok().map(Value::from))?
    }

    fn one_of(&self, property: &Value) -> Option<Value> {
        let padded = format!(" {} ", super::text::words(&self.folded).join(" "));
        let choices = property.get("enum")?.as_array()?;
        choices
            .iter()
            .filter_map(|choice| choice.as_str().map(|text| (choice, text)))
            .find(|(_, text)| padded.contains(&format!(" {} ", super::text::words(text).join(" "))))
            .map(|(choice, _)| choice.clone())
    }
}

fn first<T>(list: &mut Vec<T>) -> Option<T> {
    (!list.is_empty()).then(|| list.remove(0))
}

#[cfg(test)]
mod tests;
