use super::*;
use crate::budget::table::{ModelName, parse};

const NOW: &str = "2026-11-26T23:59:30Z";
const LEASE: Duration = Duration::from_secs(60);

fn table(unknown_price: &str) -> Table {
    parse(&format!(
        r#"
prices:
  version: v7
  currency: EUR
  models: [{{provider: openai, model: gpt, inputPerMillion: "1", outputPerMillion: "10"}}]
roles:
  - {{name: priced, models: [{{provider: openai, model: gpt}}]}}
  - {{name: free, models: [{{provider: local, model: small}}]}}
budgets:
  - {{name: day, scope: User, per: Day, tokens: 1000, requests: 10}}
  - {{name: month, scope: Platform, per: Month, money: "0.01", unknownPrice: {unknown_price}}}
"#
    ))
    .unwrap()
}

fn question(table: &Table, model: &str, tokens: Tokens) -> Question {
    Question {
        run_id: Uuid::nil(),
        principal: Principal {
            user: "ana".into(),
            groups: Vec::new(),
            api_key: None,
        },
        tokens,
        highest: table.highest(model),
    }
}

const SMALL: Tokens = Tokens {
    input: 100,
    output: 100,
};

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn used(requests: i64, tokens: i64, micros: i64) -> Amounts {
    Amounts {
        requests,
        tokens,
        micros,
        unpriced: 0,
    }
}

#[test]
fn a_warning_names_budget_kind_percentage_and_end() {
    let table = table("Refuse");
    let question = question(&table, "priced", SMALL);
    let plan = question.plan(&table, LEASE, now()).unwrap().unwrap();
    assert_eq!(question.micros(), Some(1_100));
    let judge = |tokens| {
        let reserved = Reserved {
            admitted: true,
            used: vec![used(1, tokens, 0), used(1, tokens, 1_100)],
        };
        plan.judge(&reserved, now()).unwrap()
    };
    assert_eq!(judge(800), ["day; tokens=80%; resets=2026-11-27T00:00:00Z"]);
    assert!(judge(799).is_empty(), "the control");
}

#[test]
fn a_refusal_says_what_is_left_and_when_it_is_whole_again() {
    let table = table("Refuse");
    let question = question(&table, "priced", SMALL);
    let plan = question.plan(&table, LEASE, now()).unwrap().unwrap();
    let refuse = |day, month| {
        let reserved = Reserved {
            admitted: false,
            used: vec![day, month],
        };
        plan.judge(&reserved, now()).unwrap_err()
    };
    let failure = refuse(used(10, 0, 0), used(0, 0, 0));
    assert_eq!(
        (failure.status.as_u16(), failure.code.as_ref()),
        (429, "budget_exceeded")
    );
    assert_eq!((failure.retry_after, failure.is_final), (Some(30), false));
    let budget = &failure.problem(None)["budget"];
    assert_eq!(budget["name"], "day");
    assert_eq!(
        (&budget["kind"], &budget["limit"]),
        (&json!("requests"), &json!(10))
    );
    assert_eq!(budget["subject"], "ana");
    assert_eq!(failure.openai()["error"]["budget"], *budget);

    // Of two, the one that ends last counts, and a client does not ask again by itself.
    let failure = refuse(used(10, 0, 0), used(0, 0, 9_000));
    assert!(failure.is_final);
    assert!(
        failure
            .message
            .contains("0.001000 EUR are left of 0.010000 EUR"),
        "{failure:?}"
    );
    let budget = &failure.problem(None)["budget"];
    assert_eq!(budget["resets_at"], "2026-12-01T00:00:00Z");
    assert_eq!(budget["needed"]["micros"], 1_100);
}

#[test]
fn an_unknown_price_is_refused_or_warned_of_and_never_nothing() {
    let strict = table("Refuse");
    let failure = question(&strict, "free", SMALL)
        .plan(&strict, LEASE, now())
        .unwrap_err();
    assert_eq!(
        (failure.status.as_u16(), failure.code.as_ref()),
        (403, "price_unknown")
    );
    assert!(failure.message.contains("\"small\" of provider \"local\""));

    let lenient = table("Warn");
    let question = question(&lenient, "free", SMALL);
    assert_eq!(question.micros(), None);
    let plan = question.plan(&lenient, LEASE, now()).unwrap().unwrap();
    let reserved = Reserved {
        admitted: true,
        used: vec![used(1, 1, 0), used(1, 1, 0)],
    };
    assert_eq!(
        plan.judge(&reserved, now()).unwrap(),
        ["month; money=unknown"]
    );
}

fn measured(model: Option<(&str, &str)>, asked: bool) -> Measured {
    Measured {
        tokens: if asked { SMALL } else { Tokens::default() },
        model: model.map(|(provider, model)| ModelName {
            provider: provider.into(),
            model: model.into(),
        }),
        asked,
        estimated: false,
    }
}

#[rstest::rstest]
#[case::counted("priced", Some(("openai", "gpt")), true, Some(1_100))]
#[case::no_price("priced", Some(("openai", "newer")), true, None)]
#[case::cut("priced", None, true, Some(1_100))]
#[case::cut_without_price("free", None, true, None)]
#[case::nobody_asked("free", None, false, Some(0))]
#[case::extractive("priced", Some(("lotoai", "extractive")), false, Some(0))]
fn an_answer_is_charged_by_who_wrote_it(
    #[case] requested: &str,
    #[case] model: Option<(&str, &str)>,
    #[case] asked: bool,
    #[case] micros: Option<i64>,
) {
    let table = table("Warn");
    let question = question(&table, requested, SMALL);
    let spending = question.spending(measured(model, asked), &table);
    assert_eq!(spending.micros, micros);
    assert_eq!(
        (spending.currency.as_str(), spending.price_version.as_str()),
        ("EUR", "v7")
    );
}
