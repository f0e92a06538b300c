//! What is being done, told to a person line by line and kept as a table for the end.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::text::messages;

/// How long one stage took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageTime {
    /// The short name, unique in one run.
    pub name: String,
    /// How long it took.
    pub elapsed: Duration,
    /// Whether it came to its end.
    pub ok: bool,
}

/// Tells a person what happens. Clones share one list of stages.
#[derive(Clone)]
pub struct Progress {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    out: Box<dyn Write + Send>,
    times: Vec<StageTime>,
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").finish_non_exhaustive()
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// Writes to standard output.
    #[must_use]
    pub fn new() -> Self {
        Self::to(Box::new(io::stdout()))
    }

    /// Writes to `out`.
    #[must_use]
    pub fn to(out: Box<dyn Write + Send>) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inner {
                out,
                times: Vec::new(),
            })),
        }
    }

    /// Begins a stage: `name` is one word for the table, `what` a sentence for the reader.
    #[must_use = "a stage that is dropped without `done` counts as failed"]
    pub fn stage(&self, name: &str, what: &str) -> Stage {
        self.line(&format!("▸ {name}: {what}"));
        Stage {
            progress: self.clone(),
            name: name.to_owned(),
            begun: Instant::now(),
            open: true,
        }
    }

    /// One line inside a stage.
    pub fn note(&self, text: &str) {
        self.line(&format!("    {text}"));
    }

    /// All finished stages in their order.
    #[must_use]
    pub fn times(&self) -> Vec<StageTime> {
        self.lock().times.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, text: &str) {
        let mut inner = self.lock();
        // A closed terminal must not end the work that it was watching.
        let _closed = writeln!(inner.out, "{text}").and_then(|()| inner.out.flush());
    }
}

/// A stage under way.
#[derive(Debug)]
pub struct Stage {
    progress: Progress,
    name: String,
    begun: Instant,
    open: bool,
}

impl Stage {
    /// Since the stage began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Tells that the stage is still at work.
    pub fn tick(&self, what: &str) {
        self.progress
            .note(&format!("{what} ({})", seconds(self.elapsed())));
    }

    /// The stage came to its end.
    pub fn done(self) {
        self.done_with("");
    }

    /// The stage came to its end; `result` is a short remark on it.
    pub fn done_with(mut self, result: &str) {
        self.close(true, result);
    }

    fn close(&mut self, ok: bool, result: &str) {
        self.open = false;
        let elapsed = self.begun.elapsed();
        let mark = if ok { "✓" } else { "✗" };
        let remark = if result.is_empty() {
            String::new()
        } else {
            format!(" — {result}")
        };
        self.progress.line(&format!(
            "{mark} {} {}{remark}",
            self.name,
            seconds(elapsed)
        ));
        let time = StageTime {
            name: self.name.clone(),
            elapsed,
            ok,
        };
        self.progress.lock().times.push(time);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.open {
            self.close(false, &messages::stage_failed());
        }
    }
}

fn seconds(elapsed: Duration) -> String {
    format!("{:.1} s", elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_dropped_stage_counts_as_failed() {
        let sink = Sink::default();
        let progress = Progress::to(Box::new(sink.clone()));
        progress.stage("good", "does it").done_with("3 files");
        drop(progress.stage("bad", "does not"));
        let times = progress.times();
        let told: Vec<_> = times
            .iter()
            .map(|time| (time.name.as_str(), time.ok))
            .collect();
        assert_eq!(told, [("good", true), ("bad", false)]);
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        assert!(
            text.contains("▸ good: does it\n✓ good 0.0 s — 3 files\n"),
            "{text}"
        );
        assert!(text.contains("✗ bad 0.0 s — failed"), "{text}");
    }
}
