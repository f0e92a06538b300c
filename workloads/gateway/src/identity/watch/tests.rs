use lotoai_policy::Grant;

use super::*;

const EXP: u64 = 1_000;
const HASH: SessionHash = [1; 32];

fn identity(credential: Credential) -> Identity {
    Identity {
        subject: "ana".to_owned(),
        name: "Ana".to_owned(),
        groups: Vec::new(),
        expires_at: EXP,
        issued_at: 0,
        credential,
    }
}

fn key(id: &str) -> Identity {
    let grant = Grant {
        id: id.to_owned(),
        scopes: Vec::new(),
        models: None,
    };
    identity(Credential::Key(grant.into()))
}

fn session(byte: u8) -> Identity {
    identity(Credential::Session([byte; 32]))
}

fn goes_on(follow: &Follow) -> bool {
    !follow.over.token.is_cancelled()
}

#[tokio::test]
async fn all_answers_on_one_ground_end_and_no_others() {
    let watch = Watch::default();
    let one = watch.follow(&session(1));
    let mut later = session(1);
    later.issued_at = 7;
    let also = watch.follow(&later);
    let other = watch.follow(&session(2));
    let (key, token) = (
        watch.follow(&key("k")),
        watch.follow(&identity(Credential::Token)),
    );
    watch.end(&Ground::Session(HASH));
    let over = one.over().await;
    assert_eq!(over.code, "signed_out");
    assert!(over.challenge.is_some(), "{over:?}");
    assert_eq!(also.over().await.code, "signed_out");
    for kept in [&other, &key, &token] {
        assert!(goes_on(kept));
    }
    watch.end(&Ground::Key("k".to_owned()));
    key.over().await;
    drop((one, also, other, key, token));
    assert!(watch.open().is_empty());
}

#[test]
fn a_ground_that_is_used_again_is_looked_at_anew() {
    let watch = Watch::default();
    let first = watch.follow(&key("k"));
    watch.end(&Ground::Key("k".to_owned()));
    let second = watch.follow(&key("k"));
    assert!(goes_on(&second));
    // The end of the first is not that of the second.
    drop(first);
    assert_eq!(watch.open().len(), 1);
    watch.end(&Ground::Key("k".to_owned()));
    assert!(!goes_on(&second));
}

#[tokio::test]
async fn a_token_ends_its_answers_when_clocks_agree_that_it_has_ended() {
    let watch = Watch::default();
    let token = watch.follow(&identity(Credential::Token));
    let mut fresh = identity(Credential::Token);
    fresh.expires_at = EXP + 1;
    let fresh = watch.follow(&fresh);
    let (session, key) = (watch.follow(&session(1)), watch.follow(&key("k")));
    watch.expire(EXP + SKEW_SECONDS);
    assert!(goes_on(&token));
    watch.expire(EXP + SKEW_SECONDS + 1);
    assert_eq!(token.over().await.code, "token_expired");
    // A session has other tokens, and a key has none.
    for kept in [&fresh, &session, &key] {
        assert!(goes_on(kept));
    }
}

#[test]
fn sessions_are_renewed_before_their_tokens_end_and_not_at_every_look() {
    const DUE: u64 = EXP - RENEW_BEFORE_SECONDS;
    let watch = Watch::default();
    let mut later = session(1);
    later.issued_at = 7;
    let open = [
        watch.follow(&session(1)),
        watch.follow(&later),
        watch.follow(&key("k")),
        watch.follow(&identity(Credential::Token)),
    ];
    assert_eq!(watch.due(DUE - 1), Vec::<SessionHash>::new());
    assert_eq!(watch.due(DUE), [HASH]);
    // It goes on, or the provider is away.
    assert_eq!(watch.due(DUE + 1), Vec::<SessionHash>::new());
    assert_eq!(watch.due(DUE + RENEW_AGAIN_SECONDS), [HASH]);
    watch.renewed(&HASH, EXP + 300);
    assert_eq!(watch.due(DUE + 299), Vec::<SessionHash>::new());
    assert_eq!(watch.due(DUE + 300), [HASH]);
    drop(open);
    assert_eq!(watch.due(u64::MAX), Vec::<SessionHash>::new());
}
