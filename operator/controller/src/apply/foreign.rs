//! Objects of somebody else that bear our names: every object is looked at before any is written.
//!
//! Needs a client; writes nothing.

use std::collections::HashSet;

use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use kube::Client;
use lotoai_plan::ObjectId;
use snafu::{ResultExt, ensure};

use super::{Error, ForeignSnafu, LookUpSnafu, Owner, api};
use crate::object::{Desired, Existing, belongs, owned_by};

/// How many look-ups are under way at once.
const LOOKUPS: usize = 8;

/// Whose an object is.
enum Whose {
    /// It is not there.
    Nobodys,
    /// The platform's.
    Ours,
    /// Somebody else's.
    Foreign,
}

/// Looks at every object that would be written before anything is, and says which are not there.
///
/// # Errors
/// When objects belong to somebody else, and at the first look-up that fails.
pub(super) async fn refuse_foreign(
    client: &Client,
    owner: Owner<'_>,
    existing: &Existing,
    desired: &[Desired],
) -> Result<HashSet<ObjectId>, Error> {
    let looks: Vec<_> = desired
        .iter()
        .filter(|object| !object.held)
        .map(|object| look_up(client, owner, existing, object).boxed())
        .collect();
    let found: Vec<(ObjectId, Whose)> = stream::iter(looks).buffered(LOOKUPS).try_collect().await?;
    let (mut absent, mut objects) = (HashSet::new(), Vec::new());
    for (id, whose) in found {
        match whose {
            Whose::Nobodys => {
                absent.insert(id);
            }
            Whose::Ours => {}
            Whose::Foreign => objects.push(id),
        }
    }
    ensure!(objects.is_empty(), ForeignSnafu { objects });
    Ok(absent)
}

async fn look_up(
    client: &Client,
    owner: Owner<'_>,
    existing: &Existing,
    object: &Desired,
) -> Result<(ObjectId, Whose), Error> {
    let id = object.id();
    let is_ours = match existing.get(&id) {
        Some(meta) => Some(belongs(meta, owner.uid)),
        // Without our labels it may still be ours: somebody may have removed them.
        None => api(client, owner, &object.planned.resource)
            .get_metadata_opt(&object.planned.name)
            .await
            .context(LookUpSnafu { id: id.clone() })?
            .map(|found| owned_by(&found.metadata, owner.uid)),
    };
    let whose = match is_ours {
        None => Whose::Nobodys,
        Some(true) => Whose::Ours,
        Some(false) => Whose::Foreign,
    };
    Ok((id, whose))
}
