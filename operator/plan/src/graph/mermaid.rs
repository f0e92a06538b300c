//! The diagram in the documentation.

use std::fmt::Write as _;

use super::{EDGES, Node, Protocol};

impl Protocol {
    /// Name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Https => "HTTPS",
            Self::Http => "HTTP",
            Self::Grpc => "gRPC",
            Self::Postgres => "PostgreSQL",
            Self::Amqp => "AMQP",
            Self::S3 => "S3",
            Self::Oidc => "OIDC",
            Self::Cluster => "cluster",
        }
    }
}

/// The whole graph as a Mermaid flow chart.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("flowchart LR\n");
    for edge in EDGES {
        let arrow = match edge.from {
            Node::Provision(_) => "-.->",
            Node::Anyone | Node::Operator | Node::Component(_) => "-->",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  {} {arrow}|{} {}| {}",
            edge.from.name(),
            edge.protocol.name(),
            edge.port,
            edge.to
        );
    }
    text
}
