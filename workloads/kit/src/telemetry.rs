//! JSON logs on standard output; traces and logs over OTLP when an endpoint is configured;
//! metrics for `/metrics`.

use std::time::Duration;

use http::HeaderMap;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{ExporterBuildError, LogExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use snafu::{ResultExt, Snafu};
use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::{FilterExt as _, ParseError, filter_fn};
use tracing_subscriber::layer::{Filter, SubscriberExt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry};
use url::Url;

use crate::common::CommonArgs;

/// Targets that say no more than this whatever `LOG` says, and all within them: lapin logs whole
/// messages, what it connects through the address with the password, rmcp the arguments and results of
/// tools, html5ever the text of documents, and no secret and no words of people may be in logs.
const QUIET: [(&str, LevelFilter); 5] = [
    ("lapin::returned_messages", LevelFilter::OFF),
    ("lapin", LevelFilter::DEBUG),
    ("amq_protocol_tcp", LevelFilter::DEBUG),
    ("rmcp", LevelFilter::ERROR),
    ("html5ever", LevelFilter::WARN),
];
/// Targets whose spans and events the exporter itself causes: exporting them would never end.
const EXPORTER_OFF: [&str; 4] = ["h2=off", "hyper=off", "tonic=off", "tower=off"];
/// From a cache hit to a long model answer.
const SECONDS_BUCKETS: [f64; 14] = [
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0,
];
/// How long a stop waits for spans and logs to leave.
const FLUSH: Duration = Duration::from_secs(2);
/// How long one export may take.
const EXPORT: Duration = Duration::from_secs(5);

/// Why telemetry could not be set up.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub enum TelemetryError {
    /// `LOG` is no filter.
    #[snafu(display("failed to parse LOG {filter:?}"))]
    Filter {
        /// The text.
        filter: String,
        /// The cause.
        source: ParseError,
    },
    /// The OTLP exporter was refused.
    #[snafu(display("failed to build the OTLP exporter for {endpoint:?}"))]
    Exporter {
        /// The endpoint.
        endpoint: String,
        /// The cause.
        source: ExporterBuildError,
    },
    /// Something else has installed a subscriber.
    #[snafu(display("failed to install the log subscriber"))]
    Subscriber {
        /// The cause.
        source: TryInitError,
    },
    /// The metrics recorder was refused.
    #[snafu(display("failed to install the metrics recorder"))]
    Recorder {
        /// The cause.
        source: BuildError,
    },
}

/// Installed telemetry; [`Telemetry::flush`] it before the process ends.
#[derive(Debug)]
pub(crate) struct Telemetry {
    traces: Option<SdkTracerProvider>,
    logs: Option<SdkLoggerProvider>,
}

/// Checks a `LOG` filter at configuration time.
///
/// # Errors
/// The text is no `tracing` filter.
pub fn parse_filter(text: &str) -> Result<String, ParseError> {
    EnvFilter::try_new(text).map(|_| text.to_owned())
}

/// What `text` and `extra` let through, but for [`QUIET`]. Those are no directives: a longer one, of a
/// module within, would outrank them.
fn filter(text: &str, extra: &[&str]) -> Result<impl Filter<Registry> + use<>, TelemetryError> {
    let parts: Vec<_> = std::iter::once(text).chain(extra.iter().copied()).collect();
    let wanted = EnvFilter::try_new(parts.join(",")).context(FilterSnafu { filter: text })?;
    // Without a hint of its own this half would hide that of the other, and nothing would be cheap to
    // leave out any more.
    let quiet = filter_fn(may_be_said).with_max_level_hint(LevelFilter::TRACE);
    Ok(wanted.and(quiet))
}

fn may_be_said(event: &Metadata<'_>) -> bool {
    QUIET.iter().all(|(target, most)| {
        let within = event.target().strip_prefix(target);
        let is_meant = within.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        !is_meant || event.level() <= most
    })
}

/// Installs logs and, with an endpoint, OTLP export. Needs a running tokio runtime.
pub(crate) fn install(name: &str, common: &CommonArgs) -> Result<Telemetry, TelemetryError> {
    global::set_text_map_propagator(TraceContextPropagator::new());
    let json = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_filter(filter(&common.log, &[])?)
        .boxed();
    let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = vec![json];
    let mut telemetry = Telemetry {
        traces: None,
        logs: None,
    };
    if let Some(endpoint) = &common.otel_exporter_otlp_endpoint {
        let resource = resource(name, &common.platform);
        let traces = tracer(endpoint, resource.clone())?;
        let logs = logger(endpoint, resource)?;
        layers.push(
            tracing_opentelemetry::layer()
                .with_tracer(traces.tracer("lotoai"))
                .with_filter(filter(&common.log, &EXPORTER_OFF)?)
                .boxed(),
        );
        layers.push(
            OpenTelemetryTracingBridge::new(&logs)
                .with_filter(filter(&common.log, &EXPORTER_OFF)?)
                .boxed(),
        );
        global::set_tracer_provider(traces.clone());
        telemetry = Telemetry {
            traces: Some(traces),
            logs: Some(logs),
        };
    }
    tracing_subscriber::registry()
        .with(layers)
        .try_init()
        .context(SubscriberSnafu)?;
    Ok(telemetry)
}

/// Installs the recorder of the `metrics` macros.
pub(crate) fn install_metrics() -> Result<PrometheusHandle, TelemetryError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)
        .and_then(PrometheusBuilder::install_recorder)
        .context(RecorderSnafu)
}

fn resource(name: &str, platform: &str) -> Resource {
    Resource::builder()
        .with_service_name(format!("lotoai-{name}"))
        .with_attribute(KeyValue::new("service.namespace", platform.to_owned()))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}

fn tracer(endpoint: &Url, resource: Resource) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint.as_str())
        .with_timeout(EXPORT)
        .build()
        .context(ExporterSnafu {
            endpoint: endpoint.as_str(),
        })?;
    Ok(SdkTracerProvider::builder()
        .with_resource(resource)
        .with_batch_exporter(exporter)
        .build())
}

fn logger(endpoint: &Url, resource: Resource) -> Result<SdkLoggerProvider, TelemetryError> {
    let exporter = LogExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint.as_str())
        .with_timeout(EXPORT)
        .build()
        .context(ExporterSnafu {
            endpoint: endpoint.as_str(),
        })?;
    Ok(SdkLoggerProvider::builder()
        .with_resource(resource)
        .with_batch_exporter(exporter)
        .build())
}

impl Telemetry {
    /// Sends what is still buffered, for at most two seconds each. Blocks.
    pub(crate) fn flush(self) {
        if let Some(Err(error)) = self
            .traces
            .map(|traces| traces.shutdown_with_timeout(FLUSH))
        {
            tracing::warn!(%error, "failed to flush traces");
        }
        if let Some(Err(error)) = self.logs.map(|logs| logs.shutdown_with_timeout(FLUSH)) {
            tracing::warn!(%error, "failed to flush logs");
        }
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

struct Pairs(Vec<(String, String)>);

impl Injector for Pairs {
    fn set(&mut self, key: &str, value: String) {
        self.0.push((key.to_owned(), value));
    }
}

/// The W3C trace context of the current span as name and value pairs (`traceparent`,
/// `tracestate`). Empty when nothing is being traced.
#[must_use]
pub fn trace_headers() -> Vec<(String, String)> {
    let context = tracing::Span::current().context();
    if !context.span().span_context().is_valid() {
        return Vec::new();
    }
    let mut pairs = Pairs(Vec::new());
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut pairs));
    pairs.0.retain(|(_, value)| !value.is_empty());
    pairs.0
}

/// Makes `span` a child of the trace context in `headers`, if there is one.
pub fn continue_trace(span: &tracing::Span, headers: &HeaderMap) {
    // Most requests from outside bring none.
    if !headers.contains_key("traceparent") {
        return;
    }
    let parent = global::get_text_map_propagator(|propagator| {
        propagator.extract_with_context(&Context::new(), &Headers(headers))
    });
    if parent.span().span_context().is_valid() && span.set_parent(parent).is_err() {
        // Only a closed or already started span refuses a parent; the trace is then split.
        tracing::debug!("the span has begun before its parent was known");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn a_filter_is_checked_before_it_is_used() {
        assert!(parse_filter("info,lotoai_gateway=debug").is_ok());
        assert!(parse_filter("info,=,=").is_err());
    }

    /// Lines of a subscriber with this filter.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[rstest::rstest]
    #[case("trace")]
    #[case(
        "trace,rmcp=trace,rmcp::service=trace,lapin::channels=trace,html5ever::x=trace,amq_protocol_tcp=trace"
    )]
    fn secrets_and_words_of_people_are_never_logged_whatever_the_filter(#[case] text: &str) {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .with_filter(filter(text, &[]).unwrap());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::warn!(target: "rmcp", "secret");
            tracing::info!(target: "rmcp::service", "secret");
            tracing::error!(target: "lapin::returned_messages", "secret");
            tracing::debug!(target: "html5ever::tree_builder", "secret");
            tracing::trace!(target: "lapin::channels", "secret");
            tracing::trace!(target: "amq_protocol_tcp", "secret");
            // The controls.
            tracing::error!(target: "rmcp::service", "told one");
            tracing::warn!(target: "html5ever", "told two");
            tracing::trace!(target: "rmcp_of_others", "told three");
            tracing::debug!(target: "lapin::channels", "told four");
        });
        let lines = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(lines.matches("told").count(), 4, "{lines}");
        assert!(!lines.contains("secret"), "{lines}");
    }

    #[test]
    fn a_trace_goes_on_over_headers() {
        global::set_text_map_propagator(TraceContextPropagator::new());
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let trace = "0af7651916cd43dd8448eb211c80319c";
            let mut headers = HeaderMap::new();
            let value = format!("00-{trace}-b7ad6b7169203331-01");
            headers.insert("traceparent", value.parse().unwrap());
            let span = tracing::info_span!("request");
            continue_trace(&span, &headers);
            let onward = span.in_scope(trace_headers);
            assert_eq!(onward[0].0, "traceparent");
            assert!(onward[0].1.contains(trace), "{onward:?}");
            assert_ne!(
                onward[0].1, value,
                "the onward parent is our span, not the caller's"
            );
        });
    }

    #[test]
    fn without_a_trace_there_are_no_headers() {
        assert!(trace_headers().is_empty());
    }
}
