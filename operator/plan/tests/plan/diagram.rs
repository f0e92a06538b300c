//! The diagram of one platform.

use lotoai_api::Component;
use lotoai_plan::Node;
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
    // Nobody is named who asks for metrics.
    let edges = || EDGES.iter().filter(|edge| edge.from != Node::Scraper);
    let of_qdrant = edges().filter(|edge| edge.to == Component::Qdrant);
    assert_eq!(arrows(&text), edges().count() - of_qdrant.count());
    assert_eq!(arrows(&mermaid_of(&platform("qdrant"))), edges().count());
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
        concat!(
            r#"scraper(["scraper: pods app.kubernetes.io/name=prometheus"#,
            r#" of namespaces kubernetes.io/metadata.name=monitoring"])"#
        ),
        r#"agents -->|HTTPS| provider-openai(["provider openai: OpenAI"])"#,
        r#"agents -->|HTTP| provider-vllm(["provider vllm: vllm.models:8000"])"#,
        r#"mcp-server -->|HTTPS| tool-order_status(["tool order_status: orders.shop:8443"])"#,
    ];
    assert_eq!(outside, expected);
    let collector =
        r#"gateway -->|OTLP| collector(["collector: otel-collector.monitoring.svc:4317"])"#;
    assert!(text.contains(collector), "{text}");
    for edge in [
        "scraper -.->|HTTP 9090| gateway",
        "scraper -.->|HTTP 9100| traefik",
    ] {
        assert!(text.contains(edge), "{text}");
    }
}
