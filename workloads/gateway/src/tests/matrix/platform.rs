//! What the callers of the matrix ask, and what is Ana's there.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{Method, Request};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;

use super::requests::request;
use crate::domain::responses_request::id_of;
use crate::tests::keys::{Signer, realm};
use crate::tests::openapi::Statuses;
use crate::tests::orchestrator::{self, Seen};
use crate::tests::support::{Gateway, Parts, Reply, config};
use crate::tests::{model_server, postgres};

/// The operator's token.
pub(super) const PROBE: &str = "probe-token-of-32-bytes-or-more-x";

/// How a caller is known.
#[derive(Clone)]
pub(super) enum Proof {
    Nothing,
    Bearer(String),
    Cookie(String, Option<&'static str>),
}

/// A gateway with everything behind it.
pub(super) struct Platform {
    pub(super) gateway: Gateway,
    pub(super) pool: sqlx::PgPool,
    seen: Arc<Seen>,
    statuses: Statuses,
    /// Calls whose answers had a status that the document does not describe.
    undescribed: Mutex<BTreeSet<String>>,
    _server: postgres::Database,
    _model_server: wiremock::MockServer,
}

/// What is Ana's and made anew for each attempt, since some of them delete it.
pub(super) struct Things {
    pub(super) conversation: String,
    pub(super) document: String,
    pub(super) key: String,
    pub(super) session: String,
    /// A stream that has ended, which no API key began.
    pub(super) stream: String,
    /// The same as a response in the background.
    pub(super) response: String,
    /// A budget that an administrator made, for nobody.
    pub(super) budget: String,
    /// An upload of one byte, which is not there yet.
    pub(super) upload: String,
    /// A call of a tool that waits for consent.
    pub(super) approval: String,
}

impl Platform {
    /// `None`, with the reason printed, when there is no PostgreSQL here.
    pub(super) async fn start() -> Option<Self> {
        let server = postgres::start()?;
        let pool = server.pool();
        let (orchestrator, seen) = orchestrator::start().await;
        let model_server = model_server::start().await;
        let signer = Signer::rsa("key-1");
        let realm = realm(&[&signer]).await;
        let parts = Parts {
            orchestrator,
            pool: pool.clone(),
            model_server: model_server.uri(),
            ..Parts::default()
        };
        let mut config = config(&realm.uri(), &parts.orchestrator);
        config.probe_token = Some(PROBE.to_owned().into());
        Some(Self {
            gateway: Gateway::with_config(&config, parts, realm, signer),
            pool,
            seen,
            statuses: Statuses::of_document(),
            undescribed: Mutex::default(),
            _server: server,
            _model_server: model_server,
        })
    }

    /// Makes Ana's things, without asking the surface that is under test.
    pub(super) async fn things(&self) -> Things {
        // One person may have so many keys, and an attempt leaves two.
        sqlx::query("delete from api_keys where name in ('k', 'another')")
            .execute(&self.pool)
            .await
            .unwrap();
        // And there may be so many budgets, and unfinished uploads of one person.
        for statement in [
            "delete from stored_budgets where name like 'b-%'",
            "delete from uploads",
        ] {
            sqlx::query(statement).execute(&self.pool).await.unwrap();
        }
        let id = uuid::Uuid::now_v7();
        for statement in [
            "insert into stored_budgets (name, scope, names, per, requests, unknown_price,
                                         warn_at_percent)
             values ('b-' || $1::text, 'User', '{nobody}', 'Day', 1, 'Refuse', 80)",
            "insert into conversations (id, owner, title) values ($1, 'ana', 'hers')",
            "insert into messages (id, conversation_id, role, content)
             values ($1, $1, 'user', 'what she said')",
            "insert into documents (id, owner, groups, knowledge_base, name, media_type, size,
                                    content_hash, object_key, status)
             values ($1, 'ana', '{hr,admins}', 'hr', $1::text, 'text/plain', 1, 'x', $1::text,
                     'failed')",
            "insert into uploads (id, owner, knowledge_base, name, media_type, metadata, size,
                                  expires_at)
             values ($1, 'ana', 'default', $1::text || '.txt', 'text/plain', '', 1,
                     now() + interval '1 hour')",
            "insert into sessions (id, id_hash, subject, sealed, expires_at)
             values ($1, sha256($1::text::bytea), 'ana', '', now() + interval '1 hour')",
            "insert into api_keys (id, hash, owner, owner_name, name, scopes, groups, expires_at)
             values ($1::text, '', 'ana', 'Ana', 'k', '{chat}', '{}', now() + interval '1 hour')",
            "insert into messages (id, conversation_id, role, content, run_id, outcome)
             values (gen_random_uuid(), $1, 'assistant', 'text', $1, 'ok')",
            "insert into answer_streams (run_id, conversation_id, subject, api_key, model,
                                         include_usage, alive_until, ended_at, repeated)
             values ($1, $1, 'ana', '', 'lotoai', false, now(), now(), '{}')",
            "insert into responses (run_id, inputs, model, repeated, finish_reason, provider)
             values ($1, array[$1], 'lotoai', '{}', 'stop', '')",
        ] {
            let done = sqlx::query(statement).bind(id).execute(&self.pool).await;
            done.unwrap();
        }
        let response = id_of(id);
        let id = id.to_string();
        let file = Path::from(id.as_str());
        self.gateway.objects.put(&file, "t".into()).await.unwrap();
        let approval = self.seen.approvals.add("ana", &id, "send_mail").id;
        Things {
            approval,
            response,
            budget: format!("b-{id}"),
            conversation: id.clone(),
            document: id.clone(),
            key: id.clone(),
            session: id.clone(),
            upload: id.clone(),
            stream: id,
        }
    }

    pub(super) async fn send(&self, method: &Method, path: &str, proof: &Proof) -> Reply {
        self.ask(request(method, path, proof)).await
    }

    /// Sends a request, and notes it when the document does not describe the status of its answer.
    pub(super) async fn ask(&self, request: Request<Body>) -> Reply {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let reply = self.gateway.send(request).await;
        if let Some(fault) = self.statuses.fault(&method, &path, reply.status) {
            self.undescribed.lock().unwrap().insert(fault);
        }
        reply
    }

    /// Every status that was answered so far is described.
    pub(super) fn check_statuses(&self) {
        let undescribed = self.undescribed.lock().unwrap();
        assert!(
            undescribed.is_empty(),
            "describe these beside their handlers with #[utoipa::path]: {undescribed:#?}"
        );
    }
}
