//! The embedding model.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::{LlamaContextParams, LlamaPoolingType};
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use lotoai_kit::{Gate, Service};
use snafu::{ResultExt, ensure};
use tokio::sync::{mpsc, oneshot};

use super::error::{
    CreateContextSnafu, EncodeSnafu, EngineError, FillBatchSnafu, NormaliseSnafu, QueueFullSnafu,
    ReadVectorSnafu, ThreadLostSnafu, WrongModelSnafu,
};
use super::schedule::{Limits, Text, next_call};
use super::{DIMENSIONS, EMBEDDING_MODEL as MODEL, loader, metrics};

/// Tokens of one text, with the two that mark its ends. The model can place 512, but was trained
/// on at most 256 and its authors cut there; so do we.
const WINDOW: usize = 256;
/// One call of the model. Attention is computed over the whole call, so a larger one is slower per
/// token; a smaller one leaves the matrix kernels idle. Measured: see docs/workloads/model-server.md.
const CALL: Limits = Limits {
    tokens: 512,
    texts: 32,
};
/// Jobs whose texts are mixed into calls; the others stay in the queue.
const ACTIVE_JOBS: usize = 8;

/// How the embedding model is run.
#[derive(Debug, Clone)]
pub struct EmbedderOptions {
    /// The GGUF file.
    pub path: PathBuf,
    /// Threads to compute with.
    pub threads: u16,
    /// Jobs that may wait.
    pub queue: usize,
}

/// Vectors of the inputs of one request.
#[derive(Debug)]
pub struct Embedded {
    /// One per input, in order; [`DIMENSIONS`] numbers of length 1.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens read.
    pub tokens: usize,
    /// Places of the inputs that were cut at the model's window.
    pub truncated: Vec<usize>,
}

/// Handle to the embedding model. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Embedder {
    jobs: mpsc::Sender<Job>,
}

#[derive(Debug)]
struct Job {
    inputs: Vec<String>,
    reply: oneshot::Sender<Result<Embedded, EngineError>>,
    queued: Instant,
}

impl Embedder {
    /// Loads the model on a thread of its own; `/readyz` waits for it.
    ///
    /// # Errors
    ///
    /// When the system refuses a thread. A model that cannot be loaded ends the process.
    pub fn start(options: EmbedderOptions, service: &Service) -> Result<Self, EngineError> {
        let gate = service.readiness.register("embedding-model");
        let (jobs, queue) = mpsc::channel(options.queue);
        loader::spawn(MODEL, service, move || work(&options, &gate, queue))?;
        Ok(Self { jobs })
    }

    /// The vectors of `inputs`. Dropping the future gives up the work that is not yet done.
    ///
    /// # Errors
    ///
    /// [`EngineError::QueueFull`] when too many wait; others when the model fails.
    pub async fn embed(&self, inputs: Vec<String>) -> Result<Embedded, EngineError> {
        let (reply, outcome) = oneshot::channel();
        let job = Job {
            inputs,
            reply,
            queued: Instant::now(),
        };
        match self.jobs.try_send(job) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                metrics::refused(MODEL);
                return QueueFullSnafu { model: MODEL }.fail();
            }
            Err(mpsc::error::TrySendError::Closed(_)) => {
                return ThreadLostSnafu { model: MODEL }.fail();
            }
        }
        outcome
            .await
            .unwrap_or_else(|_| ThreadLostSnafu { model: MODEL }.fail())
    }
}

fn work(
    options: &EmbedderOptions,
    gate: &Gate,
    mut queue: mpsc::Receiver<Job>,
) -> Result<(), EngineError> {
    let model = loader::load(&options.path)?;
    let mut runner = Runner::new(&model, options)?;
    gate.ready();
    let mut active: Vec<Active> = Vec::new();
    loop {
        if active.is_empty() {
            match queue.blocking_recv() {
                Some(job) => active.push(runner.admit(job)),
                None => return Ok(()),
            }
        }
        while active.len() < ACTIVE_JOBS
            && let Ok(job) = queue.try_recv()
        {
            active.push(runner.admit(job));
        }
        metrics::queue_depth(MODEL, queue.len());
        active.retain(|job| {
            let gone = job.reply.is_closed();
            if gone {
                metrics::abandoned(MODEL);
            }
            !gone
        });
        runner.call(&mut active);
        active = active.into_iter().filter_map(Active::finish).collect();
    }
}

/// A job that is being worked on.
struct Active {
    waiting: VecDeque<Text<LlamaToken>>,
    vectors: Vec<Vec<f32>>,
    missing: usize,
    tokens: usize,
    truncated: Vec<usize>,
    failed: Option<EngineError>,
    reply: oneshot::Sender<Result<Embedded, EngineError>>,
    started: Instant,
}

impl Active {
    /// Replies when nothing is left to do; gives the job back otherwise.
    fn finish(mut self) -> Option<Self> {
        let outcome = match self.failed.take() {
            Some(error) => Err(error),
            None if self.missing > 0 => return Some(self),
            None => {
                metrics::seconds(MODEL, "embed", self.started.elapsed());
                metrics::tokens(MODEL, "input", self.tokens);
                metrics::truncated(self.truncated.len());
                Ok(Embedded {
                    vectors: self.vectors,
                    tokens: self.tokens,
                    truncated: self.truncated,
                })
            }
        };
        // An error means that the client has gone: nobody is left to tell.
        let _ = self.reply.send(outcome);
        None
    }
}

struct Runner<'model> {
    model: &'model LlamaModel,
    context: LlamaContext<'model>,
    batch: LlamaBatch<'static>,
}

impl<'model> Runner<'model> {
    fn new(model: &'model LlamaModel, options: &EmbedderOptions) -> Result<Self, EngineError> {
        let actual = usize::try_from(model.n_embd_out()).unwrap_or(0);
        ensure!(
            actual == DIMENSIONS,
            WrongModelSnafu {
                path: &options.path,
                actual,
                expected: DIMENSIONS
            }
        );
        // An encoder needs all tokens of a call in one piece: context = batch = micro-batch.
        let tokens = CALL.tokens as u32;
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(tokens))
            .with_n_batch(tokens)
            .with_n_ubatch(tokens)
            .with_n_seq_max(CALL.texts as u32)
            .with_embeddings(true)
            .with_pooling_type(LlamaPoolingType::Mean)
            .with_n_threads(i32::from(options.threads))
            .with_n_threads_batch(i32::from(options.threads));
        let context =
            model
                .new_context(loader::backend()?, params)
                .context(CreateContextSnafu {
                    path: &options.path,
                })?;
        Ok(Self {
            model,
            context,
            batch: LlamaBatch::new(CALL.tokens, 1),
        })
    }

    fn admit(&self, job: Job) -> Active {
        metrics::seconds(MODEL, "queue", job.queued.elapsed());
        let mut truncated = Vec::new();
        let mut tokens = 0;
        let waiting: VecDeque<_> = job
            .inputs
            .iter()
            .enumerate()
            .map(|(position, input)| {
                let mut text = self.model.vocab().tokenize(input.as_bytes(), true, false);
                if cut(&mut text) {
                    truncated.push(position);
                }
                tokens += text.len();
                Text {
                    position,
                    tokens: text,
                }
            })
            .collect();
        Active {
            vectors: vec![Vec::new(); waiting.len()],
            missing: waiting.len(),
            waiting,
            tokens,
            truncated,
            failed: None,
            reply: job.reply,
            started: Instant::now(),
        }
    }

    /// One call of the model for texts of all active jobs. A failure fails the jobs in the call.
    fn call(&mut self, active: &mut [Active]) {
        let mut waiting: Vec<_> = active.iter_mut().map(|job| &mut job.waiting).collect();
        let texts = next_call(&mut waiting, CALL);
        let outcome = self.encode(&texts).map_err(Arc::new);
        for (place, (job, text)) in texts.into_iter().enumerate() {
            let Some(job) = active.get_mut(job) else {
                continue;
            };
            let vector = match &outcome {
                Ok(()) => self.vector(place),
                Err(error) => Err(EngineError::Call {
                    source: Arc::clone(error),
                }),
            };
            match vector {
                Ok(vector) => {
                    job.missing -= 1;
                    job.vectors[text.position] = vector;
                }
                Err(error) => job.failed = Some(error),
            }
        }
    }

    fn encode(&mut self, texts: &[(usize, Text<LlamaToken>)]) -> Result<(), EngineError> {
        self.batch.clear();
        for (sequence, (_, text)) in (0_i32..).zip(texts) {
            self.batch
                .add_sequence(&text.tokens, sequence, true)
                .context(FillBatchSnafu)?;
        }
        self.context.encode(&mut self.batch).context(EncodeSnafu)
    }

    fn vector(&self, sequence: usize) -> Result<Vec<f32>, EngineError> {
        let sequence = i32::try_from(sequence).unwrap_or(i32::MAX);
        let raw = self
            .context
            .embeddings_seq_ith(sequence)
            .context(ReadVectorSnafu)?;
        normalise(raw)
    }
}

/// Cuts to the window and keeps the last token, which marks the end. True when something was cut.
fn cut<T: Copy>(tokens: &mut Vec<T>) -> bool {
    let Some(end) = tokens.last().copied() else {
        return false;
    };
    if tokens.len() <= WINDOW {
        return false;
    }
    tokens.truncate(WINDOW - 1);
    tokens.push(end);
    true
}

/// The vector at length 1, so that a dot product is a cosine.
fn normalise(raw: &[f32]) -> Result<Vec<f32>, EngineError> {
    let length = raw.iter().map(|x| x * x).sum::<f32>().sqrt();
    ensure!(
        length.is_finite() && length > 0.0,
        NormaliseSnafu { length }
    );
    Ok(raw.iter().map(|x| x / length).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_keeps_its_end_mark() {
        let mut tokens: Vec<usize> = (0..1000).collect();
        assert!(cut(&mut tokens));
        assert_eq!(tokens.len(), WINDOW);
        assert_eq!(tokens[WINDOW - 2..], [WINDOW - 2, 999]);
    }

    #[test]
    fn a_text_that_fits_is_left_alone() {
        let mut tokens: Vec<usize> = (0..WINDOW).collect();
        assert!(!cut(&mut tokens));
        assert_eq!(tokens.len(), WINDOW);
    }

    #[test]
    fn a_vector_gets_length_one() {
        assert_eq!(normalise(&[3.0, 4.0]).unwrap(), [0.6, 0.8]);
    }

    #[test]
    fn a_vector_without_direction_is_an_error() {
        assert!(normalise(&[0.0, 0.0]).is_err());
        assert!(normalise(&[f32::NAN, 0.0]).is_err());
    }
}
