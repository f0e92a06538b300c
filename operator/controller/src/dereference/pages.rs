//! Lists in pages, so that an answer never holds more than a part of what is there, however much that
//! is: several passes are under way at once, and each would hold all of it twice.
//!
//! Needs a client; writes nothing.

use std::fmt::Debug;

use kube::Api;
use kube::api::ListParams;
use serde::de::DeserializeOwned;

/// Objects of a page. A platform has fewer of each kind, so that one request reads them all.
const PAGE: u32 = 100;

/// Asks for page after page and gives each object to `keep`, which drops what nobody needs of it.
///
/// # Errors
/// At the first page that the API server refuses, as when reading took so long that it has forgotten
/// the state of the first one: the next pass begins anew.
pub(super) async fn each<K>(
    api: &Api<K>,
    params: &ListParams,
    mut keep: impl FnMut(K),
) -> kube::Result<()>
where
    K: Clone + Debug + DeserializeOwned,
{
    let mut params = params.clone().limit(PAGE);
    loop {
        let page = api.list(&params).await?;
        page.items.into_iter().for_each(&mut keep);
        match page.metadata.continue_.filter(|next| !next.is_empty()) {
            Some(next) => params = params.continue_token(&next),
            None => return Ok(()),
        }
    }
}
