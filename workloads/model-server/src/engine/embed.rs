//! The embedding model: its queue, and the jobs in progress.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use lotoai_kit::{Gate, Service};
use tokio::sync::{mpsc, oneshot};

use super::encoder::{CALL, Encoder, tokenize};
use super::error::{EngineError, QueueFullSnafu, ThreadLostSnafu};
use super::schedule::{Text, next_call};
use super::{EMBEDDING_MODEL as MODEL, loader, metrics};

/// Jobs whose texts are mixed into calls; the others stay in the queue.
const ACTIVE_JOBS: usize = 8;

/// How the embedding model is run.
#[derive(Debug, Clone)]
pub struct EmbedderOptions {
    /// The GGUF file.
    pub path: PathBuf,
    /// Calls of the model at the same time, each on a thread.
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
    /// Loads the model on threads of its own; `/readyz` waits for it.
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
    thread::scope(|scope| {
        let start = |_| Encoder::start(scope, &model, &options.path);
        let encoders: Vec<_> = (0..options.threads).map(start).collect::<Result<_, _>>()?;
        for encoder in &encoders {
            encoder.finish()?;
        }
        gate.ready();
        serve(&model, &encoders, &mut queue)
    })
}

/// Works on the jobs of the queue until it is closed.
fn serve(
    model: &LlamaModel,
    encoders: &[Encoder],
    queue: &mut mpsc::Receiver<Job>,
) -> Result<(), EngineError> {
    let mut active: Vec<Active> = Vec::new();
    loop {
        if active.is_empty() {
            match queue.blocking_recv() {
                Some(job) => active.push(admit(model, job)),
                None => return Ok(()),
            }
        }
        while active.len() < ACTIVE_JOBS
            && let Ok(job) = queue.try_recv()
        {
            active.push(admit(model, job));
        }
        metrics::queue_depth(MODEL, queue.len());
        active.retain(|job| {
            let gone = job.reply.is_closed();
            if gone {
                metrics::abandoned(MODEL);
            }
            !gone
        });
        round(&mut active, encoders)?;
        active = active.into_iter().filter_map(Active::finish).collect();
    }
}

/// A call for each encoder, as far as there are texts. A failure fails the jobs in the call.
fn round(active: &mut [Active], encoders: &[Encoder]) -> Result<(), EngineError> {
    let mut running = Vec::new();
    for encoder in encoders {
        let jobs = active.iter_mut().map(|job| &mut job.waiting);
        let mut jobs: Vec<_> = jobs.enumerate().collect();
        let call = next_call(&mut jobs, CALL);
        if call.is_empty() {
            break;
        }
        let (places, texts): (Vec<_>, Vec<_>) = call
            .into_iter()
            .map(|(job, text)| ((job, text.position), text.tokens))
            .unzip();
        encoder.begin(texts)?;
        running.push((encoder, places));
    }
    for (encoder, places) in running {
        match encoder.finish() {
            Ok(vectors) => {
                for ((job, position), vector) in places.into_iter().zip(vectors) {
                    active[job].missing -= 1;
                    active[job].vectors[position] = vector;
                }
            }
            Err(error @ EngineError::ThreadLost { .. }) => return Err(error),
            Err(error) => {
                let source = Arc::new(error);
                for (job, _) in places {
                    active[job].failed = Some(EngineError::Call {
                        source: Arc::clone(&source),
                    });
                }
            }
        }
    }
    Ok(())
}

fn admit(model: &LlamaModel, job: Job) -> Active {
    metrics::seconds(MODEL, "queue", job.queued.elapsed());
    let mut truncated = Vec::new();
    let mut waiting = VecDeque::with_capacity(job.inputs.len());
    for (position, input) in job.inputs.iter().enumerate() {
        let (tokens, was_cut) = tokenize(model, input);
        if was_cut {
            truncated.push(position);
        }
        waiting.push_back(Text { position, tokens });
    }
    Active {
        vectors: vec![Vec::new(); waiting.len()],
        missing: waiting.len(),
        tokens: waiting.iter().map(|text| text.tokens.len()).sum(),
        waiting,
        truncated,
        failed: None,
        reply: job.reply,
        started: Instant::now(),
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
