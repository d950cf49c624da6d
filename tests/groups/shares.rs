//! Who of a group is asked: the shares of a gray release, the tiers, the least loaded, the sticky.

use firstbyte::config::{Config, Pick};
use loadtest::upstream::Script;

use crate::support::group::{NAMES, Several, ask, ok};
use crate::support::peers::http1_client::Http1;

/// All in one tier with these weights.
fn flat(config: &mut Config, weights: [u32; 3]) {
    for (member, weight) in config.groups[0].members.iter_mut().zip(weights) {
        (member.tier, member.weight) = (0, weight);
    }
}

fn three() -> [Script; 3] {
    NAMES.map(ok)
}

#[test]
fn a_gray_release_gets_its_share_to_within_a_request_or_two() {
    let several = Several::configured(&three(), |config| flat(config, [90, 8, 2]));
    let mut client = Http1::new(several.fixture.connect());
    for _ in 0..300 {
        assert_eq!(client.ask(&ask()).status, 200);
    }
    let asked = several.asked();
    for (count, share) in asked.iter().zip([270_u64, 24, 6]) {
        assert!(count.abs_diff(share) <= 2, "{asked:?}");
    }
}

#[test]
fn a_weight_of_nothing_takes_nothing_even_when_all_others_fail() {
    let scripts = [Script::new().refuse(), Script::new().refuse(), ok("c")];
    let several = Several::configured(&scripts, |config| flat(config, [1, 1, 0]));
    assert_eq!(several.ask(&ask()).status, 502);
    assert_eq!(several.asked()[2], 0);
}

#[test]
fn a_session_stays_with_its_upstream_and_sessions_are_spread() {
    let header = http::HeaderName::from_static("x-session");
    let several = Several::configured(&three(), |config| {
        flat(config, [1, 1, 1]);
        config.groups[0].pick = Pick::Sticky(header);
    });
    let mut client = Http1::new(several.fixture.connect());
    for session in 0..30 {
        let asked = ask().header("x-session", &session.to_string());
        let first = client.ask(&asked).body();
        for _ in 0..3 {
            assert_eq!(client.ask(&asked).body(), first, "session {session}");
        }
    }
    let asked = several.asked();
    assert!(asked.iter().all(|count| *count >= 12), "{asked:?}");
}

/// `a` has two streams that do not end: of all that follow, one at a time, it gets none.
#[test]
fn the_least_loaded_is_asked() {
    let busy = Script::new().stream().stall();
    let several = Several::configured(&[busy.clone(), ok("b"), busy], |config| {
        flat(config, [1, 1, 1]);
        config.groups[0].pick = Pick::LeastLoaded;
    });
    let mut clients = Vec::new();
    while several.asked().iter().sum::<u64>() - several.asked()[1] < 2 {
        let mut client = Http1::new(several.fixture.connect());
        client.send(&ask());
        client.head(&ask());
        clients.push(client);
    }
    let before = several.asked();
    assert_eq!(
        (before[0], before[2]),
        (1, 1),
        "the second went to the idle one of them: {before:?}"
    );
    let mut client = Http1::new(several.fixture.connect());
    for _ in 0..20 {
        assert_eq!(client.ask(&ask()).body(), b"b");
    }
    assert_eq!(several.asked()[1], before[1] + 20);
}
