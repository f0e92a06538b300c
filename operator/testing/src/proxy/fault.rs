//! What goes wrong, and how requests and watches meet it.

use std::ops::ControlFlow;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{Proxy, Sent};

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Every PATCH meets a newer object.
    Conflicts,
    /// Everything is refused with this status, and a pause to keep where one is given.
    Refused(StatusCode, Option<u32>),
    /// Open watches end in the middle of a line, and no new one comes about.
    CutWatches,
    /// Open watches of the kind with this plural end, and new ones are told that they ask for what
    /// is too old.
    Expired(&'static str),
    /// Only this token is known.
    OnlyToken(String),
    /// Every answer comes this much later.
    Delay(Duration),
    /// No request that comes now is ever answered; with `watches`, nothing more comes of open
    /// watches either.
    Silence {
        /// Whether watches are met.
        watches: bool,
    },
    /// Whoever sends is killed at its n-th write from now on: nothing that comes after that passes.
    Kill(Kill),
}

/// When whoever sends is killed.
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    /// At which write, from 1.
    pub write: usize,
    /// Whether this write reaches the server; its answer never comes back.
    pub stored: bool,
    /// Whether only those count that are not what was sent there last: an operator sends an object
    /// again whose status has changed.
    pub only_new: bool,
}

impl Proxy {
    /// What the fault that is set does to a request: an answer to it, or nothing.
    pub(super) async fn meet(&self, sent: Sent) -> ControlFlow<Response, Sent> {
        let fault = self.0.fault.borrow().clone();
        let answer = match fault {
            Some(Fault::Conflicts) if sent.parts.method == Method::PATCH => {
                self.refuse(StatusCode::CONFLICT, None)
            }
            Some(Fault::Refused(status, retry_after)) => self.refuse(status, retry_after),
            Some(Fault::CutWatches) if sent.watches() => self.refuse(StatusCode::BAD_GATEWAY, None),
            Some(Fault::Expired(kind)) if sent.watches() && is_of(sent.parts.uri.path(), kind) => {
                self.expire()
            }
            Some(Fault::OnlyToken(token)) if !brings(&sent, &token) => {
                self.refuse(StatusCode::UNAUTHORIZED, None)
            }
            Some(Fault::Delay(time)) => {
                self.fail();
                tokio::time::sleep(time).await;
                return ControlFlow::Continue(sent);
            }
            Some(Fault::Silence { .. }) => self.silence().await,
            Some(Fault::Kill(kill)) => self.until_killed(kill, sent).await,
            Some(
                Fault::Conflicts | Fault::CutWatches | Fault::Expired(_) | Fault::OnlyToken(_),
            )
            | None => return ControlFlow::Continue(sent),
        };
        ControlFlow::Break(answer)
    }

    fn refuse(&self, status: StatusCode, retry_after: Option<u32>) -> Response {
        self.fail();
        let reason = status.canonical_reason().unwrap_or_default();
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status.as_u16(),
            "reason": reason.replace(' ', ""), "message": format!("the proxy says: {reason}"),
        });
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        (status, headers, body.to_string()).into_response()
    }

    /// Whether a write is not what was passed on last to the same place.
    fn is_new(&self, sent: &Sent) -> bool {
        let last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.get(sent.parts.uri.path()) != Some(&sent.digest())
    }

    /// Never comes back.
    async fn silence(&self) -> Response {
        self.fail();
        std::future::pending().await
    }

    /// Passes on what a process sends until it is killed.
    async fn until_killed(&self, kill: Kill, sent: Sent) -> Response {
        let counts = sent.is_write() && (!kill.only_new || self.is_new(&sent));
        let seen = if counts {
            self.0.seen.fetch_add(1, Ordering::SeqCst) + 1
        } else {
            self.0.seen.load(Ordering::SeqCst)
        };
        if seen < kill.write {
            return self.forward(sent).await;
        }
        if seen == kill.write && counts {
            if kill.stored {
                self.forward(sent).await;
            }
            return self.silence().await;
        }
        std::future::pending().await
    }

    /// Says of a watch that what it asks for is too old.
    fn expire(&self) -> Response {
        self.fail();
        let event = json!({ "type": "ERROR", "object": {
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410,
            "reason": "Expired", "message": "too old resource version",
        } });
        let kind = [(header::CONTENT_TYPE, "application/json")];
        (kind, format!("{event}\n")).into_response()
    }

    /// Waits for a fault that meets an open watch at this path. Says whether it ends it.
    pub(super) async fn watch_fails(&self, path: &str) -> bool {
        let mut fault = self.0.fault.subscribe();
        let met = fault.wait_for(|fault| match fault {
            Some(Fault::CutWatches | Fault::Silence { watches: true }) => true,
            Some(Fault::Expired(kind)) => is_of(path, kind),
            _ => false,
        });
        met.await
            .is_ok_and(|fault| !matches!(*fault, Some(Fault::Silence { .. })))
    }
}

/// Whether a path is that of all objects of the kind with this plural.
fn is_of(path: &str, kind: &str) -> bool {
    path.rsplit('/').next() == Some(kind)
}

/// Whether a request brings this token.
fn brings(sent: &Sent, token: &str) -> bool {
    let brought = sent.parts.headers.get(header::AUTHORIZATION);
    brought.is_some_and(|it| it.as_bytes() == format!("Bearer {token}").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use axum::Router;

    use super::*;
    use crate::proxy::Upstream;

    fn listener() -> TcpListener {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
    }

    /// A proxy before a server that is content with everything.
    fn proxy() -> Proxy {
        let server = listener();
        let url = format!("http://{}", server.local_addr().unwrap());
        server.set_nonblocking(true).unwrap();
        let server = tokio::net::TcpListener::from_std(server).unwrap();
        let content = Router::new().fallback(|| async { "{}" });
        tokio::spawn(async move { axum::serve(server, content).await });
        let upstream = Upstream {
            url,
            authorities: Vec::new(),
            token: "t".to_owned(),
        };
        Proxy::start(listener(), upstream).unwrap()
    }

    /// Sends these bodies one after the other until one is not answered.
    async fn send(proxy: &Proxy, bodies: &'static [&'static str]) -> usize {
        let url = format!("{}/object", proxy.url());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let sending = async {
            for body in bodies {
                let request = client.patch(&url).body(*body);
                request.send().await.unwrap().error_for_status().unwrap();
            }
        };
        tokio::select! {
            () = sending => {}
            () = proxy.met() => {}
        }
        proxy.writes().len()
    }

    fn kill(write: usize, stored: bool, only_new: bool) -> Option<Fault> {
        Some(Fault::Kill(Kill {
            write,
            stored,
            only_new,
        }))
    }

    #[tokio::test]
    async fn a_kill_comes_at_the_write_that_it_says_or_after_it() {
        for (stored, passed) in [(false, 1), (true, 2)] {
            let proxy = proxy();
            proxy.set(kill(2, stored, false));
            assert_eq!(send(&proxy, &["a", "a", "b"]).await, passed);
            assert_eq!(proxy.failed(), 1);
        }
    }

    #[tokio::test]
    async fn what_is_sent_again_in_the_same_words_does_not_count_as_new() {
        let proxy = proxy();
        assert_eq!(send(&proxy, &["a"]).await, 1);
        proxy.set(kill(2, false, true));
        // The first is old, then two are new, and the second of these is the end.
        assert_eq!(send(&proxy, &["a", "b", "b", "a", "c"]).await, 4);
        assert_eq!(proxy.failed(), 1);
        // What did not come through is still new.
        proxy.set(kill(1, false, true));
        assert_eq!(send(&proxy, &["b", "a"]).await, 5);
        assert_eq!(proxy.failed(), 1);
    }
}
