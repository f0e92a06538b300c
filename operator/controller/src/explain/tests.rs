use rstest::rstest;

use super::*;
use crate::error::chain;

const URL: &str = "https://ai.example.com";

fn sample(name: &str) -> String {
    let path = format!("{}/../../samples/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn with(spec: &str) -> String {
    format!("apiVersion: lotoai.dev/v1alpha1\nkind: LotoAI\nmetadata: {{ name: demo }}\n{spec}")
}

fn refusal(text: &str) -> String {
    chain(&Explanation::new(text).unwrap_err())
}

#[test]
fn the_summary_of_the_demonstration() {
    let summary = Explanation::new(&sample("demo")).unwrap().summary();
    // The number of the release stands in the tags of our own images.
    let summary = summary.replace(env!("CARGO_PKG_VERSION"), "<version>");
    insta::assert_snapshot!(summary);
}

#[rstest]
fn every_sample_is_explained_in_every_form(#[values("demo", "custom", "openai")] name: &str) {
    let explanation = Explanation::new(&sample(name)).unwrap();
    let yaml = explanation.yaml().unwrap();
    let documents = serde_yaml_ng::Deserializer::from_str(&yaml).count();
    let summary = explanation.summary();
    assert!(
        summary.contains(&format!("\nObjects: {documents}\n")),
        "{summary}"
    );
    assert!(explanation.mermaid().starts_with("flowchart LR\n"));
}

#[test]
fn what_is_printed_holds_no_value_that_could_be_one() {
    let text = Explanation::new(&sample("demo")).unwrap().yaml().unwrap();
    for document in serde_yaml_ng::Deserializer::from_str(&text) {
        let object: serde_json::Value = serde::Deserialize::deserialize(document).unwrap();
        if object["metadata"]["labels"][lotoai_plan::labels::CREDENTIAL] != "true" {
            continue;
        }
        assert_eq!(object["data"], serde_json::Value::Null);
        for (key, value) in object["stringData"].as_object().unwrap() {
            let is_placeholder = value.as_str().unwrap().starts_with("placeholder-");
            assert!(is_placeholder || key == "username", "{object}");
        }
    }
    assert!(text.contains("password: placeholder-demo-rabbitmq-admin-password"));
    assert!(text.contains("name: demo-ca\n"));
}

#[test]
fn the_same_text_gives_the_same_output() {
    let text = || Explanation::new(&sample("custom")).unwrap().yaml().unwrap();
    assert_eq!(text(), text());
}

#[test]
fn secrets_that_the_resource_names_are_told() {
    let summary = Explanation::new(&sample("openai")).unwrap().summary();
    assert!(
        summary.contains("spec.agents.providers[openai].apiKeySecretRef"),
        "{summary}"
    );
}

#[test]
fn credentials_that_are_given_are_placeholders() {
    let text = with(&format!(
        "spec:\n  url: {URL}\n  credentials:\n    given:\n      \
         gateway-postgres: {{ name: vault }}\n      gateway-session: {{ name: vault }}\n"
    ));
    let explanation = Explanation::new(&text).unwrap();
    let summary = explanation.summary();
    assert!(
        summary.contains("spec.credentials.given[gateway-postgres]"),
        "{summary}"
    );
    let yaml = explanation.yaml().unwrap();
    assert!(yaml.contains("password: placeholder-vault-password\n"));
    assert!(yaml.contains("key: placeholder-vault-key\n"));
    let refused = refusal(&with(&format!(
        "spec: {{ url: {URL}, credentials: {{ given: {{ rabbitmq-cookie: {{ name: vault }} }} }} }}"
    )));
    assert!(
        refused.contains("spec.credentials.given[rabbitmq-cookie]"),
        "{refused}"
    );
}

#[rstest]
#[case::empty("", "it is empty; give one LotoAI resource")]
#[case::only_a_comment("# nothing\n", "it is empty")]
#[case::two_documents(
    &format!("{0}\n---\n{0}", with("spec: { url: https://ai.example.com }")),
    "it holds 2 documents"
)]
#[case::a_list("- 1\n", "it is no map of fields")]
#[case::another_kind(
    "apiVersion: lotoai.dev/v1alpha1\nkind: Deployment\n",
    "kind is \"Deployment\", not LotoAI"
)]
#[case::another_version(
    "apiVersion: lotoai.dev/v2\nkind: LotoAI\n",
    "apiVersion is \"lotoai.dev/v2\", not lotoai.dev/v1alpha1"
)]
#[case::no_kind(
    "apiVersion: lotoai.dev/v1alpha1\n",
    "kind is missing; write  kind: LotoAI"
)]
#[case::bad_yaml("apiVersion: [\n", "line 2")]
#[case::a_key_twice("kind: LotoAI\nkind: LotoAI\n", "duplicate entry with key \"kind\"")]
fn what_is_no_resource_is_refused(#[case] text: &str, #[case] said: &str) {
    let refusal = refusal(text);
    assert!(refusal.contains(said), "{refusal}");
}

#[rstest]
#[case::unknown_field("spec: { url: https://a.example, urll: x }", &["spec.urll: no such field; the fields here are agents, "])]
#[case::unknown_field_below(
    "spec: { url: https://a.example, edge: { service: { typ: NodePort } } }",
    &["spec.edge.service.typ: no such field"]
)]
#[case::no_spec("", &["spec: it is missing"])]
#[case::no_url("spec: {}", &["spec.url: it is missing"])]
#[case::a_rule("spec: { url: 'http://a.example' }", &["spec.url: url must be https://"])]
#[case::all_at_once(
    "spec: { url: 1, profile: Huge, agents: { providers: [{ name: x, kind: OpenAI, key: k }] } }",
    &[
        "the resource has 3 faults:",
        "\n  spec.agents.providers[x].key: no such field",
        "\n  spec.profile: Huge is none of the values that it may have: Demo",
        "\n  spec.url: it is of type integer; write a value of type string",
    ]
)]
#[case::what_only_planning_sees(
    "spec: { url: https://a.example, components: { gateway: { resources: { requests: { memory: 2Gi }, limits: { memory: 1Gi } } } } }",
    &["the resource has one fault:\n  spec.components[gateway].resources.requests.memory: 2Gi is more than"]
)]
fn faults_are_told_with_field_and_fix(#[case] spec: &str, #[case] said: &[&str]) {
    let refusal = refusal(&with(spec));
    for text in said {
        assert!(refusal.contains(text), "{refusal}");
    }
}

#[rstest]
#[case(
    "metadata: { name: demo, namespce: x }",
    "metadata.namespce: no such field"
)]
#[case("metadata: { namespace: x }", "metadata.name: it is missing")]
#[case("metadata: { name: Demo }", "metadata.name")]
fn metadata_is_checked_too(#[case] metadata: &str, #[case] said: &str) {
    let text = format!(
        "apiVersion: lotoai.dev/v1alpha1\nkind: LotoAI\n{metadata}\nspec: {{ url: {URL} }}\n"
    );
    let refusal = refusal(&text);
    assert!(refusal.contains(said), "{refusal}");
}

#[test]
fn an_empty_field_is_as_good_as_none() {
    let text = with("spec:\n  url: https://ai.example.com\n  edge:\n  agents:\n");
    assert!(Explanation::new(&text).is_ok());
}
