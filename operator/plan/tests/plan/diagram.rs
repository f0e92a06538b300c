//! The diagram of one platform.

use lotoai_api::Component;
use lotoai_plan::graph::{EDGES, mermaid_of};

use crate::common::platform;

#[test]
fn every_component_is_in_it_once_and_every_edge_too() {
    let text = mermaid_of(&platform("minimal"));
    // It keeps its vectors in rag-server.
    for component in Component::ALL {
        let times = usize::from(component != Component::Qdrant);
        assert_eq!(text.matches(&format!("    {component}[\"")).count(), times);
    }
    assert!(!text.contains("qdrant"), "{text}");
    let arrows = |text: &str| text.lines().filter(|line| line.contains("->|")).count();
    let of_qdrant = EDGES.iter().filter(|edge| edge.to == Component::Qdrant);
    assert_eq!(arrows(&text), EDGES.len() - of_qdrant.count());
    assert_eq!(arrows(&mermaid_of(&platform("qdrant"))), EDGES.len());
    assert!(text.contains("subgraph platform[\"ai/demo\"]"), "{text}");
}

#[test]
fn what_it_reaches_outside_is_in_it() {
    let text = mermaid_of(&platform("custom"));
    let outside: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("([\"") && !line.contains("OTLP"))
        .map(str::trim)
        .collect();
    let expected = [
        r#"agents -->|HTTPS| provider-openai(["provider openai: OpenAI"])"#,
        r#"agents -->|HTTP| provider-vllm(["provider vllm: vllm.models:8000"])"#,
        r#"mcp-server -->|HTTPS| tool-order_status(["tool order_status: orders.shop:8443"])"#,
    ];
    assert_eq!(outside, expected);
    assert!(text.contains("gateway -->|OTLP| collector([\"collector: "));
}
