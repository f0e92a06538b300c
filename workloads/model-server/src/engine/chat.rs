//! The chat model: its queue, and the thread that answers.

use std::path::PathBuf;
use std::time::Instant;

use lotoai_kit::{Gate, Service};
use tokio::sync::mpsc;

use super::error::{EngineError, QueueFullSnafu, ThreadLostSnafu};
use super::prompt::Message;
use super::runner::{Outcome, Runner};
use super::{CHAT_MODEL as MODEL, loader, metrics};

/// How the chat model is run.
#[derive(Debug, Clone)]
pub struct ChatOptions {
    /// The GGUF file.
    pub path: PathBuf,
    /// Threads that read the conversation and write the answer, together.
    pub threads: u16,
    /// Jobs that may wait.
    pub queue: usize,
    /// Tokens that prompt and answer may have together.
    pub context_tokens: u32,
}

/// A conversation to be continued.
#[derive(Debug, Clone)]
pub struct ChatJob {
    /// The conversation; the last message is usually the user's.
    pub messages: Vec<Message>,
    /// The most tokens that the answer may have.
    pub max_tokens: usize,
    /// 0 = always the likeliest token; at most 2.
    pub temperature: f32,
    /// Share of the probability that is drawn from, 0 to 1; only used above temperature 0.
    pub top_p: f32,
    /// Makes drawing repeatable.
    pub seed: u32,
    /// Taken from the weight of a token that is there already, -2 to 2.
    pub presence_penalty: f32,
    /// The same for each time that it is there.
    pub frequency_penalty: f32,
    /// Texts that end the answer and are not part of it.
    pub stop: Vec<String>,
}

/// What becomes of a job: one `Started` and then deltas and one `Finished`, or one `Failed` at any
/// point.
#[derive(Debug)]
pub enum ChatEvent {
    /// The conversation fits and was taken up.
    Started,
    /// The next piece of the answer.
    Delta(String),
    /// The answer is complete.
    Finished {
        /// Why it ended.
        reason: FinishReason,
        /// Tokens of the conversation.
        prompt_tokens: usize,
        /// Tokens of the answer.
        completion_tokens: usize,
    },
    /// There is no (more) answer.
    Failed(EngineError),
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model was done, said a stop sequence or repeated itself.
    Stop,
    /// The limit of tokens or of time was reached.
    Length,
}

/// Handle to the chat model. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Chat {
    jobs: mpsc::Sender<Queued>,
}

/// A job that waits or is worked on.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) job: ChatJob,
    // Not bounded: a slow client must not hold up the model. `max_tokens` bounds what can pile up.
    pub(super) events: mpsc::UnboundedSender<ChatEvent>,
    queued: Instant,
}

impl Chat {
    /// Loads the model on a thread of its own; `/readyz` waits for it.
    ///
    /// # Errors
    ///
    /// When the system refuses a thread. A model that cannot be loaded ends the process.
    pub fn start(options: ChatOptions, service: &Service) -> Result<Self, EngineError> {
        let gate = service.readiness.register("chat-model");
        let (jobs, queue) = mpsc::channel(options.queue);
        loader::spawn(MODEL, service, move || work(&options, &gate, queue))?;
        Ok(Self { jobs })
    }

    /// Queues a job. Dropping the receiver ends the work on it.
    ///
    /// # Errors
    ///
    /// [`EngineError::QueueFull`] when too many wait.
    pub fn submit(&self, job: ChatJob) -> Result<mpsc::UnboundedReceiver<ChatEvent>, EngineError> {
        let (events, receiver) = mpsc::unbounded_channel();
        match self.jobs.try_send(Queued {
            job,
            events,
            queued: Instant::now(),
        }) {
            Ok(()) => {
                let waiting = self.jobs.max_capacity() - self.jobs.capacity();
                metrics::queue_depth(MODEL, waiting);
                Ok(receiver)
            }
            Err(mpsc::error::TrySendError::Full(_)) => {
                metrics::refused(MODEL);
                QueueFullSnafu { model: MODEL }.fail()
            }
            Err(mpsc::error::TrySendError::Closed(_)) => ThreadLostSnafu { model: MODEL }.fail(),
        }
    }
}

fn work(
    options: &ChatOptions,
    gate: &Gate,
    mut queue: mpsc::Receiver<Queued>,
) -> Result<(), EngineError> {
    let model = loader::load(&options.path)?;
    let mut runner = Runner::new(&model, options)?;
    gate.ready();
    while let Some(next) = queue.blocking_recv() {
        metrics::queue_depth(MODEL, queue.len());
        metrics::seconds(MODEL, "queue", next.queued.elapsed());
        match runner.answer(&next) {
            Ok(Outcome::Answered) => {}
            Ok(Outcome::ClientGone) => metrics::abandoned(MODEL),
            Err(error) => {
                runner.forget();
                // An error means that the client has gone: nobody is left to tell.
                let _ = next.events.send(ChatEvent::Failed(error));
            }
        }
    }
    Ok(())
}
