//! How much budgets ask of the database.

use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use serde_json::json;

use super::{question, stored};

/// The statements that are sent to the database, by their first words.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<Vec<String>>>);

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

#[tokio::test]
async fn any_number_of_budgets_takes_one_statement_before_and_one_after() {
    let many: Vec<String> = (0..12)
        .map(|index| format!("name: b{index}, scope: User, per: Day, requests: 1000"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut counts = Vec::new();
    // Of a single listener only the thread that comes first is asked.
    let _second = tracing::Dispatch::new(Statements::default());
    for list in [&many[..1], &many[..]] {
        let Some((_server, gateway, _)) = stored(list).await else {
            return;
        };
        gateway.chat("ana", question("writer", &json!({}))).await;
        gateway.settle().await;
        let statements = Statements::default();
        let guard = tracing::subscriber::set_default(statements.clone());
        let reply = gateway.chat("ana", question("writer", &json!({}))).await;
        gateway.settle().await;
        drop(guard);
        assert_eq!(reply.status, StatusCode::OK);
        let mut sent = statements.0.lock().unwrap().clone();
        // These come with the time that passes and not with a question: a token of another second
        // tells of its groups, and open answers are looked after.
        let of_time = |it: &str| it.contains("api_keys") || it.contains("id_hash, null");
        sent.retain(|it| !of_time(it));
        let count = |word: &str| sent.iter().filter(|it| it.contains(word)).count();
        assert_eq!((count("admitted"), count("spendings")), (1, 1), "{sent:?}");
        counts.push(sent.len());
    }
    // Beside them, something of the time may have been sent in one of the two.
    assert!(
        counts[1] < counts[0] + many.len() - 1,
        "no statement for each budget: {counts:?}"
    );
}
