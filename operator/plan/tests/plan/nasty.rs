//! Whatever stands in a resource, planning ends with objects or with faults: a panic would be the same
//! at every pass. The API server refuses most of these values, but one with an older definition may
//! have stored them.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use lotoai_api::LotoAI;
use lotoai_plan::{
    Observed, OperatorEnv, Outcome, Pass, ProbeOutcome, in_order, judge, plan, validate,
};
use lotoai_testing::chance;
use rand::Rng as _;
use serde_json::{Map, Value, json};

use crate::common::{FIXTURES, credentials, operator, provided, resource};
use crate::leaves::{cases, leaves, merge, schema};

/// Texts that parsers, formats and limits trip over.
fn texts() -> Vec<Value> {
    let long = "x".repeat(10_240);
    let texts = [
        "",
        " ",
        "-",
        "%{x}",
        "{x",
        "$(x)",
        "\0",
        "a\nb",
        "é\u{202e}☃𝄞",
        "../..",
        "https://",
        "https://[::1",
        "0",
        "-1",
        "99999999999999999999999999Ei",
        "0.0.0.0/0",
        "::/129",
        &long,
    ];
    texts.map(|text| json!(text)).to_vec()
}

/// Numbers at the ends of what the schema admits of a leaf, or of what a number can be.
fn numbers(part: &Value) -> Vec<Value> {
    let end = |bound: &str, otherwise: i64| {
        // A definition holds them as fractions.
        let bound = part[bound].as_f64().map(|bound| format!("{bound:.0}"));
        bound.map_or(json!(otherwise), |bound| {
            serde_json::from_str(&bound).unwrap()
        })
    };
    vec![end("minimum", i64::MIN), end("maximum", i64::MAX), json!(0)]
}

/// The schema of a leaf.
fn part<'a>(schema: &'a Value, path: &str) -> &'a Value {
    if path.is_empty() {
        schema
    } else if let Some(rest) = path.strip_prefix("[]") {
        part(&schema["items"], rest)
    } else if let Some(rest) = path.strip_prefix("{}") {
        part(&schema["additionalProperties"], rest)
    } else {
        let (name, rest) = head(path);
        part(&schema["properties"][name], rest)
    }
}

/// The first name of a path, and what comes after it.
fn head(path: &str) -> (&str, &str) {
    let path = path.strip_prefix('.').unwrap_or(path);
    path.split_at(path.find(['.', '[', '{']).unwrap_or(path.len()))
}

fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().unwrap()
}

/// Puts a value at a leaf, in all elements of the lists and maps on the way, and makes what is not
/// there. Of a map it becomes a key as well.
fn put(at: &mut Value, path: &str, nasty: &Value) {
    if path.is_empty() {
        *at = nasty.clone();
    } else if let Some(rest) = path.strip_prefix("[]") {
        if at.as_array().is_none_or(Vec::is_empty) {
            *at = json!([null]);
        }
        for item in at.as_array_mut().unwrap() {
            put(item, rest, nasty);
        }
    } else if let Some(rest) = path.strip_prefix("{}") {
        let map = object(at);
        if map.is_empty() {
            map.insert("gateway".to_owned(), Value::Null);
        }
        for item in map.values_mut() {
            put(item, rest, nasty);
        }
        if let Some(key) = nasty.as_str() {
            let item = map.values().next().cloned().unwrap_or_default();
            map.insert(key.to_owned(), item);
        }
    } else {
        let (name, rest) = head(path);
        let child = object(at).entry(name).or_insert(Value::Null);
        put(child, rest, nasty);
    }
}

/// Plans and judges a resource. Returns whether it is one that can be planned.
fn plans(lotoai: &LotoAI) -> bool {
    let (env, observed) = (operator("minimal"), provided());
    match validate(lotoai, &observed, &env) {
        Ok(platform) => {
            let (prepared, gates) = plan(&platform, &credentials(&platform), &observed);
            assert!(!in_order(&platform, prepared.objects()).is_empty());
            let outcome = Outcome::Reconciled {
                platform: &platform,
                prepared: &prepared,
                gates: &gates,
            };
            says_something(lotoai, &env, &observed, outcome);
            true
        }
        Err(faults) => {
            assert!(!faults.is_empty());
            says_something(lotoai, &env, &observed, Outcome::Invalid(&faults));
            false
        }
    }
}

fn says_something(lotoai: &LotoAI, env: &OperatorEnv, observed: &Observed, outcome: Outcome<'_>) {
    let pass = Pass {
        lotoai,
        env,
        observed,
        probe: &ProbeOutcome::Pending,
        outcome,
    };
    let judgement = judge(&pass, "2026-11-22T10:00:00Z".parse().unwrap());
    assert!(!judgement.status.conditions.is_empty());
}

/// What came of all tries.
#[derive(Default)]
struct Tries {
    planned: usize,
    refused: usize,
    panics: String,
}

impl Tries {
    /// Tries a resource with this value at a leaf. One that no program could read is none.
    fn of(&mut self, base: &Value, leaf: &str, nasty: &Value, fixture: &str) {
        let mut object = base.clone();
        put(&mut object["spec"], leaf, nasty);
        let Ok(lotoai) = serde_json::from_value::<LotoAI>(object) else {
            return;
        };
        match catch_unwind(AssertUnwindSafe(|| plans(&lotoai))) {
            Ok(true) => self.planned += 1,
            Ok(false) => self.refused += 1,
            Err(_) => {
                let shown: String = nasty.to_string().chars().take(40).collect();
                writeln!(self.panics, "{fixture}: {leaf}: {shown}").unwrap();
            }
        }
    }

    /// None of them panicked, and both ways of planning were gone.
    fn check(&self, least: usize) {
        assert!(self.panics.is_empty(), "panics:\n{}", self.panics);
        let (planned, refused) = (self.planned, self.refused);
        assert!(planned > least && refused > least, "{planned}, {refused}");
    }
}

fn nasty_values(schema: &Value, leaf: &str) -> Vec<Value> {
    let mut values = texts();
    values.extend(numbers(part(schema, leaf)));
    values
}

#[test]
fn no_value_of_any_leaf_makes_planning_panic() {
    let minimal = serde_json::to_value(resource("minimal")).unwrap();
    let schema = schema();
    let mut tries = Tries::default();
    for (leaf, extra, _) in cases() {
        let mut base = minimal.clone();
        merge(&mut base["spec"], extra);
        for nasty in nasty_values(&schema, leaf) {
            tries.of(&base, leaf, &nasty, "minimal");
        }
    }
    tries.check(50);
}

#[test]
fn no_leaf_of_any_fixture_makes_planning_panic() {
    let mut chance = chance("no_leaf_of_any_fixture_makes_planning_panic");
    let schema = schema();
    let leaves = leaves();
    let mut tries = Tries::default();
    for fixture in FIXTURES {
        let base = serde_json::to_value(resource(fixture)).unwrap();
        for leaf in &leaves {
            let values = nasty_values(&schema, leaf);
            let nasty = &values[chance.random_range(0..values.len())];
            tries.of(&base, leaf, nasty, fixture);
        }
    }
    tries.check(20);
}

#[test]
fn a_value_is_put_where_the_path_says() {
    let mut spec = json!({ "a": { "b": [{ "c": 1 }, { "c": 2 }] } });
    put(&mut spec, "a.b[].c", &json!("x"));
    assert_eq!(spec, json!({ "a": { "b": [{ "c": "x" }, { "c": "x" }] } }));
    put(&mut spec, "d{}.e", &json!("y"));
    let both = json!({ "gateway": { "e": "y" }, "y": { "e": "y" } });
    assert_eq!(spec["d"], both);
}
