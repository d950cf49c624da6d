//! How requests ended, and what they went through on the way there.

use std::collections::BTreeMap;

use crate::error::Cause;
use crate::record::collect::labels::Labels;
use crate::record::collect::recordings::{PROBES, Recordings};
use crate::record::export::View;
use crate::record::export::prometheus::{Kind, Text};
use crate::record::outcome::{
    Clock, Ejection, FailoverReason, HedgeEnd, Outcome, Oversize, Phase, Prevented, ReplayReason,
    Silence,
};

/// Statuses of `requests_total` that stand at zero from the start: what most requests get, and what alerts
/// look at, so that the first of them is an increase.
const CODES: [&str; 7] = ["200", "429", "500", "502", "503", "504", Labels::NONE];

/// Requests by the names of their labels: two upstreams of one name, or one called like
/// [`Labels::NONE`], must not make one series twice, which would fail the whole scrape.
pub(in crate::record) fn requests_by_name<'a>(
    names: &'a Labels,
    recordings: &Recordings,
) -> BTreeMap<(&'a str, &'a str, String), u64> {
    let mut counted = BTreeMap::new();
    for (key, count) in &recordings.requests {
        let code = key.code.map_or(Labels::NONE.to_owned(), |code| code.as_str().to_owned());
        let labels = (names.route(key.route), names.upstream(key.upstream), code);
        *counted.entry(labels).or_default() += *count;
    }
    counted
}

/// How requests ended by the names of their labels, for the same reason.
fn ends_by_name<'a>(
    names: &'a Labels,
    recordings: &Recordings,
) -> BTreeMap<(&'a str, &'a str, &'static str, &'static str), u64> {
    let mut counted = BTreeMap::new();
    for (key, count) in &recordings.requests {
        let (outcome, phase) = (key.outcome.label(), key.phase.label());
        let labels = (names.route(key.route), names.upstream(key.upstream), outcome, phase);
        *counted.entry(labels).or_default() += *count;
    }
    counted
}

pub(super) fn requests(text: &mut Text, view: &View<'_>) {
    let (names, all) = (&*view.instance.labels, &view.totals.recordings);
    let expected = view.instance.expected.requests(names);
    let name = "firstbyte_requests_total";
    text.family(
        name,
        Kind::Counter,
        "Finished requests, by route, upstream and status sent to the client.",
    );
    let mut counted = requests_by_name(names, all);
    for (route, upstream) in &expected {
        for code in CODES {
            counted.entry((*route, *upstream, code.to_owned())).or_default();
        }
    }
    for ((route, upstream, code), count) in counted {
        text.sample(name, &[("route", route), ("upstream", upstream), ("code", &code)], count);
    }
    let name = "firstbyte_stream_end_total";
    text.family(
        name,
        Kind::Counter,
        "Finished requests, by route, upstream, outcome, and whether a response had begun.",
    );
    let mut counted = ends_by_name(names, all);
    for (route, upstream) in expected {
        for (outcome, phase) in
            Outcome::ALL.iter().flat_map(|one| Phase::ALL.map(|phase| (one, phase)))
        {
            counted.entry((route, upstream, outcome.label(), phase.label())).or_default();
        }
    }
    for ((route, upstream, outcome, phase), count) in counted {
        let labels =
            [("route", route), ("upstream", upstream), ("outcome", outcome), ("phase", phase)];
        text.sample(name, &labels, count);
    }
    let name = "firstbyte_replays_total";
    text.family(
        name,
        Kind::Counter,
        "Requests sent again because the upstream had not processed them.",
    );
    for reason in ReplayReason::ALL {
        text.sample(name, &[("reason", reason.label())], all.replays[reason as usize]);
    }
    let help = "Comment lines sent to clients of event streams whose upstream was silent.";
    text.single("firstbyte_heartbeats_total", Kind::Counter, help, all.heartbeats);
}

/// Failovers by the names of their labels, for the same reason as [`requests_by_name`].
pub(in crate::record) fn failovers_by_name<'a>(
    names: &'a Labels,
    recordings: &Recordings,
) -> BTreeMap<(&'a str, &'a str, &'static str), u64> {
    let mut counted = BTreeMap::new();
    for (key, count) in &recordings.failovers {
        let name = |id| names.upstream(Some(id));
        *counted.entry((name(key.from), name(key.to), key.reason.label())).or_default() += *count;
    }
    counted
}

pub(super) fn timeouts(text: &mut Text, names: &Labels, all: &Recordings) {
    let name = "firstbyte_timeouts_total";
    text.family(
        name,
        Kind::Counter,
        "Deadlines that passed on an upstream, by deadline, including \
        those that led to a failover.",
    );
    for (label, upstream) in names.upstreams.iter().zip(&all.upstreams) {
        for clock in Clock::ALL {
            let labels = [("upstream", label.as_str()), ("clock", clock.label())];
            text.sample(name, &labels, upstream.timeouts[clock as usize]);
        }
    }
}

pub(super) fn silences(text: &mut Text, names: &Labels, all: &Recordings) {
    let name = "firstbyte_upstream_silences_total";
    text.family(name, Kind::Counter, "Upstream connections that fell silent, by what followed.");
    for (label, upstream) in names.upstreams.iter().zip(&all.upstreams) {
        for step in Silence::ALL {
            let labels = [("upstream", label.as_str()), ("step", step.label())];
            text.sample(name, &labels, upstream.silences[step as usize]);
        }
    }
}

pub(super) fn floods(text: &mut Text, names: &Labels, all: &Recordings) {
    let name = "firstbyte_upstream_floods_total";
    text.family(
        name,
        Kind::Counter,
        "Upstream connections closed because they sent too many control frames.",
    );
    for (label, upstream) in names.upstreams.iter().zip(&all.upstreams) {
        text.sample(name, &[("upstream", label)], upstream.floods);
    }
}

pub(super) fn oversizes(text: &mut Text, names: &Labels, all: &Recordings) {
    let name = "firstbyte_upstream_oversize_heads_total";
    text.family(
        name,
        Kind::Counter,
        "Heads and trailers larger than the upstream or the proxy accepts.",
    );
    for (label, upstream) in names.upstreams.iter().zip(&all.upstreams) {
        for what in Oversize::ALL {
            let labels = [("upstream", label.as_str()), ("what", what.label())];
            text.sample(name, &labels, upstream.oversizes[what as usize]);
        }
    }
}

pub(super) fn probes(text: &mut Text, names: &Labels, all: &Recordings) {
    let name = "firstbyte_probes_total";
    text.family(name, Kind::Counter, "Health probes sent to an upstream, by result.");
    for (label, upstream) in names.upstreams.iter().zip(&all.upstreams) {
        for (result, count) in PROBES.into_iter().zip(upstream.probes) {
            let labels = [("upstream", label.as_str()), ("result", result)];
            text.sample(name, &labels, count);
        }
    }
}

pub(super) fn ejections(text: &mut Text, names: &Labels, all: &Recordings) {
    let name = "firstbyte_upstream_ejections_total";
    text.family(
        name,
        Kind::Counter,
        "Times that a worker ejected an upstream from its groups, by cause.",
    );
    for (label, upstream) in names.upstreams.iter().zip(&all.upstreams) {
        for cause in Ejection::ALL {
            let labels = [("upstream", label.as_str()), ("cause", cause.label())];
            text.sample(name, &labels, upstream.ejections[cause as usize]);
        }
    }
}

pub(super) fn retries(text: &mut Text, names: &Labels, all: &Recordings) {
    let name = "firstbyte_retries_total";
    text.family(name, Kind::Counter, "Retries sent to an upstream after a pause.");
    for (label, upstream) in names.upstreams.iter().zip(&all.upstreams) {
        text.sample(name, &[("upstream", label)], upstream.retries);
    }
}

pub(super) fn hedges(text: &mut Text, names: &Labels, all: &Recordings) {
    let recorded = names.upstreams.iter().zip(&all.upstreams);
    let name = "firstbyte_hedges_total";
    text.family(
        name,
        Kind::Counter,
        "Hedges: second requests sent because the first upstream was late, by result.",
    );
    for (label, upstream) in recorded.clone() {
        for end in HedgeEnd::ALL {
            let labels = [("upstream", label.as_str()), ("result", end.label())];
            text.sample(name, &labels, upstream.hedges[end as usize]);
        }
    }
    let name = "firstbyte_hedge_losers_total";
    text.family(
        name,
        Kind::Counter,
        "Requests cancelled because another upstream responded sooner; each may be billed.",
    );
    for (label, upstream) in recorded {
        text.sample(name, &[("upstream", label)], upstream.overtaken);
    }
}

/// Failures by the names of their labels, for the same reason as [`requests_by_name`].
pub(in crate::record) fn failures_by_name<'a>(
    names: &'a Labels,
    recordings: &Recordings,
) -> BTreeMap<(&'a str, &'static str), u64> {
    let mut counted = BTreeMap::new();
    for ((upstream, cause), count) in &recordings.failures {
        let labels = (names.upstream(Some(*upstream)), cause.word());
        *counted.entry(labels).or_default() += *count;
    }
    counted
}

pub(super) fn failures(text: &mut Text, names: &Labels, all: &Recordings) {
    let name = "firstbyte_upstream_failures_total";
    text.family(
        name,
        Kind::Counter,
        "Requests that an upstream failed, before or after its response head, by cause.",
    );
    let mut counted = failures_by_name(names, all);
    for upstream in names.upstreams.iter() {
        for cause in Cause::ALL {
            counted.entry((upstream, cause.word())).or_default();
        }
    }
    for ((upstream, cause), count) in counted {
        text.sample(name, &[("upstream", upstream), ("cause", cause)], count);
    }
}

pub(super) fn failovers(text: &mut Text, view: &View<'_>) {
    let (names, all) = (&*view.instance.labels, &view.totals.recordings);
    let name = "firstbyte_failovers_total";
    text.family(
        name,
        Kind::Counter,
        "Failovers from one upstream of a group to another, by reason.",
    );
    let mut counted = failovers_by_name(names, all);
    for (from, to) in view.instance.expected.failovers(names) {
        for reason in FailoverReason::ALL {
            counted.entry((from, to, reason.label())).or_default();
        }
    }
    for ((from, to, reason), count) in counted {
        text.sample(name, &[("from", from), ("to", to), ("reason", reason)], count);
    }
    let name = "firstbyte_attempts_prevented_total";
    text.family(name, Kind::Counter, "Failovers, retries and hedges that were skipped, by reason.");
    for why in Prevented::ALL {
        text.sample(name, &[("reason", why.label())], all.prevented[why as usize]);
    }
}
