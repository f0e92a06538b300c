//! The embedding model at work: texts in, vectors out.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, Scope};

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::{LlamaContextParams, LlamaPoolingType};
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use snafu::{ResultExt, ensure};

use super::error::{
    CreateContextSnafu, EncodeSnafu, EngineError, FillBatchSnafu, NormaliseSnafu, ReadVectorSnafu,
    SpawnThreadSnafu, ThreadLostSnafu, WrongModelSnafu,
};
use super::schedule::Limits;
use super::{DIMENSIONS, EMBEDDING_MODEL as MODEL, loader};

/// Tokens of one text, with the two that mark its ends. The model can place 512, but was trained
/// on at most 256 and its authors cut there; so do we.
const WINDOW: usize = 256;
/// One call of the model. Attention is computed over the whole call, so a larger one is slower per
/// token, and a question that comes meanwhile waits for it.
pub(super) const CALL: Limits = Limits {
    tokens: WINDOW,
    texts: 32,
};

/// A thread that computes one call after the other, with itself alone: texts are independent, and
/// threads that each have a call never wait for one another.
pub(super) struct Encoder {
    calls: Sender<Vec<Vec<LlamaToken>>>,
    outcomes: Receiver<Result<Vec<Vec<f32>>, EngineError>>,
}

impl Encoder {
    /// Starts the thread, which ends when the encoder is dropped. The first [`Self::finish`] tells
    /// whether it could. `path` is where the model came from, for the error.
    pub(super) fn start<'scope, 'model: 'scope>(
        scope: &'scope Scope<'scope, '_>,
        model: &'model LlamaModel,
        path: &'model Path,
    ) -> Result<Self, EngineError> {
        let (calls, waiting) = mpsc::channel::<Vec<Vec<LlamaToken>>>();
        let (outcome, outcomes) = mpsc::channel();
        thread::Builder::new()
            .name(MODEL.to_owned())
            .spawn_scoped(scope, move || {
                let mut context = match Context::new(model, path) {
                    Ok(context) => context,
                    Err(error) => {
                        // An error means that whoever started the thread has ended.
                        let _ = outcome.send(Err(error));
                        return;
                    }
                };
                let mut next = Ok(Vec::new());
                while outcome.send(next).is_ok()
                    && let Ok(texts) = waiting.recv()
                {
                    next = context.encode(&texts);
                }
            })
            .context(SpawnThreadSnafu { model: MODEL })?;
        Ok(Self { calls, outcomes })
    }

    /// Begins a call, which must be within [`CALL`].
    pub(super) fn begin(&self, texts: Vec<Vec<LlamaToken>>) -> Result<(), EngineError> {
        self.calls
            .send(texts)
            .map_err(|_| ThreadLostSnafu { model: MODEL }.build())
    }

    /// Waits for the end of the call: the vector of each text, of length 1.
    pub(super) fn finish(&self) -> Result<Vec<Vec<f32>>, EngineError> {
        self.outcomes
            .recv()
            .unwrap_or_else(|_| ThreadLostSnafu { model: MODEL }.fail())
    }
}

/// The model's state on the thread of an encoder.
struct Context<'model> {
    context: LlamaContext<'model>,
    batch: LlamaBatch<'static>,
}

impl<'model> Context<'model> {
    fn new(model: &'model LlamaModel, path: &Path) -> Result<Self, EngineError> {
        let actual = usize::try_from(model.n_embd_out()).unwrap_or(0);
        ensure!(
            actual == DIMENSIONS,
            WrongModelSnafu {
                path,
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
            .with_n_threads(1)
            .with_n_threads_batch(1);
        let context = model
            .new_context(loader::backend()?, params)
            .context(CreateContextSnafu { path })?;
        Ok(Self {
            context,
            batch: LlamaBatch::new(CALL.tokens, 1),
        })
    }

    fn encode(&mut self, texts: &[Vec<LlamaToken>]) -> Result<Vec<Vec<f32>>, EngineError> {
        self.batch.clear();
        for (sequence, text) in (0_i32..).zip(texts) {
            self.batch
                .add_sequence(text, sequence, true)
                .context(FillBatchSnafu)?;
        }
        self.context.encode(&mut self.batch).context(EncodeSnafu)?;
        (0_i32..)
            .zip(texts)
            .map(|(sequence, _)| {
                let raw = self.context.embeddings_seq_ith(sequence);
                normalise(raw.context(ReadVectorSnafu)?)
            })
            .collect()
    }
}

/// The tokens of `text` within the model's window, the last of which marks the end, and whether
/// something was cut.
pub(super) fn tokenize(model: &LlamaModel, text: &str) -> (Vec<LlamaToken>, bool) {
    let mut tokens = model.vocab().tokenize(text.as_bytes(), true, false);
    let was_cut = cut(&mut tokens);
    (tokens, was_cut)
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
