//! The operator's own telemetry: JSON logs on standard output, and the spans of its passes over
//! OTLP when an endpoint is configured. Metrics are in [`crate::metrics`].

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use snafu::{ResultExt, Snafu};
use tracing::Subscriber;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer};

use crate::cli::RunArgs;

/// Targets whose spans the exporter itself causes: exporting them would never end.
const EXPORTER_OFF: &str = "h2=off,hyper=off,tonic=off,tower=off";
/// How long one export may take.
const EXPORT: Duration = Duration::from_secs(5);
/// How long a stop waits for the last spans to leave.
const FLUSH: Duration = Duration::from_secs(2);

/// Why telemetry could not be set up.
#[derive(Debug, Snafu)]
pub(crate) enum Error {
    #[snafu(display(
        "failed to understand LOG={filter:?}: use for example info or lotoai_operator=debug"
    ))]
    Log { filter: String, source: ParseError },
    #[snafu(display("failed to make the exporter of traces to {endpoint}"))]
    Exporter {
        endpoint: String,
        source: ExporterBuildError,
    },
    #[snafu(display("failed to install the log"))]
    Install { source: TryInitError },
}

/// Installed telemetry; [`Telemetry::flush`] it before the process ends.
pub(crate) struct Telemetry(Option<SdkTracerProvider>);

/// Installs logs and, with an endpoint, traces. Needs a running tokio runtime.
pub(crate) fn install(args: &RunArgs) -> Result<Telemetry, Error> {
    let logs = tracing_subscriber::fmt::layer()
        .json()
        .with_span_list(false)
        .with_filter(filter(&args.log, &args.log)?);
    let provider = match args.otlp_endpoint.as_str() {
        "" => None,
        endpoint => Some(provider(endpoint, args)?),
    };
    let traces = match &provider {
        Some(provider) => {
            let text = format!("{},{EXPORTER_OFF}", args.log);
            Some(layer(provider).with_filter(filter(&text, &args.log)?))
        }
        None => None,
    };
    tracing_subscriber::registry()
        .with(logs)
        .with(traces)
        .try_init()
        .context(InstallSnafu)?;
    Ok(Telemetry(provider))
}

fn filter(text: &str, said: &str) -> Result<EnvFilter, Error> {
    EnvFilter::try_new(text).context(LogSnafu { filter: said })
}

fn provider(endpoint: &str, args: &RunArgs) -> Result<SdkTracerProvider, Error> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT)
        .build()
        .context(ExporterSnafu { endpoint })?;
    let pod = args
        .pod_name
        .clone()
        .map(|name| KeyValue::new("service.instance.id", name));
    let resource = Resource::builder()
        .with_service_name("lotoai-operator")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attributes(pod)
        .build();
    Ok(SdkTracerProvider::builder()
        .with_resource(resource)
        .with_batch_exporter(exporter)
        .build())
}

/// The layer that makes spans of the log's spans. Lines of the log are no part of them: the log has
/// them, and a message may hold what belongs there only.
fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let is_span = tracing_subscriber::filter::filter_fn(|metadata| metadata.is_span());
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("lotoai-operator"))
        .with_filter(is_span)
}

impl Telemetry {
    /// Sends the spans that are still here, for at most two seconds. Blocks; needs the runtime of
    /// [`install`].
    pub(crate) fn flush(self) {
        if let Some(Err(error)) = self.0.map(|traces| traces.shutdown_with_timeout(FLUSH)) {
            tracing::warn!(%error, "failed to send the last traces");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry::trace::SpanId;
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::SpanData;

    use super::*;
    use crate::metrics::Step;

    /// Keeps what is exported.
    #[derive(Clone, Debug, Default)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl opentelemetry_sdk::trace::SpanExporter for Kept {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().extend(batch);
            Ok(())
        }
    }

    /// What is exported of `work`.
    fn exported(work: impl FnOnce()) -> Vec<SpanData> {
        let kept = Kept::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(kept.clone())
            .build();
        let subscriber = tracing_subscriber::registry().with(layer(&provider));
        tracing::subscriber::with_default(subscriber, work);
        std::mem::take(&mut *kept.0.lock().unwrap())
    }

    fn attribute<'a>(span: &'a SpanData, key: &str) -> Option<std::borrow::Cow<'a, str>> {
        let pair = span.attributes.iter().find(|pair| pair.key.as_str() == key);
        pair.map(|pair| pair.value.as_str())
    }

    #[test]
    fn a_pass_is_a_span_and_its_steps_are_inside_of_it() {
        let spans = exported(|| {
            tracing::info_span!("reconcile").in_scope(|| {
                let _ = Step::begin("apply").end(Ok::<(), ()>(()));
                let _ = Step::begin("prune").end(Err::<(), ()>(()));
                tracing::warn!("the words of a line");
            });
        });
        let names: Vec<_> = spans.iter().map(|span| span.name.as_ref()).collect();
        assert_eq!(names, ["apply", "prune", "reconcile"]);
        let [apply, prune, pass] = &spans[..] else {
            panic!("{names:?}");
        };
        assert_eq!(pass.parent_span_id, SpanId::INVALID);
        for step in [apply, prune] {
            assert_eq!(step.parent_span_id, pass.span_context.span_id());
        }
        assert_eq!(attribute(apply, "outcome").unwrap(), "ok");
        assert_eq!(attribute(prune, "outcome").unwrap(), "failed");
        assert!(spans.iter().all(|span| span.events.is_empty()), "{spans:?}");
    }

    #[test]
    fn a_filter_that_is_none_is_refused_as_it_was_written() {
        let error = filter("info,=,=,h2=off", "info,=,=")
            .unwrap_err()
            .to_string();
        assert!(error.contains("LOG=\"info,=,=\""), "{error}");
    }
}
