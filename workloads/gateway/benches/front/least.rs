//! The least program on the same libraries that answers the same question over the same channel to
//! the orchestrator: axum before it, tonic behind it, and sqlx where it stores. It knows nobody, limits
//! nothing, counts nothing and logs nothing: what it takes is what those libraries and the kernel
//! take. Where it stores it is no such bound: it commits twice for each request, and the gateway
//! writes what waits together.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::serve::ListenerExt as _;
use clap::Parser;
use lotoai_contracts::v1::answer_event::Event;
use lotoai_contracts::v1::orchestrator_client::OrchestratorClient;
use lotoai_contracts::v1::{AnswerRequest, Message};
use lotoai_gateway::error::chain;
use lotoai_kit::tls::TlsArgs;
use lotoai_kit::upstream::{GrpcChannel, grpc_channel};
use serde::{Deserialize, Serialize};
use snafu::ResultExt as _;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::net::TcpListener;
use url::Url;
use uuid::Uuid;

use crate::Result;

/// Connections to the database, as the gateway has by default.
const CONNECTIONS: u32 = 8;

/// Where it serves, and whom it asks.
#[derive(Debug, Parser)]
pub(crate) struct Least {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    orchestrator: Url,
    /// Where question and answer are stored, each before what follows it; without it neither is.
    #[arg(long)]
    database: Option<String>,
}

#[derive(Clone)]
struct Sides {
    orchestrator: OrchestratorClient<GrpcChannel>,
    database: Option<PgPool>,
}

#[derive(Deserialize)]
struct Question {
    model: String,
    max_tokens: Option<u32>,
    messages: Vec<Said>,
}

#[derive(Deserialize, Serialize)]
struct Said {
    role: String,
    content: String,
}

#[derive(Serialize)]
struct Answer {
    id: Uuid,
    object: &'static str,
    model: String,
    choices: [Choice; 1],
    usage: Usage,
}

#[derive(Serialize)]
struct Choice {
    index: u32,
    message: Said,
    finish_reason: String,
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

/// Serves until the process is ended.
pub(crate) fn serve(least: &Least) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .whatever_context("failed to start a runtime")?;
    runtime.block_on(async {
        let channel = grpc_channel(&least.orchestrator, &"none".into(), &TlsArgs::default())
            .whatever_context("a bad orchestrator")?;
        let database = match &least.database {
            None => None,
            Some(url) => Some(open(url).await?),
        };
        let sides = Sides {
            orchestrator: OrchestratorClient::new(channel),
            database,
        };
        let router = Router::new()
            .route("/v1/chat/completions", post(complete))
            .with_state(sides);
        let listener = TcpListener::bind(least.listen)
            .await
            .whatever_context("failed to bind")?
            .tap_io(|stream| drop(stream.set_nodelay(true)));
        axum::serve(listener, router)
            .await
            .whatever_context("failed to serve")
    })
}

async fn open(url: &str) -> Result<PgPool> {
    let failed = "failed to open the database";
    let options: PgConnectOptions = url.parse().whatever_context(failed)?;
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .test_before_acquire(false)
        .connect_with(options.username("gateway"))
        .await
        .whatever_context(failed)?;
    let table = "create table if not exists said (
        run uuid, role text, content text, primary key (run, role))";
    sqlx::query(table)
        .execute(&pool)
        .await
        .whatever_context(failed)?;
    Ok(pool)
}

async fn store(sides: &Sides, run: Uuid, said: &Said) -> Result<()> {
    let Some(pool) = &sides.database else {
        return Ok(());
    };
    sqlx::query("insert into said (run, role, content) values ($1, $2, $3)")
        .bind(run)
        .bind(&said.role)
        .bind(&said.content)
        .execute(pool)
        .await
        .map(drop)
        .whatever_context("failed to store")
}

async fn complete(
    State(sides): State<Sides>,
    axum::Json(question): axum::Json<Question>,
) -> Response {
    match answer(sides, question).await {
        Ok(answer) => axum::Json(answer).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, chain(&error)).into_response(),
    }
}

async fn answer(mut sides: Sides, question: Question) -> Result<Answer> {
    let id = Uuid::now_v7();
    if let Some(last) = question.messages.last() {
        store(&sides, id, last).await?;
    }
    let messages = question.messages.into_iter().map(|said| Message {
        role: said.role,
        content: said.content,
        ..Message::default()
    });
    let request = AnswerRequest {
        run_id: id.to_string(),
        model: question.model,
        max_tokens: question.max_tokens,
        messages: messages.collect(),
        ..AnswerRequest::default()
    };
    let failed = "the orchestrator failed";
    let called = sides.orchestrator.answer(request).await;
    let mut events = called.whatever_context(failed)?.into_inner();
    let mut message = Said {
        role: "assistant".to_owned(),
        content: String::new(),
    };
    let mut finished = lotoai_contracts::v1::Finished::default();
    while let Some(event) = events.message().await.whatever_context(failed)? {
        match event.event {
            Some(Event::Delta(delta)) => message.content.push_str(&delta.text),
            Some(Event::Finished(end)) => finished = end,
            _ => {}
        }
    }
    store(&sides, id, &message).await?;
    let usage = finished.usage.unwrap_or_default();
    let (asked, said) = (
        usage.input_tokens.unwrap_or_default(),
        usage.output_tokens.unwrap_or_default(),
    );
    Ok(Answer {
        id,
        object: "chat.completion",
        model: finished.model,
        choices: [Choice {
            index: 0,
            message,
            finish_reason: finished.finish_reason,
        }],
        usage: Usage {
            prompt_tokens: asked,
            completion_tokens: said,
            total_tokens: asked + said,
        },
    })
}
