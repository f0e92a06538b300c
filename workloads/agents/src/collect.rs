//! Reads a provider's stream as far as the caller wants it, and ends it where a stop sequence is
//! met.
//!
//! Providers are told of stop sequences, too, so that they write no further. Here they are kept to
//! whatever a provider makes of them: some know none, some pass over those that they do not like.

use std::{collections::VecDeque, time::Duration};

use futures::StreamExt;
use lotoai_kit::stops::Stops;
use tokio::time::timeout;

use crate::{
    complete::Piece,
    provider::{Event, Events, Failure, Usage},
};

/// What was read of an answer, and not yet passed on.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// Tokens as the provider counted them so far. A stream that a stop sequence ended is not read
    /// to the end, where most providers count: that part stays unknown.
    pub(crate) usage: Usage,
    /// Why the model stopped, once that is known.
    pub(crate) finish_reason: Option<String>,
    stops: Stops,
    waiting: VecDeque<Piece>,
    is_over: bool,
}

impl Collected {
    /// Nothing read yet, of an answer that these sequences end.
    pub(crate) fn new(stop: &[String]) -> Self {
        Self {
            stops: Stops::new(stop.to_vec()),
            ..Self::default()
        }
    }

    /// The next piece; `None` at the proper end. A stream that closes without having said
    /// why the model stopped was cut. One that is silent for longer than `silence` fails as `late`
    /// says; each event begins that time anew, also one that says nothing.
    pub(crate) async fn next_piece(
        &mut self,
        provider: &str,
        events: &mut Events,
        silence: Duration,
        late: fn(&str) -> Failure,
    ) -> Result<Option<Piece>, Failure> {
        loop {
            if let Some(piece) = self.waiting.pop_front() {
                return Ok(Some(piece));
            }
            if self.is_over {
                return Ok(None);
            }
            match timeout(silence, events.next()).await {
                Ok(Some(event)) => self.take(event?),
                Ok(None) if self.finish_reason.is_some() => self.end(),
                Ok(None) => return Err(Failure::cut(provider)),
                Err(_) => return Err(late(provider)),
            }
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Text(text) => {
                let (text, is_met) = self.stops.push(&text);
                self.say(text);
                if is_met {
                    self.finish_reason = Some("stop".to_owned());
                    self.is_over = true;
                }
            }
            Event::Call(call) => {
                // Calls are no text: a stop sequence does not go on behind one.
                let held = self.stops.release();
                self.say(held);
                self.waiting.push_back(Piece::Call(call));
            }
            Event::Usage(usage) => {
                self.usage.input = usage.input.or(self.usage.input);
                self.usage.output = usage.output.or(self.usage.output);
            }
            Event::Finish(reason) => self.finish_reason = Some(reason),
            Event::Alive => {}
            Event::End => self.end(),
        }
    }

    fn end(&mut self) {
        self.is_over = true;
        let held = self.stops.release();
        self.say(held);
    }

    fn say(&mut self, text: String) {
        if !text.is_empty() {
            self.waiting.push_back(Piece::Text(text));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use rstest::rstest;

    use super::*;
    use crate::functions::CallPiece;

    const SILENCE: Duration = Duration::from_secs(1);

    fn text(text: &str) -> Event {
        Event::Text(text.to_owned())
    }

    fn finish(reason: &str) -> Event {
        Event::Finish(reason.to_owned())
    }

    /// Every piece of a stream, and what is known at its end.
    async fn read(stop: &[&str], events: Vec<Event>) -> (Vec<Piece>, Collected) {
        let stop: Vec<String> = stop.iter().map(|it| (*it).to_owned()).collect();
        let mut collected = Collected::new(&stop);
        let mut events: Events = stream::iter(events.into_iter().map(Ok)).boxed();
        let mut pieces = Vec::new();
        while let Some(piece) = collected
            .next_piece("p", &mut events, SILENCE, Failure::stopped)
            .await
            .unwrap()
        {
            pieces.push(piece);
        }
        (pieces, collected)
    }

    fn said(pieces: &[Piece]) -> String {
        let texts = pieces.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Call(_) => None,
        });
        texts.collect()
    }

    #[rstest]
    #[case::met(&["END"], &["one E", "ND two"], "one ")]
    #[case::at_once(&["one"], &["one two"], "")]
    #[case::a_beginning_at_the_end(&["END"], &["one E", "N"], "one EN")]
    #[case::none(&[], &["one END"], "one END")]
    #[tokio::test]
    async fn a_stop_sequence_ends_the_answer(
        #[case] stop: &[&str],
        #[case] texts: &[&str],
        #[case] expected: &str,
    ) {
        let events = texts.iter().map(|it| text(it));
        let events = events.chain([finish("length"), Event::End]).collect();
        let (pieces, collected) = read(stop, events).await;
        assert_eq!(said(&pieces), expected);
        // What the provider said of the end comes after a sequence that was met, and is not read.
        let is_met = stop.iter().any(|it| texts.concat().contains(it));
        let reason = if is_met { "stop" } else { "length" };
        assert_eq!(collected.finish_reason.as_deref(), Some(reason));
    }

    #[tokio::test]
    async fn what_is_held_back_comes_before_a_call() {
        let call = CallPiece {
            id: "c".to_owned(),
            ..CallPiece::default()
        };
        let events = vec![
            text("one E"),
            Event::Call(call.clone()),
            text("ND"),
            finish("tool_calls"),
        ];
        let (pieces, _) = read(&["END"], events).await;
        let expected = ["one ", "E"].map(|it| Piece::Text(it.to_owned()));
        assert_eq!(pieces[..2], expected);
        assert_eq!(pieces[2], Piece::Call(call));
        assert_eq!(said(&pieces), "one END");
    }

    #[tokio::test]
    async fn what_was_counted_before_a_stop_sequence_is_known() {
        let counted = |input, output| Event::Usage(Usage { input, output });
        let events = vec![counted(Some(7), None), text("END"), counted(None, Some(9))];
        let (_, collected) = read(&["END"], events).await;
        let expected = Usage {
            input: Some(7),
            output: None,
        };
        assert_eq!(collected.usage, expected);
    }

    #[tokio::test]
    async fn a_stream_that_does_not_say_why_it_ends_was_cut() {
        let mut collected = Collected::new(&[]);
        let mut events: Events = stream::iter([Ok(text("one"))]).boxed();
        assert!(
            collected
                .next_piece("p", &mut events, SILENCE, Failure::stopped)
                .await
                .unwrap()
                .is_some()
        );
        assert!(
            collected
                .next_piece("p", &mut events, SILENCE, Failure::stopped)
                .await
                .is_err()
        );
    }
}
