//! Measures both models without HTTP: `cargo run --example speed -- <directory of the models>
//! <threads>`. Prints what docs/workloads/model-server.md lists.
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement that cannot be made has no figure"
)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use lotoai_kit::Service;
use lotoai_model_server::engine::prompt::{Message, Role};
use lotoai_model_server::engine::{
    Chat, ChatEvent, ChatJob, ChatOptions, Embedder, EmbedderOptions,
};

/// Texts of one embedding request, each of about 120 tokens.
const TEXTS: usize = 128;
/// Tokens of the long answer.
const ANSWER: usize = 256;
/// What a question's prompt holds: with the frame of the conversation about 550 tokens.
const PASSAGES: &str = include_str!("../../../docs/faq.md");

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let models = PathBuf::from(arguments.next().expect("the directory of the models"));
    let threads: u16 = arguments
        .next()
        .map_or(1, |text| text.parse().expect("a number of threads"));
    let service = Service::for_tests("model-server");
    let embedder = EmbedderOptions {
        path: models.join("all-minilm-l6-v2.gguf"),
        threads,
        queue: 8,
    };
    let embedder = Embedder::start(embedder, &service).expect("the embedding model");
    let chat = ChatOptions {
        path: models.join("smollm2-135m-instruct.gguf"),
        threads,
        queue: 8,
        context_tokens: 4096,
    };
    let chat = Chat::start(chat, &service).expect("the chat model");
    println!("threads                          {threads}");
    embeddings(&embedder).await;
    answers(&chat).await;
}

async fn embeddings(embedder: &Embedder) {
    let text = |number: usize| words(number, 90);
    embedder.embed(vec![text(0)]).await.expect("a first vector");
    let begun = Instant::now();
    embedder.embed(vec![text(1)]).await.expect("one vector");
    println!(
        "one question embedded            {:.1} ms",
        milliseconds(begun.elapsed())
    );
    let begun = Instant::now();
    let texts = (0..TEXTS).map(text).collect();
    let embedded = embedder.embed(texts).await.expect("vectors");
    let seconds = begun.elapsed().as_secs_f64();
    let each = embedded.tokens as f64 / TEXTS as f64;
    println!(
        "texts of {each:.0} tokens embedded     {:.1} per second",
        TEXTS as f64 / seconds
    );
}

async fn answers(chat: &Chat) {
    // The longer the text before it, the slower the next token.
    let passages = |question: &str| format!("{PASSAGES}\n\nQuestion: {question}");
    let prompts = [
        ("passages", passages("How is a credential rotated?")),
        ("passages, again", passages("What happens to volumes?")),
        (
            "no passages",
            "Write a story about a lighthouse.".to_owned(),
        ),
    ];
    for (name, prompt) in prompts {
        let (first, last, prompt_tokens, tokens) = answer(chat, prompt).await;
        println!(
            "{name} of {prompt_tokens} tokens: first token  {:.2} s",
            first.as_secs_f64()
        );
        let rest = (last - first).as_secs_f64();
        println!(
            "{name}: answer of {tokens} tokens     {:.0} tokens per second",
            (tokens - 1) as f64 / rest
        );
    }
}

/// Time to the first and to the last token, tokens of the prompt and of the answer.
async fn answer(chat: &Chat, prompt: String) -> (Duration, Duration, usize, usize) {
    let begun = Instant::now();
    let job = ChatJob {
        messages: vec![Message {
            role: Role::User,
            content: prompt,
        }],
        max_tokens: ANSWER,
        temperature: 0.0,
        top_p: 1.0,
        seed: 7,
        presence_penalty: 0.0,
        frequency_penalty: 0.0,
        stop: Vec::new(),
    };
    let mut events = chat.submit(job).expect("a place in the queue");
    let mut first = None;
    while let Some(event) = events.recv().await {
        match event {
            ChatEvent::Started => {}
            ChatEvent::Delta(_) => {
                first.get_or_insert_with(|| begun.elapsed());
            }
            ChatEvent::Finished {
                prompt_tokens,
                completion_tokens,
                ..
            } => {
                let first = first.expect("a first token");
                return (first, begun.elapsed(), prompt_tokens, completion_tokens);
            }
            ChatEvent::Failed(error) => panic!("{error}"),
        }
    }
    panic!("the model went away");
}

/// `count` words that differ from text to text.
fn words(seed: usize, count: usize) -> String {
    const WORDS: [&str; 16] = [
        "the", "manual", "says", "that", "every", "coffee", "machine", "needs", "water", "and",
        "patience", "before", "it", "makes", "good", "coffee",
    ];
    let word = |place: usize| WORDS[(seed * 7 + place * (seed % 5 + 1)) % WORDS.len()];
    (0..count).map(word).collect::<Vec<_>>().join(" ")
}

fn milliseconds(elapsed: Duration) -> f64 {
    elapsed.as_secs_f64() * 1000.0
}
