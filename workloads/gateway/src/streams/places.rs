//! Places for answers that are written by themselves. One is taken before anything is done for the
//! question and held to the end of the answer, so that many at once are no more than one after the other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;

use crate::admission::overloaded;
use crate::failure::Failure;

/// Most answers without a reader that one person has at a time at a replica: they need no connection, and
/// nobody may take the places of all with a few quick requests.
pub(crate) const UNREAD_OF_ONE: usize = 32;

/// How many answers are written. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Of those, the ones that need no reader, by who asked.
    unread: HashMap<String, usize>,
}

/// A place for one answer; free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    unread_of: Option<String>,
}

impl Places {
    /// One of `most` places; `unread_of` asked for an answer that needs no reader.
    ///
    /// # Errors
    /// 429 when all are taken, or that person has too many.
    pub(super) fn take(&self, most: usize, unread_of: Option<&str>) -> Result<Place, Failure> {
        let mut taken = self.lock();
        if taken.all >= most {
            return Err(overloaded("streams"));
        }
        if let Some(subject) = unread_of {
            let unread = taken.unread.entry(subject.to_owned()).or_default();
            if *unread >= UNREAD_OF_ONE {
                return Err(too_many());
            }
            *unread += 1;
        }
        taken.all += 1;
        Ok(Place {
            places: self.clone(),
            unread_of: unread_of.map(ToOwned::to_owned),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all = taken.all.saturating_sub(1);
        let Some(subject) = &self.unread_of else {
            return;
        };
        if let Some(unread) = taken.unread.get_mut(subject) {
            *unread = unread.saturating_sub(1);
            if *unread == 0 {
                taken.unread.remove(subject);
            }
        }
    }
}

fn too_many() -> Failure {
    Failure::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too_many_background_responses",
        format!(
            "{UNREAD_OF_ONE} responses in the background are being written for you; wait until one has \
             ended, or cancel one"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(taken: Result<Place, Failure>) -> String {
        taken.unwrap_err().code.into_owned()
    }

    #[test]
    fn there_are_so_many_in_all() {
        let places = Places::default();
        let one = places.take(2, None).unwrap();
        // Nothing of them is written yet.
        let _two = places.take(2, Some("ana")).unwrap();
        assert_eq!(code(places.take(2, None)), "overloaded");
        assert_eq!(code(places.take(2, Some("bo"))), "overloaded");
        drop(one);
        let _three = places.take(2, Some("bo")).unwrap();
    }

    #[test]
    fn one_person_has_so_many_that_need_no_reader() {
        let places = Places::default();
        let mut of_ana: Vec<_> = (0..UNREAD_OF_ONE)
            .map(|_| places.take(100, Some("ana")).unwrap())
            .collect();
        let refused = places.take(100, Some("ana"));
        assert_eq!(code(refused), "too_many_background_responses");
        // Others do, and what is read does not count.
        let _others = [Some("bo"), None].map(|it| places.take(100, it).unwrap());
        of_ana.pop();
        of_ana.push(places.take(100, Some("ana")).unwrap());
        drop(of_ana);
        assert!(!places.lock().unread.contains_key("ana"));
    }
}
