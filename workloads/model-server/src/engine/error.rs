//! What can go wrong between a request and a model.

use std::path::PathBuf;
use std::sync::Arc;

use snafu::Snafu;

/// What can go wrong between a request and a model.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(super)))]
pub enum EngineError {
    /// The library could not be initialised.
    #[snafu(display("failed to initialise llama.cpp: {reason}"))]
    StartBackend {
        /// What the library said.
        reason: String,
    },
    /// The model file is not there.
    #[snafu(display(
        "failed to find the model file {path:?}: set MODELS_DIR to the directory that holds it"
    ))]
    FindModel {
        /// The file.
        path: PathBuf,
    },
    /// The model file cannot be used.
    #[snafu(display("failed to load the model {path:?}; LOG=debug shows the library's reason"))]
    LoadModel {
        /// The file.
        path: PathBuf,
        /// What the library said.
        source: llama_cpp_2::LlamaModelLoadError,
    },
    /// There is no memory for the model's context, or its file lacks something.
    #[snafu(display("failed to create the context of the model {path:?}"))]
    CreateContext {
        /// The model's file.
        path: PathBuf,
        /// What the library said.
        source: llama_cpp_2::LlamaContextLoadError,
    },
    /// The file is of another model than the server was built for.
    #[snafu(display(
        "failed to use the model {path:?}: it makes {actual} numbers, expected {expected}"
    ))]
    WrongModel {
        /// The file.
        path: PathBuf,
        /// Numbers per vector that the file's model makes.
        actual: usize,
        /// Numbers per vector that the server promises.
        expected: usize,
    },
    /// The system refused another thread.
    #[snafu(display("failed to start the thread of model {model}"))]
    SpawnThread {
        /// Name of the model.
        model: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The thread that owns the model is gone; the process ends.
    #[snafu(display("failed to reach the thread of model {model}"))]
    ThreadLost {
        /// Name of the model.
        model: &'static str,
    },
    /// Too many requests wait already.
    #[snafu(display("too many requests wait for model {model}; try again in a moment"))]
    QueueFull {
        /// Name of the model.
        model: &'static str,
    },
    /// The conversation does not fit into the context.
    #[snafu(display(
        "the messages have {prompt} tokens, but messages and answer together may have {context}: \
         shorten or drop messages"
    ))]
    ContextExceeded {
        /// Tokens of the messages.
        prompt: usize,
        /// Tokens that fit.
        context: usize,
    },
    /// More tokens were put together than a call may have: a bug in this program.
    #[snafu(display("failed to put tokens together for the model"))]
    FillBatch {
        /// What the library said.
        source: llama_cpp_2::llama_batch::BatchAddError,
    },
    /// The model could not compute.
    #[snafu(display("failed to run the chat model"))]
    Decode {
        /// What the library said.
        source: llama_cpp_2::DecodeError,
    },
    /// The model could not compute.
    #[snafu(display("failed to run the embedding model"))]
    Encode {
        /// What the library said.
        source: llama_cpp_2::EncodeError,
    },
    /// The call of the model that this job was in failed.
    #[snafu(display("failed to embed"))]
    Call {
        /// Shared with the other jobs of the call.
        source: Arc<EngineError>,
    },
    /// The model computed, but left no vector.
    #[snafu(display("failed to read a vector of the embedding model"))]
    ReadVector {
        /// What the library said.
        source: llama_cpp_2::EmbeddingsSeqError,
    },
    /// The vector cannot be brought to length 1.
    #[snafu(display(
        "failed to normalise a vector of the embedding model: its length is {length}"
    ))]
    Normalise {
        /// Length of the vector.
        length: f32,
    },
}
