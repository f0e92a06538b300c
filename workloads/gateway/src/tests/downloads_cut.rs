//! Files on their way to somebody who loses the rights to them meanwhile, or from somebody who does,
//! here or on another replica.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::{Method, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt as _, stream};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::sync::mpsc;
use tower::ServiceExt as _;
use uuid::Uuid;

use super::api_keys::{bearing, get, key, make};
use super::browser::{ANA, Person, me, sign_in_as, with_cookies};
use super::conversations::talk;
use super::documents::{BOUNDARY, form};
use super::rights_lost::{EVE, STAFF, renewals, token};
use super::support::{Gateway, PUBLIC_URL};
use crate::store::NewDocument;

/// Bytes of a file: far more than is in memory of it.
const LONG: usize = 1024 * 1024;
/// An answer may outlive what it rests on for so long.
const SOON: Duration = Duration::from_secs(2);
/// Said in the conversation when the right to read it is over.
const LATER: &str = "said later";
/// What a file is uploaded as, and that it is not too long for it.
const TEXT: &str = "the plan";

/// Ana in another browser.
const ELSEWHERE: Person<'static> = Person {
    provider_session: "kc-ana-2",
    ..ANA
};

fn with_session(session: &str, path: &str) -> Request<Body> {
    let request = Request::builder().uri(path).header("cookie", session);
    request.body(Body::empty()).unwrap()
}

/// A download of which a first piece was taken, and nothing more for now.
struct Slow {
    pieces: BodyDataStream,
    taken: Vec<u8>,
}

impl Slow {
    async fn begin(gateway: &Gateway, request: Request<Body>) -> Self {
        let response = gateway.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let mut pieces = response.into_body().into_data_stream();
        let taken = pieces.next().await.unwrap().unwrap().to_vec();
        assert!(taken.len() < LONG);
        Self { pieces, taken }
    }

    /// All of it; `Err` with what there is when it breaks off.
    async fn rest(mut self) -> Result<Vec<u8>, Vec<u8>> {
        while let Some(piece) = self.pieces.next().await {
            match piece {
                Ok(piece) => self.taken.extend_from_slice(&piece),
                Err(_) => return Err(self.taken),
            }
        }
        Ok(self.taken)
    }

    /// Nothing more is given of it, and it does not look whole.
    async fn breaks_off(self) {
        let taken = self.taken.len();
        let given = self.rest().await.expect_err("it breaks off");
        assert_eq!(given.len(), taken);
    }
}

/// Waits until so many downloads are written, of which each waits for its reader.
async fn written(gateway: &Gateway, downloads: usize) {
    let tasks = &gateway.state.tasks;
    let waiting = async {
        while tasks.len() != downloads {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(SOON, waiting).await;
    waited.unwrap_or_else(|_| panic!("{} are written, not {downloads}", tasks.len()));
}

async fn say(pool: &PgPool, conversation: &str, text: &str, times: i32) {
    sqlx::query(
        "insert into messages (id, conversation_id, role, content)
         select gen_random_uuid(), $1, 'user', $2 from generate_series(1, $3)",
    )
    .bind(Uuid::parse_str(conversation).unwrap())
    .bind(text)
    .bind(times)
    .execute(pool)
    .await
    .unwrap();
}

/// Path of a document's file, of [`LONG`] bytes, that the group reads.
async fn document(gateway: &Gateway, group: &str) -> String {
    let object = Path::from("long");
    let put = gateway.objects.put(&object, vec![b'x'; LONG].into());
    put.await.unwrap();
    let new = NewDocument {
        id: Uuid::now_v7(),
        owner: "bo".to_owned(),
        groups: vec![group.to_owned()],
        knowledge_base: group.to_owned(),
        name: "plan.txt".to_owned(),
        media_type: "text/plain".to_owned(),
        size: LONG as i64,
        content_hash: "0".repeat(64),
        object_key: object.to_string(),
    };
    let mut change = gateway.state.store.begin().await.unwrap();
    change.upsert_document(&new).await.unwrap();
    change.commit().await.unwrap();
    format!("/api/documents/{}/content", new.id)
}

/// Of Ana, with more than [`LONG`] bytes: its id, and the path of its export.
async fn conversation(gateway: &Gateway, pool: &PgPool) -> (String, String) {
    let id = talk(gateway, "ana", &json!({})).await;
    say(pool, &id, &"x".repeat(4096), 300).await;
    let export = format!("/api/conversations/{id}/export");
    (id, export)
}

/// A slow reader gets all of it, also what was said meanwhile.
async fn is_whole(download: Slow, path: &str) {
    let given = download.rest().await.expect("the control goes on");
    if path.ends_with("/content") {
        assert!(given == vec![b'x'; LONG], "{path}: {} bytes", given.len());
        return;
    }
    assert!(serde_json::from_slice::<Value>(&given).is_ok(), "{path}");
    let given = String::from_utf8(given).unwrap();
    assert!(given.contains(LATER), "{path}: what is read is read late");
}

/// Downloads of the same paths: on every replica by whom loses the right to them, and on the second by
/// whom keeps it.
struct Downloads {
    cut: Vec<Slow>,
    control: Vec<Slow>,
}

impl Downloads {
    async fn begin(
        [gateway, replica]: [&Gateway; 2],
        paths: &[&str],
        losing: impl Fn(&str) -> Request<Body>,
        keeping: impl Fn(&str) -> Request<Body>,
    ) -> Self {
        let (mut cut, mut control) = (Vec::new(), Vec::new());
        for path in paths {
            cut.push(Slow::begin(gateway, losing(path)).await);
            cut.push(Slow::begin(replica, losing(path)).await);
            control.push(Slow::begin(replica, keeping(path)).await);
        }
        Self { cut, control }
    }

    /// Who lost the right is given nothing more, and who kept it all of it.
    async fn end(self, paths: &[&str]) {
        for download in self.cut {
            download.breaks_off().await;
        }
        for (download, path) in self.control.into_iter().zip(paths) {
            is_whole(download, path).await;
        }
    }
}

#[tokio::test]
async fn a_session_that_ends_ends_its_downloads_on_every_replica() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let replica = gateway.replica(&server).await;
    let pool = server.pool();
    let session = sign_in_as(&gateway, ANA, 300).await;
    let elsewhere = sign_in_as(&gateway, ELSEWHERE, 300).await;
    let (id, export) = conversation(&gateway, &pool).await;
    let document = document(&gateway, "staff").await;
    let paths = ["/api/me/export", &*export, &document];
    gateway.settle().await;
    let downloads = Downloads::begin(
        [&gateway, &replica],
        &paths,
        |path| with_session(&session, path),
        |path| with_session(&elsewhere, path),
    );
    let downloads = downloads.await;
    written(&gateway, 3).await;
    written(&replica, 6).await;
    let reply = with_cookies(
        &gateway,
        Method::POST,
        "/auth/logout",
        &session,
        Some(PUBLIC_URL),
    );
    assert_eq!(reply.await.status, StatusCode::NO_CONTENT);
    // None of them is read on from the stores, though nobody takes anything.
    written(&gateway, 0).await;
    written(&replica, 3).await;
    say(&pool, &id, LATER, 1).await;
    downloads.end(&paths).await;
}

#[tokio::test]
async fn a_key_that_is_deleted_ends_its_downloads_on_every_replica() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let replica = gateway.replica(&server).await;
    let pool = server.pool();
    let wish = json!({ "name": "a", "scopes": ["conversations:read", "documents:read"] });
    let made = make(&gateway, "ana", &[], &wish).await.json();
    let other = key(&gateway, "ana", &[], &wish).await;
    let (id, export) = conversation(&gateway, &pool).await;
    let document = document(&gateway, "*").await;
    let paths = [&*export, &document];
    gateway.settle().await;
    let downloads = Downloads::begin(
        [&gateway, &replica],
        &paths,
        |path| bearing(Method::GET, path, made["key"].as_str().unwrap()),
        |path| bearing(Method::GET, path, &other),
    );
    let downloads = downloads.await;
    written(&gateway, 2).await;
    written(&replica, 4).await;
    let path = format!("/api/keys/{}", made["id"].as_str().unwrap());
    let reply = gateway.send(gateway.request(Method::DELETE, &path, "ana"));
    assert_eq!(reply.await.status, StatusCode::NO_CONTENT);
    written(&gateway, 0).await;
    written(&replica, 2).await;
    say(&pool, &id, LATER, 1).await;
    downloads.end(&paths).await;
}

/// The group by which a document is read, of a session and of a key.
#[tokio::test]
async fn a_group_that_is_lost_ends_the_downloads_that_began_with_it() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let replica = gateway.replica(&server).await;
    let document = document(&gateway, "staff").await;
    let session = sign_in_as(&gateway, ANA, 10).await;
    let eves = sign_in_as(&gateway, EVE, 300).await;
    let wish = json!({ "name": "a", "scopes": ["documents:read"] });
    let program = key(&gateway, "ana", &STAFF, &wish).await;
    let eves_program = key(&gateway, "eve", &STAFF, &wish).await;
    // The first is for the download. What it gives is due on its replica for a request only.
    let without = Person { groups: &[], ..ANA };
    renewals(&gateway, &[(ANA, 29), (without, 300)]).await;
    gateway.settle().await;
    let by_session = |session: &str| with_session(session, &document);
    let by_key = |key: &str| bearing(Method::GET, &document, key);
    let cut = [
        Slow::begin(&replica, by_session(&session)).await,
        Slow::begin(&replica, by_key(&program)).await,
    ];
    let control = [
        Slow::begin(&replica, by_session(&eves)).await,
        Slow::begin(&replica, by_key(&eves_program)).await,
    ];
    written(&replica, 4).await;
    assert_eq!(me(&gateway, &session).await.json()["groups"], json!([]));
    let newer = get(&gateway, "/api/me", &token(&gateway, &[], 5)).await;
    assert_eq!(newer.status, StatusCode::OK, "{newer:?}");
    gateway.settle().await;
    written(&replica, 2).await;
    for download in cut {
        download.breaks_off().await;
    }
    for download in control {
        is_whole(download, &document).await;
    }
    // From now on it is none of hers.
    for request in [by_session(&session), by_key(&program)] {
        assert_eq!(gateway.send(request).await.code(), "document_not_found");
    }
}

/// A request whose body comes when it is told to.
struct Sending {
    parts: mpsc::Sender<Bytes>,
    answer: tokio::task::JoinHandle<(StatusCode, Bytes)>,
}

impl Sending {
    /// Begins it with a part, which is read when this returns.
    async fn begin(gateway: &Gateway, mut request: Request<Body>, first: Vec<u8>) -> Self {
        let (parts, receiver) = mpsc::channel::<Bytes>(1);
        let body = stream::unfold(receiver, |mut receiver| async move {
            let part = receiver.recv().await?;
            Some((Ok::<_, Infallible>(part), receiver))
        });
        *request.body_mut() = Body::from_stream(body);
        let answer = gateway.router.clone().oneshot(request);
        let answer = tokio::spawn(async move {
            let response = answer.await.unwrap();
            let status = response.status();
            let body = axum::body::to_bytes(response.into_body(), LONG).await;
            (status, body.unwrap())
        });
        parts.send(first.into()).await.unwrap();
        // There is room for a next one when it was taken.
        drop(parts.reserve().await.unwrap());
        Self { parts, answer }
    }

    /// Sends the rest of it: status and code of the answer.
    async fn end(self, rest: Vec<u8>) -> (u16, String) {
        // Nobody may read it any more.
        _ = self.parts.send(rest.into()).await;
        drop(self.parts);
        let answer = tokio::time::timeout(SOON, self.answer).await;
        let (status, body) = answer.expect("it is answered").unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let code = body["code"].as_str().unwrap_or_default();
        (status.as_u16(), code.to_owned())
    }
}

/// How a file comes.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Form,
    Pieces,
}

impl Way {
    /// A request with the file, but for its body, and that.
    async fn request(self, gateway: &Gateway, key: &str, name: &str) -> (Request<Body>, Vec<u8>) {
        if self == Self::Form {
            let mut request = bearing(Method::POST, "/api/documents", key);
            let kind = format!("multipart/form-data; boundary={BOUNDARY}");
            let headers = request.headers_mut();
            headers.insert("content-type", kind.parse().unwrap());
            return (request, form(&[("file", Some(name), TEXT.as_bytes())]));
        }
        let name = STANDARD.encode(name);
        let mut begin = bearing(Method::POST, "/api/uploads", key);
        let headers = begin.headers_mut();
        headers.insert("tus-resumable", "1.0.0".parse().unwrap());
        headers.insert("upload-length", TEXT.len().into());
        let metadata = format!("filename {name}").parse().unwrap();
        headers.insert("upload-metadata", metadata);
        let begun = gateway.send(begin).await;
        assert_eq!(begun.status, StatusCode::CREATED, "{begun:?}");
        let request = piece(key, begun.header("location"));
        (request, TEXT.as_bytes().to_vec())
    }
}

/// The first piece of an upload, but for its bytes.
fn piece(key: &str, path: &str) -> Request<Body> {
    let mut request = bearing(Method::PATCH, path, key);
    let headers = request.headers_mut();
    headers.insert("tus-resumable", "1.0.0".parse().unwrap());
    headers.insert("upload-offset", 0.into());
    let kind = "application/offset+octet-stream".parse().unwrap();
    headers.insert("content-type", kind);
    request
}

/// Names of the documents that there are.
async fn names(gateway: &Gateway) -> Vec<Value> {
    let list = gateway.get("/api/documents", "ana").await.json();
    let items = list["items"].as_array().unwrap().iter();
    items.map(|it| it["name"].clone()).collect()
}

#[rstest::rstest]
#[case::form(Way::Form, StatusCode::ACCEPTED)]
#[case::pieces(Way::Pieces, StatusCode::NO_CONTENT)]
#[tokio::test]
async fn a_file_whose_key_ends_while_it_comes_is_no_document(
    #[case] way: Way,
    #[case] taken: StatusCode,
) {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let replica = gateway.replica(&server).await;
    let wish = json!({ "name": "a", "scopes": ["documents:write"] });
    let made = make(&gateway, "ana", &[], &wish).await.json();
    let program = made["key"].as_str().unwrap();
    let other = key(&gateway, "ana", &[], &wish).await;
    let (request, mut body) = way.request(&gateway, program, "cut.txt").await;
    let path = request.uri().path().to_owned();
    let rest = body.split_off(body.len() - 3);
    let cut = Sending::begin(&replica, request, body).await;
    let (request, mut body) = way.request(&gateway, &other, "control.txt").await;
    let control_rest = body.split_off(body.len() - 3);
    let control = Sending::begin(&replica, request, body).await;

    let ended = format!("/api/keys/{}", made["id"].as_str().unwrap());
    let reply = gateway.send(gateway.request(Method::DELETE, &ended, "ana"));
    assert_eq!(reply.await.status, StatusCode::NO_CONTENT);
    // The next look ends what rests on it.
    let looked = replica.state.watch.look(&replica.state.store).await;
    looked.unwrap();
    let expected = (401, "signed_out".to_owned());
    assert_eq!(cut.end(rest).await, expected);
    let expected = (taken.as_u16(), String::new());
    assert_eq!(control.end(control_rest).await, expected);
    assert_eq!(names(&gateway).await, ["control.txt"]);
    if way == Way::Form {
        replica.settle().await;
        assert_eq!(replica.state.objects.count().await, 1, "it is taken back");
        return;
    }
    // The upload is its owner's all the same, who sends it again.
    let mut again = piece(&other, &path);
    *again.body_mut() = Body::from(TEXT);
    let again = gateway.send(again).await;
    assert_eq!(again.status, StatusCode::NO_CONTENT, "{again:?}");
    assert_eq!(names(&gateway).await, ["cut.txt", "control.txt"]);
}
