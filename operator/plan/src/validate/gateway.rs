//! Budgets and prices: what the schema cannot say.

use std::collections::BTreeSet;

use lotoai_api::LOCAL_PROVIDER;
use lotoai_api::spec::LotoAISpec;

use super::{Invalid, duplicates};

pub(super) fn check(spec: &LotoAISpec, faults: &mut Vec<Invalid>) {
    let gateway = &spec.gateway;
    duplicates(
        gateway.budgets.iter().map(|budget| budget.name.as_str()),
        "spec.gateway.budgets",
        faults,
    );
    let providers = &spec.agents.providers;
    let mut seen = BTreeSet::new();
    for price in gateway.prices.iter().flat_map(|prices| &prices.models) {
        let (provider, model) = (price.provider.as_str(), price.model.as_str());
        let field = format!("spec.gateway.prices.models[{provider}/{model}]");
        let is_known = provider == LOCAL_PROVIDER
            || providers
                .iter()
                .any(|known| known.name.as_str() == provider);
        if !is_known {
            let message = "no provider has this name; write one of agents.providers, or local";
            faults.push(Invalid::spec(format!("{field}.provider"), message));
        }
        if !seen.insert((provider, model)) {
            let message = "this model has two prices; remove one of them";
            faults.push(Invalid::spec(field, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(models: serde_json::Value) -> Vec<String> {
        let spec = json!({
            "url": "https://ai.example.com",
            "agents": { "providers": [
                { "name": "vllm", "kind": "OpenAICompatible", "baseURL": "http://vllm:8000/v1" },
            ] },
            "gateway": { "prices": { "version": "1", "currency": "EUR", "models": models } },
        });
        let mut faults = Vec::new();
        check(&serde_json::from_value(spec).unwrap(), &mut faults);
        faults.into_iter().map(|fault| fault.to_string()).collect()
    }

    fn price(provider: &str, model: &str) -> serde_json::Value {
        json!({ "provider": provider, "model": model,
                "inputPerMillion": "1", "outputPerMillion": "2.5" })
    }

    #[test]
    fn prices_are_of_providers_that_there_are_and_given_once() {
        let good = json!([price("vllm", "a"), price("vllm", "b"), price("local", "a")]);
        assert_eq!(faults(good), Vec::<String>::new());
        let bad = json!([price("vllm", "a"), price("vllm", "a"), price("openai", "a")]);
        assert_eq!(
            faults(bad),
            [
                "spec.gateway.prices.models[vllm/a]: this model has two prices; remove one of them",
                "spec.gateway.prices.models[openai/a].provider: no provider has this name; write \
                 one of agents.providers, or local",
            ]
        );
    }
}
