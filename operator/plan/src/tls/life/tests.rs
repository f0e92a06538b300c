use rstest::rstest;

use super::*;

/// Hours after an arbitrary moment.
fn at(hours: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + hours * 3600).unwrap()
}

const DAYS: i64 = 24;
const YEAR: i64 = 365 * DAYS;

fn authority(end: i64, next: Option<(i64, i64)>, previous: Option<i64>) -> Authority {
    Authority {
        end: at(end),
        next: next.map(|(since, end)| (at(since), at(end))),
        previous: previous.map(at),
    }
}

/// Our own authority, as it is wanted.
const OWN: Wish = Wish {
    own: true,
    intact: true,
    current: true,
    next: true,
    known: true,
};
/// A given one that signs already.
const GIVEN: Wish = Wish {
    own: false,
    intact: true,
    current: true,
    next: false,
    known: true,
};
/// One that is wanted instead of the one that signs.
const OTHER: Wish = Wish {
    own: false,
    intact: true,
    current: false,
    next: true,
    known: true,
};
/// The same, where others were prepared.
const ANOTHER: Wish = Wish {
    own: false,
    intact: true,
    current: false,
    next: false,
    known: true,
};

#[rstest]
#[case::fresh(authority(10 * YEAR, None, None), Turn::Keep)]
#[case::exactly_a_year_is_left(authority(YEAR, None, None), Turn::Keep)]
#[case::less_than_a_year_is_left(authority(YEAR - 1, None, None), Turn::Prepare)]
#[case::the_next_is_new(authority(YEAR - 1, Some((0, 10 * YEAR)), None), Turn::Keep)]
#[case::almost_a_week(authority(YEAR, Some((1 - 7 * DAYS, 10 * YEAR)), None), Turn::Keep)]
#[case::a_week(authority(YEAR, Some((-7 * DAYS, 10 * YEAR)), None), Turn::Promote)]
#[case::the_one_before_lives(authority(9 * YEAR, None, Some(1)), Turn::Keep)]
#[case::the_one_before_has_ended(authority(9 * YEAR, None, Some(0)), Turn::Forget)]
#[case::ended_before_the_week_was_over(authority(0, Some((-1, 10 * YEAR)), None), Turn::Promote)]
#[case::ended_without_a_next(authority(0, None, None), Turn::Begin)]
#[case::ended_twice(authority(-1, None, Some(-2)), Turn::Begin)]
#[case::a_clock_that_went_back(authority(YEAR, Some((DAYS, 10 * YEAR)), None), Turn::Keep)]
fn an_authority_takes_its_turns(#[case] held: Authority, #[case] expected: Turn) {
    assert_eq!(turn(Some(&held), OWN, at(0)), expected);
}

#[rstest]
#[case::as_wanted(authority(YEAR - 1, None, None), GIVEN, Turn::Keep)]
#[case::about_to_end_is_for_whoever_gives_it(authority(1, None, None), GIVEN, Turn::Keep)]
#[case::another_is_wanted(authority(YEAR, None, None), OTHER, Turn::Prepare)]
#[case::another_while_one_before_lives(authority(YEAR, None, Some(1)), OTHER, Turn::Prepare)]
#[case::almost_a_week(authority(YEAR, Some((1 - 7 * DAYS, YEAR)), None), OTHER, Turn::Keep)]
#[case::a_week(authority(YEAR, Some((-7 * DAYS, YEAR)), None), OTHER, Turn::Promote)]
#[case::no_week_is_left(authority(DAYS, Some((-1, YEAR)), None), OTHER, Turn::Promote)]
#[case::more_than_a_day_is_left(authority(DAYS + 1, Some((-1, YEAR)), None), OTHER, Turn::Keep)]
#[case::a_third_one(authority(YEAR, Some((-8 * DAYS, YEAR)), None), ANOTHER, Turn::Prepare)]
#[case::back_to_the_first(authority(YEAR, Some((-8 * DAYS, YEAR)), None), GIVEN, Turn::Withdraw)]
#[case::ended_and_another(authority(0, None, Some(1)), ANOTHER, Turn::Begin)]
fn a_given_authority_takes_its_turns(
    #[case] held: Authority,
    #[case] wish: Wish,
    #[case] expected: Turn,
) {
    assert_eq!(turn(Some(&held), wish, at(0)), expected);
}

#[rstest]
#[case::a_week(YEAR, -7 * DAYS, Turn::Keep)]
#[case::a_month(YEAR, -30 * DAYS, Turn::Keep)]
#[case::hardly_more_than_a_day_is_left(DAYS + 1, -30 * DAYS, Turn::Keep)]
// Whatever it signs ends in a day as well.
#[case::a_day_is_left(DAYS, -30 * DAYS, Turn::Promote)]
fn an_authority_that_nobody_was_handed_signs_only_when_there_is_no_other(
    #[case] end: i64,
    #[case] since: i64,
    #[case] expected: Turn,
) {
    let held = authority(end, Some((since, 10 * YEAR)), None);
    for wish in [OWN, OTHER] {
        let wish = Wish {
            known: false,
            ..wish
        };
        assert_eq!(turn(Some(&held), wish, at(0)), expected);
    }
}

#[test]
fn who_signed_before_is_known_for_as_long_as_what_it_signed() {
    assert_eq!(last_signature(at(10 * YEAR), at(0)), at(YEAR));
    assert_eq!(last_signature(at(DAYS), at(0)), at(DAYS));
    assert_eq!(last_signature(at(-DAYS), at(0)), at(-DAYS));
}

#[test]
fn an_authority_is_begun_with_when_its_certificates_are_not_due_at_once() {
    assert!(is_worth_beginning(at(30 * DAYS), at(0)));
    assert!(!is_worth_beginning(at(30 * DAYS - 1), at(0)));
}

#[test]
fn without_an_authority_one_is_made() {
    for wish in [OWN, GIVEN, OTHER, ANOTHER] {
        assert_eq!(turn(None, wish, at(0)), Turn::Begin);
    }
}

#[rstest]
#[case::alone(authority(YEAR, None, None))]
#[case::with_a_next(authority(YEAR, Some((-8 * DAYS, 10 * YEAR)), None))]
#[case::with_one_before(authority(YEAR, None, Some(1)))]
fn an_authority_that_somebody_altered_is_begun_with_anew(#[case] held: Authority) {
    for wish in [OWN, GIVEN, OTHER, ANOTHER] {
        assert_ne!(turn(Some(&held), wish, at(0)), Turn::Begin, "{wish:?}");
        let altered = Wish {
            intact: false,
            ..wish
        };
        assert_eq!(turn(Some(&held), altered, at(0)), Turn::Begin, "{wish:?}");
    }
}

#[test]
fn a_pair_is_told_from_every_other() {
    let pairs = [pair("a", "b"), pair("x", "b"), pair("a", "x")];
    assert_eq!(pairs[0], pair("a", "b"));
    assert!(!pairs[1..].contains(&pairs[0]) && pairs[1] != pairs[2]);
}

/// Twenty years, a pass every hour. Whoever has just been handed the bundle of the pass before can
/// check what is signed in this one.
#[test]
fn nothing_is_signed_by_who_is_not_yet_trusted_or_no_longer_lives() {
    let mut held = authority(10 * YEAR, None, None);
    let mut trusted = vec![held.end];
    let mut turns = Vec::new();
    for hour in (0..20 * YEAR).step_by(6) {
        let step = turn(Some(&held), OWN, at(hour));
        let new_end = at(hour + 10 * YEAR);
        match step {
            Turn::Keep => {}
            Turn::Begin | Turn::Withdraw => panic!("{step:?} in hour {hour}"),
            Turn::Prepare => held.next = Some((at(hour), new_end)),
            Turn::Promote => {
                held.previous = Some(held.end);
                held.end = held.next.take().unwrap().1;
            }
            Turn::Forget => held.previous = None,
        }
        if step != Turn::Keep {
            turns.push(step);
        }
        assert!(trusted.contains(&held.end), "hour {hour}");
        assert!(held.end > at(hour + 90 * DAYS), "hour {hour}");
        trusted = [held.previous, Some(held.end), held.next.map(|next| next.1)]
            .into_iter()
            .flatten()
            .collect();
    }
    let round = [Turn::Prepare, Turn::Promote, Turn::Forget];
    assert_eq!(turns, [round, round].concat());
}

const HELD: Held<'static> = Held {
    end: Timestamp::UNIX_EPOCH,
    names: "a,b",
    signer: "new",
    intact: true,
};
const WANTED: Wanted<'static> = Wanted {
    names: "a,b",
    days: 90,
    signers: &["old", "new"],
    limit: Timestamp::MAX,
};

#[rstest]
#[case::fresh(90 * DAYS, false)]
#[case::an_hour_before(30 * DAYS + 1, false)]
#[case::two_thirds_are_over(30 * DAYS, true)]
#[case::ended(0, true)]
#[case::ended_long_ago(-YEAR, true)]
fn a_certificate_is_renewed_when_a_third_of_its_life_is_left(
    #[case] end: i64,
    #[case] expected: bool,
) {
    let held = Held {
        end: at(end),
        ..HELD
    };
    assert_eq!(is_due(Some(&held), WANTED, at(0)), expected);
}

#[rstest]
#[case::would_end_with_the_authority_again(10 * DAYS, false)]
#[case::the_authority_lives_longer_now(10 * DAYS + 1, true)]
fn a_certificate_that_the_authority_cut_short_waits_for_the_next_one(
    #[case] limit: i64,
    #[case] expected: bool,
) {
    let held = Held {
        end: at(10 * DAYS),
        ..HELD
    };
    let wanted = Wanted {
        limit: at(limit),
        ..WANTED
    };
    assert_eq!(is_due(Some(&held), wanted, at(0)), expected);
}

#[rstest]
#[case::as_wanted("a,b", "new", true, false)]
#[case::signed_by_the_one_before("a,b", "old", true, false)]
#[case::signed_by_a_stranger("a,b", "other", true, true)]
#[case::for_fewer_names("a", "new", true, true)]
#[case::altered("a,b", "new", false, true)]
fn a_certificate_that_nobody_would_accept_is_made_anew(
    #[case] names: &str,
    #[case] signer: &str,
    #[case] intact: bool,
    #[case] expected: bool,
) {
    let held = Held {
        end: at(80 * DAYS),
        names,
        signer,
        intact,
    };
    assert_eq!(is_due(Some(&held), WANTED, at(0)), expected);
    assert!(is_due(None, WANTED, at(0)));
}
