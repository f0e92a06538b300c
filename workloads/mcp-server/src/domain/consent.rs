//! What a consent to a call is for. Who needs one is the policy's to say.

use lotoai_contracts::tools::{canonical, digest};

use super::declaration::{Declaration, Method};
use super::tool::Action;

/// Whether a call may change something: with every method but `GET`, and by every script.
#[must_use]
pub(super) fn may_change(action: &Action) -> bool {
    match action {
        Action::Http(http) => http.method != Method::Get,
        // Nothing tells what a script does.
        Action::Script(_) => true,
    }
}

/// Digest of everything that a tool was declared with: who consents, consents to this.
#[must_use]
pub(super) fn declared(declaration: &Declaration) -> String {
    // Text, numbers, and maps whose keys are text: this cannot fail.
    let value = serde_json::to_value(declaration).unwrap_or_default();
    digest(&canonical(value))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::declaration::Declarations;
    use super::super::tool::{Tool, tools};

    fn tool(fields: &str) -> Tool {
        let yaml = format!("tools: [{{name: a, description: d, {fields}}}]");
        let declarations: Declarations = serde_yaml_ng::from_str(&yaml).unwrap();
        let (mut tools, faults) = tools(declarations);
        assert!(faults.is_empty(), "{faults:?}");
        tools.remove(0)
    }

    #[rstest]
    #[case("script: {source: x}", false)]
    #[case("script: {source: x}, approval: Never", false)]
    #[case("script: {source: x}, approval: OnWrite", true)]
    #[case("script: {source: x}, approval: Always", true)]
    #[case("http: {url: 'http://h/'}, approval: Never", false)]
    #[case("http: {url: 'http://h/'}, approval: OnWrite", false)]
    #[case("http: {url: 'http://h/'}, approval: Always", true)]
    #[case("http: {url: 'http://h/', method: POST}, approval: OnWrite", true)]
    #[case("http: {url: 'http://h/', method: PUT}, approval: OnWrite", true)]
    #[case("http: {url: 'http://h/', method: PATCH}, approval: OnWrite", true)]
    #[case("http: {url: 'http://h/', method: DELETE}, approval: OnWrite", true)]
    #[case("http: {url: 'http://h/', method: DELETE}", false)]
    fn the_declaration_and_what_is_done_decide(#[case] fields: &str, #[case] needed: bool) {
        assert_eq!(tool(fields).needs_consent, needed);
    }

    #[rstest]
    #[case("http: {url: 'http://h/b'}")]
    #[case("http: {url: 'http://h/a', method: POST}")]
    #[case("http: {url: 'http://h/a', headers: {x: y}}")]
    #[case("http: {url: 'http://h/a'}, groups: [g]")]
    #[case("http: {url: 'http://h/a'}, approval: Always")]
    #[case("http: {url: 'http://h/a'}, inputSchema: {type: object, title: t}")]
    fn every_field_is_part_of_what_is_consented_to(#[case] other: &str) {
        let one = tool("http: {url: 'http://h/a'}");
        assert_ne!(one.declaration, tool(other).declaration);
    }

    #[test]
    fn the_order_of_fields_is_not() {
        let one =
            tool("inputSchema: {type: object, properties: {a: {}, b: {}}}, script: {source: x}");
        let other =
            tool("script: {source: x}, inputSchema: {properties: {b: {}, a: {}}, type: object}");
        assert_eq!(one.declaration, other.declaration);
        assert_eq!(one.declaration.len(), 64);
    }
}
