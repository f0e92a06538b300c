//! One conversation after the other: reads it, keeps what the next one may share with it, writes the
//! answer.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::{KvCacheType, LlamaContextParams};
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use lotoai_kit::stops::Stops;
use snafu::{ResultExt, ensure};
use tokio::sync::mpsc;

use super::chat::{ChatEvent, ChatJob, ChatOptions, FinishReason, Queued};
use super::error::{
    ContextExceededSnafu, CreateContextSnafu, DecodeSnafu, EngineError, FillBatchSnafu,
};
use super::prompt::{Message, Segment, segments};
use super::rambling::Rambling;
use super::text::Characters;
use super::{CHAT_MODEL as MODEL, loader, metrics};

/// Prompt tokens of one call. Between calls a client that has gone is noticed.
const CALL_TOKENS: usize = 512;
/// The longest that one answer may hold the model.
const LONGEST_ANSWER: Duration = Duration::from_secs(120);
/// Tokens that penalties look back at, and the strength of that on repetition. 1.1 keeps this model
/// from looping without keeping it from quoting.
const PENALTY: (i32, f32) = (64, 1.1);
/// Candidates that are drawn from when the temperature is above 0.
const TOP_K: i32 = 40;

/// What became of a job.
pub(super) enum Outcome {
    Answered,
    ClientGone,
}

/// The model at work on one job after the other.
pub(super) struct Runner<'model> {
    model: &'model LlamaModel,
    context: LlamaContext<'model>,
    context_tokens: usize,
    batch: LlamaBatch<'static>,
    /// The tokens whose state the context holds. The next conversation often begins with the same
    /// ones (the same instructions, or one turn more), and they need not be read again.
    held: Vec<LlamaToken>,
}

impl<'model> Runner<'model> {
    pub(super) fn new(
        model: &'model LlamaModel,
        options: &ChatOptions,
    ) -> Result<Self, EngineError> {
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(options.context_tokens))
            .with_n_batch(CALL_TOKENS as u32)
            .with_n_ubatch(CALL_TOKENS as u32)
            .with_n_threads(i32::from(options.threads))
            .with_n_threads_batch(i32::from(options.threads))
            // Keys of 8 bits are compared a quarter faster per written token.
            .with_type_k(KvCacheType::Q8_0);
        let context =
            model
                .new_context(loader::backend()?, params)
                .context(CreateContextSnafu {
                    path: &options.path,
                })?;
        let context_tokens = context.n_ctx() as usize;
        let batch = LlamaBatch::new(CALL_TOKENS, 1);
        Ok(Self {
            model,
            context,
            context_tokens,
            batch,
            held: Vec::new(),
        })
    }

    pub(super) fn answer(&mut self, queued: &Queued) -> Result<Outcome, EngineError> {
        let Queued { job, events, .. } = queued;
        let started = Instant::now();
        let prompt = self.tokenize(&job.messages);
        let context = self.context_tokens;
        ensure!(
            prompt.len() < context,
            ContextExceededSnafu {
                prompt: prompt.len(),
                context: context - 1
            }
        );
        if events.send(ChatEvent::Started).is_err() {
            return Ok(Outcome::ClientGone);
        }
        let kept = self.keep(&prompt);
        for call in prompt[kept..].chunks(CALL_TOKENS) {
            if events.is_closed() {
                return Ok(Outcome::ClientGone);
            }
            self.read(call)?;
        }
        metrics::tokens(MODEL, "input", prompt.len());
        metrics::seconds(MODEL, "first_token", started.elapsed());

        let limit = job.max_tokens.min(context - prompt.len());
        let generating = Instant::now();
        let Some((reason, completion_tokens)) = self.generate(job, events, limit)? else {
            return Ok(Outcome::ClientGone);
        };
        metrics::tokens(MODEL, "output", completion_tokens);
        metrics::seconds(MODEL, "generate", generating.elapsed());
        let prompt_tokens = prompt.len();
        let end = ChatEvent::Finished {
            reason,
            prompt_tokens,
            completion_tokens,
        };
        Ok(if events.send(end).is_ok() {
            Outcome::Answered
        } else {
            Outcome::ClientGone
        })
    }

    fn tokenize(&self, messages: &[Message]) -> Vec<LlamaToken> {
        let vocabulary = self.model.vocab();
        let mut tokens = Vec::new();
        for segment in segments(messages) {
            match segment {
                Segment::Form(form) => {
                    tokens.extend(vocabulary.tokenize(form.as_bytes(), false, true));
                }
                Segment::Words(words) => {
                    tokens.extend(vocabulary.tokenize(words.as_bytes(), false, false));
                }
            }
        }
        tokens
    }

    /// Keeps the state of the tokens that `prompt` begins with and drops the rest; gives their
    /// number. At least the last token of the prompt is read again, since its output is needed.
    fn keep(&mut self, prompt: &[LlamaToken]) -> usize {
        let same = self
            .held
            .iter()
            .zip(prompt)
            .take_while(|(held, new)| held == new)
            .count();
        let kept = same.min(prompt.len().saturating_sub(1));
        if self.cut(kept) {
            return kept;
        }
        self.forget();
        0
    }

    /// Drops the state of all tokens but the first `length`, if the context can.
    fn cut(&mut self, length: usize) -> bool {
        let position = u32::try_from(length).unwrap_or(0);
        let cut = self
            .context
            .clear_kv_cache_seq(Some(0), Some(position), None);
        let done = matches!(cut, Ok(true));
        if done {
            self.held.truncate(length);
        }
        done
    }

    /// Drops all state.
    pub(super) fn forget(&mut self) {
        self.context.clear_kv_cache();
        self.held.clear();
    }

    /// Reads at most [`CALL_TOKENS`] tokens; the output of the last one can be sampled afterwards.
    fn read(&mut self, tokens: &[LlamaToken]) -> Result<(), EngineError> {
        self.batch.clear();
        let last = tokens.len().saturating_sub(1);
        for (place, token) in tokens.iter().enumerate() {
            // The context has at most 8192 tokens.
            let position = i32::try_from(self.held.len() + place).unwrap_or(i32::MAX);
            self.batch
                .add(*token, position, &[0], place == last)
                .context(FillBatchSnafu)?;
        }
        self.context.decode(&mut self.batch).context(DecodeSnafu)?;
        self.held.extend_from_slice(tokens);
        Ok(())
    }

    /// Writes the answer. `None` when the client has gone.
    fn generate(
        &mut self,
        job: &ChatJob,
        events: &mpsc::UnboundedSender<ChatEvent>,
        limit: usize,
    ) -> Result<Option<(FinishReason, usize)>, EngineError> {
        let deadline = Instant::now() + LONGEST_ANSWER;
        let mut sampler = sampler(job, self.model.n_vocab());
        let mut characters = Characters::default();
        let mut stops = Stops::new(job.stop.clone());
        let mut rambling = Rambling::default();
        let mut written = 0;
        let reason = loop {
            if written == limit || Instant::now() >= deadline {
                break FinishReason::Length;
            }
            let token = sampler.sample(&self.context, -1);
            if self.model.vocab().is_eog(token) {
                break FinishReason::Stop;
            }
            written += 1;
            let text = characters.push(&self.model.vocab().token_to_piece(token, false, None));
            let rambles = rambling.push(token.0, &text);
            let (text, stopped) = stops.push(&text);
            if !text.is_empty() && events.send(ChatEvent::Delta(text)).is_err() {
                return Ok(None);
            }
            if stopped {
                return Ok(Some((FinishReason::Stop, written)));
            }
            if rambles {
                metrics::rambled();
                break FinishReason::Stop;
            }
            if events.is_closed() {
                return Ok(None);
            }
            if written < limit {
                self.read(&[token])?;
            }
        };
        let (mut rest, stopped) = stops.push(&characters.finish());
        if !stopped {
            rest.push_str(&stops.release());
        }
        if !rest.is_empty() && events.send(ChatEvent::Delta(rest)).is_err() {
            return Ok(None);
        }
        Ok(Some((reason, written)))
    }
}

fn sampler(job: &ChatJob, vocabulary: i32) -> LlamaSampler {
    let (frequency, presence) = (job.frequency_penalty, job.presence_penalty);
    let penalties = LlamaSampler::penalties(vocabulary, PENALTY.0, PENALTY.1, frequency, presence);
    if job.temperature <= 0.0 {
        return LlamaSampler::chain_simple([penalties, LlamaSampler::greedy()]);
    }
    LlamaSampler::chain_simple([
        penalties,
        LlamaSampler::top_k(TOP_K),
        LlamaSampler::top_p(job.top_p, 1),
        LlamaSampler::temp(job.temperature),
        LlamaSampler::dist(job.seed),
    ])
}
