//! What becomes of a panic, and what the log says of it.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;

/// What a part of the work comes to; nothing when it panics. A fault that one platform meets must not
/// end the operator of all others. What the part leaves half-way is dropped with it or, in the cluster,
/// met by the next pass like everything else.
pub(crate) async fn caught<T>(part: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(part).catch_unwind().await.ok()
}

/// Logs where a panic happened, not its message: messages can quote the data that was at hand.
pub(crate) fn install_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        tracing::error!(location, "panic");
    }));
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    /// What the log is written to.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        fn text(&self) -> String {
            let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            String::from_utf8_lossy(&bytes).into_owned()
        }
    }

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            written.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn meets_a_fault() {
        panic!("hunter2");
    }

    #[test]
    fn the_log_says_where_it_panicked_and_not_what_was_at_hand() {
        let written = Written::default();
        let log = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || log.clone())
            .finish();
        let before = std::panic::take_hook();
        install_hook();
        let met = tracing::subscriber::with_default(subscriber, || {
            std::panic::catch_unwind(meets_a_fault)
        });
        std::panic::set_hook(before);
        assert!(met.is_err());
        let text = written.text();
        assert!(text.contains("panics.rs:"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
