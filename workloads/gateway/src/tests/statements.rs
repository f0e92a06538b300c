//! The statements that are sent to the database.

use std::sync::{Arc, Mutex};

/// The statements that are sent to the database, by their first words.
#[derive(Clone, Default)]
pub(crate) struct Statements(Arc<Mutex<Vec<String>>>);

impl Statements {
    /// What comes of `work`, and what this thread sends meanwhile.
    pub(crate) async fn of<T>(work: impl Future<Output = T>) -> (T, Vec<String>) {
        // Of a single listener only the thread that comes first is asked.
        let _second = tracing::Dispatch::new(Self::default());
        let statements = Self::default();
        let guard = tracing::subscriber::set_default(statements.clone());
        let outcome = work.await;
        drop(guard);
        let sent = statements.0.lock().unwrap().clone();
        (outcome, sent)
    }
}

impl tracing::Subscriber for Statements {
    /// Each thread is asked each time: what is said of all of them is settled by whichever comes
    /// first, and the other tests listen to nothing.
    fn register_callsite(
        &self,
        _: &'static tracing::Metadata<'static>,
    ) -> tracing::subscriber::Interest {
        tracing::subscriber::Interest::sometimes()
    }

    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Summary<'a>(&'a Mutex<Vec<String>>);
        impl tracing::field::Visit for Summary<'_> {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                if field.name() == "summary" {
                    self.0.lock().unwrap().push(format!("{value:?}"));
                }
            }
        }
        event.record(&mut Summary(&self.0));
    }

    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}
