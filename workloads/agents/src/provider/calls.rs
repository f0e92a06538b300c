//! Puts the pieces of function calls in order.
//!
//! Providers number calls in their own ways: Anthropic counts its text blocks along, some
//! compatible servers give every call the number 0 and tell them apart by id, some give no id.

use uuid::Uuid;

use super::{Event, Failure};
use crate::functions::CallPiece;

/// More calls in one answer are a fault of the model.
const MAX_CALLS: usize = 128;

/// The calls that have begun, in the order in which they did.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Begun>);

#[derive(Debug)]
struct Begun {
    /// The provider's own number.
    place: u64,
    id: String,
    has_arguments: bool,
}

/// A piece as it came; providers leave out what they said before.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) place: u64,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
}

impl Calls {
    /// The event that a piece makes; `None` when it says nothing new.
    pub(super) fn take(&mut self, provider: &str, piece: Piece) -> Option<Result<Event, Failure>> {
        let goes_on = |call: &Begun| {
            call.place == piece.place
                && (piece.name.is_empty() || piece.id.is_empty() || call.id == piece.id)
        };
        if let Some(index) = self.0.iter().rposition(goes_on) {
            return self.more(index, piece.arguments).map(Ok);
        }
        if piece.name.is_empty() {
            let what = "sent a piece of a tool call that has not begun";
            return Some(Err(Failure::broken(provider, what)));
        }
        if self.0.len() == MAX_CALLS {
            let what = "called more than 128 tools at once";
            return Some(Err(Failure::broken(provider, what)));
        }
        let id = if piece.id.is_empty() {
            format!("call_{}", Uuid::new_v4().simple())
        } else {
            piece.id
        };
        self.0.push(Begun {
            place: piece.place,
            id: id.clone(),
            has_arguments: !piece.arguments.is_empty(),
        });
        Some(Ok(Event::Call(CallPiece {
            index: index_of(self.0.len() - 1),
            id,
            name: piece.name,
            arguments: piece.arguments,
        })))
    }

    /// The call of that number is whole: without arguments it has the empty object.
    pub(super) fn end(&mut self, place: u64) -> Option<Event> {
        let index = self.0.iter().rposition(|call| call.place == place)?;
        if self.0[index].has_arguments {
            return None;
        }
        self.more(index, "{}".to_owned())
    }

    fn more(&mut self, index: usize, arguments: String) -> Option<Event> {
        if arguments.is_empty() {
            return None;
        }
        self.0[index].has_arguments = true;
        Some(Event::Call(CallPiece {
            index: index_of(index),
            arguments,
            ..CallPiece::default()
        }))
    }
}

/// There are never more than [`MAX_CALLS`].
fn index_of(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(place: u64, id: &str, name: &str, arguments: &str) -> Piece {
        Piece {
            place,
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        }
    }

    /// Index, id, name and arguments of each event.
    fn all(pieces: Vec<Piece>) -> Vec<(u32, String, String, String)> {
        let mut calls = Calls::default();
        let events = pieces.into_iter().filter_map(|it| calls.take("p", it));
        let pieces = events.map(|event| match event.unwrap() {
            Event::Call(it) => (it.index, it.id, it.name, it.arguments),
            other => panic!("{other:?}"),
        });
        pieces.collect()
    }

    fn of(index: u32, id: &str, name: &str, arguments: &str) -> (u32, String, String, String) {
        (index, id.to_owned(), name.to_owned(), arguments.to_owned())
    }

    #[test]
    fn pieces_find_their_call_by_number() {
        let seen = all(vec![
            piece(1, "a", "f", ""),
            piece(3, "b", "g", "{"),
            piece(1, "", "", "x"),
            piece(3, "", "", ""),
            piece(3, "b", "g", "}"),
        ]);
        let expected = [
            of(0, "a", "f", ""),
            of(1, "b", "g", "{"),
            of(0, "", "", "x"),
            of(1, "", "", "}"),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn another_id_under_the_same_number_is_another_call() {
        let seen = all(vec![piece(0, "a", "f", "{}"), piece(0, "b", "f", "{}")]);
        assert_eq!(seen, [of(0, "a", "f", "{}"), of(1, "b", "f", "{}")]);
    }

    #[test]
    fn a_call_without_an_id_gets_one() {
        let seen = all(vec![piece(0, "", "f", ""), piece(0, "", "", "{}")]);
        assert!(seen[0].1.starts_with("call_"), "{seen:?}");
        assert_eq!(seen[1], of(0, "", "", "{}"));
    }

    #[test]
    fn a_call_without_arguments_ends_with_the_empty_object() {
        let mut calls = Calls::default();
        calls.take("p", piece(2, "a", "f", ""));
        assert!(matches!(calls.end(2), Some(Event::Call(it)) if it.arguments == "{}"));
        assert_eq!(calls.end(2), None);
        assert_eq!(calls.end(7), None, "a block of text");
    }

    #[test]
    fn a_piece_of_nothing_and_endless_calls_are_failures() {
        let mut calls = Calls::default();
        assert!(calls.take("p", piece(0, "a", "", "{}")).unwrap().is_err());
        for place in 0..128 {
            assert!(calls.take("p", piece(place, "", "f", "")).unwrap().is_ok());
        }
        assert!(calls.take("p", piece(128, "", "f", "")).unwrap().is_err());
    }
}
