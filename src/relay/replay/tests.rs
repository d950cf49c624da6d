use super::*;

const FAILURES: [Failure; 5] =
    [Failure::Unsent, Failure::GoAway, Failure::Suspect, Failure::Refused, Failure::Unknown];
const BODIES: [BodyKept; 3] = [BodyKept::NotBegun, BodyKept::Whole, BodyKept::Spoiled];

#[test]
fn a_request_goes_out_again_where_it_was_not_processed_and_in_no_other_case() {
    let mut yes = Vec::new();
    for failure in FAILURES {
        for seen in [Seen::Nothing, Seen::Answer] {
            for body in BODIES {
                for replays in 0..6 {
                    if let Replay::Yes(reason) = decide(failure, seen, body, replays) {
                        yes.push((failure, seen, body, replays, reason));
                    }
                }
            }
        }
    }
    let proofs = [
        (Failure::Unsent, ReplayReason::Unsent, 3),
        (Failure::GoAway, ReplayReason::Goaway, 3),
        (Failure::Refused, ReplayReason::RefusedStream, 1),
    ];
    let expected: Vec<_> = proofs
        .into_iter()
        .flat_map(|(failure, reason, most)| {
            [BodyKept::NotBegun, BodyKept::Whole].into_iter().flat_map(move |body| {
                (0..most).map(move |replays| (failure, Seen::Nothing, body, replays, reason))
            })
        })
        .collect();
    assert_eq!(yes, expected);
}

#[test]
fn the_strongest_reason_against_is_the_one_given() {
    use BodyKept::{Spoiled, Whole};
    let no = |failure, seen, body, replays| match decide(failure, seen, body, replays) {
        Replay::No(why) => why,
        Replay::Yes(reason) => panic!("{reason:?}"),
    };
    let unknown = Failure::Unknown;
    assert_eq!(no(unknown, Seen::Answer, Spoiled, 1), NoReplay::MaybeProcessed);
    assert_eq!(no(Failure::Suspect, Seen::Answer, Spoiled, 1), NoReplay::MaybeTheCause);
    assert_eq!(no(Failure::Refused, Seen::Answer, Spoiled, 1), NoReplay::AnswerSeen);
    assert_eq!(no(Failure::GoAway, Seen::Nothing, Spoiled, 1), NoReplay::BodySpoiled);
    assert_eq!(no(Failure::Unsent, Seen::Nothing, Whole, 3), NoReplay::Spent);
}
