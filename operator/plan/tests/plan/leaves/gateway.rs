//! Budgets, prices, and the end of conversations and sessions.

use serde_json::{Value, json};

use super::{Case, merge};

fn budget(extra: Value) -> Value {
    let mut budget = json!({ "name": "leafy", "scope": "User", "per": "Day", "requests": 7 });
    merge(&mut budget, extra);
    json!({ "gateway": { "budgets": [budget], "prices": prices(json!({}), json!({})) } })
}

fn prices(extra: Value, model: Value) -> Value {
    let mut price = json!({ "provider": "local", "model": "m",
                            "inputPerMillion": "1", "outputPerMillion": "2" });
    merge(&mut price, model);
    let mut prices = json!({ "version": "v1", "currency": "EUR", "models": [price] });
    merge(&mut prices, extra);
    prices
}

pub(super) fn gateway_cases() -> Vec<Case> {
    let priced = |extra, model| json!({ "gateway": { "prices": prices(extra, model) } });
    vec![
        ("gateway.budgets[].name", budget(json!({})), "name: leafy"),
        (
            "gateway.budgets[].scope",
            budget(json!({ "scope": "APIKey" })),
            "scope: APIKey",
        ),
        (
            "gateway.budgets[].names[]",
            budget(json!({ "names": ["leaf-lover"] })),
            "- leaf-lover",
        ),
        (
            "gateway.budgets[].per",
            budget(json!({ "per": "Minute" })),
            "per: Minute",
        ),
        (
            "gateway.budgets[].requests",
            budget(json!({ "requests": 7171 })),
            "requests: 7171",
        ),
        (
            "gateway.budgets[].tokens",
            budget(json!({ "tokens": 7172 })),
            "tokens: 7172",
        ),
        (
            "gateway.budgets[].money",
            budget(json!({ "money": "71.73" })),
            "money: '71.73'",
        ),
        (
            "gateway.budgets[].unknownPrice",
            budget(json!({ "unknownPrice": "Warn" })),
            "unknownPrice: Warn",
        ),
        (
            "gateway.budgets[].warnAtPercent",
            budget(json!({ "warnAtPercent": 71 })),
            "warnAtPercent: 71",
        ),
        (
            "gateway.prices.version",
            priced(json!({ "version": "leaf-1" }), json!({})),
            "version: leaf-1",
        ),
        (
            "gateway.prices.currency",
            priced(json!({ "currency": "CHF" }), json!({})),
            "currency: CHF",
        ),
        (
            "gateway.prices.models[].provider",
            json!({
                "agents": { "providers": [
                    { "name": "leafy", "kind": "OpenAICompatible", "baseURL": "http://x:1" },
                ] },
                "gateway": { "prices": prices(json!({}), json!({ "provider": "leafy" })) },
            }),
            "provider: leafy",
        ),
        (
            "gateway.prices.models[].model",
            priced(json!({}), json!({ "model": "leaf-7b" })),
            "model: leaf-7b",
        ),
        (
            "gateway.prices.models[].inputPerMillion",
            priced(json!({}), json!({ "inputPerMillion": "7.1" })),
            "inputPerMillion: '7.1'",
        ),
        (
            "gateway.prices.models[].outputPerMillion",
            priced(json!({}), json!({ "outputPerMillion": "7.2" })),
            "outputPerMillion: '7.2'",
        ),
        (
            "gateway.conversationRetentionDays",
            json!({ "gateway": { "conversationRetentionDays": 417 } }),
            "417",
        ),
        (
            "gateway.usageRetentionDays",
            json!({ "gateway": { "usageRetentionDays": 418 } }),
            r#""name":"USAGE_RETENTION_DAYS","value":"418""#,
        ),
        (
            "gateway.sessions.idleSeconds",
            json!({ "gateway": { "sessions": { "idleSeconds": 471 } } }),
            r#""name":"SESSION_IDLE_SECONDS","value":"471""#,
        ),
        (
            "gateway.sessions.maxSeconds",
            json!({ "gateway": { "sessions": { "maxSeconds": 7471 } } }),
            r#""name":"SESSION_MAX_SECONDS","value":"7471""#,
        ),
    ]
}
