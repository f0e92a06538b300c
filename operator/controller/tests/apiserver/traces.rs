//! What the operator's own process sends to a collector: the span of a pass while it runs, and at its
//! end what had not been sent by then.

use std::process::Command;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::crashed::Operator;
use crate::server;
use crate::world::{DEADLINE, World, wait_for};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Spans are kept for as long as a process lives, in milliseconds, and as many as one can have.
const KEEP: [(&str, &str); 2] = [
    ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2048"),
];

/// Keeps what it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// One on a free port of loopback, and its address.
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = TraceServiceServer::new(collector.clone());
        let incoming = TcpIncoming::from(listener);
        tokio::spawn(
            Server::builder()
                .add_service(service)
                .serve_with_incoming(incoming),
        );
        (collector, format!("http://{address}"))
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }

    /// Whether it was sent a whole pass of this namespace by a process of this name.
    fn has_pass(&self, namespace: &str, pod: &str) -> bool {
        let requests = self.0.lock().unwrap();
        let mut sources = requests.iter().flat_map(|sent| &sent.resource_spans);
        sources.any(|source| {
            let of = source.resource.as_ref().unwrap();
            assert_eq!(text(&of.attributes, "service.name"), "lotoai-operator");
            let mut spans = source.scope_spans.iter().flat_map(|scope| &scope.spans);
            text(&of.attributes, "service.instance.id") == pod
                && spans.any(|span| {
                    span.name == "reconcile"
                        && text(&span.attributes, "namespace") == namespace
                        && text(&span.attributes, "name") == "demo"
                        && !text(&span.attributes, "outcome").is_empty()
                })
        })
    }
}

/// The text of an attribute; empty when it is not there.
fn text<'a>(attributes: &'a [KeyValue], key: &str) -> &'a str {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    let value = found.and_then(|attribute| attribute.value.as_ref()?.value.as_ref());
    match value {
        Some(Value::StringValue(text)) => text,
        Some(_) | None => "",
    }
}

#[tokio::test]
async fn a_collector_is_sent_each_pass_also_what_a_process_that_ends_has_left() {
    const NAMESPACE: &str = "traces";
    let Some(world) = World::demo(NAMESPACE).await else {
        return;
    };
    let server = server::shared().unwrap();
    let (collector, endpoint) = Collector::start().await;
    let running = Operator::start(server, &world, "running", &[(ENDPOINT, endpoint.as_str())]);
    wait_for("the span of a pass", DEADLINE, async || {
        assert!(
            !running.process.has_ended(),
            "{}",
            running.process.log_tail()
        );
        collector.has_pass(NAMESPACE, "running")
    })
    .await;
    stop(running).await;

    let (collector, endpoint) = Collector::start().await;
    let variables = [(ENDPOINT, endpoint.as_str()), KEEP[0], KEEP[1]];
    let ending = Operator::start(server, &world, "ending", &variables);
    wait_for("a pass", DEADLINE, async || {
        let metrics = ending.says("/metrics").await.unwrap_or_default();
        let mut lines = metrics.lines();
        lines.any(|line| line.starts_with("lotoai_operator_reconciliations_total{"))
    })
    .await;
    assert!(collector.is_empty(), "it was sent before the end");
    let log = stop(ending).await;
    assert!(collector.has_pass(NAMESPACE, "ending"), "{log}");
    assert!(!log.contains("failed to send the last traces"), "{log}");
}

/// Tells the process to end as the kubelet would, and waits until it has; what it has printed.
async fn stop(operator: Operator) -> String {
    let process = operator.process;
    let id = process.id().to_string();
    let told = Command::new("kill").args(["-TERM", &id]).status().unwrap();
    assert!(told.success());
    wait_for("the end of the process", DEADLINE, async || {
        process.has_ended()
    })
    .await;
    let log = process.log();
    process.end();
    log
}
