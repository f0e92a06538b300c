//! What browsers and the identity provider bring back of a sign-in.

use std::sync::LazyLock;

use lotoai_gateway::identity::back_channel::{self, Claims};
use lotoai_gateway::identity::login::{Attempt, PURPOSE};
use lotoai_gateway::identity::seal::SealingKey;

use crate::credentials::access_token;
use crate::{promise, refusal};

const NOW: u64 = 1_800_000_000;

static KEY: LazyLock<Option<SealingKey>> =
    LazyLock::new(|| "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse().ok());

/// The form with which the provider ends sessions.
pub(crate) fn logout_form(bytes: &[u8]) {
    match back_channel::token_of(bytes) {
        Ok(token) => access_token(token.as_bytes()),
        Err(failure) => refusal(&failure),
    }
}

/// What a logout token says, once its signature was found to be good.
pub(crate) fn logout_claims(bytes: &[u8]) {
    let Ok(claims) = serde_json::from_slice::<Claims>(bytes) else {
        return;
    };
    match back_channel::check(claims, NOW) {
        Ok(logout) => {
            promise(
                !logout.id.is_empty(),
                "a token that was used is known again",
            );
            let named = [logout.subject, logout.provider_session];
            let mut named = named.iter().flatten();
            promise(
                named.clone().next().is_some() && named.all(|it| !it.is_empty()),
                "it says whose sessions end",
            );
        }
        Err(failure) => refusal(&failure),
    }
}

/// The cookie of a sign-in: as it was sent, and with the input as what was sealed.
pub(crate) fn login_cookie(bytes: &[u8]) {
    let Some(key) = &*KEY else {
        return;
    };
    if let Ok(text) = std::str::from_utf8(bytes) {
        promise(
            Attempt::open(key, text, NOW).is_none(),
            "nothing opens that was not sealed here",
        );
    }
    if let Ok(sealed) = key.seal_text(PURPOSE, bytes) {
        // Whatever it holds, it is an attempt or none.
        drop(Attempt::open(key, &sealed, NOW));
        let over = Attempt::open(key, &sealed, u64::MAX);
        promise(over.is_none(), "an attempt has an end");
    }
}
